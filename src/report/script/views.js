// @ts-check
/**
 * The page's script: page.ts puts views.js, matching.js, slices.js and scans.js into the page, one after the other, as they
 * stand. They share one scope, without imports, so that the file works offline. This part draws the pictures and the
 * enlarged view, and sorts the tables.
 */
'use strict'

/** @typedef {import('../page.js').PageImage} PageImage */
/** @typedef {PageImage['truth'][number]} Box [x1, y1, x2, y2] */
/** @typedef {PageImage['detections'][number]} Detection [x1, y1, x2, y2, score] */
/** @typedef {[number, number, number, number, ...number[]]} AnyBox */
/** @typedef {{ box: AnyBox, kind: string }} KindBox */
/** @typedef {{ picture?: number | undefined, boxes: KindBox[], crop?: number[] | undefined, caption: string }} View */
/** @typedef {View & { score: number }} ScoredView */
/** @typedef {{ threshold: number, tp: number, fp: number, fn: number, precision: number, recall: number | null }} Point */

/** The element of an id that the page has. @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id))
/** @param {string} id */
const inputOf = (id) => /** @type {HTMLInputElement | HTMLOutputElement} */ (byId(id))
/** @type {import('../page.js').PageData} */
const data = JSON.parse(byId('data').textContent)
const SVG = 'http://www.w3.org/2000/svg'
/**
 * @param {string} name of an element of HTML or SVG
 * @param {Record<string, string | number>} attributes
 * @param {Element} [parent]
 * @param {string} [text]
 */
const make = (name, attributes, parent, text) => {
  const svg = ['svg', 'use', 'rect', 'path', 'circle', 'image', 'g'].includes(name)
  const node = svg ? document.createElementNS(SVG, name) : document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value))
  if (text !== undefined) node.textContent = text
  if (parent) parent.appendChild(node)
  return node
}
/** @param {number | null} value */
const ratio = (value) => (value === null || Number.isNaN(value) ? '–' : value.toFixed(3))

// Every picture is defined once; views refer to it.
const defs = make(
  'defs',
  {},
  make('svg', { width: 0, height: 0, style: 'position:absolute', 'aria-hidden': 'true' }, document.body),
)
data.pictures.forEach((picture, index) =>
  make(
    'image',
    { id: 'picture' + index, width: picture.width, height: picture.height, href: picture.src },
    defs,
  ),
)

/** @param {View} view */
const pictureOf = (view) => data.pictures[/** @type {number} */ (view.picture)]

/**
 * @param {View} view
 * @param {Element} parent
 * @param {boolean} whole
 * @param {string} [className]
 */
function drawView(view, parent, whole, className) {
  const picture = pictureOf(view)
  const crop = whole || !view.crop ? [0, 0, picture.width, picture.height] : view.crop
  const svg = make(
    'svg',
    {
      viewBox: crop.join(' '),
      preserveAspectRatio: 'xMidYMid meet',
      role: 'img',
      'aria-label': view.caption,
    },
    parent,
  )
  if (className) svg.setAttribute('class', className)
  make('use', { href: '#picture' + view.picture }, svg)
  for (const { box, kind } of view.boxes) {
    make(
      'rect',
      { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], class: 'box b-' + kind },
      svg,
    )
  }
  return svg
}

/**
 * A square around a box, inside the picture.
 *
 * @param {AnyBox} box
 * @param {{ width: number, height: number }} picture
 * @param {number} factor
 */
function around(box, picture, factor) {
  const side = Math.min(
    Math.max(box[2] - box[0], box[3] - box[1], 12) * factor,
    picture.width,
    picture.height,
  )
  /** @type {(low: number, high: number, size: number) => number} */
  const at = (low, high, size) => Math.min(Math.max((low + high) / 2 - side / 2, 0), size - side)
  return [at(box[0], box[2], picture.width), at(box[1], box[3], picture.height), side, side]
}

