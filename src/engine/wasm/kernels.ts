/**
 * Kernels that tfjs's wasm backend lacks or has only in a form too slow for training. The products run in its XNNPACK
 * matrix product (about 20 GMAC/s on one core); the data movement around them is JavaScript on the wasm heap.
 *
 * A view of the heap is good only until the next allocation (the heap may move): outputs are made before views are taken.
 */
import * as tf from '@tensorflow/tfjs'
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs'
import type { Conv2DInfo } from '../conv_info.js'
import { depthwiseKernels } from './depthwise.js'
import { fusedWasmKernels } from './fused.js'
import { nhwcInfo, view, wasmKernel } from './support.js'
import type { Call, WasmBackend } from './support.js'

type Original = (call: Call) => TensorInfo

let registered = false

/** Registers the kernels once per process, instead of tfjs's own where it has one. */
export function registerWasmKernels(): void {
  if (registered) return
  registered = true
  const original = (name: string): Original => {
    const { kernelFunc } = tf.getKernel(name, 'wasm')
    return (call) => kernelFunc(call as never) as TensorInfo
  }
  const matrixProduct = original('BatchMatMul')
  const convolution = original('Conv2D')
  const pooling = original('MaxPool')
  const kernels = [
    ...['Conv2D', 'FusedConv2D', 'DepthwiseConv2dNative', 'FusedDepthwiseConv2D'].map((name) => {
      const before = original(name)
      return wasmKernel(name, (call) => before(withPadding(call, name.includes('Depthwise'))))
    }),
    wasmKernel('BatchMatMul', (call) => matMul(call, matrixProduct)),
    wasmKernel('Conv2DBackpropFilter', (call) => filterGradient(call, matrixProduct)),
    wasmKernel('Conv2DBackpropInput', (call) => inputGradient(call, matrixProduct, convolution)),
    wasmKernel('MaxPool', (call) => maxPool(call, pooling)),
    wasmKernel('MaxPoolGrad', maxPoolGradient),
    wasmKernel('AvgPoolGrad', averagePoolGradient),
    wasmKernel('UnsortedSegmentSum', unsortedSegmentSum),
    ...depthwiseKernels,
    ...fusedWasmKernels,
  ]
  for (const config of kernels) {
    const before = tf.getKernel(config.kernelName, 'wasm')
    if (before != null) tf.unregisterKernel(config.kernelName, 'wasm')
    // A replaced kernel keeps tfjs's set-up: ours calls the original.
    tf.registerKernel(before?.setupFunc == null ? config : { ...config, setupFunc: before.setupFunc })
  }
}

/** tfjs's own convolutions pad wrongly where 'same' meets a stride larger than the filter; numbers they take as they are. */
function withPadding(call: Call, depthwise: boolean): Call {
  const { inputs, attrs } = call
  const { x, filter } = inputs as { x: TensorInfo; filter: TensorInfo }
  if (attrs['pad'] !== 'same') return call
  const c = nhwcInfo(attrs, x.shape, filter.shape, depthwise)
  if (c.strideHeight <= c.filterHeight && c.strideWidth <= c.filterWidth) return call
  const { top, bottom, left, right } = c.padInfo
  const pad = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]
  return { ...call, attrs: { ...attrs, pad } }
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

/** Writes the transpose of `from` [rows, columns] to `to` [columns, rows], block by block for the cache. */
function transpose(from: Float32Array, to: Float32Array, rows: number, columns: number): void {
  const block = 32
  for (let r0 = 0; r0 < rows; r0 += block) {
    const r1 = Math.min(rows, r0 + block)
    for (let c0 = 0; c0 < columns; c0 += block) {
      const c1 = Math.min(columns, c0 + block)
      for (let c = c0; c < c1; c++) for (let r = r0; r < r1; r++) to[c * rows + r] = from[r * columns + c]!
    }
  }
}

function transposed(backend: WasmBackend, x: TensorInfo, rows: number, columns: number): TensorInfo {
  const out = backend.makeOutput([columns, rows], 'float32')
  transpose(view(backend, x), view(backend, out), rows, columns)
  return out
}

/** a [m, k] x b [k, n] -> [m, n] in XNNPACK. */
function multiply(backend: WasmBackend, original: Original, a: TensorInfo, b: TensorInfo): TensorInfo {
  return original({ inputs: { a, b }, attrs: { transposeA: false, transposeB: false }, backend })
}

