/** Convolutions; depthwise ones of one filter a channel: tfjs's cpu kernels do those of several. */
import { convInfo } from '../conv_info.js'
import type { Conv2DInfo } from '../conv_info.js'
import { areFloats, product } from './kernel.js'
import type { Call, Kernel, Kernels } from './kernel.js'
import type { TensorInfo } from '@tensorflow/tfjs'

const convMeta = new Int32Array(17)

/** The geometry of a convolution, also in `convMeta`; undefined where it is not ours. */
function plan(
  attrs: Call['attrs'],
  inShape: number[],
  filterShape: number[],
  depthwise: boolean,
): Conv2DInfo | undefined {
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
  convMeta.set(sizes.flat())
  return c
}

/** The three kernels of one kind of convolution: forward, gradient of the image, gradient of the filter. */
function kernelsOf(name: string, kind: 'conv' | 'depthwise'): Kernels {
  const depthwise = kind === 'depthwise'
  const forward: Kernel = ({ inputs, attrs, backend }) => {
    const { x, filter } = inputs as { x: TensorInfo; filter: TensorInfo }
    if (!areFloats(x, filter)) return undefined
    const c = plan(attrs, x.shape, filter.shape, depthwise)
    if (c === undefined) return undefined
    const out = backend.output(c.outShape, 'float32')
    backend.addon[`${kind}Forward`](convMeta, backend.floats(x), backend.floats(filter), out.values)
    return out.info
  }
  const backpropInput: Kernel = ({ inputs, attrs, backend }) => {
    const { dy, filter } = inputs as { dy: TensorInfo; filter: TensorInfo }
    if (!areFloats(dy, filter)) return undefined
    const c = plan(attrs, attrs['inputShape'] as number[], filter.shape, depthwise)
    if (c === undefined) return undefined
    const out = backend.output(c.inShape, 'float32')
    backend.addon[`${kind}BackwardData`](convMeta, backend.floats(dy), backend.floats(filter), out.values)
    return out.info
  }
  const backpropFilter: Kernel = ({ inputs, attrs, backend }) => {
    const { x, dy } = inputs as { x: TensorInfo; dy: TensorInfo }
    if (!areFloats(x, dy)) return undefined
    const filterShape = attrs['filterShape'] as number[]
    const c = plan(attrs, x.shape, filterShape, depthwise)
    if (c === undefined) return undefined
    const out = backend.output(filterShape, 'float32')
    backend.addon[`${kind}BackwardFilter`](convMeta, backend.floats(x), backend.floats(dy), out.values)
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
