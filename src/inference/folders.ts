import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { env } from 'onnxruntime-node'
import type { Series } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import { VERSION } from '../version.js'
import { DETECTIONS_FORMAT, readDetections, writeDetections } from './detections.js'
import type { DetectParameters, SeriesDetections } from './detections.js'
import { findScans, readAhead, scanPlace } from './load_scans.js'
import type { LoadedScan } from './load_scans.js'
import { lunaMarks, writeLunaCsv } from './luna_csv.js'
import type { LunaMark } from './luna_csv.js'
import { writeOverlays } from './overlay.js'
import { DETECT_DEFAULTS, detectVolume } from './scan.js'
import type { Session } from './session.js'

export interface DetectFoldersOptions {
  /** Folder of the results: `<seriesInstanceUid>.json` and `predictions.csv` (LUNA16's format). */
  output: string
  parameters?: DetectParameters
  /** Also draw every slice with boxes, below `<output>/<seriesInstanceUid>/`. */
  overlay?: boolean
  /** Keep results of the same model and parameters that are there. */
  resume?: boolean
  /** See `DetectVolumeOptions.batch`. */
  batch?: number
  /** Called after each scan. */
  onScan?: (scan: ScanSummary) => void
  /** Called for what is left out or noteworthy. */
  onNote?: (note: DetectNote) => void
  onProgress?: (done: number, total: number, note: string) => void
  /** Asked between scans; true ends the work. */
  interrupted?: () => boolean
}

export interface DetectNote {
  /** True where a file or scan could not be used although it should have been. */
  failed: boolean
  /** The file, or the scan. */
  place: string
  message: string
}

export interface ScanSummary {
  patientId: string
  seriesInstanceUid: string
  /** The result's file. */
  path: string
  /** Slices examined. */
  slices: number
  boxes: number
  nodules: number
  ms: number
  /** The result was there already. */
  resumed: boolean
}

export interface DetectFoldersResult {
  scans: ScanSummary[]
  notes: DetectNote[]
  interrupted: boolean
}

/** A series and the file of its result. */
interface Item {
  series: Series
  path: string
}

/**
 * Detects nodules in every CT volume below the folders (or among the files) given. A file or scan that cannot be used
 * is noted and the rest goes on. The results: one JSON a series, and all nodules of the run in LUNA16's format.
 *
 * @throws NoduleError FILE where a folder does not exist or a result cannot be written
 */
export async function detectFolders(
  paths: readonly string[],
  session: Session,
  o: DetectFoldersOptions,
): Promise<DetectFoldersResult> {
  const parameters = o.parameters ?? DETECT_DEFAULTS
  const stop = (): boolean => o.interrupted?.() === true
  const result: DetectFoldersResult = { scans: [], notes: [], interrupted: false }
  const marks: LunaMark[] = []
  const note = (failed: boolean, place: string, message: string): void => {
    result.notes.push({ failed, place, message })
    o.onNote?.({ failed, place, message })
  }
  const finish = (detections: SeriesDetections, path: string, resumed: boolean): void => {
    marks.push(...lunaMarks(detections))
    const scan = summary(detections, path, resumed)
    result.scans.push(scan)
    o.onScan?.(scan)
  }

  const { series: found, damaged } = await findScans(paths, note, {
    onProgress: (done, total) => o.onProgress?.(0, 1, `header ${done}/${total}`),
    interrupted: o.interrupted,
  })
  const todo: Item[] = []
  for (const series of found) {
    const path = join(o.output, `${resultName(series)}.json`)
    const earlier = o.resume === true ? await earlierResult(path, session, parameters) : undefined
    if (earlier === undefined) todo.push({ series, path })
    else finish(earlier, path, true)
  }

  let begin = performance.now()
  for await (const { item, loaded } of readAhead(stop() ? [] : todo, note)) {
    const place = scanPlace(item.series)
    try {
      if (loaded instanceof NoduleError) throw loaded
      const lost = damaged.filter((file) => dirname(file) === item.series.folder)
      loaded.warnings.push(...lost.map((file) => `${file} lies beside the slices and cannot be read`))
      const onSlice = (done: number, slices: number): void =>
        o.onProgress?.(result.scans.length + done / slices, found.length, `${place} ${done}/${slices}`)
      const detections = await detectScan(loaded, session, parameters, { ...o, onSlice }, begin)
      await writeDetections(item.path, detections)
      for (const warning of detections.warnings) note(false, place, warning)
      finish(detections, item.path, false)
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      // A result that cannot be written here will not be for the next scan either.
      if (error !== loaded && error.code === 'FILE') throw error
      note(true, place, error.message)
    }
    if (stop()) break
    begin = performance.now()
  }
  result.interrupted = stop()
  await writeLunaCsv(join(o.output, 'predictions.csv'), marks)
  return result
}

