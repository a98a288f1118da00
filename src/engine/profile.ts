import * as tf from '@tensorflow/tfjs'
import type { NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs'
import { kernelFallbacks } from './onednn/kernel.js'
import { alignColumns } from '../text_table.js'

/** What one kernel did while the profile ran. */
export interface KernelTime {
  name: string
  calls: number
  /** Milliseconds, without kernels that it called. */
  ms: number
  /** Bytes of its results. */
  bytes: number
}

export interface Profile {
  /** Kernels of the backend, the most expensive first. */
  kernels: KernelTime[]
  /** Wall time since the start, ms; what no kernel took is JavaScript: graph, gradients' bookkeeping, data. */
  ms: number
}

/**
 * Counts and times the kernels of the running engine from now on, until the returned function is called.
 * Works for every tfjs backend; costs a few microseconds a call.
 */
export function startProfile(): () => Profile {
  const times = new Map<string, KernelTime>()
  const started = performance.now()
  // Time that kernels took which the running kernel called.
  let inner = 0
  const originals = tf.getKernelsForBackend(tf.getBackend()).map((config) => {
    const { kernelFunc, kernelName: name } = config
    config.kernelFunc = (params) => {
      const outer = inner
      inner = 0
      const start = performance.now()
      const result = kernelFunc(params)
      const ms = performance.now() - start
      let entry = times.get(name)
      if (entry === undefined) times.set(name, (entry = { name, calls: 0, ms: 0, bytes: 0 }))
      entry.calls++
      entry.ms += ms - inner
      entry.bytes += newBytes(result, params.inputs)
      inner = outer + ms
      return result
    }
    return { config, kernelFunc }
  })
  return () => {
    for (const { config, kernelFunc } of originals) config.kernelFunc = kernelFunc
    const kernels = [...times.values()].sort((a, b) => b.ms - a.ms)
    return { kernels, ms: performance.now() - started }
  }
}

/** Bytes of the results that are not the data of an input under a new shape. */
function newBytes(result: TensorInfo | TensorInfo[], inputs: NamedTensorInfoMap): number {
  const old = Object.values(inputs)
  if (!Array.isArray(result))
    return old.some((input) => input?.dataId === result.dataId) ? 0 : bytesOf(result)
  if (result.length === 0) return 0
  const ids = new Set(old.map((input) => input?.dataId))
  return result.reduce((sum, info) => sum + (ids.has(info.dataId) ? 0 : bytesOf(info)), 0)
}

function bytesOf({ shape, dtype }: TensorInfo): number {
  return tf.util.sizeFromShape(shape) * tf.util.bytesPerElement(dtype)
}

/** The profile as a table; `steps` divides the figures. Kernels below 0.5 % of the time share one line. */
export function profileTable(profile: Profile, steps: number): string {
  const line = (name: string, ms: number, calls: string, bytes: string): string[] => [
    name,
    (ms / steps).toFixed(2),
    ((ms / profile.ms) * 100).toFixed(1),
    calls,
    bytes,
  ]
  const row = ({ name, ms, calls, bytes }: KernelTime): string[] =>
    line(name, ms, (calls / steps).toFixed(1), (bytes / steps / 2 ** 20).toFixed(2))
  const add = (kernels: KernelTime[], key: 'ms' | 'calls' | 'bytes'): number =>
    kernels.reduce((sum, kernel) => sum + kernel[key], 0)
  const large = profile.kernels.filter((kernel) => kernel.ms >= profile.ms / 200)
  const small = profile.kernels.filter((kernel) => kernel.ms < profile.ms / 200)
  const fallbacks = kernelFallbacks()
  const rows = [
    ['kernel', 'ms/step', '%', 'calls', 'MiB'],
    ...large.map(row),
    row({
      name: `${small.length} more kernels`,
      ms: add(small, 'ms'),
      calls: add(small, 'calls'),
      bytes: add(small, 'bytes'),
    }),
    line('JavaScript outside the kernels', profile.ms - add(profile.kernels, 'ms'), '', ''),
    row({
      name: 'altogether',
      ms: profile.ms,
      calls: add(profile.kernels, 'calls'),
      bytes: add(profile.kernels, 'bytes'),
    }),
  ]
  const table = alignColumns(rows, { indent: '' }).trimEnd()
  if (tf.getBackend() !== 'native') return table
  const uses = fallbacks.map((use) => `${use.name} x ${use.calls}`).join(', ') || 'none'
  return `${table}\nJavaScript kernels within the native engine: ${uses}`
}
