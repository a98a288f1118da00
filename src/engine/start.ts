import { invalidParameter } from '../check.js'
import { NoduleError } from '../errors.js'
import { nativeEngine } from './onednn/engine.js'
import { tensorflowEngine, tensorflowHasGpu } from './tensorflow/engine.js'
import type { Engine, EngineName, StartedEngine } from './types.js'
import { wasmEngine } from './wasm/engine.js'

/** All engines, in the order of 'auto' where there is no GPU. */
export const ENGINES: readonly Engine[] = [nativeEngine, tensorflowEngine, wasmEngine]

/**
 * All engines in the order of 'auto': TensorFlow first where it has a GPU; on a CPU the native engine, which is three to
 * four times as fast.
 */
export function enginesInOrder(): readonly Engine[] {
  return tensorflowHasGpu() ? [tensorflowEngine, nativeEngine, wasmEngine] : ENGINES
}

export const ENGINE_NAMES = ['auto', 'tensorflow', 'native', 'wasm'] as const

/**
 * Starts an engine: all tensors of the process live in its tfjs backend afterwards.
 * Throws NoduleError (UNAVAILABLE) with the reason where the engine that was asked for cannot be used.
 */
export async function startEngine(name: EngineName = 'auto'): Promise<StartedEngine> {
  if (!ENGINE_NAMES.includes(name))
    throw invalidParameter('engine', `one of ${ENGINE_NAMES.join(', ')}`, name)
  const reasons: string[] = []
  // Looking for a GPU loads TensorFlow: not where another engine is named.
  const engines = name === 'auto' ? enginesInOrder() : ENGINES.filter((engine) => engine.name === name)
  for (const engine of engines) {
    const reason = await engine.probe()
    if (reason === undefined) return engine.start()
    reasons.push(`${engine.name}: ${reason}`)
  }
  throw new NoduleError('UNAVAILABLE', `no engine can be used`, {
    place: `engine ${name}`,
    actual: reasons.join('; ') || 'it is not part of this build',
  })
}

/** The engines in the order of 'auto', and why each cannot be used (undefined: it can): what `nodule doctor` prints. */
export async function probeEngines(): Promise<{ name: EngineName; reason: string | undefined }[]> {
  return Promise.all(
    enginesInOrder().map(async (engine) => ({ name: engine.name, reason: await engine.probe() })),
  )
}
