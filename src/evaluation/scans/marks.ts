import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { NoduleError, fileError } from '../../errors.js'
import { DETECTIONS_FORMAT, readDetections } from '../../inference/detections.js'
import type { SeriesDetections } from '../../inference/detections.js'
import { detectionMarks } from '../../inference/marks.js'
import { readMarksCsv } from '../../formats/luna.js'
import type { Mark } from '../../formats/luna.js'
import { agree, count } from '../../words.js'

/**
 * Reads the detection files of a folder, by series UID; other JSON files in it are named in `warnings`.
 * Throws NoduleError (FILE, FORMAT), also for a series that two files hold.
 */
export async function readDetectionFolder(folder: string, warnings: string[]): Promise<SeriesDetections[]> {
  let names: string[]
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.json'))
  } catch (error) {
    throw fileError(folder, 'read detections', error)
  }
  const bySeries = new Map<string, SeriesDetections>()
  const other: string[] = []
  for (const name of names.sort()) {
    const path = join(folder, name)
    let detections: SeriesDetections
    try {
      detections = await readDetections(path)
    } catch (error) {
      // A damaged file of detections must not go unnoticed; a file of something else may lie there.
      if (!(error instanceof NoduleError) || error.place !== '/format') throw error
      other.push(name)
      continue
    }
    if (bySeries.has(detections.seriesInstanceUid)) {
      throw new NoduleError('FORMAT', 'two files hold detections of one series', {
        path,
        expected: 'one file per series',
        actual: detections.seriesInstanceUid,
      })
    }
    bySeries.set(detections.seriesInstanceUid, detections)
  }
  if (other.length > 0)
    warnings.push(
      `${count(other.length, 'JSON file')} of ${folder} ${agree(other.length, 'is', 'are')} not ${DETECTIONS_FORMAT}, first ${other[0]!}`,
    )
  if (bySeries.size === 0) warnings.push(`${folder} holds no detections`)
  return [...bySeries.values()]
}

/** Marks and, where the source says it, the series that were examined. */
export interface MarkSource {
  name: string
  marks: Mark[]
  series: string[] | undefined
}

/** Reads marks: a folder of `nodule detect`'s files, or a CSV in LUNA16's format. Throws NoduleError. */
export async function readMarks(path: string, warnings: string[]): Promise<MarkSource> {
  let isFolder: boolean
  try {
    isFolder = statSync(path).isDirectory()
  } catch (error) {
    throw fileError(path, 'read marks', error)
  }
  if (!isFolder) return { name: basename(path), marks: readMarksCsv(path), series: undefined }
  const detections = await readDetectionFolder(path, warnings)
  return {
    name: basename(path),
    marks: detectionMarks(detections),
    series: detections.map((one) => one.seriesInstanceUid),
  }
}