// The enlarged view.
const dialog = /** @type {HTMLDialogElement} */ (byId('view'))
/** @type {{ views: View[], index: number }} */
let shown = { views: [], index: 0 }
/**
 * @param {View[]} views
 * @param {number} index
 */
function show(views, index) {
  shown = { views, index }
  const view = views[index]
  const picture = pictureOf(view)
  dialog.style.setProperty('--aspect', String(picture.width / picture.height))
  const stage = byId('stage')
  stage.replaceChildren()
  drawView(view, stage, true)
  byId('caption').textContent = view.caption + '   (' + (index + 1) + ' of ' + views.length + ')'
  if (!dialog.open) dialog.showModal()
}
/**
 * A picture that opens: a real button, so that one press of Enter or Space opens it and does nothing else.
 *
 * @param {string} label
 * @param {Element} parent
 * @param {() => void} open
 */
const openButton = (label, parent, open) => {
  const button = make(
    'button',
    { type: 'button', class: 'picture', 'aria-label': 'Enlarge: ' + label },
    parent,
  )
  button.addEventListener('click', open)
  return button
}
/** @param {number} by */
const turn = (by) => show(shown.views, (shown.index + by + shown.views.length) % shown.views.length)
byId('before').addEventListener('click', () => turn(-1))
byId('after').addEventListener('click', () => turn(1))
byId('close').addEventListener('click', () => dialog.close())
dialog.addEventListener('click', (event) => {
  if (event.target === dialog) dialog.close()
})
dialog.addEventListener('keydown', (event) => {
  if (event.key === 'ArrowLeft') turn(-1)
  if (event.key === 'ArrowRight') turn(1)
})

// Tables sort on a click on a column's head.
for (const table of /** @type {NodeListOf<HTMLTableElement>} */ (
  document.querySelectorAll('table.sortable')
)) {
  const heads = [.../** @type {HTMLTableSectionElement} */ (table.tHead).rows[0].cells]
  heads.forEach((head, column) =>
    head.querySelector('button')?.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') === 'ascending'
      heads.forEach((other) => other.removeAttribute('aria-sort'))
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending')
      /** @param {HTMLTableRowElement} row */
      const key = (row) => row.cells[column].dataset['sort'] ?? ''
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = key(a),
          y = key(b)
        if (x === '' || y === '') return x === y ? 0 : x === '' ? 1 : -1
        const numeric = !Number.isNaN(Number(x)) && !Number.isNaN(Number(y))
        const order = numeric ? Number(x) - Number(y) : x.localeCompare(y)
        return down ? -order : order
      })
      table.tBodies[0].append(...rows)
    }),
  )
}

// Pictures in tables.
/** @param {ParentNode | null} place @returns {HTMLElement[]} */
const cellsWithViews = (place) =>
  [...(place?.querySelectorAll('[data-views]') ?? [])].map((cell) => /** @type {HTMLElement} */ (cell))
/** @param {HTMLElement} cell @returns {number[]} */
const viewsOf = (cell) => JSON.parse(cell.dataset['views'] ?? '[]')
for (const cell of cellsWithViews(document)) {
  const views = viewsOf(cell)
  if (views.length === 0) continue
  const button = openButton(data.views[views[0]].caption, cell, () => {
    // Forth and back go through the table's rows as they stand.
    const cells = cellsWithViews(cell.closest('table')).filter((one) => !one.closest('tr')?.hidden)
    const all = cells.flatMap((one) => viewsOf(one).map((index) => ({ one, index })))
    show(
      all.map(({ index }) => data.views[index]),
      all.findIndex(({ one }) => one === cell),
    )
  })
  drawView(data.views[views[0]], button, false, 'thumb')
}

// Paper shows what a click would: folded parts and the rows below the slider.
/** @type {HTMLDetailsElement[]} */
let folded = []
addEventListener('beforeprint', () => {
  folded = [
    .../** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll('details:not([open])')),
  ]
  for (const part of folded) part.open = true
})
addEventListener('afterprint', () => {
  for (const part of folded) part.open = false
})