async function detectScan(
  { series, volume, ms, warnings }: LoadedScan,
  session: Session,
  parameters: DetectParameters,
  o: Pick<DetectFoldersOptions, 'output' | 'overlay' | 'batch'> & {
    onSlice: (done: number, total: number) => void
  },
  begin: number,
): Promise<SeriesDetections> {
  const detected = await detectVolume(volume, session, {
    parameters,
    onSlice: o.onSlice,
    ...(o.batch === undefined ? {} : { batch: o.batch }),
  })
  const total = performance.now() - begin
  if (o.overlay === true)
    await writeOverlays(join(o.output, resultName(series)), volume, detected.slices, session.hypes)
  const { step, codeVersion, precision } = session.metadata
  const { geometry, shape } = volume
  return {
    format: DETECTIONS_FORMAT,
    patientId: series.patientId,
    studyInstanceUid: series.studyInstanceUid,
    seriesInstanceUid: series.seriesInstanceUid,
    model: { path: session.path, sha256: session.sha256, step, codeVersion, precision },
    versions: {
      nodule: VERSION,
      onnxruntime: env.versions.node ?? env.versions.common,
      node: process.versions.node,
    },
    device: session.device,
    parameters,
    volume: { shape, spacing: geometry.spacing, origin: geometry.origin, geometry },
    frame: detected.frame,
    slices: detected.slices,
    nodules: detected.nodules,
    timing: { read: ms, ...detected.timing, total },
    warnings: [...series.problems.map(({ message }) => message), ...warnings, ...detected.warnings],
  }
}

function summary(detections: SeriesDetections, path: string, resumed: boolean): ScanSummary {
  const { patientId, seriesInstanceUid, slices, nodules, timing } = detections
  return {
    patientId,
    seriesInstanceUid,
    path,
    slices: slices.length,
    boxes: slices.reduce((sum, slice) => sum + slice.boxes.length, 0),
    nodules: nodules.length,
    ms: timing.total,
    resumed,
  }
}

/** The result in the file, where it is whole and of the same model and parameters. */
async function earlierResult(
  path: string,
  session: Session,
  parameters: DetectParameters,
): Promise<SeriesDetections | undefined> {
  if (!existsSync(path)) return undefined
  try {
    const old = await readDetections(path)
    const same = old.model.sha256 === session.sha256 && isDeepStrictEqual(old.parameters, parameters)
    return same ? old : undefined
  } catch (error) {
    // Cut off by a crash, or of another version: made anew.
    if (error instanceof NoduleError) return undefined
    throw error
  }
}

/** The series UID where it is one; a file cannot choose where its result goes. */
export function resultName(series: Pick<Series, 'seriesInstanceUid' | 'folder'>): string {
  const uid = series.seriesInstanceUid
  if (/^[0-9][0-9.]{0,63}$/.test(uid)) return uid
  return `series-${createHash('sha256').update(`${uid}\n${series.folder}`).digest('hex').slice(0, 16)}`
}
