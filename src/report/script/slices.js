// @ts-check
// The slice level: sliders, figures, curve and gallery.

if (data.slices) {
  const { images, plot, iou: reportedIou } = data.slices
  const confidence = inputOf('confidence'),
    overlap = inputOf('overlap')
  /** @type {Map<number, ReturnType<typeof evaluate>>} */
  const cache = new Map()
  /** @typedef {'hits' | 'wrong' | 'missed' | 'all'} Tab */
  /** @type {Tab} */
  let tab = 'missed'
  let limit = 48
  const tabs = [.../** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll('#tabs button'))]
  /** @param {HTMLButtonElement} button */
  const tabOf = (button) => /** @type {Tab} */ (button.dataset['tab'])
  const moreButton = /** @type {Element} */ (byId('gallery-more').firstElementChild)
  const over = document.getElementById('pr-over')
  /** @param {number} minIou */
  const curveOf = (minIou) => {
    const known = cache.get(minIou) ?? evaluate(images, minIou)
    cache.set(minIou, known)
    return known
  }
  /** @param {number | null} recall */
  const x = (recall) => plot.left + (recall ?? 0) * plot.width
  /** @param {number} precision */
  const y = (precision) => plot.top + (1 - precision) * plot.height

  function update() {
    const c = Number(confidence.value),
      minIou = Number(overlap.value)
    inputOf('confidence-value').value = c.toFixed(3)
    inputOf('overlap-value').value = minIou.toFixed(2)
    const { curve, ap, truths } = curveOf(minIou)
    /** @type {Omit<Point, 'threshold' | 'precision'> & { precision: number | null }} */
    let point = { tp: 0, fp: 0, fn: truths, precision: null, recall: truths ? 0 : null }
    for (const candidate of curve) if (candidate.threshold >= c) point = candidate
    const f1 = truths ? (2 * point.tp) / (2 * point.tp + point.fp + point.fn) : null
    const figures = {
      tp: point.tp,
      fp: point.fp,
      missed: point.fn,
      precision: ratio(point.precision),
      recall: ratio(point.recall),
      f1: ratio(f1),
      ap: ratio(ap),
    }
    for (const [name, value] of Object.entries(figures)) byId('figure-' + name).textContent = String(value)
    if (over) {
      over.replaceChildren()
      if (Math.abs(minIou - reportedIou) > 1e-9 && curve.length && truths) {
        const path = curve
          .map((p, i) => (i ? 'L' : 'M') + x(p.recall).toFixed(1) + ' ' + y(p.precision).toFixed(1))
          .join('')
        make(
          'path',
          { d: path, fill: 'none', stroke: '#009e73', 'stroke-width': 2, 'stroke-dasharray': '6 4' },
          over,
        )
      }
      if (point.precision !== null && point.recall !== null)
        make(
          'circle',
          {
            cx: x(point.recall),
            cy: y(point.precision),
            r: 7,
            fill: '#e69f00',
            stroke: '#1c2733',
            'stroke-width': 1.5,
          },
          over,
        )
    }
    gallery(c, minIou)
  }

  /**
   * @param {number} c
   * @param {number} minIou
   */
  function gallery(c, minIou) {
    /** @type {Record<Tab, ScoredView[]>} */
    const lists = { hits: [], wrong: [], missed: [], all: [] }
    for (const image of images) {
      const result = outcome(image, c, minIou)
      const boxes = [
        ...result.hits.map(({ truth }) => ({ box: truth, kind: 'truth' })),
        ...result.missed.map((box) => ({ box, kind: 'missed' })),
        ...result.hits.map(({ detection }) => ({ box: detection, kind: 'hit' })),
        ...result.wrong.map((box) => ({ box, kind: 'wrong' })),
        ...(image.excluded || []).map((box) => ({ box, kind: 'neither' })),
      ]
      /** @type {(list: ScoredView[], box: AnyBox | undefined, caption: string, score: number) => void} */
      const add = (list, box, caption, score) => {
        /** @type {ScoredView} */
        const view = { picture: image.picture, boxes, caption: image.name + caption, score }
        if (image.picture !== undefined && box) view.crop = around(box, data.pictures[image.picture], 4)
        list.push(view)
      }
      for (const { truth, detection } of result.hits)
        add(
          lists.hits,
          truth,
          ', confidence ' + detection[4].toFixed(2) + ', IoU ' + iou(truth, detection).toFixed(2),
          detection[4],
        )
      for (const box of result.wrong) add(lists.wrong, box, ', confidence ' + box[4].toFixed(2), box[4])
      for (const box of result.missed)
        add(
          lists.missed,
          box,
          ', missed, ' + Math.round(box[2] - box[0]) + ' x ' + Math.round(box[3] - box[1]) + ' px',
          box[2] - box[0],
        )
      if (image.truth.length || image.detections.some((box) => box[4] >= c))
        add(
          lists.all,
          undefined,
          ': ' +
            result.hits.length +
            ' found, ' +
            result.wrong.length +
            ' wrong, ' +
            result.missed.length +
            ' missed',
          image.truth.length,
        )
    }
    for (const list of Object.values(lists)) list.sort((a, b) => b.score - a.score)
    for (const button of tabs) {
      button.textContent = button.dataset['title'] + ' (' + lists[tabOf(button)].length + ')'
      button.setAttribute('aria-selected', String(tabOf(button) === tab))
      button.tabIndex = tabOf(button) === tab ? 0 : -1
    }
    byId('gallery').setAttribute('aria-labelledby', 'tab-' + tab)
    const list = lists[tab].filter((view) => view.picture !== undefined)
    const place = byId('gallery')
    place.replaceChildren()
    place.classList.toggle('whole', tab === 'all')
    list.slice(0, limit).forEach((view, index) => {
      const figure = make('figure', {}, place)
      drawView(
        view,
        openButton(view.caption, figure, () => show(list, index)),
        tab === 'all',
      )
      make('figcaption', {}, figure, view.caption)
    })
    byId('gallery-empty').hidden = list.length > 0
    byId('gallery-empty').textContent =
      lists[tab].length > 0
        ? 'No picture of these slices is part of this report.'
        : 'None at these thresholds.'
    byId('gallery-more').hidden = list.length <= limit
    moreButton.textContent = 'Show more (' + (list.length - limit) + ')'
  }

  confidence.addEventListener('input', update)
  overlap.addEventListener('input', update)
  tabs.forEach((button, index) => {
    button.addEventListener('click', () => {
      tab = tabOf(button)
      limit = 48
      update()
    })
    // As tabs do everywhere: the arrows move among them, Tab leaves them.
    button.addEventListener('keydown', ({ key }) => {
      const to = new Map([
        ['ArrowRight', index + 1],
        ['ArrowLeft', index - 1],
        ['Home', 0],
        ['End', tabs.length - 1],
      ]).get(key)
      if (to === undefined) return
      const other = tabs[(to + tabs.length) % tabs.length]
      other.focus()
      other.click()
    })
  })
  moreButton.addEventListener('click', () => {
    limit += 96
    update()
  })
  update()
}
