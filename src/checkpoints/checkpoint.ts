import { constants } from 'node:fs'
import { copyFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { checkInteger, show } from '../check.js'
import { parseHypes } from '../config/hypes.js'
import type { Hypes } from '../config/hypes.js'
import { NoduleError, fileError } from '../errors.js'
import { forgetTemporary, temporaryFor } from '../temporaries.js'
import { VERSION } from '../version.js'
import { readSafeTensors, writeSafeTensors } from '../formats/safetensors.js'
import type { HostTensor } from '../formats/safetensors.js'

export const CHECKPOINT_FORMAT = 'nodule-checkpoint/1'

/** What a checkpoint is of: a detector, or a classifier of cubes around its marks. */
export type ModelKind = 'detector' | 'patches'

/**
 * All that a run needs to go on exactly: one safetensors file with the tensors `model/<weight>` (moving averages
 * included) and `optimizer/<slot>/<weight>`; hypes, step, seed, code version and engine stand in its metadata.
 */
export interface Checkpoint<H = Hypes> {
  hypes: H
  /** Steps done; the next one has this number. */
  step: number
  seed: number
  /** Version of nodule that wrote it. */
  codeVersion: string
  /** Engine that trained it. */
  engine: string
  tensors: Map<string, HostTensor>
  /** How far the log was; absent in files of nodule 0.1's first versions and in those that no run wrote. */
  progress?: Progress
}

/** Sums of the steps since the last log entry. */
export interface MeansState {
  count: number
  /** By the names of a step's numbers. */
  sums: Record<string, number>
  /** Time of the steps. */
  ms: number
}

/** The best look at the whole test so far. */
export interface Best {
  score: number
  /** Steps done then. */
  step: number
  /** Looks since then, none of them better. */
  stale: number
}

/** What a run needs besides its tensors to leave the log that an undisturbed one leaves. */
export interface Progress {
  /** The first step that no log entry tells of. */
  logged: number
  /** Sums of the steps from there on. */
  means: MeansState
  best?: Best | undefined
}

export type Variables = ReadonlyMap<string, tf.Variable>

/** Writes a checkpoint. Throws NoduleError: FILE; NUMERIC for tensors that are not finite, and writes nothing. */
export async function saveCheckpoint(
  path: string,
  state: {
    /** Default 'detector'. */
    kind?: ModelKind
    hypes: object
    step: number
    seed: number
    engine: string
    weights: Variables
    slots: Variables
    progress?: Progress
  },
): Promise<void> {
  const tensors = new Map<string, HostTensor>()
  const add = (prefix: string, variables: Variables): void => {
    for (const [name, variable] of variables) {
      const data = variable.dataSync() as Float32Array
      const bad = findNotFinite(data)
      if (bad !== undefined)
        throw new NoduleError(
          'NUMERIC',
          'the weights are not finite (a lower solver.learning_rate may help)',
          {
            place: `step ${state.step}`,
            expected: 'finite numbers to save',
            actual: `${prefix}${name}[${bad}] ${data[bad]}`,
          },
        )
      tensors.set(prefix + name, { shape: variable.shape, data })
    }
  }
  add('model/', state.weights)
  add('optimizer/', state.slots)
  const metadata = {
    format: CHECKPOINT_FORMAT,
    kind: state.kind ?? 'detector',
    hypes: JSON.stringify(state.hypes),
    step: String(state.step),
    seed: String(state.seed),
    code_version: VERSION,
    engine: state.engine,
    ...(state.progress === undefined ? {} : { progress: JSON.stringify(state.progress) }),
  }
  await writeSafeTensors(path, { metadata, tensors })
}

/** Reads and checks a detector's checkpoint. Throws NoduleError (FILE, FORMAT, UNSUPPORTED). */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  return loadCheckpointOf(path, 'detector', parseHypes)
}

/** What a checkpoint is of. Throws NoduleError (FILE, FORMAT, UNSUPPORTED). */
export async function checkpointKind(path: string): Promise<ModelKind> {
  const { metadata } = await readSafeTensors(path)
  return metadata['kind'] === 'patches' ? 'patches' : 'detector'
}

type Metadata = Readonly<Record<string, string>>

