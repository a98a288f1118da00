import { csvCell } from '../clean.js'
import { writeFileAtomic } from '../files.js'
import type { Vector3 } from '../geometry/vector.js'
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

/** Writes marks in LUNA16's format, `seriesuid,coordX,coordY,coordZ,probability`; `readMarks` of src/evaluation reads it. */
export async function writeLunaCsv(path: string, marks: readonly LunaMark[]): Promise<void> {
  const lines = marks.map(({ seriesInstanceUid, center, probability }) => {
    return [
      csvCell(seriesInstanceUid),
      ...[...center, probability].map((n) => Number(n.toPrecision(9))),
    ].join(',')
  })
  await writeFileAtomic(path, `${[HEADER, ...lines].join('\n')}\n`)
}
