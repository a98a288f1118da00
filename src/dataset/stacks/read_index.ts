import { join } from 'node:path'
import { show } from '../../check.js'
import { NoduleError, reasonBeside } from '../../errors.js'
import { readText } from '../../files.js'

/** A stack as index.csv describes it: slices of 128 x 128 pixels around one nodule. */
export interface StackEntry {
  patientId: string
  /** Unique within the patient. */
  nodule: string
  seriesInstanceUid: string
  /** SOP Instance UID of the slice at step 0; '' where it is not known. */
  sopOfAnchor: string
  /** Patient z of that slice, mm. */
  zOfAnchor: number
  /** Where the stack's top left pixel lies in the slices of its scan, pixels. */
  x0: number
  y0: number
  /** Both in mm. */
  pixelSpacing: number
  sliceSpacing: number
  /** From the feet to the head: steps from the anchor, and HU = gray * scale + offset. */
  slices: readonly { steps: number; scale: number; offset: number }[]
  /** First line in index.csv. */
  line: number
}

export interface StackIndex {
  folder: string
  path: string
  stacks: StackEntry[]
  /** Stacks whose rows are wrong. */
  problems: { path: string; reason: string }[]
  /** Stacks without a slice spacing, whose slices have no place. */
  withoutSpacing: { patientId: string; nodule: string; seriesInstanceUid: string }[]
}

/** Patients by Series Instance UID, as stacks name them. */
export function patientsOf(stacks: readonly StackEntry[]): ReadonlyMap<string, string> {
  return new Map(stacks.map(({ seriesInstanceUid, patientId }) => [seriesInstanceUid, patientId]))
}

/**
 * A series that names no patient, as MetaImage and NIfTI files do, with the one that stacks of it name: patients decide what
 * a model may learn from.
 */
export function ofKnownPatient<T extends { patientId: string; seriesInstanceUid: string }>(
  series: T,
  patients: ReturnType<typeof patientsOf>,
): T {
  const patientId = patients.get(series.seriesInstanceUid)
  const isNamed = series.patientId !== '' && series.patientId !== series.seriesInstanceUid
  return patientId === undefined || isNamed ? series : { ...series, patientId }
}

const COLUMNS = [
  ...['patient', 'nodule', 'row', 'steps_from_anchor', 'series', 'sop_of_anchor', 'z_of_anchor', 'x0', 'y0'],
  ...['pixel_spacing', 'slice_spacing', 'scale', 'offset'],
] as const

type Column = (typeof COLUMNS)[number]

interface Row {
  line: number
  cells: Record<Column, string>
}

/** No scan has so many slices. */
const MAX_STEPS = 65536

/** Columns whose value is the same in all rows of a stack. */
const SHARED = ['series', 'z_of_anchor', 'x0', 'y0', 'pixel_spacing', 'slice_spacing'] as const

/**
 * Reads the index of a folder of nodule stacks (index.csv, a row a slice, columns by name). A stack with a wrong row is
 * listed and left out; the others are returned. Throws NoduleError (FILE, FORMAT) where the file itself cannot be used.
 */
export function readStackIndex(folder: string): StackIndex {
  const path = join(folder, 'index.csv')
  const index: StackIndex = { folder, path, stacks: [], problems: [], withoutSpacing: [] }
  const byStack = new Map<string, Row[]>()
  for (const row of readRows(path, index.problems)) {
    const name = `${row.cells.patient}_${row.cells.nodule}`
    const known = byStack.get(name)
    if (known === undefined) byStack.set(name, [row])
    else known.push(row)
  }
  for (const rows of byStack.values()) {
    const { patient, nodule, series, slice_spacing: spacing } = rows[0]!.cells
    if (spacing === '') {
      index.withoutSpacing.push({ patientId: patient, nodule, seriesInstanceUid: series })
      continue
    }
    try {
      index.stacks.push(parseStack(rows, path))
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      index.problems.push({ path, reason: reasonBeside(path, error) })
    }
  }
  return index
}