function notOurs(metadata: Metadata, path: string, key: string, expected: string): NoduleError {
  return new NoduleError('FORMAT', 'not a checkpoint of nodule', {
    path,
    place: `__metadata__.${key}`,
    expected,
    actual: show(metadata[key]),
  })
}

/** Throws NoduleError (FORMAT) for a file of tensors that is no checkpoint. */
export function checkFormat(metadata: Metadata, path: string): void {
  if (metadata['format'] !== CHECKPOINT_FORMAT)
    throw notOurs(metadata, path, 'format', `"${CHECKPOINT_FORMAT}"`)
}

/** Reads and checks a checkpoint of that kind, with hypes that `parse` checks. Throws as `loadCheckpoint`. */
export async function loadCheckpointOf<H>(
  path: string,
  kind: ModelKind,
  parse: (value: unknown, path: string) => H,
): Promise<Checkpoint<H>> {
  const { metadata, tensors } = await readSafeTensors(path)
  const wrong = (key: string, expected: string): NoduleError => notOurs(metadata, path, key, expected)
  checkFormat(metadata, path)
  const found = metadata['kind'] ?? 'detector'
  if (found !== kind)
    throw new NoduleError('FORMAT', 'a checkpoint of another kind', {
      path,
      place: '__metadata__.kind',
      expected: `"${kind}"`,
      actual: show(found),
    })
  const count = (key: string, highest: number): number => {
    const text = metadata[key] ?? ''
    if (!/^\d{1,16}$/.test(text) || Number(text) > highest) throw wrong(key, `integer up to ${highest}`)
    return Number(text)
  }
  const json = (key: string): unknown => {
    try {
      return JSON.parse(metadata[key] ?? '')
    } catch (error) {
      throw wrong(key, 'JSON').with({ cause: error })
    }
  }
  const hypes = json('hypes')
  const progress = metadata['progress'] === undefined ? undefined : json('progress')
  if (progress !== undefined && !isProgress(progress)) throw wrong('progress', 'how far the log was')
  return {
    hypes: parse(hypes, `${path}: hypes`),
    step: count('step', Number.MAX_SAFE_INTEGER),
    seed: count('seed', 0xffffffff),
    codeVersion: metadata['code_version'] ?? '',
    engine: metadata['engine'] ?? '',
    tensors,
    ...(progress === undefined ? {} : { progress }),
  }
}

/** A checkpoint's weights and moving averages by the model's own names, without those of the optimizer. */
export function modelTensors({ tensors }: Pick<Checkpoint<unknown>, 'tensors'>): Map<string, HostTensor> {
  return new Map(
    [...tensors].flatMap(([name, tensor]) =>
      name.startsWith('model/') ? [[name.slice('model/'.length), tensor] as const] : [],
    ),
  )
}

function isProgress(value: unknown): value is Progress {
  const isCount = (count: unknown): boolean => Number.isSafeInteger(count) && Number(count) >= 0
  const { logged, means, best } = { ...(value as Partial<Progress>) }
  return (
    (best === undefined || (isCount(best.step) && isCount(best.stale) && Number.isFinite(best.score))) &&
    isCount(logged) &&
    isCount(means?.count) &&
    Number.isFinite(means?.ms) &&
    typeof means?.sums === 'object' &&
    Object.values({ ...means.sums }).every(Number.isFinite)
  )
}

/** The first element that is NaN or infinite. */
function findNotFinite(data: Float32Array): number | undefined {
  // A loop: there are millions of them, at every checkpoint.
  for (let n = 0; n < data.length; n++) if (!Number.isFinite(data[n])) return n
  return undefined
}

/** Throws NoduleError (FORMAT) for a tensor of a file that holds what is not a number. */
export function checkFinite({ data }: HostTensor, path: string, place: string): void {
  const bad = findNotFinite(data)
  if (bad === undefined) return
  throw new NoduleError('FORMAT', 'a tensor holds what is not a number', {
    path,
    place: `${place}[${bad}]`,
    actual: String(data[bad]),
  })
}

/**
 * A tensor of a file, of the shape that a weight has. Throws NoduleError (FORMAT) where it is missing, has another shape,
 * or holds what cannot be: no number, or a variance below 0.
 */
