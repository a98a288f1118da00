import { dirname } from 'node:path'
import { findSeries, isVolumeFile, listFiles, volumeNames } from '../dicom/index.js'
import type { Series, SkippedFile } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import type { Remedy } from '../errors.js'
import { ctObstacle } from './ct_obstacle.js'
import { isStopped } from '../work.js'
import type { WorkOptions } from '../work.js'
import { scanPlace, tellApart } from './tell_apart.js'
import { WhyNone } from './why_none.js'

/** Of a file or scan that is left out, or noteworthy. */
export interface DetectNote {
  /** True where a file or scan could not be used although it should have been. */
  failed: boolean
  /** The file, or the scan. */
  place: string
  message: string
  remedy?: Remedy
}

export type Note = (note: DetectNote) => void

/** A CT volume that is to be examined, without its headers: those of an archive would fill the memory. */
export interface ScanFiles {
  patientId: string
  seriesInstanceUid: string
  /** Folder of the first slice. */
  folder: string
  /** All files of the series, those included that are no part of the volume. */
  paths: string[]
  /** Another scan of the run has the same UID: another patient's. */
  isRepeated?: true
}

export interface FoundScans {
  scans: ScanFiles[]
  /** Files that should have been slices and cannot be read. */
  damaged: string[]
}

export interface FindScansOptions extends Pick<WorkOptions, 'signal' | 'onProgress'> {
  /** Files whose headers are in memory at a time; whole folders, so that it may be more. Default 4096. */
  chunk?: number | undefined
  /** Series of one image too; by default they are scouts and screenshots, unless in a file that holds volumes. */
  single?: boolean | undefined
}

/** A series as far as it was met: in one chunk of files, as a rule. */
interface Met {
  scan: ScanFiles
  /** Why it cannot be used, if so. */
  obstacle: Obstacle | undefined
  chunks: number
}

/**
 * Finds what nodules can be detected in; notes what cannot be used. Headers are read folder by folder and dropped
 * again; a series whose folders lie far apart is put together at the end.
 * @throws NoduleError (FILE) where a path does not exist
 */
export async function findScans(
  paths: readonly string[],
  note: Note,
  o: FindScansOptions = {},
): Promise<FoundScans> {
  const files = await listFiles(paths)
  const single = o.single ?? false
  const names = volumeNames(files)
  const damaged: string[] = []
  const met = new Map<string, Met>()
  const why = new WhyNone()
  let done = 0
  for (const chunk of byFolders(files, o.chunk ?? 4096)) {
    const start = done
    const found = await findSeries(chunk, {
      signal: o.signal,
      onProgress: (count) => o.onProgress?.(start + count, files.length),
      volumeNames: names,
      listed: true,
    })
    done += chunk.length
    for (const { path, kind, reason, fault } of found.skipped) {
      if (kind === 'foreign') why.foreign()
      else why.unfit(kind === 'damaged' ? '' : reason)
      if (fault === 'packed' && kind === 'foreign')
        note({ failed: false, place: path, message: `left out: ${reason}` })
      if (kind !== 'damaged') continue
      damaged.push(path)
      note({ failed: true, place: path, message: reason })
    }
    for (const series of found.series) {
      why.unfit('')
      const { seriesInstanceUid: uid, folder, studyInstanceUid: study, modality } = series
      // One UID of two patients is two series, whatever became of the UIDs when somebody anonymized them.
      // A volume file is whole, and several may be called after one series.
      const file = series.slices[0]?.volume?.file.path ?? ''
      const key = JSON.stringify(
        uid === '' ? [start, folder, study, modality] : [series.patientId, uid, file],
      )
      const before = met.get(key)
      if (before === undefined)
        met.set(key, { scan: filesOf(series), obstacle: unusable(series, single), chunks: 1 })
      else {
        for (const path of filesOf(series).paths) before.scan.paths.push(path)
        before.chunks++
      }
    }
  }
  const usable: ScanFiles[] = []
  for (const { scan, obstacle: first, chunks } of met.values()) {
    // What a part says about itself (gaps, one image only) does not hold for the whole.
    const whole = chunks > 1 ? (await readAgain(scan)).series : undefined
    const obstacle =
      chunks > 1 ? (whole === undefined ? { reason: 'no volume' } : unusable(whole, single)) : first
    if (obstacle === undefined) usable.push(scan)
    else {
      const { reason, ...help } = obstacle
      const [path = ''] = scan.paths
      const place = isVolumeFile(path) ? path : scanPlace(scan)
      note({ failed: false, place, message: `left out: ${reason}`, ...help })
    }
  }
  const { scans, twins, shared } = tellApart(usable)
  // They need names of their own.
  for (const scan of usable) if (shared.has(scan.seriesInstanceUid)) scan.isRepeated = true
  for (const { scan, reason } of twins)
    note({ failed: false, place: scan.paths[0] ?? scanPlace(scan), message: `left out: ${reason}` })
  if (scans.length === 0 && !isStopped(o.signal))
    note({
      failed: true,
      place: paths.join(', '),
      message: `no CT series that makes a volume${why.inWords()}`,
    })
  return { scans, damaged }
}

