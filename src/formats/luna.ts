/**
 * The files of LUNA16: comma-separated, `seriesuid,coordX,coordY,coordZ,probability` for marks,
 * `seriesuid,coordX,coordY,coordZ,diameter_mm` for findings, patient mm (LPS). Columns are found by their names,
 * in any order and case; others are ignored.
 */
import { invalidParameter, show } from '../check.js'
import { csvCell, fromCsvCell } from '../clean.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { readLines, readTable } from './csv.js'
import type { CsvRow } from './csv.js'

/** A true finding of a scan. */
export interface Finding {
  seriesUid: string
  id: string
  /** Center in patient space (LPS), mm. */
  x: number
  y: number
  z: number
  /** Of the sphere of the same volume, LUNA16's diameter_mm; below 0: unknown, counts as 10 mm (its excluded findings). */
  equivalentDiameterMm: number
  /** Neither a hit nor a false positive: a finding that the reference leaves open. */
  excluded: boolean
}

/** A mark that a detector put on a scan. */
export interface Mark {
  seriesUid: string
  id: string
  /** Center in patient space (LPS), mm. */
  x: number
  y: number
  z: number
  probability: number
  /** As the detector measured it, where it did; nodule's own is the box diameter. */
  measuredDiameterMm?: number | undefined
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
    .map((row) => fromCsvCell(row.cells[0]!.trim()))
    .filter((uid) => uid !== '')
  if (uids.length === 0) throw new NoduleError('FORMAT', 'the list of series is empty', { path })
  return !official && uids[0]!.toLowerCase() === 'seriesuid' ? uids.slice(1) : uids
}

/**
 * Writes marks; `readMarksCsv` reads them, and so does LUNA16's script. Throws NoduleError: FILE; INVALID_PARAMETER for
 * marks that are no numbers, which neither of them reads.
 */
export async function writeMarksCsv(
  path: string,
  marks: readonly Pick<Mark, 'seriesUid' | 'x' | 'y' | 'z' | 'probability'>[],
): Promise<void> {
  const lines = marks.map(({ seriesUid, x, y, z, probability }, index) => {
    const values = [x, y, z, probability]
    if (!values.every(Number.isFinite))
      throw invalidParameter(`marks[${index}]`, '4 finite numbers', values.join(', '))
    return [csvCell(seriesUid), ...values.map((n) => Number(n.toPrecision(9)))].join(',')
  })
  await writeFileAtomic(path, `${['seriesuid,coordX,coordY,coordZ,probability', ...lines].join('\n')}\n`)
}

/** The text of a file of findings. */
export function findingsCsv(
  findings: readonly Pick<Finding, 'seriesUid' | 'x' | 'y' | 'z' | 'equivalentDiameterMm'>[],
): string {
  const lines = findings.map(({ seriesUid, x, y, z, equivalentDiameterMm }) =>
    [csvCell(seriesUid), ...[x, y, z, equivalentDiameterMm].map((n) => Number(n.toPrecision(10)))].join(','),
  )
  return `${['seriesuid,coordX,coordY,coordZ,diameter_mm', ...lines].join('\n')}\n`
}

function text(path: string, row: CsvRow, at: number): string {
  const value = fromCsvCell(row.cells[at]?.trim() ?? '')
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
