import * as tf from '@tensorflow/tfjs'
import { invalidParameter } from '../check.js'
import { NoduleError } from '../errors.js'
import { nativeEngine } from './native.js'
import { tensorflowEngine } from './tensorflow.js'
import type { Engine, EngineName, StartedEngine } from './types.js'
import { wasmEngine } from './wasm.js'

export type { EngineName, StartedEngine } from './types.js'

/** All engines in the order of 'auto'. TensorFlow comes first because whoever installed it wants it, and it knows GPUs. */
export const ENGINES: readonly Engine[] = [tensorflowEngine, nativeEngine, wasmEngine]

export const ENGINE_NAMES = ['auto', 'tensorflow', 'native', 'wasm'] as const

/**
 * Starts an engine: all tensors of the process live in its tfjs backend afterwards.
 * Throws NoduleError (UNAVAILABLE) with the reason where the engine that was asked for cannot be used.
 */
export async function startEngine(name: EngineName = 'auto'): Promise<StartedEngine> {
  if (!ENGINE_NAMES.includes(name))
    throw invalidParameter('engine', `one of ${ENGINE_NAMES.join(', ')}`, name)
  const reasons: string[] = []
  for (const engine of ENGINES) {
    if (name !== 'auto' && name !== engine.name) continue
    const reason = await engine.probe()
    if (reason === undefined) return engine.start()
    reasons.push(`${engine.name}: ${reason}`)
  }
  throw new NoduleError('UNAVAILABLE', `no engine can be used`, {
    place: `engine ${name}`,
    actual: reasons.join('; ') || 'it is not part of this build',
  })
}

/** Name, and for each engine why it cannot be used (undefined: it can): what `nodule doctor` prints. */
export async function probeEngines(): Promise<{ name: string; reason: string | undefined }[]> {
  return Promise.all(ENGINES.map(async (engine) => ({ name: engine.name, reason: await engine.probe() })))
}

/** The name of the tfjs backend that computes now: 'tensorflow', 'native', 'wasm' or 'cpu'. */
export function currentEngine(): string {
  return tf.getBackend()
}
