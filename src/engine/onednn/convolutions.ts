/** Convolutions; depthwise ones of one filter a channel: tfjs's cpu kernels do those of several. */
import { convInfo } from '../conv_info.js'
import type { Conv2DInfo } from '../conv_info.js'
import type { NativeBackend } from './backend.js'
import { areFloats, product } from './kernel.js'
import type { Call, Kernel, Kernels } from './kernel.js'
import * as tf from '@tensorflow/tfjs'
import type { TensorInfo } from '@tensorflow/tfjs'

/** A convolution as the addon takes it; undefined where it is not ours. */
interface Geometry {
  meta: Int32Array
  inShape: number[]
  outShape: number[]
  /** A product of [pixels, channels] with the filter. */
  isProduct: boolean
}

/** `attrs.geometry`: planned before, for a caller with the same convolution again and again. */
function plan(
  attrs: Call['attrs'],
  inShape: number[],
  filterShape: number[],
  depthwise: boolean,
): Geometry | undefined {
  const known = attrs['geometry'] as unknown as Geometry | undefined
  return known ?? planConvolution(attrs, inShape, filterShape, depthwise)
}

/** @param attrs of tfjs's kernel Conv2D */
export function planConvolution(
  attrs: Call['attrs'],
  inShape: number[],
  filterShape: number[],
  depthwise = false,
): Geometry | undefined {
  if (depthwise && filterShape[3] !== 1) return undefined
  const c = convInfo(attrs, inShape, filterShape, depthwise)
  if (c === undefined) return undefined
  if (product(c.inShape) === 0 || product(c.outShape) === 0 || product(filterShape) === 0) return undefined
  // What the last window needs behind the image: may be less than tfjs's padding when the stride does not fit.
  const behind = (out: number, stride: number, filter: number, inside: number, before: number): number =>
    Math.max(0, (out - 1) * stride + filter - inside - before)
  const { padInfo: p } = c
  const sizes = [
    [c.batchSize, c.inHeight, c.inWidth, c.inChannels, c.outHeight, c.outWidth, c.outChannels],
    [c.filterHeight, c.filterWidth, c.strideHeight, c.strideWidth, c.dilationHeight, c.dilationWidth],
    [p.top, behind(c.outHeight, c.strideHeight, c.effectiveFilterHeight, c.inHeight, p.top)],
    [p.left, behind(c.outWidth, c.strideWidth, c.effectiveFilterWidth, c.inWidth, p.left)],
  ]
  return {
    meta: Int32Array.from(sizes.flat()),
    inShape: c.inShape,
    outShape: c.outShape,
    isProduct: !depthwise && isProduct(c),
  }
}

function isProduct(c: Conv2DInfo): boolean {
  const window = [c.filterHeight, c.filterWidth, c.strideHeight, c.strideWidth]
  return (
    window.every((size) => size === 1) && tf.util.arraysEqual(c.inShape.slice(0, 3), c.outShape.slice(0, 3))
  )
}

/** onto += dy * filter, transposed. */
function addProduct(backend: NativeBackend, dy: TensorInfo, filter: TensorInfo, onto: TensorInfo): void {
  const [channels, filters] = filter.shape.slice(2) as [number, number]
  const [from, by, to] = [backend.floats(dy), backend.floats(filter), backend.floats(onto)]
  backend.addon.matMul(
    false,
    true,
    product(dy.shape) / filters,
    channels,
    filters,
    from,
    0,
    by,
    0,
    to,
    0,
    true,
  )
}

/**
 * The three kernels of one kind of convolution: forward, gradient of the image, gradient of the filter. The second adds to `onto`, in
 * place, where it has that input and the convolution is a product; it then returns it.
 */
function kernelsOf(name: string, kind: 'conv' | 'depthwise'): Kernels {
  const depthwise = kind === 'depthwise'
  const forward: Kernel = ({ inputs, attrs, backend }) => {
    const { x, filter } = inputs as { x: TensorInfo; filter: TensorInfo }
    if (!areFloats(x, filter)) return undefined
    const c = plan(attrs, x.shape, filter.shape, depthwise)
    if (c === undefined) return undefined
    const out = backend.output(c.outShape, 'float32')
    backend.addon[`${kind}Forward`](c.meta, backend.floats(x), backend.floats(filter), out.values)
    return out.info
  }
  const backpropInput: Kernel = ({ inputs, attrs, backend }) => {
    const { dy, filter, onto } = inputs as { dy: TensorInfo; filter: TensorInfo; onto?: TensorInfo }
    if (!areFloats(dy, filter)) return undefined
    const c = plan(attrs, attrs['inputShape'] as number[], filter.shape, depthwise)
    if (c === undefined) return undefined
    if (onto !== undefined && c.isProduct) {
      addProduct(backend, dy, filter, onto)
      return backend.alias(onto)
    }
    const out = backend.output(c.inShape, 'float32')
    backend.addon[`${kind}BackwardData`](c.meta, backend.floats(dy), backend.floats(filter), out.values)
    return out.info
  }
  const backpropFilter: Kernel = ({ inputs, attrs, backend }) => {
    const { x, dy } = inputs as { x: TensorInfo; dy: TensorInfo }
    if (!areFloats(x, dy)) return undefined
    const filterShape = attrs['filterShape'] as number[]
    const c = plan(attrs, x.shape, filterShape, depthwise)
    if (c === undefined) return undefined
    const out = backend.output(filterShape, 'float32')
    backend.addon[`${kind}BackwardFilter`](c.meta, backend.floats(x), backend.floats(dy), out.values)
    return out.info
  }
  return {
    [name]: forward,
    [`${name}BackpropInput`]: backpropInput,
    [`${name}BackpropFilter`]: backpropFilter,
  }
}

export const convolutionKernels: Kernels = {
  ...kernelsOf('Conv2D', 'conv'),
  ...kernelsOf('DepthwiseConv2dNative', 'depthwise'),
}
