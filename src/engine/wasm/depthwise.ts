/**
 * Gradients of depthwise convolutions, which tfjs's wasm backend lacks: plain loops on its heap, channels innermost. Any
 * channel multiplier m: output channel c * m + q belongs to input channel c.
 */
import type { TensorInfo } from '@tensorflow/tfjs'
import type { Conv2DInfo } from '../conv_info.js'
import { nhwcInfo, view, wasmKernel } from './support.js'
import type { Call } from './support.js'

/** Calls pixel for each output pixel and each tap inside the image, with where their channels begin. */
function forPixels(c: Conv2DInfo, pixel: (input: number, tap: number, output: number) => void): void {
  let output = 0
  for (let n = 0; n < c.batchSize; n++)
    for (let oy = 0; oy < c.outHeight; oy++)
      for (let ox = 0; ox < c.outWidth; ox++, output += c.outChannels)
        for (let ky = 0; ky < c.filterHeight; ky++) {
          const y = oy * c.strideHeight - c.padInfo.top + ky * c.dilationHeight
          if (y < 0 || y >= c.inHeight) continue
          for (let kx = 0; kx < c.filterWidth; kx++) {
            const x = ox * c.strideWidth - c.padInfo.left + kx * c.dilationWidth
            if (x < 0 || x >= c.inWidth) continue
            const input = ((n * c.inHeight + y) * c.inWidth + x) * c.inChannels
            pixel(input, (ky * c.filterWidth + kx) * c.outChannels, output)
          }
        }
}

function inputGradient({ inputs, attrs, backend }: Call): TensorInfo {
  const { dy, filter } = inputs as { dy: TensorInfo; filter: TensorInfo }
  const inputShape = attrs['inputShape'] as number[]
  const c = nhwcInfo(attrs, inputShape, filter.shape, true)
  const multiplier = filter.shape[3]!
  const out = backend.makeOutput(inputShape, 'float32')
  const to = view(backend, out).fill(0)
  const from = view(backend, dy)
  const weights = view(backend, filter)
  forPixels(c, (input, tap, output) => {
    for (let i = 0; i < c.outChannels; i++)
      to[input + (multiplier === 1 ? i : Math.floor(i / multiplier))]! +=
        from[output + i]! * weights[tap + i]!
  })
  return out
}

function filterGradient({ inputs, attrs, backend }: Call): TensorInfo {
  const { x, dy } = inputs as { x: TensorInfo; dy: TensorInfo }
  const filterShape = attrs['filterShape'] as number[]
  const c = nhwcInfo(attrs, x.shape, filterShape, true)
  const multiplier = filterShape[3]!
  const out = backend.makeOutput(filterShape, 'float32')
  const to = view(backend, out).fill(0)
  const image = view(backend, x)
  const from = view(backend, dy)
  forPixels(c, (input, tap, output) => {
    for (let i = 0; i < c.outChannels; i++)
      to[tap + i]! += image[input + (multiplier === 1 ? i : Math.floor(i / multiplier))]! * from[output + i]!
  })
  return out
}

export const depthwiseKernels = [
  wasmKernel('DepthwiseConv2dNativeBackpropInput', inputGradient),
  wasmKernel('DepthwiseConv2dNativeBackpropFilter', filterGradient),
]
