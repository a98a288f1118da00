/** How kernels are registered, and those that we lack counted. */
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

/** How often tfjs's JavaScript did a kernel, since we have none for its inputs. */
export interface Fallback {
  name: string
  calls: number
  ms: number
}

const fallbacks = new Map<string, Fallback>()

/** tfjs's cpu kernels that move no element: a new shape for the same data. */
const FREE = new Set(['Identity', 'Reshape', 'ExpandDims', 'Complex', 'Real', 'Imag'])

export function clearFallbacks(): void {
  fallbacks.clear()
}

/** All kernels that fell back to JavaScript, the most expensive first. */
export function kernelFallbacks(): Fallback[] {
  return [...fallbacks.values()].sort((a, b) => b.ms - a.ms)
}

function count(name: string, ms: number): void {
  let entry = fallbacks.get(name)
  if (entry === undefined) fallbacks.set(name, (entry = { name, calls: 0, ms: 0 }))
  entry.calls++
  entry.ms += ms
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
        const result = native?.(params as unknown as Call)
        if (result !== undefined) return result
        if (slow === undefined) throw new Error(`the native engine has no kernel ${name} for these inputs`)
        if (FREE.has(name)) return slow(params)
        const start = performance.now()
        const slowResult = slow(params)
        count(name, performance.now() - start)
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
