import { basename, dirname, join } from 'node:path'
import { checkInteger, checkObject, checkText, checkTexts } from '../check.js'
import { isVolumeFile } from '../dicom/index.js'
import { makeOutputFolder } from '../files.js'
import type { DetectParameters } from './detections.js'
import { canKeep, resultPlace } from './earlier_result.js'
import { runJobs } from './jobs.js'
import { findScans } from '../scans/find_scans.js'
import { scanPlace } from '../scans/tell_apart.js'
import type { DetectNote, Note, ScanFiles } from '../scans/find_scans.js'
import { readAhead } from '../scans/load_scans.js'
import { writeMarksCsv } from '../formats/luna.js'
import type { Mark } from '../formats/luna.js'
import { detectScan, outcomeOf } from './detect_to_file.js'
import type { DetectRun, ScanSettings, ScanSummary, DetectTask } from './detect_to_file.js'
import { DETECT_DEFAULTS, checkBatch, checkDetectParameters } from './detect_volume.js'
import { checkSession } from './session.js'
import type { Session } from './session.js'
import { keepMarkups } from './markups.js'
import { isStopped } from '../work.js'
import type { WorkOptions } from '../work.js'
import { append } from '../lists.js'
import { agree, count } from '../words.js'
import { sharedUids } from '../scans/scan_keys.js'

/** Progress is that of the scans, with parts of the one at hand; warnings come as notes. */
export interface DetectFoldersOptions extends Pick<WorkOptions, 'signal' | 'onProgress'> {
  /** Folder of the results: `<seriesInstanceUid>.json` and `predictions.csv` (LUNA16's format). */
  output: string
  parameters?: DetectParameters
  /** Also draw every slice with boxes, below `<output>/<seriesInstanceUid>/`. */
  overlay?: boolean
  /** Also write the nodules as points for 3D Slicer, `<output>/<seriesInstanceUid>.mrk.json`: see `writeMarkups`. */
  markups?: boolean
  /**
   * Keep results of the same scan, model and parameters that are there; with `overlay` those that have their pictures,
   * with `markups` what is missing of these is made from the results.
   */
  resume?: boolean
  /** See `DetectVolumeOptions.batch`. */
  batch?: number
  /** Processes that work on scans side by side; default 1: this one. Each takes the memory of a volume. */
  jobs?: number
  /** Called after each scan. */
  onScan?: (scan: ScanSummary) => void
  /** Called for what is left out or noteworthy. */
  onNote?: (note: DetectNote) => void
}

export interface DetectFoldersResult {
  scans: ScanSummary[]
  notes: DetectNote[]
  interrupted: boolean
}

/**
 * Detects nodules in every CT volume below the folders (or among the files) given. A file or scan that cannot be used
 * is noted and the rest goes on. The results: one JSON a series, and all nodules of the run in LUNA16's format; without
 * any scan that could be used nothing is written.
 *
 * @throws NoduleError INVALID_PARAMETER; FILE where a folder does not exist or a result cannot be written
 */
export async function detectFolders(
  paths: readonly string[],
  session: Session,
  o: DetectFoldersOptions,
): Promise<DetectFoldersResult> {
  checkTexts('paths', paths)
  checkSession(session)
  checkText('output', checkObject('options', o).output)
  const jobs = checkInteger('jobs', o.jobs ?? 1, 1, 256)
  if (o.batch !== undefined) checkInteger('batch', o.batch, 1, 1024)
  if (o.parameters !== undefined) checkDetectParameters(o.parameters)
  const settings: ScanSettings = {
    output: o.output,
    parameters: o.parameters ?? DETECT_DEFAULTS,
    overlay: o.overlay ?? false,
    markups: o.markups ?? false,
    ...(o.batch === undefined ? {} : { batch: checkBatch(o.batch) }),
  }
  await makeOutputFolder(o.output)
  const result: DetectFoldersResult = { scans: [], notes: [], interrupted: false }
  const marks: Mark[] = []
  let total = 1
  const run: DetectRun = {
    note: (note) => {
      result.notes.push(note)
      o.onNote?.(note)
    },
    finish: (outcome) => {
      append(marks, outcome.marks)
      result.scans.push(outcome.scan)
      o.onScan?.(outcome.scan)
    },
    progress: (withinScan, place) => o.onProgress?.(result.scans.length + withinScan, total, place),
    stop: () => isStopped(o.signal),
  }

  const { scans, damaged } = await findScans(paths, run.note, {
    onProgress: (done, files) => run.progress(0, `header ${done}/${files}`),
    signal: o.signal,
    single: settings.parameters.region === 'all',
  })
  total = scans.length
  const tasks: DetectTask[] = []
  for (const scan of scans) {
    if (run.stop()) break
    const { path, earlier } = await resultPlace(o.output, scan)
    const kept = o.resume === true && earlier !== undefined
    const lost = lostBeside(scan, damaged)
    const warnings = lost.map((file) => `${basename(file)} lies beside the slices and cannot be read`)
    if (kept && (await canKeep({ path, earlier }, scan, session, settings))) {
      const markups = settings.markups ? await keepMarkups(path, earlier) : undefined
      run.finish(outcomeOf(earlier, { path, markups }, true))
    } else tasks.push({ scan, path, warnings })
  }
  // Nothing was examined, and not every result looked at: predictions.csv stays as it is.
  if (run.stop()) return { ...result, interrupted: true }
  if (jobs > 1 && tasks.length > 1) await runJobs(tasks, session, settings, Math.min(jobs, tasks.length), run)
  else await runHere(tasks, session, settings, run)
  result.interrupted = run.stop()
  // A run of which nothing came leaves what is there: an empty table would look like scans without nodules.
  if (result.scans.length === 0) return result
  const table = join(o.output, 'predictions.csv')
  await writeMarksCsv(table, marks)
  noteSharedUids(table, result.scans, run.note)
  return result
}

/** Damaged files that may have been slices of the scan: a volume file holds all of its own, and is nobody else's. */
function lostBeside(scan: ScanFiles, damaged: readonly string[]): string[] {
  if (scan.paths.some((path) => isVolumeFile(path))) return []
  return damaged.filter((file) => dirname(file) === scan.folder && !isVolumeFile(file))
}

/** One scan after the other in this process: the next one is read ahead, the pictures of the last one drawn beside it. */
async function runHere(
  tasks: readonly DetectTask[],
  session: Session,
  settings: ScanSettings,
  run: DetectRun,
): Promise<void> {
  let begin = performance.now()
  let finishing: Promise<void> | undefined
  for await (const { item: task, loaded } of readAhead(tasks, run.note)) {
    const place = scanPlace(task.scan)
    const finish = await detectScan(task, loaded, session, settings, {
      note: run.note,
      begin,
      onProgress: (done, slices) => run.progress(done / slices, `${place} ${done}/${slices}`),
    })
    await finishing
    finishing = finish?.().then(run.finish)
    // Awaited when its turn comes; until then nobody would hear of an error.
    finishing?.catch(() => undefined)
    if (!settings.overlay) await finishing
    if (run.stop()) break
    begin = performance.now()
  }
  await finishing
}

/** LUNA16's format names scans by their series UID alone. */
function noteSharedUids(path: string, scans: readonly ScanSummary[], note: Note): void {
  const shared = sharedUids(scans)
  if (shared.size === 0) return
  const [first] = shared
  note({
    failed: false,
    place: path,
    message: `${count(shared.size, 'series UID')} ${agree(shared.size, 'is', 'are')} that of several patients, whose nodules this file cannot tell apart (the JSON files do), first ${first!}`,
  })
}
