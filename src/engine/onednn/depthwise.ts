/** Depthwise convolutions of one filter a channel; tfjs's cpu kernels do those of several. */
import type { TensorInfo } from '@tensorflow/tfjs'
import { areFloats } from './kernel.js'
import type { Call, Kernels } from './kernel.js'
import { convMeta, planConv } from './layers.js'

/** The shapes of a depthwise convolution, its geometry being in `convMeta`; undefined where it is not ours. */
function plan(
  attrs: Call['attrs'],
  inShape: number[],
  filterShape: number[],
): { inShape: number[]; outShape: number[] } | undefined {
  return filterShape[3] === 1 ? planConv(attrs, inShape, filterShape, true) : undefined
}

function forward({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x, filter } = inputs as { x: TensorInfo; filter: TensorInfo }
  if (!areFloats(x, filter)) return undefined
  const c = plan(attrs, x.shape, filter.shape)
  if (c === undefined) return undefined
  const out = backend.output(c.outShape, 'float32')
  backend.addon.depthwiseForward(convMeta, backend.floats(x), backend.floats(filter), out.values)
  return out.info
}

function backpropInput({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { dy, filter } = inputs as { dy: TensorInfo; filter: TensorInfo }
  if (!areFloats(dy, filter)) return undefined
  const c = plan(attrs, attrs['inputShape'] as number[], filter.shape)
  if (c === undefined) return undefined
  const out = backend.output(c.inShape, 'float32')
  backend.addon.depthwiseBackwardData(convMeta, backend.floats(dy), backend.floats(filter), out.values)
  return out.info
}

function backpropFilter({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x, dy } = inputs as { x: TensorInfo; dy: TensorInfo }
  if (!areFloats(x, dy)) return undefined
  const filterShape = attrs['filterShape'] as number[]
  const c = plan(attrs, x.shape, filterShape)
  if (c === undefined) return undefined
  const out = backend.output(filterShape, 'float32')
  backend.addon.depthwiseBackwardFilter(convMeta, backend.floats(x), backend.floats(dy), out.values)
  return out.info
}

export const depthwiseKernels: Kernels = {
  DepthwiseConv2dNative: forward,
  DepthwiseConv2dNativeBackpropInput: backpropInput,
  DepthwiseConv2dNativeBackpropFilter: backpropFilter,
}
