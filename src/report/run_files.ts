import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { NoduleError, fileError } from '../errors.js'
import type { Remedy } from '../errors.js'
import { readText } from '../files.js'
import { DETECTIONS_FORMAT } from '../inference/detections.js'
import { append, greatest } from '../lists.js'
import { readStart } from '../read_files.js'
import { RUN_FILE, lastStartOf } from '../training/log.js'

/** The files of a run that a report is made of; each may be absent. */
export interface RunFiles {
  /** Training log, one JSON object a line. */
  log?: string | undefined
  hypes?: string | undefined
  /** TensorBox list of true boxes. */
  truth?: string | undefined
  /** TensorBox list with scores. */
  predictions?: string | undefined
  /** What `nodule evaluate -o` wrote. */
  evaluation?: string | undefined
  /** Folder of `nodule detect`'s JSON files. */
  detections?: string | undefined
}

/**
 * What a run's folder is expected to hold, by name, in it or up to two folders below:
 * `log.jsonl`, `hypes.json`, `test.json` (true boxes), `predictions.json`, `evaluation.json`, `detections/`.
 */
const NAMES: Record<keyof RunFiles, string> = {
  log: 'log.jsonl',
  hypes: 'hypes.json',
  truth: 'test.json',
  predictions: 'predictions.json',
  evaluation: 'evaluation.json',
  detections: 'detections',
}

/** Folders of a run that hold many files and none of the above. */
const SKIPPED = new Set(['frames', 'checkpoints', 'events', 'node_modules', 'overlays'])

/**
 * Finds the files of a run; `given` ones are taken as they are. The true boxes are those of the list that run.jsonl,
 * beside the log, names as the last start's test list; where it lies elsewhere now, the test.json whose path ends most
 * like it. Throws NoduleError (FILE) where the folder cannot be read, and (FORMAT) where a name stands twice at the same
 * depth.
 */
export function findRunFiles(folder: string, given: RunFiles = {}): RunFiles {
  const keys = Object.keys(NAMES) as (keyof RunFiles)[]
  return search(folder, given, keys, (key) => ({ do: 'name the one that is meant', parameter: key }))
}

/** Whether a folder itself holds `nodule detect`'s files, which begin with their format. Throws NoduleError (FILE). */
export async function holdsDetections(folder: string): Promise<boolean> {
  for (const { path, name, isFolder } of list(folder, true)) {
    if (isFolder || !name.endsWith('.json')) continue
    // One that cannot be read is none that the page needs, as far as anybody knows.
    const start = await readStart(path, 256).catch(() => undefined)
    if (start?.includes(`"${DETECTIONS_FORMAT}"`) === true) return true
  }
  return false
}

/** What a run's folder holds to be compared by, found as by `findRunFiles`. Throws NoduleError (FILE, FORMAT). */
export function findComparedFiles(folder: string): Pick<RunFiles, 'predictions' | 'detections'> {
  return search(folder, {}, ['predictions', 'detections'], () => NAME_IT)
}

/** The training log in a folder of a run that is compared with. Throws NoduleError (FILE, FORMAT). */
export function findComparedLog(folder: string): string | undefined {
  return search(folder, {}, ['log'], () => NAME_IT).log
}

const NAME_IT: Remedy = {
  do: 'name the one that is meant itself as the run to compare with',
  parameter: 'compare',
}

