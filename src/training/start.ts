/** What a run starts from: an earlier one, a checkpoint's weights, or the seed alone. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { checkInteger } from '../check.js'
import type { Hypes } from '../config/hypes.js'
import type { EngineName } from '../engine/types.js'
import { NoduleError } from '../errors.js'
import { agree } from '../words.js'
import type { WorkOptions } from '../work.js'
import { checkpointsIn } from '../checkpoints/checkpoint.js'
import { flatKeys } from '../checkpoints/other_keys.js'
import type { Checkpoint } from '../checkpoints/checkpoint.js'
import { digestsOf } from './digests.js'
import type { ReduceGradients } from './flat_gradients.js'
import { lastData, recordedData } from './log.js'
import type { RunStart } from './log.js'
import { ownHypes } from './own_start.js'
import type { Started } from './own_start.js'

/** What a run of any model is told. */
export interface RunOptions extends WorkOptions {
  /** Hypes file; paths in it are relative to its folder. A run that goes on needs none: it has its own, and its data. */
  hypes?: string | undefined
  /** Changes of single keys, such as `solver.learning_rate=3e-4`. */
  set?: readonly string[] | undefined
  /** The run's folder: checkpoints/ (step-000500.safetensors, ..., last.safetensors), events/, log.jsonl, hypes.json, run.jsonl. */
  output: string
  /** The step to stop at; default solver.max_iter. */
  steps?: number | undefined
  /** Go on from the newest checkpoint of the run's folder. */
  resume?: boolean | undefined
  engine?: EngineName | undefined
  /** Seed of weights, order, augmentation and dropout; default solver.rnd_seed. */
  seed?: number | undefined
  /** Threads that read and vary training data ahead of the steps; default by the machine; 0: none. No result depends on it. */
  workers?: number | undefined
  /**
   * For training on several machines: called in every step with all gradients in one buffer, before clipping and
   * optimizer; each machine has its own lists and the same seed.
   */
  reduceGradients?: ReduceGradients | undefined
  /** At the end, a table of the time by kernel, and how long the steps waited for data. */
  profile?: boolean | undefined
  /** Receives the lines of the log and of the profile. */
  onLine?: ((line: string) => void) | undefined
}

/** The hypes that the loop itself reads, of any model. */
export interface RunHypes {
  batch_size: number
  clip_norm: number
  logging: Pick<Hypes['logging'], 'display_iter' | 'save_iter' | 'histogram_iter' | 'keep_checkpoints'>
  solver: Pick<
    Hypes['solver'],
    | 'opt'
    | 'weight_decay'
    | 'epsilon'
    | 'momentum'
    | 'accumulate'
    | 'precision'
    | 'freeze'
    | 'early_stopping'
    | 'rnd_seed'
    | 'learning_rate'
    | 'learning_rate_step'
    | 'step_factor'
    | 'schedule'
    | 'warmup_steps'
    | 'ema_decay'
    | 'max_iter'
  >
}

/** A run that is about to begin or to go on. */
export interface Run<H extends RunHypes = RunHypes> {
  options: Started<RunOptions>
  hypes: H
  /** Where it goes on from. */
  earlier: (Checkpoint<H> & { path: string }) | undefined
  seed: number
  /** Steps done before, and the step to stop at. */
  firstStep: number
  lastStep: number
  /** Files or folders, and how they are taken, for run.jsonl. */
  data: Pick<RunStart, 'train' | 'test' | 'digests' | 'skipMissing'>
}

/**
 * Finds out what the run starts from; nothing is written yet.
 * Throws NoduleError: INVALID_PARAMETER; FILE, FORMAT for an earlier run that cannot go on.
 */
export async function openRun<H extends RunHypes>(
  options: Started<RunOptions>,
  hypes: H,
  named: Run['data'],
  load: (path: string) => Promise<Checkpoint<H>>,
): Promise<Run<H>> {
  const lastStep = checkInteger('steps', options.steps ?? hypes.solver.max_iter, 0, 1e9)
  if (options.seed !== undefined) checkInteger('seed', options.seed, 0, 0xffffffff)
  warnOfNoRate(options, hypes.solver, lastStep)
  const earlier = await findEarlier(options, hypes, load)
  const data = { ...named, digests: await digestsOf(options.output, named) }
  if (earlier !== undefined) await warnOfOtherData(options, data)
  const seed = earlier?.seed ?? options.seed ?? hypes.solver.rnd_seed
  return { options, hypes, earlier, seed, firstStep: earlier?.step ?? 0, lastStep, data }
}

function warnOfNoRate(options: Started<RunOptions>, solver: RunHypes['solver'], lastStep: number): void {
  if (solver.schedule !== 'cosine' || lastStep <= solver.max_iter) return
  options.onWarning?.(
    `${options.hypes}: from step ${solver.max_iter} on the learning rate is 0 (solver.schedule is "cosine", and ends ` +
      `there): for a run of ${lastStep} steps, solver.max_iter=${lastStep}`,
  )
}

const WHAT = { train: 'training data', test: 'test data' }