function readRows(path: string, problems: StackIndex['problems']): Row[] {
  const [head = '', ...lines] = readText(path, 'read stacks').split(/\r?\n/)
  const names = head.replace(/^\uFEFF/, '').split(',')
  const missing = COLUMNS.filter((column) => !names.includes(column))
  if (missing.length > 0)
    throw new NoduleError('FORMAT', 'columns are missing', {
      path,
      place: 'line 1',
      expected: missing.join(', '),
      actual: show(head),
    })
  const rows: Row[] = []
  for (const [n, line] of lines.entries()) {
    if (line.trim() === '') continue
    const values = line.split(',').map((cell) => cell.trim())
    if (values.length !== names.length) {
      const reason = `line ${n + 2}: wrong row: expected ${names.length} cells but received ${values.length}`
      problems.push({ path, reason })
      continue
    }
    const cell = (column: Column): string => values[names.indexOf(column)]!
    rows.push({
      line: n + 2,
      cells: Object.fromEntries(COLUMNS.map((column) => [column, cell(column)])) as Row['cells'],
    })
  }
  return rows
}

function parseStack(rows: readonly Row[], path: string): StackEntry {
  const wrong = (row: Row, column: Column, expected: string): NoduleError =>
    new NoduleError('FORMAT', `wrong ${column}`, {
      path,
      place: `line ${row.line}`,
      expected,
      actual: show(row.cells[column]),
    })
  const number = (row: Row, column: Column, expected: string, fits: (value: number) => boolean): number => {
    const text = row.cells[column]
    const value = text === '' ? Number.NaN : Number(text)
    if (!Number.isFinite(value) || !fits(value)) throw wrong(row, column, expected)
    return value
  }
  const word = (row: Row, column: Column): string => {
    if (!/^[\w.-]{1,64}$/.test(row.cells[column]))
      throw wrong(row, column, '1 to 64 letters, digits, ".", "_" or "-"')
    return row.cells[column]
  }
  const isMm = (value: number): boolean => value > 0 && value <= 100
  const isStep = (value: number): boolean => Number.isInteger(value) && Math.abs(value) <= MAX_STEPS
  const isPixel = (value: number): boolean => Number.isInteger(value) && Math.abs(value) <= 65536
  const first = rows[0]!
  const slices = rows.map((row, n) => {
    for (const column of SHARED)
      if (row.cells[column] !== first.cells[column])
        throw wrong(row, column, `${show(first.cells[column])} as in line ${first.line}`)
    number(row, 'row', `${n}: the rows of a stack in order, each once`, (value) => value === n)
    const steps = number(row, 'steps_from_anchor', `integer between -${MAX_STEPS} and ${MAX_STEPS}`, isStep)
    const before = rows[n - 1]
    if (before !== undefined && steps <= Number(before.cells.steps_from_anchor))
      throw wrong(row, 'steps_from_anchor', `more than in line ${before.line}`)
    const scale = number(row, 'scale', 'number above 0', (value) => value > 0)
    return { steps, scale, offset: number(row, 'offset', 'number', () => true) }
  })
  return {
    patientId: word(first, 'patient'),
    nodule: word(first, 'nodule'),
    seriesInstanceUid: word(first, 'series'),
    sopOfAnchor: rows.find((row) => row.cells.sop_of_anchor !== '')?.cells.sop_of_anchor ?? '',
    zOfAnchor: number(first, 'z_of_anchor', 'number', () => true),
    x0: number(first, 'x0', 'whole pixels', isPixel),
    y0: number(first, 'y0', 'whole pixels', isPixel),
    pixelSpacing: number(first, 'pixel_spacing', 'mm above 0', isMm),
    sliceSpacing: number(first, 'slice_spacing', 'mm above 0', isMm),
    slices,
    line: first.line,
  }
}