function search(
  folder: string,
  given: RunFiles,
  keys: readonly (keyof RunFiles)[],
  remedyFor: (key: keyof RunFiles) => Remedy,
): RunFiles {
  const found: RunFiles = { ...given }
  let level = [folder]
  // Only the run's own hypes are meant, and they lie beside its log.
  const beside = (log: string): string => join(dirname(log), NAMES.hypes)
  const truths: string[] = []
  for (let depth = 0; depth <= 2 && level.length > 0; depth++) {
    const entries = level.flatMap((at) => list(at, depth === 0))
    for (const key of keys) {
      if (found[key] !== undefined) continue
      const matches = entries.filter(
        (entry) => entry.name === NAMES[key] && entry.isFolder === (key === 'detections'),
      )
      if (key === 'truth') {
        // Which of them is known when the log is.
        append(
          truths,
          matches.map((match) => match.path),
        )
        continue
      }
      if (matches.length > 1) {
        const paths = matches.map((match) => match.path)
        throw severalFiles(folder, NAMES[key], remedyFor(key), paths)
      }
      if (matches.length === 1) found[key] = matches[0]!.path
      if (
        key === 'log' &&
        found.log !== undefined &&
        found.hypes === undefined &&
        existsSync(beside(found.log))
      )
        found.hypes = beside(found.log)
    }
    level = entries
      .filter((entry) => entry.isFolder && !SKIPPED.has(entry.name) && entry.name !== NAMES.detections)
      .map((entry) => entry.path)
  }
  const truth = found.truth ?? findTruth(folder, truths, testListOf(found.log), remedyFor('truth'))
  return { ...found, ...(truth === undefined ? {} : { truth }) }
}

function severalFiles(folder: string, name: string, remedy: Remedy, paths: readonly string[]): NoduleError {
  return new NoduleError('FORMAT', `several files are called ${name}`, {
    path: folder,
    expected: 'one',
    actual: paths.map((path) => relative(folder, path)).join(', '),
    remedies: [remedy],
  })
}

/** What run.jsonl, beside the log, tells of the run's last start; empty where nothing tells it. */
function lastStart(log: string | undefined): { path: string; test?: unknown; seed?: unknown } {
  const path = log === undefined ? '' : join(dirname(log), RUN_FILE)
  if (path === '' || !existsSync(path)) return { path }
  return { ...lastStartOf(readText(path, "read the run's starts")), path }
}

/** The seed of the run's last start, which `nodule train --seed` may have given; undefined where nothing tells it. */
export function seedOf(log: string | undefined): number | undefined {
  const { seed } = lastStart(log)
  return typeof seed === 'number' ? seed : undefined
}

/** The test list of the run's last start; undefined where nothing tells it, and of a second stage, which has cubes. */
function testListOf(log: string | undefined): string | undefined {
  const { path, test } = lastStart(log)
  if (typeof test !== 'string') return undefined
  // Relative to the run's folder; absolute in older runs.
  const list = resolve(dirname(path), test)
  return leadsToFolder(list) === true ? undefined : list
}

function findTruth(
  folder: string,
  found: readonly string[],
  named: string | undefined,
  remedy: Remedy,
): string | undefined {
  if (named !== undefined && existsSync(named)) return named
  const shared = (path: string): number => {
    const [a, b] = [path, named ?? ''].map((one) => one.split(/[\\/]/).reverse())
    const differs = a!.findIndex((part, i) => part !== b![i])
    return differs < 0 ? a!.length : differs
  }
  const depth = (path: string): number => path.split(/[\\/]/).length
  const order = found.map((path) => ({ path, rank: named === undefined ? -depth(path) : shared(path) }))
  const best = greatest(order.map(({ rank }) => rank))
  const likely = order.filter(({ rank }) => rank === best).map(({ path }) => path)
  if (likely.length > 1) throw severalFiles(folder, NAMES.truth, remedy, likely)
  return likely[0]
}

interface Entry {
  path: string
  name: string
  isFolder: boolean
}

function list(folder: string, strict: boolean): Entry[] {
  let entries
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (strict) throw fileError(folder, 'read the run folder', error)
    return []
  }
  return entries
    .flatMap((entry): Entry | [] => {
      const path = join(folder, entry.name)
      const isFolder = entry.isSymbolicLink() ? leadsToFolder(path) : entry.isDirectory()
      return isFolder === undefined ? [] : { path, name: entry.name, isFolder }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Whether a link does; undefined where it leads nowhere, or in a circle. */
function leadsToFolder(path: string): boolean | undefined {
  try {
    return statSync(path).isDirectory()
  } catch {
    return undefined
  }
}
