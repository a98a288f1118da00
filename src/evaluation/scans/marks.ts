import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { NoduleError, fileError } from '../../errors.js'
import { DETECTIONS_FORMAT, readDetections } from '../../inference/detections.js'
import type { SeriesDetections } from '../../inference/detections.js'
import { isMarkups } from '../../inference/markups.js'
import { detectionMarks } from '../../inference/marks.js'
import { scanKey, sharedUids } from '../../scans/scan_keys.js'
import { readMarksCsv } from '../../formats/luna.js'
import type { Mark } from '../../formats/luna.js'
import { leastConfidence, mixedSettings } from './settings.js'
import { append } from '../../lists.js'
import { agree, count } from '../../words.js'

/**
 * Reads the detection files of a folder; other JSON files in it, results of several models or settings, and that there
 * are none, are told in `warnings`.
 * Throws NoduleError (FILE, FORMAT), also for a scan that two files hold.
 */
export async function readDetectionFolder(folder: string, warnings: string[]): Promise<SeriesDetections[]> {
  const detections = await readResults(folder, warnings)
  if (detections.length === 0) warnings.push(`${folder} holds no detections`)
  return detections
}

/**
 * The same where they are to be judged: nodules of scans that nobody examined would count as missed.
 * Throws NoduleError (FORMAT) for a folder without any, too.
 */
export async function readJudged(folder: string, warnings: string[]): Promise<SeriesDetections[]> {
  const told: string[] = []
  const detections = await readResults(folder, told)
  append(warnings, told)
  if (detections.length > 0) return detections
  throw new NoduleError('FORMAT', 'the folder holds no detections', {
    path: folder,
    expected: `results of nodule detect (${DETECTIONS_FORMAT})`,
    actual: told.length === 0 ? 'none' : told.join('; '),
  })
}

async function readResults(folder: string, warnings: string[]): Promise<SeriesDetections[]> {
  let names: string[]
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.json') && !isMarkups(name))
  } catch (error) {
    throw fileError(folder, 'read detections', error)
  }
  const found: { path: string; name: string; detections: SeriesDetections }[] = []
  const other: string[] = []
  for (const name of names.sort()) {
    const path = join(folder, name)
    try {
      found.push({ path, name, detections: await readDetections(path) })
    } catch (error) {
      // A damaged file of detections must not go unnoticed; a file of something else may lie there.
      if (!(error instanceof NoduleError) || error.place !== '/format') throw error
      other.push(name)
    }
  }
  refuseRepeated(found)
  if (other.length > 0)
    warnings.push(
      `${count(other.length, 'JSON file')} of ${folder} ${agree(other.length, 'is', 'are')} not ${DETECTIONS_FORMAT}, first ${other[0]!}`,
    )
  const all = found.map(({ detections }) => detections)
  const mixed = mixedSettings(folder, all)
  if (mixed !== undefined) warnings.push(mixed)
  return all
}

/** Marks of one scan from two files, be it a volume file of the same series, would count twice. */
function refuseRepeated(
  found: readonly { path: string; name: string; detections: SeriesDetections }[],
): void {
  const shared = sharedUids(found.map(({ detections }) => detections))
  const names = new Map<string, string>()
  for (const { path, name, detections } of found) {
    const key = scanKey(detections, shared)
    const same = names.get(key)
    if (same !== undefined)
      throw new NoduleError('FORMAT', 'two files hold detections of one scan', {
        path,
        expected: 'one file per patient and series, or its volume file',
        actual: `${key}, as in ${same}`,
        remedies: ['remove one of the two files'],
      })
    names.set(key, name)
  }
}

/** A detector's marks on scans: `nodule detect`'s files, which say the scans that were examined, or a table. */
export type MarkSource = { name: string; path: string } & (
  { detections: SeriesDetections[] } | { marks: Mark[] }
)

/**
 * Reads marks: a folder of `nodule detect`'s files, or a CSV in LUNA16's format. Throws NoduleError (FILE, FORMAT), also for
 * a folder without results.
 */
export async function readMarks(path: string, warnings: string[]): Promise<MarkSource> {
  let isFolder: boolean
  try {
    isFolder = statSync(path).isDirectory()
  } catch (error) {
    throw fileError(path, 'read marks', error)
  }
  const source = { name: basename(path), path }
  if (!isFolder) return { ...source, marks: readMarksCsv(path) }
  return { ...source, detections: await readJudged(path, warnings) }
}

export interface SourceMarks {
  name: string
  marks: Mark[]
  /** The scans that were examined. */
  series: string[] | undefined
  /** Less confident marks were left out by detection. */
  minConfidence: number | undefined
}

/**
 * The marks and, where the source says it, the scans that were examined, all by `scanKey`.
 * @param shared series UIDs of several patients
 * Throws NoduleError (FORMAT) for a table with marks on such a series.
 */
export function marksOf(source: MarkSource, shared: ReadonlySet<string>): SourceMarks {
  const { name } = source
  if ('detections' in source) {
    const { detections } = source
    const series = detections.map((scan) => scanKey(scan, shared))
    const minConfidence = leastConfidence(detections)
    return { name, marks: detectionMarks(detections, shared), series, minConfidence }
  }
  refuseShared(source.path, source.marks, shared)
  return { name, marks: source.marks, series: undefined, minConfidence: undefined }
}

/** A table names scans by their series UID alone. Throws NoduleError (FORMAT) where several patients have it. */
export function refuseShared(
  path: string,
  rows: readonly { seriesUid: string }[],
  shared: ReadonlySet<string>,
): void {
  const first = rows.find(({ seriesUid }) => shared.has(seriesUid))
  if (first === undefined) return
  throw new NoduleError('FORMAT', 'the file does not tell which patient a series is of', {
    path,
    expected: 'series UIDs of one patient each',
    actual: `${first.seriesUid}, which several patients have`,
  })
}
