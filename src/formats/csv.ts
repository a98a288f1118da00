import { show } from '../check.js'
import { NoduleError } from '../errors.js'
import { readText } from '../files.js'

/** A line of a CSV that says something, its number from 1. */
export interface CsvRow {
  line: number
  cells: string[]
}

/** The lines of a comma-separated file that hold anything. Throws NoduleError (FILE). */
export function readLines(path: string): CsvRow[] {
  const content = readText(path, 'read table')
  return content
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .map((line, index) => ({ line: index + 1, cells: splitLine(line) }))
    .filter((row) => row.cells.some((cell) => cell.trim() !== ''))
}

/** The cells of a line; those in double quotes may hold commas and doubled quotes, but no line breaks. */
function splitLine(line: string): string[] {
  if (!line.includes('"')) return line.split(',')
  const cells: string[] = []
  let isQuoted = false
  let from = 0
  for (let at = 0; at <= line.length; at++) {
    const character = line[at]
    if (character === '"') isQuoted = !isQuoted
    else if (character === undefined || (character === ',' && !isQuoted)) {
      cells.push(line.slice(from, at).trim())
      from = at + 1
    }
  }
  return cells.map((text) => {
    const quoted = text.startsWith('"') && text.endsWith('"') && text.length > 1
    return quoted ? text.slice(1, -1).replaceAll('""', '"') : text
  })
}

/** A CSV with a header; column names in lower case. Throws NoduleError (FILE; FORMAT for a missing column). */
export function readTable(path: string): {
  names: string[]
  column: (names: readonly string[]) => number[]
  optional: (name: string) => number
  rows: CsvRow[]
} {
  const [head, ...rows] = readLines(path)
  const names = (head?.cells ?? []).map((cell) => cell.trim().toLowerCase())
  const column = (wanted: readonly string[]): number[] =>
    wanted.map((name) => {
      const at = names.indexOf(name)
      if (at < 0) {
        throw new NoduleError('FORMAT', 'missing column', {
          path,
          place: 'line 1',
          expected: `a header with ${wanted.join(', ')}`,
          actual: show((head?.cells ?? []).join(',')),
        })
      }
      return at
    })
  return { names, column, optional: (name) => names.indexOf(name), rows }
}
