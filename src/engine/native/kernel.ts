/** How kernels are registered, counted and timed. */
import * as tf from '@tensorflow/tfjs'
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs'
import type { NativeBackend } from './backend.js'

/** Name of our tfjs backend. */
export const BACKEND = 'native'

export interface Call {
  inputs: Record<string, TensorInfo>
  attrs: NamedAttrMap
  backend: NativeBackend
}

/** A kernel of ours; undefined where it does not know these inputs (another dtype, say): tfjs's cpu kernel then runs. */
export type Kernel = (call: Call) => TensorInfo | TensorInfo[] | undefined
export type Kernels = Readonly<Record<string, Kernel>>

/** What one kernel did so far. */
export interface KernelUse {
  name: string
  /** Whether tfjs's JavaScript did it, since we have no kernel for these inputs. */
  fallback: boolean
  calls: number
  /** Milliseconds; of our own kernels only counted while profiling. */
  ms: number
  /** Bytes of the results; only counted while profiling. */
  bytes: number
}

const uses = new Map<string, KernelUse>()
let profiling = false

/** tfjs's cpu kernels that move no element: a new shape for the same data. */
const FREE = new Set(['Identity', 'Reshape', 'ExpandDims', 'Complex', 'Real', 'Imag'])

export function setProfiling(on: boolean): void {
  profiling = on
}

export function clearKernelUses(): void {
  uses.clear()
}

/** All kernels that were used, the most expensive first. */
export function kernelUses(): KernelUse[] {
  return [...uses.values()].sort((a, b) => b.ms - a.ms || b.calls - a.calls)
}

function use(name: string, fallback: boolean): KernelUse {
  const key = fallback ? `${name} (JavaScript)` : name
  let entry = uses.get(key)
  if (entry === undefined) uses.set(key, (entry = { name, fallback, calls: 0, ms: 0, bytes: 0 }))
  return entry
}

function bytesOf(result: TensorInfo | TensorInfo[]): number {
  const list = Array.isArray(result) ? result : [result]
  return list.reduce(
    (sum, info) => sum + tf.util.sizeFromShape(info.shape) * (info.dtype === 'bool' ? 1 : 4),
    0,
  )
}

function record(name: string, fallback: boolean, start: number, result: TensorInfo | TensorInfo[]): void {
  const entry = use(name, fallback)
  entry.calls++
  entry.ms += performance.now() - start
  if (profiling) entry.bytes += bytesOf(result)
}

/** Registers our kernels over copies of tfjs's cpu kernels. Call once, before the backend is used. */
export function registerKernels(own: Kernels): void {
  const cpu = new Map(tf.getKernelsForBackend('cpu').map((config) => [config.kernelName, config.kernelFunc]))
  for (const name of new Set([...cpu.keys(), ...Object.keys(own)])) {
    const native = own[name]
    const slow = cpu.get(name)
    tf.registerKernel({
      kernelName: name,
      backendName: BACKEND,
      kernelFunc: (params) => {
        const call = params as unknown as Call
        const start = profiling ? performance.now() : 0
        const result = native?.(call)
        if (result !== undefined) {
          if (profiling) record(name, false, start, result)
          return result
        }
        if (slow === undefined) throw new Error(`the native engine has no kernel ${name} for these inputs`)
        if (FREE.has(name)) return slow(params)
        const slowStart = performance.now()
        const slowResult = slow(params)
        record(name, true, slowStart, slowResult)
        return slowResult
      },
    })
  }
}

/** Whether all of these are float32. */
export function areFloats(...infos: (TensorInfo | undefined)[]): boolean {
  return infos.every((info) => info === undefined || info.dtype === 'float32')
}

/** The product of sizes. */
export function product(sizes: readonly number[]): number {
  let total = 1
  for (const size of sizes) total *= size
  return total
}

/** Row-major strides, one a dimension. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = Array.from<number>({ length: shape.length })
  let stride = 1
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = stride
    stride *= shape[d]!
  }
  return strides
}