function checkedTensor(
  tensors: ReadonlyMap<string, HostTensor>,
  place: string,
  shape: readonly number[],
  path: string,
): HostTensor {
  const tensor = tensors.get(place)
  if (tensor === undefined)
    throw new NoduleError('FORMAT', 'a tensor is missing', { path, place, expected: show(shape) })
  if (tensor.shape.join() !== shape.join())
    throw new NoduleError('FORMAT', 'a tensor has the wrong shape', {
      path,
      place,
      expected: show(shape),
      actual: show(tensor.shape),
    })
  checkFinite(tensor, path, place)
  const below = place.endsWith('/moving_variance') ? tensor.data.findIndex((value) => value < 0) : -1
  if (below >= 0)
    throw new NoduleError('FORMAT', 'a variance is below 0', {
      path,
      place: `${place}[${below}]`,
      expected: '0 or more',
      actual: String(tensor.data[below]),
    })
  return tensor
}

/**
 * Checks that the tensors `model/...` of a checkpoint are the weights of its network, each in its shape, and no others.
 * Throws NoduleError (FORMAT).
 */
export function checkModel(
  weights: readonly { name: string; shape: readonly number[] }[],
  tensors: ReadonlyMap<string, HostTensor>,
  path: string,
): void {
  const own = new Set(weights.map(({ name }) => `model/${name}`))
  for (const { name, shape } of weights) checkedTensor(tensors, `model/${name}`, shape, path)
  const over = [...tensors.keys()].filter((name) => name.startsWith('model/') && !own.has(name))
  if (over.length > 0)
    throw new NoduleError('FORMAT', 'a checkpoint of other hypes than it names', {
      path,
      place: over[0],
      expected: `only the ${weights.length} weights that the hypes make`,
      actual: `${over.length} more`,
    })
}

/**
 * Copies the tensors `${prefix}${name}` into the variables. Throws NoduleError (FORMAT) where one is missing, has
 * another shape, or holds what is not a number or a variance below 0.
 */
export function restoreVariables(
  variables: Variables,
  tensors: ReadonlyMap<string, HostTensor>,
  prefix: string,
  path: string,
): void {
  for (const [name, variable] of variables) {
    const { data, shape } = checkedTensor(tensors, prefix + name, variable.shape, path)
    const value = tf.tensor(data, shape, 'float32')
    variable.assign(value)
    value.dispose()
  }
}

/** Copies a checkpoint to `last.safetensors` beside it, so that scripts need not know its step. */
export async function copyAsLast(path: string): Promise<void> {
  const last = join(dirname(path), 'last.safetensors')
  const temporary = temporaryFor(last)
  try {
    await copyFile(path, temporary, constants.COPYFILE_FICLONE)
    await rename(temporary, last)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw fileError(last, 'write', error)
  } finally {
    forgetTemporary(temporary)
  }
}

/** Does that for a run that goes on, where a kill came between a checkpoint and its copy. */
export async function repairLast(path: string): Promise<void> {
  const last = await stat(join(dirname(path), 'last.safetensors')).catch(() => undefined)
  const newest = await stat(path)
  if (last === undefined || last.size !== newest.size || last.mtimeMs < newest.mtimeMs) await copyAsLast(path)
}

/** Removes what a run that was killed left half written. Throws NoduleError (FILE). */
export async function removeUnfinished(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder))
      if (/\.safetensors\.(?:[\w-]+\.)?part$/.test(name)) await rm(join(folder, name), { force: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw fileError(folder, 'remove unfinished checkpoints', error)
  }
}

/** The names that `checkpointName` makes. */
const STEP_FILE = /^step-(\d+)\.safetensors$/

/** `step-000500.safetensors`. */
export function checkpointName(step: number): string {
  checkInteger('step', step, 0, 1e9)
  return `step-${String(step).padStart(6, '0')}.safetensors`
}

/** The checkpoints of a folder, that of the highest step first. `upTo`: those of later steps left out. */
export async function checkpointsIn(folder: string, upTo = Infinity): Promise<string[]> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw fileError(folder, 'list checkpoints', error)
  }
  return names
    .map((name) => STEP_FILE.exec(name))
    .filter((match) => match !== null)
    .filter(([, step]) => Number(step) <= upTo)
    .sort((a, b) => Number(b[1]) - Number(a[1]))
    .map(([name]) => join(folder, name))
}
