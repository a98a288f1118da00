import { readFile } from 'node:fs/promises'
import { NoduleError, fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import type { Vector3 } from '../geometry/patient.js'
import type { SeriesDetections } from './detections.js'

/** A mark in a scan, as LUNA16's submissions list them. */
export interface LunaMark {
  seriesInstanceUid: string
  /** Patient mm, x, y, z (LPS). */
  center: Vector3
  probability: number
}

const HEADER = 'seriesuid,coordX,coordY,coordZ,probability'

/** The nodules of one scan as marks. */
export function lunaMarks(detections: Pick<SeriesDetections, 'seriesInstanceUid' | 'nodules'>): LunaMark[] {
  return detections.nodules.map(({ center, confidence }) => ({
    seriesInstanceUid: detections.seriesInstanceUid,
    center,
    probability: confidence,
  }))
}

/** Writes marks in LUNA16's format: `seriesuid,coordX,coordY,coordZ,probability`. */
export async function writeLunaCsv(path: string, marks: readonly LunaMark[]): Promise<void> {
  const lines = marks.map(({ seriesInstanceUid, center, probability }) => {
    if (/[",\r\n]/.test(seriesInstanceUid)) {
      throw new NoduleError('FORMAT', 'cannot write a series UID into CSV', {
        path,
        expected: 'digits and dots',
        actual: JSON.stringify(seriesInstanceUid),
      })
    }
    return [seriesInstanceUid, ...[...center, probability].map((n) => Number(n.toPrecision(9)))].join(',')
  })
  await writeFileAtomic(path, `${[HEADER, ...lines].join('\n')}\n`)
}

/**
 * Reads marks in LUNA16's format. Columns are found by name, in any order; others are ignored.
 * Throws NoduleError (FILE, FORMAT) that names the line.
 */
export async function readLunaCsv(path: string): Promise<LunaMark[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw fileError(path, 'read marks', error)
  }
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  const names = lines[0]!.split(',').map((name) => name.trim().toLowerCase())
  const columns = HEADER.split(',').map((name) => {
    const column = names.indexOf(name.toLowerCase())
    if (column < 0) {
      throw new NoduleError('FORMAT', `no column ${name}`, {
        path,
        place: 'line 1',
        expected: HEADER,
        actual: JSON.stringify(lines[0]!.slice(0, 100)),
      })
    }
    return column
  })
  const marks: LunaMark[] = []
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue
    const cells = line.split(',')
    const [uid, ...rest] = columns.map((column) => cells[column]?.trim() ?? '')
    const numbers = rest.map((cell) => (cell === '' ? NaN : Number(cell)))
    const wrong = numbers.findIndex((value) => !Number.isFinite(value))
    if (uid === '' || wrong >= 0) {
      throw new NoduleError('FORMAT', 'not a mark', {
        path,
        place: `line ${index + 1}`,
        expected: wrong >= 0 ? `number for ${HEADER.split(',')[wrong + 1]}` : 'series UID',
        actual: JSON.stringify(wrong >= 0 ? rest[wrong] : line.slice(0, 100)),
      })
    }
    const [x, y, z, probability] = numbers as [number, number, number, number]
    marks.push({ seriesInstanceUid: uid!, center: [x, y, z], probability })
  }
  return marks
}