/**
 * a x b with either transposed. The wasm backend multiplies transposed matrices in a slow loop: here they are
 * transposed first. Batches stay with the original.
 */
function matMul(call: Call, original: Original): TensorInfo {
  const { inputs, attrs, backend } = call
  const { a, b } = inputs as { a: TensorInfo; b: TensorInfo }
  const batch = product(a.shape.slice(0, -2)) * product(b.shape.slice(0, -2))
  if (batch !== 1 || product(a.shape) === 0 || product(b.shape) === 0) return original(call)
  const made: TensorInfo[] = []
  const matrix = (x: TensorInfo, turn: unknown): TensorInfo => {
    const shape = x.shape.slice(-2) as [number, number]
    if (turn !== true) return { ...x, shape }
    made.push(transposed(backend, x, ...shape))
    return made.at(-1)!
  }
  const left = matrix(a, attrs['transposeA'])
  const right = matrix(b, attrs['transposeB'])
  const out = multiply(backend, original, left, right)
  for (const info of made) backend.disposeData(info.dataId)
  const lead = a.shape.length >= b.shape.length ? a.shape.slice(0, -2) : b.shape.slice(0, -2)
  return { ...out, shape: [...lead, left.shape[0]!, right.shape[1]!] }
}

const isPointwise = (c: Conv2DInfo): boolean =>
  c.filterHeight * c.filterWidth * c.strideHeight * c.strideWidth === 1 &&
  c.padInfo.top + c.padInfo.left === 0

/**
 * dW [kh*kw*cin, cout] = patches(x)^T [kh*kw*cin, pixels] x dy [pixels, cout], image by image. The patches are made
 * from x turned to [cin, h, w], so that each of their rows is copied in runs.
 */
function filterGradient(call: Call, original: Original): TensorInfo {
  const { inputs, attrs, backend } = call
  const { x, dy } = inputs as { x: TensorInfo; dy: TensorInfo }
  const filterShape = attrs['filterShape'] as number[]
  const c = nhwcInfo(attrs, x.shape, filterShape)
  const inPixels = c.inHeight * c.inWidth
  const outPixels = c.outHeight * c.outWidth
  const rows = c.filterHeight * c.filterWidth * c.inChannels
  const out = backend.makeOutput(filterShape, 'float32')
  const planes = backend.makeOutput([c.inChannels, inPixels], 'float32')
  const patches = isPointwise(c) ? planes : backend.makeOutput([rows, outPixels], 'float32')
  view(backend, out).fill(0)
  for (let n = 0; n < c.batchSize; n++) {
    const from = view(backend, x).subarray(n * inPixels * c.inChannels, (n + 1) * inPixels * c.inChannels)
    transpose(from, view(backend, planes), inPixels, c.inChannels)
    if (patches !== planes) fillPatches(view(backend, planes), view(backend, patches), c)
    // A tensor of its own for each image: XNNPACK keeps what it packed of a right-hand matrix by tensor.
    const image = backend.makeOutput([outPixels, c.outChannels], 'float32')
    const size = outPixels * c.outChannels
    view(backend, image).set(view(backend, dy).subarray(n * size, (n + 1) * size))
    const part = multiply(backend, original, patches, image)
    const sum = view(backend, out)
    const term = view(backend, part)
    if (c.batchSize === 1) sum.set(term)
    else for (let i = 0; i < sum.length; i++) sum[i]! += term[i]!
    backend.disposeData(part.dataId)
    backend.disposeData(image.dataId)
  }
  if (patches !== planes) backend.disposeData(patches.dataId)
  backend.disposeData(planes.dataId)
  return out
}

/** planes [cin, h, w] -> patches [kh, kw, cin, outH, outW]; 0 outside the image. */
function fillPatches(planes: Float32Array, patches: Float32Array, c: Conv2DInfo): void {
  const { inHeight, inWidth, outHeight, outWidth, strideHeight, strideWidth } = c
  let to = 0
  for (let ky = 0; ky < c.filterHeight; ky++) {
    for (let kx = 0; kx < c.filterWidth; kx++) {
      const dx = kx * c.dilationWidth - c.padInfo.left
      const first = Math.max(0, Math.ceil(-dx / strideWidth))
      const end = Math.max(first, Math.min(outWidth, Math.floor((inWidth - 1 - dx) / strideWidth) + 1))
      for (let channel = 0; channel < c.inChannels; channel++) {
        for (let y = 0; y < outHeight; y++, to += outWidth) {
          const iy = y * strideHeight + ky * c.dilationHeight - c.padInfo.top
          if (iy < 0 || iy >= inHeight || first === end) {
            patches.fill(0, to, to + outWidth)
            continue
          }
          const from = (channel * inHeight + iy) * inWidth + dx
          for (let i = 0; i < first; i++) patches[to + i] = 0
          if (strideWidth === 1) patches.set(planes.subarray(from + first, from + end), to + first)
          else for (let i = first; i < end; i++) patches[to + i] = planes[from + i * strideWidth]!
          for (let i = end; i < outWidth; i++) patches[to + i] = 0
        }
      }
    }
  }
}