/** Reads the headers of a scan again. Throws NoduleError FILE for a file that can no longer be read. */
export async function seriesOf(
  scan: ScanFiles,
  without: readonly string[] = [],
): Promise<Series | undefined> {
  const { series, skipped } = await readAgain(scan, without)
  const [lost] = skipped
  if (lost !== undefined) throw new NoduleError('FILE', lost.reason, { path: lost.path })
  return series
}

async function readAgain(
  scan: ScanFiles,
  without: readonly string[] = [],
): Promise<{ series: Series | undefined; skipped: SkippedFile[] }> {
  const paths = scan.paths.filter((path) => !without.includes(path))
  const volumeNames = new Map(paths.map((path) => [path, scan.seriesInstanceUid]))
  const { series, skipped } = await findSeries(paths, { volumeNames, listed: true })
  const same = series.find(
    (item) => item.seriesInstanceUid === scan.seriesInstanceUid && item.patientId === scan.patientId,
  )
  return { series: same, skipped }
}

function filesOf(series: Series): ScanFiles {
  const { patientId, seriesInstanceUid, folder, slices, problems } = series
  const paths = new Set(slices.map(({ path }) => path))
  for (const problem of problems) for (const path of problem.paths ?? []) paths.add(path)
  return { patientId, seriesInstanceUid, folder, paths: [...paths] }
}

/** Why nodules cannot be detected in a series. */
type Obstacle = { reason: string; remedy?: Remedy }

/** Undefined where there is nothing in the way. */
function unusable(series: Series, single: boolean): Obstacle | undefined {
  const obstacle = ctObstacle(series)
  if (obstacle?.kind !== 'no-volume') return obstacle && { reason: obstacle.reason }
  const { reason } = obstacle
  const usable = isSingleImage(series)
  if (usable && (single || series.slices[0]!.volume !== undefined)) return undefined
  const remedy = { do: 'examine it as it is', parameter: 'region', value: 'all' }
  return usable ? { reason, remedy } : { reason }
}

/** One cross-section that can be read: no volume, but something to examine. */
export function isSingleImage({ slices, problems }: Series): boolean {
  return slices.length === 1 && !problems.some(({ kind }) => kind === 'localizer' || kind === 'unreadable')
}

/** Consecutive files in chunks of about `size`, folders kept whole. */
function* byFolders(files: readonly string[], size: number): Generator<string[]> {
  let chunk: string[] = []
  for (const [index, file] of files.entries()) {
    if (chunk.length >= size && dirname(file) !== dirname(files[index - 1]!)) {
      yield chunk
      chunk = []
    }
    chunk.push(file)
  }
  if (chunk.length > 0) yield chunk
}
