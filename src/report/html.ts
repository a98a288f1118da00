import { safeLines } from '../clean.js'
import { chartSvg } from './chart.js'
import type { Chart } from './chart.js'

/** Text that is safe inside HTML elements and double-quoted attributes; control characters and turned text are shown. */
export function escapeHtml(text: unknown): string {
  return safeLines(String(text))
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** JSON that can stand inside a script element: nothing in it can end the element. */
export function embedJson(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === 'string' ? safeLines(one) : one))
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029')
}

export interface Column<T> {
  title: string
  /** The cell's text; null is shown as a dash and sorts last. */
  text: (row: T) => string | number | null
  /** What the column sorts by, where that is not the text. */
  sort?: (row: T) => number | string | null
  /** Numbers stand on the right. */
  number?: boolean
  /** HTML instead of the escaped text. */
  html?: (row: T) => string
}

/** A table whose columns sort on a click (by the page's script). */
export function sortableTable<T>(
  id: string,
  columns: readonly Column<T>[],
  rows: readonly T[],
  rowAttributes: (row: T, index: number) => string = () => '',
): string {
  const head = columns
    .map(
      (column) =>
        `<th scope="col"${column.number === true ? ' class="number"' : ''}><button type="button">${escapeHtml(column.title)}</button></th>`,
    )
    .join('')
  const body = rows.map((row, index) => {
    const cells = columns.map((column) => {
      const text = column.text(row)
      const key = column.sort === undefined ? text : column.sort(row)
      const shown = column.html?.(row) ?? (text === null ? '&ndash;' : escapeHtml(text))
      return `<td${column.number === true ? ' class="number"' : ''} data-sort="${escapeHtml(key ?? '')}">${shown}</td>`
    })
    return `<tr ${rowAttributes(row, index)}>${cells.join('')}</tr>`
  })
  return `<div class="scroll" tabindex="0" role="region" aria-label="Table, scrolls"><table id="${id}" class="sortable"><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`
}

/**
 * A chart as a figure. A screen reader hears its title and the names of its lines, which hold the figures; `over` is
 * drawn on top.
 */
export function plot(chart: Chart, over = ''): string {
  const lines = chart.lines.filter((line) => line.hideFromLegend !== true).map((line) => line.name)
  const said = [chart.title, chart.subtitle, `${chart.y.name} against ${chart.x.name}`, ...new Set(lines)]
  const label = said.filter((part) => part !== undefined && part !== '').join('; ')
  return `<figure class="plot" role="img" aria-label="${escapeHtml(label)}">${chartSvg(chart)}${over}</figure>`
}

/** A table of names and values. */
export function factTable(rows: readonly (readonly [string, string])[]): string {
  return `<table class="facts"><tbody>${rows
    .map(([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`)
    .join('')}</tbody></table>`
}
