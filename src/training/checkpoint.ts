import { constants } from 'node:fs'
import { copyFile, readdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { show } from '../check.js'
import { parseHypes } from '../config/hypes.js'
import type { Hypes } from '../config/hypes.js'
import { NoduleError, fileError } from '../errors.js'
import { VERSION } from '../version.js'
import { readSafeTensors, writeSafeTensors } from '../formats/safetensors.js'
import type { HostTensor } from '../formats/safetensors.js'

const FORMAT = 'nodule-checkpoint/1'

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
}

export type Variables = ReadonlyMap<string, tf.Variable>

/** Writes a checkpoint; throws NoduleError (FILE). */
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
  },
): Promise<void> {
  const tensors = new Map<string, HostTensor>()
  const add = (prefix: string, variables: Variables): void => {
    for (const [name, variable] of variables)
      tensors.set(prefix + name, { shape: variable.shape, data: variable.dataSync() as Float32Array })
  }
  add('model/', state.weights)
  add('optimizer/', state.slots)
  const metadata = {
    format: FORMAT,
    kind: state.kind ?? 'detector',
    hypes: JSON.stringify(state.hypes),
    step: String(state.step),
    seed: String(state.seed),
    code_version: VERSION,
    engine: state.engine,
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

/** Reads and checks a checkpoint of that kind, with hypes that `parse` checks. Throws as `loadCheckpoint`. */
export async function loadCheckpointOf<H>(
  path: string,
  kind: ModelKind,
  parse: (value: unknown, path: string) => H,
): Promise<Checkpoint<H>> {
  const { metadata, tensors } = await readSafeTensors(path)
  const wrong = (key: string, expected: string): NoduleError =>
    new NoduleError('FORMAT', 'not a checkpoint of nodule', {
      path,
      place: `__metadata__.${key}`,
      expected,
      actual: show(metadata[key]),
    })
  if (metadata['format'] !== FORMAT) throw wrong('format', `"${FORMAT}"`)
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
  let hypes: unknown
  try {
    hypes = JSON.parse(metadata['hypes'] ?? '')
  } catch (error) {
    throw wrong('hypes', 'JSON').with({ cause: error })
  }
  return {
    hypes: parse(hypes, `${path}: hypes`),
    step: count('step', Number.MAX_SAFE_INTEGER),
    seed: count('seed', 0xffffffff),
    codeVersion: metadata['code_version'] ?? '',
    engine: metadata['engine'] ?? '',
    tensors,
  }
}

/**
 * Copies the tensors `${prefix}${name}` into the variables. Throws NoduleError (FORMAT) where one is missing, has
 * another shape, or holds what is not a number.
 */
export function restoreVariables(
  variables: Variables,
  tensors: ReadonlyMap<string, HostTensor>,
  prefix: string,
  path: string,
): void {
  for (const [name, variable] of variables) {
    const tensor = tensors.get(prefix + name)
    const place = prefix + name
    if (tensor === undefined)
      throw new NoduleError('FORMAT', 'a tensor is missing', { path, place, expected: show(variable.shape) })
    if (tensor.shape.join() !== variable.shape.join()) {
      throw new NoduleError('FORMAT', 'a tensor has the wrong shape', {
        path,
        place,
        expected: show(variable.shape),
        actual: show(tensor.shape),
      })
    }
    const bad = tensor.data.findIndex((value) => !Number.isFinite(value))
    if (bad >= 0) {
      throw new NoduleError('FORMAT', 'a tensor holds what is not a number', {
        path,
        place: `${place}[${bad}]`,
        actual: String(tensor.data[bad]),
      })
    }
    const value = tf.tensor(tensor.data, tensor.shape, 'float32')
    variable.assign(value)
    value.dispose()
  }
}

/** Copies a checkpoint to `last.safetensors` beside it, so that scripts need not know its step. */
export async function copyAsLast(path: string): Promise<void> {
  const last = join(dirname(path), 'last.safetensors')
  try {
    await copyFile(path, `${last}.part`, constants.COPYFILE_FICLONE)
    await rename(`${last}.part`, last)
  } catch (error) {
    throw fileError(last, 'write', error)
  }
}

/** `step-000500.safetensors`. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(6, '0')}.safetensors`
}

/** The checkpoint of the highest step in a folder; undefined where there is none. */
export async function newestCheckpoint(folder: string): Promise<string | undefined> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw fileError(folder, 'list checkpoints', error)
  }
  const steps = names
    .map((name) => /^step-(\d+)\.safetensors$/.exec(name))
    .filter((match) => match !== null)
    .sort((a, b) => Number(a[1]) - Number(b[1]))
  const last = steps.at(-1)
  return last === undefined ? undefined : join(folder, last[0])
}