/** Told, not refused: who has corrected a list, or has more data now, may want it so. */
async function warnOfOtherData({ output, onWarning }: RunOptions, data: Run['data']): Promise<void> {
  const before = await lastData(output)
  if (before === undefined) return
  const now = recordedData(output, data)
  const shown = (value: string | string[] | undefined): string => [value ?? 'none'].flat().join(', ')
  for (const key of ['train', 'test'] as const) {
    const [old, given] = [shown(before[key]), shown(now[key])]
    if (old === given) continue
    onWarning?.(
      `${output}: the run goes on with other data: its ${WHAT[key]} were ${old}, and are ${given} now`,
    )
  }
  const changed = Object.entries(data.digests ?? {}).flatMap(([path, digest]) => {
    const earlier = before.digests[path]
    return typeof earlier === 'string' && earlier !== digest ? [path] : []
  })
  if (changed.length > 0)
    onWarning?.(
      `${output}: the run goes on with other data: ${changed.join(', ')} ${agree(changed.length, 'has', 'have')} changed since its last start`,
    )
}

/** Throws NoduleError (FORMAT) for an empty one. */
export function required(path: string, file: string): string {
  if (path !== '') return path
  throw new NoduleError('FORMAT', 'no list of training frames', {
    path: file,
    place: 'data.train_idl',
    expected: 'a list',
    remedies: [{ do: 'name one for this run', parameter: 'train' }],
  })
}

/**
 * The newest checkpoint of the run's folder, when asked to resume; undefined for a new run, whose folder must hold no
 * checkpoints (they would be taken for its own), and for one that was killed before its first. Throws NoduleError (FILE, FORMAT).
 */
async function findEarlier<H extends RunHypes>(
  options: Started<RunOptions>,
  hypes: H,
  load: (path: string) => Promise<Checkpoint<H>>,
): Promise<(Checkpoint<H> & { path: string }) | undefined> {
  const folder = join(options.output, 'checkpoints')
  const [path, ...older] = await checkpointsIn(folder)
  if (options.resume !== true) {
    if (path === undefined) return undefined
    throw new NoduleError('FILE', 'the folder holds another run: resume it or name another folder', { path })
  }
  if (path === undefined) {
    if (!existsSync(ownHypes(options.output)))
      throw new NoduleError('FILE', 'no checkpoint to resume from', { path: folder })
    options.onWarning?.(`${options.output}: the run ended before its first checkpoint: it begins anew`)
    return undefined
  }
  const earlier = await loadNewest([path, ...older], load, options.onWarning)
  checkSameRun(earlier, earlier.path, hypes, options)
  return earlier
}

/** The first of the files, newest first, that is whole; told where one is not. Throws the newest one's error where none is. */
async function loadNewest<H extends RunHypes>(
  [newest, ...older]: readonly [string, ...string[]],
  load: (path: string) => Promise<Checkpoint<H>>,
  onWarning: RunOptions['onWarning'],
): Promise<Checkpoint<H> & { path: string }> {
  try {
    return { ...(await load(newest)), path: newest }
  } catch (error) {
    if (!(error instanceof NoduleError) || error.code !== 'FORMAT') throw error
    for (const path of older) {
      const whole = await load(path).catch(() => undefined)
      if (whole === undefined) continue
      onWarning?.(`${error.message}; the run goes on from ${path}`)
      return { ...whole, path }
    }
    throw error
  }
}

const LENGTH = new Set(['solver.max_iter', 'solver.early_stopping'])

/** A run goes on with the hypes and the seed that it started with; only its length and its logging may change. */
function checkSameRun<H extends RunHypes>(
  earlier: Checkpoint<H>,
  path: string,
  hypes: H,
  options: Started<RunOptions>,
): void {
  const fixed = (value: H): Map<string, string> =>
    new Map([...flatKeys(value)].filter(([key]) => !key.startsWith('logging.') && !LENGTH.has(key)))
  const before = fixed(earlier.hypes)
  const changed = [...fixed(hypes)].filter(([key, value]) => before.get(key) !== value)
  if (changed.length > 0) {
    const list = (side: ReadonlyMap<string, string>, between = ' '): string[] =>
      changed.map(([key]) => `${key}${between}${side.get(key)}`)
    const own = ownHypes(options.output)
    throw new NoduleError('FORMAT', 'the run to resume had other hypes', {
      path: options.hypes,
      place: changed.map(([key]) => key).join(', '),
      expected: `${list(before).join(', ')} as in ${path}`,
      actual: list(new Map(changed)).join(', '),
      remedies: [
        ...(resolve(options.hypes) === resolve(own) ? [] : [`name no hypes: the run has its own, ${own}`]),
        { do: 'give the keys what they had', parameter: 'set', value: list(before, '=').join(' ') },
        { do: 'begin another run with its weights', parameter: 'set', value: `solver.weights=${path}` },
      ],
    })
  }
  if (options.seed !== undefined && options.seed !== earlier.seed) {
    throw new NoduleError('FORMAT', 'the run to resume had another seed', {
      path,
      expected: String(earlier.seed),
      actual: String(options.seed),
    })
  }
}