/**
 * dx of a convolution. Stride 1: the convolution of dy with the filter turned by 180 degrees and its channels
 * exchanged. Else: dy [pixels, cout] x W^T [cout, kh*kw*cin], added up where the patches overlap.
 */
function inputGradient(call: Call, original: Original, convolution: Original): TensorInfo {
  const { inputs, attrs, backend } = call
  const { dy, filter } = inputs as { dy: TensorInfo; filter: TensorInfo }
  const inputShape = attrs['inputShape'] as number[]
  const c = nhwcInfo(attrs, inputShape, filter.shape)
  const taps = c.filterHeight * c.filterWidth
  const pixels = c.batchSize * c.outHeight * c.outWidth
  if (c.strideHeight === 1 && c.strideWidth === 1 && !isPointwise(c)) {
    const turned = backend.makeOutput([c.filterHeight, c.filterWidth, c.outChannels, c.inChannels], 'float32')
    const size = c.inChannels * c.outChannels
    const from = view(backend, filter)
    const to = view(backend, turned)
    for (let tap = 0; tap < taps; tap++) {
      const source = from.subarray((taps - 1 - tap) * size, (taps - tap) * size)
      transpose(source, to.subarray(tap * size, (tap + 1) * size), c.inChannels, c.outChannels)
    }
    const { top, bottom, left, right } = c.padInfo
    const pad = [
      [0, 0],
      [c.filterHeight - 1 - top, c.filterHeight - 1 - bottom],
      [c.filterWidth - 1 - left, c.filterWidth - 1 - right],
      [0, 0],
    ]
    const out = convolution({
      inputs: { x: dy, filter: turned },
      attrs: { strides: [1, 1], pad: pad as never, dataFormat: 'NHWC', dilations: [1, 1] },
      backend,
    })
    backend.disposeData(turned.dataId)
    return out
  }
  const flat = transposed(backend, filter, taps * c.inChannels, c.outChannels)
  const patches = multiply(backend, original, { ...dy, shape: [pixels, c.outChannels] }, flat)
  backend.disposeData(flat.dataId)
  if (isPointwise(c)) return { ...patches, shape: inputShape }
  const out = backend.makeOutput(inputShape, 'float32')
  addPatches(view(backend, patches), view(backend, out), c)
  backend.disposeData(patches.dataId)
  return out
}

/** patches [n, outH, outW, kh, kw, cin] added up at their places in out [n, h, w, cin]. */
function addPatches(patches: Float32Array, out: Float32Array, c: Conv2DInfo): void {
  out.fill(0)
  const channels = c.inChannels
  let from = 0
  for (let n = 0; n < c.batchSize; n++)
    for (let y = 0; y < c.outHeight; y++)
      for (let x = 0; x < c.outWidth; x++)
        for (let ky = 0; ky < c.filterHeight; ky++)
          for (let kx = 0; kx < c.filterWidth; kx++, from += channels) {
            const iy = y * c.strideHeight + ky * c.dilationHeight - c.padInfo.top
            const ix = x * c.strideWidth + kx * c.dilationWidth - c.padInfo.left
            if (iy < 0 || iy >= c.inHeight || ix < 0 || ix >= c.inWidth) continue
            const to = ((n * c.inHeight + iy) * c.inWidth + ix) * channels
            for (let i = 0; i < channels; i++) out[to + i]! += patches[from + i]!
          }
}

function poolInfo(attrs: NamedAttrMap, shape: number[]): Conv2DInfo {
  return tf.backend_util.computePool2DInfo(
    shape as [number, number, number, number],
    attrs['filterSize'] as number,
    attrs['strides'] as number,
    1,
    attrs['pad'] as 'same',
    attrs['dimRoundingMode'] as 'floor',
  )
}

