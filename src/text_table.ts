import { greatest } from './lists.js'
/**
 * Lines up the cells of rows for the terminal, two spaces between the columns.
 *
 * @param o.indent before each line; default two spaces
 * @param o.left how many columns, from the first, stand to the left, the others to the right; default 1
 */
export function alignColumns(rows: readonly (readonly string[])[], o: AlignOptions = {}): string {
  return alignedLines(rows, o).join('')
}

interface AlignOptions {
  indent?: string
  left?: number
}

/** The same, each line by itself, with its line end. */
export function alignedLines(
  rows: readonly (readonly string[])[],
  { indent = '  ', left = 1 }: AlignOptions = {},
): string[] {
  const columns = greatest(
    rows.map((row) => row.length),
    0,
  )
  const widths = Array.from({ length: columns }, (_, column) =>
    greatest(rows.map((row) => (row[column] ?? '').length)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column < left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${indent}${line}\n`)
}
