/** Text that is safe inside HTML elements and double-quoted attributes. */
export function escapeHtml(text: unknown): string {
  return String(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** JSON that can stand inside a script element: nothing in it can end the element. */
export function embedJson(value: unknown): string {
  return JSON.stringify(value)
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
  return `<div class="scroll"><table id="${id}" class="sortable"><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`
}

/** A table of names and values. */
export function factTable(rows: readonly (readonly [string, string])[]): string {
  return `<table class="facts"><tbody>${rows
    .map(([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`)
    .join('')}</tbody></table>`
}
