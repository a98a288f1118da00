import { createRequire } from 'node:module'
import * as tf from '@tensorflow/tfjs'
import { describeBriefly } from '../../errors.js'
import type { Engine } from '../types.js'

const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const

/** The package that loaded, and why those before it did not. */
let found: { name?: string; reason: string } | undefined

/**
 * Loads tfjs-node-gpu, else tfjs-node. Both are optional: their binding is downloaded when they are installed and is
 * often absent. Loading one registers the backend 'tensorflow' with the same tfjs-core that this package uses.
 */
function load(): { name?: string; reason: string } {
  if (found !== undefined) return found
  const require = createRequire(import.meta.url)
  // tfjs-node still calls functions that Node 23 removed.
  const util = require('node:util') as Record<string, unknown>
  util['isNullOrUndefined'] ??= (value: unknown) => value == null
  util['isArray'] ??= Array.isArray
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2'
  const before = tf.getBackend()
  const reasons: string[] = []
  for (const name of PACKAGES) {
    // The packages print advice on the console when their binding is missing; the reason is returned instead.
    const { log, warn, error } = console
    console.log = console.warn = console.error = () => undefined
    try {
      require(name)
      if (tf.findBackendFactory('tensorflow') != null) return (found = { name, reason: '' })
      reasons.push(`${name} brings its own copy of tfjs-core`)
    } catch (problem) {
      const first = describeBriefly(problem)
      reasons.push(
        /Cannot find module '@tensorflow/.test(first)
          ? `${name} is not installed`
          : /binding\.node\) can not be found/.test(first)
            ? `${name} has no binding`
            : `${name}: ${first}`,
      )
    } finally {
      Object.assign(console, { log, warn, error })
    }
  }
  if (before !== undefined && tf.getBackend() !== before) tf.setBackend(before).catch(() => undefined)
  return (found = { reason: reasons.join('; ') })
}

/** Whether TensorFlow can be loaded and computes on a GPU. */
export function tensorflowHasGpu(): boolean {
  if (load().name === undefined) return false
  const backend = tf.findBackend('tensorflow') as { isUsingGpuDevice?: boolean } | null
  return backend?.isUsingGpuDevice === true
}

/** TensorFlow's C library through tfjs-node(-gpu), where it is installed. */
export const tensorflowEngine: Engine = {
  name: 'tensorflow',
  probe: () => {
    const { name, reason } = load()
    return Promise.resolve(name === undefined ? reason : undefined)
  },
  start: async () => {
    const { name } = load()
    await tf.setBackend('tensorflow')
    await tf.ready()
    const { binding, isUsingGpuDevice } = tf.backend() as unknown as {
      binding?: { TF_Version?: string }
      isUsingGpuDevice?: boolean
    }
    const version = binding?.TF_Version ?? ''
    const device = isUsingGpuDevice === true ? 'GPU' : 'CPU, where the native engine is about 3 times as fast'
    return {
      name: 'tensorflow',
      describe: () => `tensorflow ${version} (${name ?? ''}, tfjs ${tf.version_core}) on the ${device}`,
    }
  },
}
