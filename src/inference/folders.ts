import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { env } from 'onnxruntime-node'
import { findSeries } from '../dicom/index.js'
import type { Series } from '../dicom/index.js'
import { NoduleError, describeError } from '../errors.js'
import { VERSION } from '../version.js'
import { loadVolume } from '../volume/index.js'
import type { HuVolume } from '../volume/index.js'
import { DETECTIONS_FORMAT, readDetections, writeDetections } from './detections.js'
import type { DetectParameters, SeriesDetections } from './detections.js'
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
  /** Skip series whose result of the same model and parameters is there. */
  resume?: boolean
  batch?: number
  /** Called after each scan. */
  onScan?: (scan: ScanSummary) => void
  /** Called for what is left out (failed: the exit code should say so) or noteworthy. */
  onNote?: (note: DetectNote) => void
  onProgress?: (done: number, total: number, note: string) => void
  /** Asked between scans; true ends the work. */
  interrupted?: () => boolean
}

export interface DetectNote {
  /** True where a file or scan could not be used although it should have been. */
  failed: boolean
  /** The file, or the series. */
  place: string
  message: string
}

export interface ScanSummary {
  patientId: string
  seriesInstanceUid: string
  path: string
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

/** A slice that cannot be read costs a scan one slice, up to this many. */
const MAX_BAD_SLICES = 5

interface LoadedScan {
  series: Series
  volume: HuVolume
  ms: number
  warnings: string[]
}

/**
 * Detects nodules in every CT volume below the folders (or among the files) given. A file or scan that cannot be used
 * is reported and the rest goes on. While a scan is worked on, the next one is read; two volumes at most are in memory,
 * and their buffers are used again.
 *
 * @throws NoduleError FILE where a folder does not exist or a result cannot be written
 */
export async function detectFolders(
  paths: readonly string[],
  session: Session,
  o: DetectFoldersOptions,
): Promise<DetectFoldersResult> {
  const parameters = o.parameters ?? DETECT_DEFAULTS
  const result: DetectFoldersResult = { scans: [], notes: [], interrupted: false }
  const marks: LunaMark[] = []
  const note = (failed: boolean, place: string, message: string): void => {
    const made = { failed, place, message }
    result.notes.push(made)
    o.onNote?.(made)
  }
  const finished = (detections: SeriesDetections, path: string, ms: number, resumed: boolean): void => {
    const { patientId, seriesInstanceUid, slices, nodules } = detections
    marks.push(...lunaMarks(detections))
    const boxes = slices.reduce((sum, slice) => sum + slice.boxes.length, 0)
    const scan = {
      patientId,
      seriesInstanceUid,
      path,
      slices: slices.length,
      boxes,
      nodules: nodules.length,
      ms,
      resumed,
    }
    result.scans.push(scan)
    o.onScan?.(scan)
  }
  const stop = (): boolean => o.interrupted?.() === true

  const { found, damaged } = await findScans(paths, o, note)
  const todo: { series: Series; path: string }[] = []
  for (const series of found) {
    const path = join(o.output, `${resultName(series)}.json`)
    const old = o.resume === true ? await earlierResult(path, session, parameters) : undefined
    if (old === undefined) todo.push({ series, path })
    else finished(old, path, 0, true)
  }

  const spare: Int16Array[] = []
  const load = async (series: Series): Promise<LoadedScan | NoduleError> =>
    loadScan(series, spare.pop(), (path, message) => note(true, path, message))
  const total = found.length
  let next = todo.length > 0 && !stop() ? load(todo[0]!.series) : undefined
  for (const [index, { series, path }] of todo.entries()) {
    if (stop() || next === undefined) break
    const start = performance.now()
    const loaded = await next
    const after = todo[index + 1]
    next = after === undefined || stop() ? undefined : load(after.series)
    if (loaded instanceof NoduleError) {
      note(true, scanPlace(series), loaded.message)
      // The interruption may have come while this one failed.
      continue
    }
    const { volume } = loaded
    const place = scanPlace(series)
    try {
      const step = (done: number, slices: number): void =>
        o.onProgress?.(result.scans.length + done / slices, total, `${place} slice ${done}/${slices}`)
      const detected = await detectVolume(volume, session, {
        parameters,
        onSlice: step,
        ...(o.batch === undefined ? {} : { batch: o.batch }),
      })
      const lost = damaged.filter((file) => dirname(file) === series.folder)
      const warnings = [
        ...loaded.series.problems.map(({ message }) => message),
        ...lost.map((file) => `${file} lies beside the slices and cannot be read`),
        ...loaded.warnings,
        ...detected.warnings,
      ]
      const ms = performance.now() - start
      const detections: SeriesDetections = {
        format: DETECTIONS_FORMAT,
        patientId: series.patientId,
        studyInstanceUid: series.studyInstanceUid,
        seriesInstanceUid: series.seriesInstanceUid,
        ...provenance(session, parameters),
        volume: {
          shape: volume.shape,
          spacing: volume.geometry.spacing,
          origin: volume.geometry.origin,
          geometry: volume.geometry,
        },
        frame: detected.frame,
        slices: detected.slices,
        nodules: detected.nodules,
        timing: { read: loaded.ms, ...detected.timing, total: ms },
        warnings,
      }
      if (o.overlay === true)
        await writeOverlays(join(o.output, resultName(series)), volume, detected.slices, session.hypes)
      await writeDetections(path, detections)
      for (const warning of warnings) note(false, place, warning)
      finished(detections, path, ms, false)
    } catch (error) {
      // A result that cannot be written will not be for the next scan either.
      if (!(error instanceof NoduleError) || error.code === 'FILE') {
        await next
        throw error
      }
      note(true, place, error.message)
    }
    spare.push(new Int16Array(volume.data.buffer as ArrayBuffer))
  }
  await next
  result.interrupted = stop()
  await writeLunaCsv(join(o.output, 'predictions.csv'), marks)
  return result
}

/** Finds what can be detected in; notes what cannot. */
async function findScans(
  paths: readonly string[],
  o: DetectFoldersOptions,
  note: (failed: boolean, place: string, message: string) => void,
): Promise<{ found: Series[]; damaged: string[] }> {
  const { series, skipped } = await findSeries(paths, {
    onProgress: (done, total) => o.onProgress?.(0, 1, `header ${done}/${total}`),
    ...(o.interrupted === undefined ? {} : { interrupted: o.interrupted }),
  })
  const damaged = skipped.filter(({ kind }) => kind === 'damaged')
  for (const { path, reason } of damaged) note(true, path, reason)
  const found: Series[] = []
  for (const item of series) {
    if (item.modality !== 'CT')
      note(false, scanPlace(item), `left out: ${item.modality || 'no modality'}, not CT`)
    else if (!item.isVolume)
      note(false, scanPlace(item), `left out: ${item.problems.map(({ message }) => message).join('; ')}`)
    else found.push(item)
  }
  if (found.length === 0) note(true, paths.join(', '), 'no CT series that makes a volume')
  return { found, damaged: damaged.map(({ path }) => path) }
}

/** Loads a volume; a slice whose pixels cannot be read is left out, and the series built anew without it. */
async function loadScan(
  series: Series,
  reuse: Int16Array | undefined,
  onBadSlice: (path: string, message: string) => void,
): Promise<LoadedScan | NoduleError> {
  const start = performance.now()
  const warnings: string[] = []
  let current = series
  for (;;) {
    try {
      const volume = await loadVolume(current, reuse === undefined ? {} : { reuse })
      return { series: current, volume, ms: performance.now() - start, warnings }
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      const bad = current.slices.find(({ path }) => path === error.path)
      if (bad === undefined || warnings.length >= MAX_BAD_SLICES) return error
      onBadSlice(bad.path, error.message)
      warnings.push(`slice left out: ${error.message}`)
      const rest = current.slices.map(({ path }) => path).filter((path) => path !== bad.path)
      const again = (await findSeries(rest)).series.find(
        (item) => item.seriesInstanceUid === series.seriesInstanceUid && item.isVolume,
      )
      if (again === undefined) return error
      current = again
    }
  }
}

function provenance(
  session: Session,
  parameters: DetectParameters,
): Pick<SeriesDetections, 'model' | 'versions' | 'device' | 'parameters'> {
  const { step, codeVersion, precision } = session.metadata
  return {
    model: { path: session.path, sha256: session.sha256, step, codeVersion, precision },
    versions: {
      nodule: VERSION,
      onnxruntime: env.versions.node ?? env.versions.common,
      node: process.versions.node,
    },
    device: session.device,
    parameters,
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
    if (error instanceof NoduleError) return undefined
    throw new Error(describeError(error), { cause: error })
  }
}

function scanPlace(series: Series): string {
  return [series.patientId, series.seriesInstanceUid || series.folder].filter((part) => part !== '').join(' ')
}

/** The series UID where it is one; a file cannot choose where its result goes. */
export function resultName(series: Pick<Series, 'seriesInstanceUid' | 'folder'>): string {
  const uid = series.seriesInstanceUid
  if (/^[0-9][0-9.]{0,63}$/.test(uid)) return uid
  return `series-${createHash('sha256').update(`${uid}\n${series.folder}`).digest('hex').slice(0, 16)}`
}
