import { show } from '../../check.js'
import { NoduleError } from '../../errors.js'
import { readText } from '../../files.js'
import type { Finding, Mark } from './scans.js'

/**
 * The files of LUNA16: comma-separated, `seriesuid,coordX,coordY,coordZ,probability` for marks,
 * `seriesuid,coordX,coordY,coordZ,diameter_mm` for findings, patient mm (LPS). Columns are found by their names,
 * in any order and case; others are ignored.
 */
export interface CsvRow {
  line: number
  cells: string[]
}

export function readMarksCsv(path: string): Mark[] {
  const { column, optional, rows } = readTable(path)
  const diameter = optional('diameter_mm')
  const at = column(['seriesuid', 'coordx', 'coordy', 'coordz', 'probability'])
  return rows.map((row, index) => ({
    seriesUid: text(path, row, at[0]!),
    id: `${index}`,
    x: number(path, row, at[1]!, 'coordX'),
    y: number(path, row, at[2]!, 'coordY'),
    z: number(path, row, at[3]!, 'coordZ'),
    probability: number(path, row, at[4]!, 'probability'),
    ...(diameter < 0 ? {} : { measuredDiameterMm: number(path, row, diameter, 'diameter_mm') }),
  }))
}

export function readFindingsCsv(path: string, excluded: boolean): Finding[] {
  const { column, rows } = readTable(path)
  const at = column(['seriesuid', 'coordx', 'coordy', 'coordz', 'diameter_mm'])
  return rows.map((row, index) => ({
    seriesUid: text(path, row, at[0]!),
    id: `${excluded ? 'excluded' : 'nodule'} ${index + 1}`,
    x: number(path, row, at[1]!, 'coordX'),
    y: number(path, row, at[2]!, 'coordY'),
    z: number(path, row, at[3]!, 'coordZ'),
    equivalentDiameterMm: number(path, row, at[4]!, 'diameter_mm'),
    excluded,
  }))
}

/**
 * The series of an evaluation, one per line. A first line that says `seriesuid` is a header; the official script
 * takes it for one more scan, and so does `official`.
 */
export function readSeriesList(path: string, official = false): string[] {
  const uids = readLines(path)
    .map((row) => row.cells[0]!.trim())
    .filter((uid) => uid !== '')
  if (uids.length === 0) throw new NoduleError('FORMAT', 'the list of series is empty', { path })
  return !official && uids[0]!.toLowerCase() === 'seriesuid' ? uids.slice(1) : uids
}

function readLines(path: string): CsvRow[] {
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

function text(path: string, row: CsvRow, at: number): string {
  const value = row.cells[at]?.trim() ?? ''
  if (value === '') throw new NoduleError('FORMAT', 'missing series UID', { path, place: `line ${row.line}` })
  return value
}

function number(path: string, row: CsvRow, at: number, name: string): number {
  const cell = row.cells[at]?.trim() ?? ''
  const value = cell === '' ? Number.NaN : Number(cell)
  if (!Number.isFinite(value)) {
    throw new NoduleError('FORMAT', 'wrong value', {
      path,
      place: `line ${row.line}, ${name}`,
      expected: 'finite number',
      actual: show(cell),
    })
  }
  return value
}
