/**
 * The page's script, plain JavaScript without imports so that the file works offline. It recomputes the slice-level
 * curve for the IoU and confidence of the sliders with the same matching as src/evaluation/slices/match.ts (a test compares
 * both), draws the galleries and the enlarged view, and sorts the tables.
 */
export const SCRIPT = String.raw`
'use strict'
const data = JSON.parse(document.getElementById('data').textContent)
const byId = (id) => document.getElementById(id)
const SVG = 'http://www.w3.org/2000/svg'
const make = (name, attributes, parent, text) => {
  const svg = ['svg', 'use', 'rect', 'path', 'circle', 'image', 'g'].includes(name)
  const node = svg ? document.createElementNS(SVG, name) : document.createElement(name)
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value)
  if (text !== undefined) node.textContent = text
  if (parent) parent.appendChild(node)
  return node
}
const ratio = (value) => (value === null || Number.isNaN(value) ? '–' : value.toFixed(3))

// Every picture is defined once; views refer to it.
const defs = make('defs', {}, make('svg', { width: 0, height: 0, style: 'position:absolute', 'aria-hidden': 'true' }, document.body))
data.pictures.forEach((picture, index) =>
  make('image', { id: 'picture' + index, width: picture.width, height: picture.height, href: picture.src }, defs))

/** view: { picture, boxes: [{ box, kind }], crop?, caption } */
function drawView(view, parent, whole, className) {
  const picture = data.pictures[view.picture]
  const crop = whole || !view.crop ? [0, 0, picture.width, picture.height] : view.crop
  const svg = make('svg', { viewBox: crop.join(' '), preserveAspectRatio: 'xMidYMid meet', role: 'img', 'aria-label': view.caption }, parent)
  if (className) svg.setAttribute('class', className)
  make('use', { href: '#picture' + view.picture }, svg)
  for (const { box, kind } of view.boxes) {
    make('rect', { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], class: 'box b-' + kind }, svg)
  }
  return svg
}

/** A square around a box, inside the picture. */
function around(box, picture, factor) {
  const side = Math.min(Math.max(box[2] - box[0], box[3] - box[1], 12) * factor, picture.width, picture.height)
  const at = (low, high, size) => Math.min(Math.max((low + high) / 2 - side / 2, 0), size - side)
  return [at(box[0], box[2], picture.width), at(box[1], box[3], picture.height), side, side]
}

// The enlarged view.
const dialog = byId('view')
let shown = { views: [], index: 0 }
function show(views, index) {
  shown = { views, index }
  const view = views[index]
  const picture = data.pictures[view.picture]
  dialog.style.setProperty('--aspect', picture.width / picture.height)
  const stage = byId('stage')
  stage.replaceChildren()
  drawView(view, stage, true)
  byId('caption').textContent = view.caption + '   (' + (index + 1) + ' of ' + views.length + ')'
  if (!dialog.open) dialog.showModal()
}
/** A picture that opens: a real button, so that one press of Enter or Space opens it and does nothing else. */
const opener = (label, parent, open) => {
  const button = make('button', { type: 'button', class: 'picture', 'aria-label': 'Enlarge: ' + label }, parent)
  button.addEventListener('click', open)
  return button
}
const turn = (by) => show(shown.views, (shown.index + by + shown.views.length) % shown.views.length)
byId('before').onclick = () => turn(-1)
byId('after').onclick = () => turn(1)
byId('close').onclick = () => dialog.close()
dialog.onclick = (event) => { if (event.target === dialog) dialog.close() }
dialog.onkeydown = (event) => {
  if (event.key === 'ArrowLeft') turn(-1)
  if (event.key === 'ArrowRight') turn(1)
}

// Tables sort on a click on a column's head.
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells]
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') === 'ascending'
    heads.forEach((other) => other.removeAttribute('aria-sort'))
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending')
    const key = (row) => row.cells[column].dataset.sort
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = key(a), y = key(b)
      if (x === '' || y === '') return x === y ? 0 : x === '' ? 1 : -1
      const numeric = !Number.isNaN(Number(x)) && !Number.isNaN(Number(y))
      const order = numeric ? Number(x) - Number(y) : x.localeCompare(y)
      return down ? -order : order
    })
    table.tBodies[0].append(...rows)
  }))
}

// Pictures in tables.
for (const cell of document.querySelectorAll('[data-views]')) {
  const views = JSON.parse(cell.dataset.views)
  if (views.length === 0) continue
  const button = opener(data.views[views[0]].caption, cell, () => {
    // Forth and back go through the table's rows as they stand.
    const cells = [...cell.closest('table').querySelectorAll('[data-views]')].filter((one) => !one.closest('tr').hidden)
    const all = cells.flatMap((one) => JSON.parse(one.dataset.views).map((index) => ({ one, index })))
    show(all.map(({ index }) => data.views[index]), all.findIndex(({ one }) => one === cell))
  })
  drawView(data.views[views[0]], button, false, 'thumb')
}

// ---- slice level -------------------------------------------------------------------------------------------------
const iou = (a, b) => {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  const shared = w > 0 && h > 0 ? w * h : 0
  const union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
  return union > 0 ? shared / union : 0
}

const onExcluded = (box, image, minIou) => (image.excluded || []).some((other) => iou(box, other) >= minIou)

/** Maximum matching as the score falls; see GrowingMatch. */
function evaluate(images, minIou) {
  const matches = images.map(({ truth, detections }) => ({
    detectionOf: truth.map(() => -1),
    truthOf: detections.map(() => -1),
    options: detections.map((detection) => truth
      .map((box, index) => ({ index, overlap: iou(detection, box) }))
      .filter((option) => option.overlap >= minIou)
      .sort((a, b) => b.overlap - a.overlap || a.index - b.index)
      .map((option) => option.index)),
  }))
  const augment = (match, detection, seen) => {
    for (const truth of match.options[detection]) {
      if (seen.has(truth)) continue
      seen.add(truth)
      if (match.detectionOf[truth] < 0 || augment(match, match.detectionOf[truth], seen)) {
        match.detectionOf[truth] = detection
        match.truthOf[detection] = truth
        return true
      }
    }
    return false
  }
  const order = images
    .flatMap((image, i) => image.detections.map((box, d) => ({ i, d, score: box[4] })))
    .sort((a, b) => b.score - a.score)
  const truths = images.reduce((sum, image) => sum + image.truth.length, 0)
  const curve = []
  let tp = 0
  let kept = 0
  order.forEach(({ i, d, score }, index) => {
    if (augment(matches[i], d, new Set())) { tp++; kept++ }
    else if (!onExcluded(images[i].detections[d], images[i], minIou)) kept++
    if ((index + 1 < order.length && order[index + 1].score === score) || kept === 0) return
    curve.push({ threshold: score, tp, fp: kept - tp, fn: truths - tp, precision: tp / kept, recall: truths ? tp / truths : null })
  })
  let ap = truths ? 0 : null
  if (truths) {
    let best = 0
    for (let i = curve.length - 1; i >= 0; i--) {
      best = Math.max(best, curve[i].precision)
      ap += best * (curve[i].recall - (i ? curve[i - 1].recall : 0))
    }
  }
  return { curve, ap, truths }
}

/** Matches of one image among the detections at or above a confidence. */
function outcome(image, confidence, minIou) {
  const kept = image.detections
    .map((box, index) => ({ box, index }))
    .filter(({ box }) => box[4] >= confidence)
    .sort((a, b) => b.box[4] - a.box[4])
  const detectionOf = image.truth.map(() => -1)
  const options = new Map(kept.map(({ box, index }) => [index, image.truth
    .map((truth, t) => ({ t, overlap: iou(box, truth) }))
    .filter((option) => option.overlap >= minIou)
    .sort((a, b) => b.overlap - a.overlap || a.t - b.t)
    .map((option) => option.t)]))
  const augment = (detection, seen) => {
    for (const t of options.get(detection)) {
      if (seen.has(t)) continue
      seen.add(t)
      if (detectionOf[t] < 0 || augment(detectionOf[t], seen)) { detectionOf[t] = detection; return true }
    }
    return false
  }
  for (const { index } of kept) augment(index, new Set())
  const matched = new Set(detectionOf.filter((d) => d >= 0))
  return {
    hits: image.truth.map((box, t) => ({ truth: box, detection: image.detections[detectionOf[t]] })).filter((pair) => pair.detection),
    wrong: kept.filter(({ box, index }) => !matched.has(index) && !onExcluded(box, image, minIou)).map(({ box }) => box),
    missed: image.truth.filter((_, t) => detectionOf[t] < 0),
  }
}

if (data.slices) {
  const { images, plot } = data.slices
  const confidence = byId('confidence'), overlap = byId('overlap')
  const cache = new Map()
  let tab = 'missed'
  let limit = 48
  const over = byId('pr-over')
  const curveOf = (minIou) => {
    if (!cache.has(minIou)) cache.set(minIou, evaluate(images, minIou))
    return cache.get(minIou)
  }
  const x = (recall) => plot.left + recall * plot.width
  const y = (precision) => plot.top + (1 - precision) * plot.height

  function update() {
    const c = Number(confidence.value), minIou = Number(overlap.value)
    byId('confidence-value').value = c.toFixed(3)
    byId('overlap-value').value = minIou.toFixed(2)
    const { curve, ap, truths } = curveOf(minIou)
    let point = { tp: 0, fp: 0, fn: truths, precision: null, recall: truths ? 0 : null }
    for (const candidate of curve) if (candidate.threshold >= c) point = candidate
    const f1 = truths ? (2 * point.tp) / (2 * point.tp + point.fp + point.fn) : null
    const figures = { tp: point.tp, fp: point.fp, missed: point.fn, precision: ratio(point.precision), recall: ratio(point.recall), f1: ratio(f1), ap: ratio(ap) }
    for (const [name, value] of Object.entries(figures)) byId('figure-' + name).textContent = value
    if (over) {
      over.replaceChildren()
      if (Math.abs(minIou - data.slices.iou) > 1e-9 && curve.length && truths) {
        const path = curve.map((p, i) => (i ? 'L' : 'M') + x(p.recall).toFixed(1) + ' ' + y(p.precision).toFixed(1)).join('')
        make('path', { d: path, fill: 'none', stroke: '#009e73', 'stroke-width': 2, 'stroke-dasharray': '6 4' }, over)
      }
      if (point.precision !== null && point.recall !== null)
        make('circle', { cx: x(point.recall), cy: y(point.precision), r: 7, fill: '#e69f00', stroke: '#1c2733', 'stroke-width': 1.5 }, over)
    }
    gallery(c, minIou)
  }

  function gallery(c, minIou) {
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
      const add = (list, box, caption, score) => {
        const view = { picture: image.picture, boxes, caption: image.name + caption, score }
        if (image.picture !== undefined && box) view.crop = around(box, data.pictures[image.picture], 4)
        list.push(view)
      }
      for (const { truth, detection } of result.hits) add(lists.hits, truth, ', confidence ' + detection[4].toFixed(2) + ', IoU ' + iou(truth, detection).toFixed(2), detection[4])
      for (const box of result.wrong) add(lists.wrong, box, ', confidence ' + box[4].toFixed(2), box[4])
      for (const box of result.missed) add(lists.missed, box, ', missed, ' + Math.round(box[2] - box[0]) + ' x ' + Math.round(box[3] - box[1]) + ' px', box[2] - box[0])
      if (image.truth.length || image.detections.some((box) => box[4] >= c))
        add(lists.all, undefined, ': ' + result.hits.length + ' found, ' + result.wrong.length + ' wrong, ' + result.missed.length + ' missed', image.truth.length)
    }
    for (const list of Object.values(lists)) list.sort((a, b) => b.score - a.score)
    for (const button of document.querySelectorAll('#tabs button')) {
      button.textContent = button.dataset.title + ' (' + lists[button.dataset.tab].length + ')'
      button.setAttribute('aria-selected', String(button.dataset.tab === tab))
      button.tabIndex = button.dataset.tab === tab ? 0 : -1
    }
    byId('gallery').setAttribute('aria-labelledby', 'tab-' + tab)
    const list = lists[tab].filter((view) => view.picture !== undefined)
    const place = byId('gallery')
    place.replaceChildren()
    place.classList.toggle('whole', tab === 'all')
    list.slice(0, limit).forEach((view, index) => {
      const figure = make('figure', {}, place)
      drawView(view, opener(view.caption, figure, () => show(list, index)), tab === 'all')
      make('figcaption', {}, figure, view.caption)
    })
    byId('gallery-empty').hidden = list.length > 0
    byId('gallery-empty').textContent = lists[tab].length > 0 ? 'No picture of these slices is part of this report.' : 'None at these thresholds.'
    byId('gallery-more').hidden = list.length <= limit
    byId('gallery-more').firstElementChild.textContent = 'Show more (' + (list.length - limit) + ')'
  }

  confidence.addEventListener('input', update)
  overlap.addEventListener('input', update)
  const tabs = [...document.querySelectorAll('#tabs button')]
  tabs.forEach((button, index) => {
    button.addEventListener('click', () => { tab = button.dataset.tab; limit = 48; update() })
    // As tabs do everywhere: the arrows move among them, Tab leaves them.
    button.addEventListener('keydown', ({ key }) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }[key]
      if (to === undefined) return
      const other = tabs[(to + tabs.length) % tabs.length]
      other.focus()
      other.click()
    })
  })
  byId('gallery-more').firstElementChild.addEventListener('click', () => { limit += 96; update() })
  update()
}

// Paper shows what a click would: folded parts and the rows below the slider.
let folded = []
addEventListener('beforeprint', () => {
  folded = [...document.querySelectorAll('details:not([open])')]
  for (const part of folded) part.open = true
})
addEventListener('afterprint', () => { for (const part of folded) part.open = false })

// ---- scan level --------------------------------------------------------------------------------------------------
const scanConfidence = byId('scan-confidence')
if (scanConfidence) {
  const rows = [...document.querySelectorAll('#nodules tbody tr[data-confidence]')]
  const update = () => {
    const c = Number(scanConfidence.value)
    byId('scan-confidence-value').value = c.toFixed(2)
    let visible = 0
    for (const row of rows) {
      row.hidden = Number(row.dataset.confidence) < c
      if (!row.hidden) visible++
    }
    byId('scan-shown').textContent = visible
    if (!data.froc) return
    let point = { falsePositivesPerScan: 0, sensitivity: 0 }
    for (const candidate of data.froc.points) if (candidate.threshold !== null && candidate.threshold >= c) point = candidate
    byId('scan-sensitivity').textContent = ratio(point.sensitivity)
    const { plot } = data.froc
    const over = byId('froc-over')
    over.replaceChildren()
    // The axis is log2 from 1/8 to 8; a point beyond stands on its edge.
    const along = (Math.log2(Math.min(8, Math.max(1 / 8, point.falsePositivesPerScan))) + 3) / 6
    make('circle', { cx: plot.left + along * plot.width, cy: plot.top + (1 - point.sensitivity) * plot.height, r: 7, fill: '#e69f00', stroke: '#1c2733', 'stroke-width': 1.5 }, over)
    byId('scan-fps').textContent = point.falsePositivesPerScan.toFixed(2)
  }
  scanConfidence.addEventListener('input', update)
  update()
}
`
