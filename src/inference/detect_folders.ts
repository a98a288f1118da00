import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { checkInteger } from '../check.js'
import { NoduleError } from '../errors.js'
import { makeOutputFolder } from '../files.js'
import { readDetections } from './detections.js'
import type { DetectParameters, SeriesDetections } from './detections.js'
import { runJobs } from './jobs.js'
import { findScans, scanPlace } from '../scans/find_scans.js'
import type { DetectNote } from '../scans/find_scans.js'
import { readAhead } from '../scans/load_scans.js'
import { writeMarksCsv } from '../formats/luna.js'
import type { Mark } from '../formats/luna.js'
import { detectScan, outcomeOf, resultName } from './detect_to_file.js'
import type { DetectRun, ScanSettings, ScanSummary, DetectTask } from './detect_to_file.js'
import { DETECT_DEFAULTS } from './detect_volume.js'
import { checkStitchParameters } from './stitch.js'
import type { Session } from './session.js'
import { isStopped } from '../work.js'
import type { WorkOptions } from '../work.js'
import { append } from '../lists.js'

/** Progress is that of the scans, with parts of the one at hand; warnings come as notes. */
export interface DetectFoldersOptions extends Pick<WorkOptions, 'signal' | 'onProgress'> {
  /** Folder of the results: `<seriesInstanceUid>.json` and `predictions.csv` (LUNA16's format). */
  output: string
  parameters?: DetectParameters
  /** Also draw every slice with boxes, below `<output>/<seriesInstanceUid>/`. */
  overlay?: boolean
  /** Keep results of the same model and parameters that are there. */
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
 * is noted and the rest goes on. The results: one JSON a series, and all nodules of the run in LUNA16's format.
 *
 * @throws NoduleError INVALID_PARAMETER; FILE where a folder does not exist or a result cannot be written
 */
export async function detectFolders(
  paths: readonly string[],
  session: Session,
  o: DetectFoldersOptions,
): Promise<DetectFoldersResult> {
  const jobs = checkInteger('jobs', o.jobs ?? 1, 1, 256)
  if (o.parameters !== undefined) checkStitchParameters(o.parameters)
  const settings: ScanSettings = {
    output: o.output,
    parameters: o.parameters ?? DETECT_DEFAULTS,
    overlay: o.overlay ?? false,
    ...(o.batch === undefined ? {} : { batch: o.batch }),
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
    const path = join(o.output, `${resultName(scan)}.json`)
    const earlier = o.resume === true ? await earlierResult(path, session, settings.parameters) : undefined
    const lost = damaged.filter((file) => dirname(file) === scan.folder)
    const warnings = lost.map((file) => `${basename(file)} lies beside the slices and cannot be read`)
    if (earlier === undefined) tasks.push({ scan, path, warnings })
    else run.finish(outcomeOf(earlier, path, true))
  }
  if (!run.stop()) {
    if (jobs > 1 && tasks.length > 1)
      await runJobs(tasks, session, settings, Math.min(jobs, tasks.length), run)
    else await runHere(tasks, session, settings, run)
  }
  result.interrupted = run.stop()
  await writeMarksCsv(join(o.output, 'predictions.csv'), marks)
  return result
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

/** The result in the file, where it is whole and of the same model and parameters. */
async function earlierResult(
  path: string,
  session: Session,
  parameters: DetectParameters,
): Promise<SeriesDetections | undefined> {
  if (!existsSync(path)) return undefined
  try {
    const old = await readDetections(path)
    const same =
      old.model.sha256 === session.sha256 &&
      old.second?.sha256 === session.second?.sha256 &&
      isDeepStrictEqual(old.parameters, parameters)
    return same ? old : undefined
  } catch (error) {
    // Cut off by a crash, or of another version: made anew.
    if (error instanceof NoduleError) return undefined
    throw error
  }
}
