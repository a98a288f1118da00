import { basename, join } from 'node:path'
import { env } from 'onnxruntime-node'
import { hideFolders } from '../files.js'
import { NoduleError } from '../errors.js'
import { VERSION } from '../version.js'
import { DETECTIONS_FORMAT, writeDetections } from './detections.js'
import type { DetectParameters, DetectTiming, SeriesDetections } from './detections.js'
import { scanPlace } from '../scans/tell_apart.js'
import type { Note, ScanFiles } from '../scans/find_scans.js'
import type { LoadedScan } from '../scans/load_scans.js'
import { detectionMarks } from './marks.js'
import type { Mark } from '../formats/luna.js'
import { removeMarkups, writeMarkups } from './markups.js'
import { removeOverlays, scanOverlays, writeOverlays } from '../pictures/overlay.js'
import type { Overlay } from '../pictures/overlay.js'
import { detectVolume } from './detect_volume.js'
import type { SecondStage } from './second_stage.js'
import { picturesFolder, scanFingerprint } from './earlier_result.js'
import type { Session } from './session.js'
import type { WorkOptions } from '../work.js'

/** One scan of a run. */
export interface DetectTask {
  scan: ScanFiles
  /** The result's file. */
  path: string
  /** What is known to be wrong with it before it is read. */
  warnings: string[]
}

/** What is the same for all scans of a run; plain data. */
export interface ScanSettings {
  output: string
  parameters: DetectParameters
  overlay: boolean
  markups: boolean
  batch?: number
}

export interface ScanSummary {
  patientId: string
  seriesInstanceUid: string
  /** The result's file. */
  path: string
  /** The file of its markups, where these were asked for. */
  markups?: string
  /** Slices examined. */
  slices: number
  boxes: number
  nodules: number
  ms: number
  /** The result was there already. */
  resumed: boolean
}

/** A scan that was done; plain data. */
export interface ScanOutcome {
  scan: ScanSummary
  marks: Mark[]
}

/** What a run collects and tells. */
export interface DetectRun {
  note: Note
  finish: (outcome: ScanOutcome) => void
  progress: (withinScan: number, place: string) => void
  stop: () => boolean
}

/**
 * Detects in a loaded scan.
 * @param begin when the scan's turn came, of `performance.now()`
 * @returns what is left to do once the volume is not needed any more: draws the pictures, then writes the result (a
 * result that is there has its pictures) and its markups. undefined where the scan failed, which is noted
 * @throws NoduleError (FILE) where the result cannot be written, also what is returned
 */
export async function detectScan(
  task: DetectTask,
  loaded: LoadedScan | NoduleError,
  session: Session,
  settings: ScanSettings,
  run: { note: Note; begin: number } & Pick<WorkOptions, 'onProgress'>,
): Promise<(() => Promise<ScanOutcome>) | undefined> {
  const place = scanPlace(task.scan)
  if (loaded instanceof NoduleError) {
    run.note({ failed: true, place, message: loaded.message })
    return undefined
  }
  let examined: { detections: SeriesDetections; overlays: Overlay[] }
  try {
    examined = await examine(task, loaded, session, settings, run)
  } catch (error) {
    // Nothing is written yet: a file that is gone is one of the scan's.
    if (!(error instanceof NoduleError)) throw error
    run.note({ failed: true, place, message: error.message })
    return undefined
  }
  const { detections, overlays } = examined
  return async () => {
    const pictures = picturesFolder(task.path)
    await removeOverlays(pictures)
    await writeOverlays(pictures, overlays)
    await removeMarkups(task.path)
    await writeDetections(task.path, detections)
    // Last: where they are missing, they are made from the result.
    const markups = settings.markups ? await writeMarkups(task.path, detections) : undefined
    for (const message of detections.warnings) run.note({ failed: false, place, message })
    return outcomeOf(detections, { path: task.path, markups }, false)
  }
}

async function examine(
  task: DetectTask,
  { series, volume, ms, warnings }: LoadedScan,
  session: Session,
  { parameters, overlay, batch }: ScanSettings,
  { begin, onProgress }: { begin: number } & Pick<WorkOptions, 'onProgress'>,
): Promise<{ detections: SeriesDetections; overlays: Overlay[] }> {
  const detected = await detectVolume(volume, session, {
    parameters,
    onProgress,
    ...(batch === undefined ? {} : { batch }),
  })
  const total = performance.now() - begin
  const overlays = overlay ? scanOverlays(volume, detected.slices, session.hypes) : []
  const { step, codeVersion, precision } = session.metadata
  const { geometry, shape } = volume
  const detections: SeriesDetections = {
    format: DETECTIONS_FORMAT,
    patientId: series.patientId,
    studyInstanceUid: series.studyInstanceUid,
    seriesInstanceUid: series.seriesInstanceUid,
    scan: scanFingerprint(series),
    model: { path: basename(session.path), sha256: session.sha256, step, codeVersion, precision },
    ...(session.second === undefined ? {} : { second: secondFacts(session.second) }),
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
    // A result is passed on without the names of a machine's folders.
    warnings: [
      ...series.problems.map(({ message }) => message),
      ...task.warnings,
      ...warnings,
      ...detected.warnings,
    ].map((warning) => hideFolders(warning, [join(task.scan.folder, 'file'), ...task.scan.paths])),
  }
  return { detections, overlays }
}

function secondFacts({ path, sha256, metadata }: SecondStage): SeriesDetections['second'] & object {
  const { step, codeVersion, precision } = metadata
  return { path: basename(path), sha256, step, codeVersion, precision }
}

export function outcomeOf(
  detections: SeriesDetections,
  { path, markups }: { path: string; markups: string | undefined },
  resumed: boolean,
): ScanOutcome {
  const { patientId, seriesInstanceUid, slices, nodules } = detections
  // An earlier result need not tell its time.
  const timing = detections.timing as Partial<DetectTiming> | undefined
  const boxes = slices.reduce((sum, slice) => sum + slice.boxes.length, 0)
  return {
    scan: {
      patientId,
      seriesInstanceUid,
      path,
      ...(markups === undefined ? {} : { markups }),
      slices: slices.length,
      boxes,
      nodules: nodules.length,
      ms: timing?.total ?? 0,
      resumed,
    },
    marks: detectionMarks([detections]),
  }
}
