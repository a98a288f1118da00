/** What rezoom and roi_align share: the checks of a feature map, and running a kernel or its reference. */
import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import { type KernelName, runKernel, runKernelSync } from './addon.js'
import { checkArray, overlap } from './arrays.js'

export const MAX_SIZE = 2 ** 20
export const MAX_ELEMENTS = 2 ** 31

/** A feature map, [n, h, w, c] or [n, c, h, w]. */
export interface FeatureMap {
  n: number
  height: number
  width: number
  channels: number
  /** Elements. */
  length: number
  nhwc: boolean
}

/** Checks the shape, layout and stride of a feature map. */
export function checkFeatureMap(input: {
  shape: readonly [n: number, h: number, w: number, c: number]
  layout?: 'NHWC' | 'NCHW' | undefined
  stride: number
}): FeatureMap {
  if (!Array.isArray(input.shape) || input.shape.length !== 4)
    throw invalidParameter('shape', 'four sizes [n, h, w, c]', input.shape)
  const [n, height, width, channels] = input.shape as [number, number, number, number]
  checkInteger('shape[0]', n, 0, MAX_SIZE)
  checkInteger('shape[1]', height, 1, MAX_SIZE)
  checkInteger('shape[2]', width, 1, MAX_SIZE)
  checkInteger('shape[3]', channels, 0, MAX_SIZE)
  const layout = input.layout ?? 'NHWC'
  if (layout !== 'NHWC' && layout !== 'NCHW') throw invalidParameter('layout', "'NHWC' or 'NCHW'", layout)
  checkNumber('stride', input.stride, 1e-6, 1e6)
  const length = n * height * width * channels
  if (length > MAX_ELEMENTS) throw invalidParameter('shape', 'at most 2^31 elements', input.shape)
  return { n, height, width, channels, length, nhwc: layout === 'NHWC' }
}

/** `out`, checked, or a new array: what a kernel writes. It must share no bytes with what the kernel reads. */
export function outputArray(
  name: string,
  out: Float32Array | undefined,
  length: number,
  inputs: readonly ArrayBufferView[],
): Float32Array {
  if (out === undefined) return new Float32Array(length)
  checkArray(name, out, [Float32Array], length)
  if (inputs.some((input) => overlap(input, out)))
    throw invalidParameter(name, 'buffer that shares no bytes with the other arrays', out)
  return out
}

/** Runs the reference, or the kernel off the event loop. */
export async function runOn<Work extends { device: string }>(
  kernel: KernelName,
  reference: (work: Work) => void,
  work: Work,
): Promise<Work> {
  if (work.device === 'reference') reference(work)
  else await runKernel(kernel, work)
  return work
}

/** Runs the reference or the kernel at once. */
export function runOnSync<Work extends { device: string }>(
  kernel: KernelName,
  reference: (work: Work) => void,
  work: Work,
): Work {
  if (work.device === 'reference') reference(work)
  else runKernelSync(kernel, work)
  return work
}