/** As tfjs's own, but NaN is the maximum of its window: tfjs takes another one, so that the loss hides it. */
function maxPool(call: Call, original: Original): TensorInfo {
  const { inputs, attrs, backend } = call
  const { x } = inputs as { x: TensorInfo }
  const out = original(call)
  if (!mayHaveNaN(view(backend, x))) return out
  const to = view(backend, out)
  const from = view(backend, x)
  forWindows(poolInfo(attrs, x.shape), (at, pixel, channels) => {
    for (let i = 0; i < channels; i++) if (Number.isNaN(from[pixel + i]!)) to[at + i] = NaN
  })
  return out
}

/** Their sum tells, which costs least; Infinity and -Infinity make it NaN too. */
function mayHaveNaN(values: Float32Array): boolean {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return Number.isNaN(sum)
}

/**
 * Calls visit(first channel of an output pixel, that of an input pixel of its window, channels, the window's pixels within
 * the input), output by output.
 */
function forWindows(
  c: Conv2DInfo,
  visit: (at: number, pixel: number, channels: number, size: number) => void,
): void {
  const channels = c.inChannels
  for (let n = 0, at = 0; n < c.batchSize; n++)
    for (let oy = 0; oy < c.outHeight; oy++)
      for (let ox = 0; ox < c.outWidth; ox++, at += channels) {
        const [y0, x0] = [oy * c.strideHeight - c.padInfo.top, ox * c.strideWidth - c.padInfo.left]
        const [top, left] = [Math.max(0, y0), Math.max(0, x0)]
        const bottom = Math.min(c.inHeight, y0 + c.filterHeight)
        const right = Math.min(c.inWidth, x0 + c.filterWidth)
        const size = (bottom - top) * (right - left)
        for (let y = top; y < bottom; y++)
          for (let x = left; x < right; x++)
            visit(at, ((n * c.inHeight + y) * c.inWidth + x) * channels, channels, size)
      }
}

/**
 * dy goes to the first maximum of its window; NaN wins, the last one, as in the native engine. tfjs's own kernel is slow,
 * and wrong in test/engine's case.
 */
function maxPoolGradient({ inputs, attrs, backend }: Call): TensorInfo {
  const { input, dy } = inputs as { input: TensorInfo; dy: TensorInfo }
  const out = backend.makeOutput(input.shape, 'float32')
  const to = view(backend, out).fill(0)
  const x = view(backend, input)
  const from = view(backend, dy)
  const best = new Float32Array(from.length).fill(-Infinity)
  const place = new Int32Array(from.length).fill(-1)
  forWindows(poolInfo(attrs, input.shape), (at, pixel, channels) => {
    for (let i = 0; i < channels; i++) {
      const value = x[pixel + i]!
      if (!(value > best[at + i]! || Number.isNaN(value))) continue
      best[at + i] = value
      place[at + i] = pixel + i
    }
  })
  for (let at = 0; at < from.length; at++) if (place[at]! >= 0) to[place[at]!]! += from[at]!
  return out
}

/**
 * An output spreads dy over the inputs that it averaged. tfjs's own kernels divide by the whole filter, which is wrong
 * where the window reaches over the border; TensorFlow and the native engine do as here.
 */
function averagePoolGradient({ inputs, attrs, backend }: Call): TensorInfo {
  const { input, dy } = inputs as { input: TensorInfo; dy: TensorInfo }
  const out = backend.makeOutput(input.shape, 'float32')
  const to = view(backend, out).fill(0)
  const from = view(backend, dy)
  forWindows(poolInfo(attrs, input.shape), (at, pixel, channels, size) => {
    for (let i = 0; i < channels; i++) to[pixel + i]! += from[at + i]! / size
  })
  return out
}

/** out[segment] = sum of the rows of x whose id is `segment`; rows with an id out of range are dropped. */
function unsortedSegmentSum({ inputs, attrs, backend }: Call): TensorInfo {
  const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo }
  const segments = attrs['numSegments'] as number
  const rank = segmentIds.shape.length
  const width = product(x.shape.slice(rank))
  const out = backend.makeOutput([segments, ...x.shape.slice(rank)], x.dtype)
  const to = backend.typedArrayFromHeap(out).fill(0)
  const from = backend.typedArrayFromHeap(x)
  const ids = backend.typedArrayFromHeap(segmentIds)
  for (let row = 0; row < ids.length; row++) {
    const segment = ids[row]!
    if (segment < 0 || segment >= segments) continue
    for (let i = 0; i < width; i++) to[segment * width + i]! += from[row * width + i]!
  }
  return out
}
