/** Kernels that move elements without computing: all by one strided copy. */
import * as tf from '@tensorflow/tfjs'
import type { TensorInfo } from '@tensorflow/tfjs'
import type { NativeBackend } from './backend.js'
import type { Data } from './addon.js'
import { MAX_RANK, meta } from './elementwise.js'
import { areFloats, product, stridesOf } from './kernel.js'
import type { Call, Kernels } from './kernel.js'

type Movable = 'float32' | 'int32' | 'bool'

/** Copies a block of `dims` elements; strides in elements. At most MAX_RANK dims. */
function copy(
  backend: NativeBackend,
  dims: readonly number[],
  from: { values: Data; start: number; strides: readonly number[] },
  to: { values: Data; start: number; strides: readonly number[] },
): void {
  const rank = dims.length
  for (let d = 0; d < rank; d++) {
    meta[d] = dims[d]!
    meta[rank + d] = from.strides[d]!
    meta[2 * rank + d] = to.strides[d]!
  }
  backend.addon.copyStrided(from.values, from.start, to.values, to.start, meta, rank)
}

/** x with its dimensions in another order. */
export function transposed(backend: NativeBackend, x: TensorInfo, order: readonly number[]): TensorInfo {
  const shape = order.map((d) => x.shape[d]!)
  const out = backend.output(shape, x.dtype as Movable)
  const strides = stridesOf(x.shape)
  const from = { values: backend.elements(x)!, start: 0, strides: order.map((d) => strides[d]!) }
  copy(backend, shape, from, { values: out.values as Data, start: 0, strides: stridesOf(shape) })
  return out.info
}

function transpose({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo }
  if (!movable(backend, x) || x.shape.length > MAX_RANK) return undefined
  return transposed(backend, x, attrs['perm'] as number[])
}

function movable(backend: NativeBackend, x: TensorInfo): boolean {
  return backend.elements(x) !== undefined
}

function slice({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo }
  if (!movable(backend, x) || x.shape.length > MAX_RANK) return undefined
  const [begin, size] = tf.slice_util.parseSliceParams(
    x as unknown as tf.Tensor,
    attrs['begin'] as number[],
    attrs['size'] as number[],
  )
  tf.slice_util.assertParamsValid(x as unknown as tf.Tensor, begin!, size!)
  return block(backend, x, begin!, size!)
}

/** The part of x from `begin` on, `size` long in each dimension. */
export function block(backend: NativeBackend, x: TensorInfo, begin: number[], size: number[]): TensorInfo {
  const out = backend.output(size, x.dtype as Movable)
  const strides = stridesOf(x.shape)
  const start = begin.reduce((sum, b, d) => sum + b * strides[d]!, 0)
  const from = { values: backend.elements(x)!, start, strides }
  copy(backend, size, from, { values: out.values as Data, start: 0, strides: stridesOf(size) })
  return out.info
}

function splitV({ inputs, attrs, backend }: Call): TensorInfo[] | undefined {
  const { x } = inputs as { x: TensorInfo }
  if (!movable(backend, x) || x.shape.length > MAX_RANK) return undefined
  const axis = tf.util.parseAxisParam(attrs['axis'] as number, x.shape)[0]!
  const sizes = tf.backend_util.prepareSplitSize(
    x as unknown as tf.Tensor,
    attrs['numOrSizeSplits'] as number[],
    axis,
  )
  const begin = x.shape.map(() => 0)
  return sizes.map((length) => {
    const size = [...x.shape]
    size[axis] = length
    const part = block(backend, x, begin, size)
    begin[axis]! += length
    return part
  })
}

/** Writes a tensor into another one that has more channels (its last dimension), from channel `start` on. */
export function writeChannels(backend: NativeBackend, info: TensorInfo, to: TensorInfo, start: number): void {
  const [width, pitch] = [info.shape.at(-1)!, to.shape.at(-1)!]
  const from = { values: backend.elements(info)!, start: 0, strides: [width, 1] }
  const into = { values: backend.elements(to)!, start, strides: [pitch, 1] }
  if (width > 0) copy(backend, [product(info.shape) / width, width], from, into)
}

/** Puts tensors one after another along `axis`; their shapes agree elsewhere. */
function join(backend: NativeBackend, list: TensorInfo[], axis: number, shape: number[]): TensorInfo {
  const out = backend.output(shape, list[0]!.dtype as Movable)
  const outer = product(shape.slice(0, axis))
  const pitch = product(shape.slice(axis))
  let start = 0
  for (const info of list) {
    const width = outer === 0 ? 0 : product(info.shape) / outer
    const from = { values: backend.elements(info)!, start: 0, strides: [width, 1] }
    if (width > 0)
      copy(backend, [outer, width], from, { values: out.values as Data, start, strides: [pitch, 1] })
    start += width
  }
  return out.info
}

function concat({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const all = inputs as unknown as TensorInfo[]
  const axis = tf.util.parseAxisParam(attrs['axis'] as number, all[0]!.shape)[0]!
  if (!all.every((info) => movable(backend, info) && info.dtype === all[0]!.dtype)) return undefined
  const shapes = all.map((info) => info.shape)
  // tfjs leaves it to its kernels.
  tf.backend_util.assertParamsConsistent(shapes, axis)
  const shape = tf.backend_util.computeOutShape(shapes, axis)
  const list = all.filter((info) => product(info.shape) > 0)
  if (list.length === 0) return backend.output(shape, all[0]!.dtype as Movable).info
  if (list.length === 1) return backend.alias(list[0]!)
  return join(backend, list, axis, shape)
}

function pack({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const list = inputs as unknown as TensorInfo[]
  const [first] = list
  if (first === undefined || !list.every((info) => movable(backend, info) && info.dtype === first.dtype))
    return undefined
  if (!list.every((info) => tf.util.arraysEqual(info.shape, first.shape))) return undefined
  const axis = tf.util.parseAxisParam(attrs['axis'] as number, [...first.shape, 1])[0]!
  return join(backend, list, axis, [...first.shape.slice(0, axis), list.length, ...first.shape.slice(axis)])
}

function unpack({ inputs, attrs, backend }: Call): TensorInfo[] | undefined {
  const { value } = inputs as { value: TensorInfo }
  if (!movable(backend, value) || value.shape.length > MAX_RANK) return undefined
  const axis = tf.util.parseAxisParam(attrs['axis'] as number, value.shape)[0]!
  const size = [...value.shape]
  size[axis] = 1
  const shape = value.shape.filter((_, d) => d !== axis)
  return Array.from({ length: value.shape[axis]! }, (_, index) => {
    const begin = value.shape.map((__, d) => (d === axis ? index : 0))
    return { ...block(backend, value, begin, size), shape }
  })
}

function pad({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo }
  const { paddings, constantValue } = attrs as { paddings: [number, number][]; constantValue: number }
  if (!movable(backend, x) || x.shape.length > MAX_RANK) return undefined
  const shape = x.shape.map((dim, d) => dim + paddings[d]![0] + paddings[d]![1])
  const out = backend.output(shape, x.dtype as Movable)
  const values = out.values as Data
  values.fill(constantValue)
  const strides = stridesOf(shape)
  const start = paddings.reduce((sum, [before], d) => sum + before * strides[d]!, 0)
  if (product(x.shape) > 0)
    copy(
      backend,
      x.shape,
      { values: backend.elements(x)!, start: 0, strides: stridesOf(x.shape) },
      { values, start, strides },
    )
  return out.info
}

function tile({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo }
  const reps = attrs['reps'] as number[]
  if (!movable(backend, x)) return undefined
  if (!reps.every((count) => Number.isInteger(count) && count >= 0))
    throw new Error(`tile: the repetitions [${reps.join()}] must be whole numbers`)
  const shape = x.shape.map((dim, d) => dim * (reps[d] ?? 1))
  const inside = stridesOf(x.shape)
  const outside = stridesOf(shape)
  const dims: number[] = []
  const from: number[] = []
  const to: number[] = []
  x.shape.forEach((dim, d) => {
    if (reps[d]! !== 1) {
      dims.push(reps[d]!)
      from.push(0)
      to.push(outside[d]! * dim)
    }
    dims.push(dim)
    from.push(inside[d]!)
    to.push(outside[d]!)
  })
  if (dims.length > MAX_RANK) return undefined
  const out = backend.output(shape, x.dtype as Movable)
  copy(
    backend,
    dims,
    { values: backend.elements(x)!, start: 0, strides: from },
    { values: out.values as Data, start: 0, strides: to },
  )
  return out.info
}

function reverse({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo }
  if (!movable(backend, x) || x.shape.length > MAX_RANK || product(x.shape) === 0) return undefined
  const axes = tf.util.parseAxisParam(attrs['dims'] as number[], x.shape)
  const forward = stridesOf(x.shape)
  const strides = forward.map((stride, d) => (axes.includes(d) ? -stride : stride))
  const start = axes.reduce((sum, axis) => sum + forward[axis]! * (x.shape[axis]! - 1), 0)
  const out = backend.output(x.shape, x.dtype as Movable)
  const to = { values: out.values as Data, start: 0, strides: forward }
  copy(backend, x.shape, { values: backend.elements(x)!, start, strides }, to)
  return out.info
}

function gather({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x, indices } = inputs as { x: TensorInfo; indices: TensorInfo }
  if (!movable(backend, x) || indices.dtype !== 'int32') return undefined
  const axis = tf.util.parseAxisParam(attrs['axis'] as number, x.shape)[0]!
  const batchDims = (attrs['batchDims'] as number | undefined) ?? 0
  const s = tf.backend_util.segment_util.collectGatherOpShapeInfo(
    x as unknown as tf.Tensor,
    indices as unknown as tf.Tensor,
    axis,
    batchDims,
  )
  const count = s.batchSize === 0 ? 0 : product(indices.shape) / s.batchSize
  const out = backend.output(s.outputShape, x.dtype as Movable)
  const chosen = backend.elements(indices) as Int32Array
  const { batchSize, outerSize, dimSize, sliceSize } = s
  backend.addon.gather(
    backend.elements(x)!,
    chosen,
    batchSize,
    outerSize,
    dimSize,
    count,
    sliceSize,
    out.values as Data,
  )
  return out.info
}

function unsortedSegmentSum({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo }
  const segments = attrs['numSegments'] as number
  if (!areFloats(x) || segmentIds.dtype !== 'int32' || segmentIds.shape.length !== 1) return undefined
  // tfjs's kernel says what is wrong.
  if (segmentIds.shape[0] !== x.shape[0]) return undefined
  const rest = x.shape.slice(1)
  const out = backend.output([segments, ...rest], 'float32')
  const ids = backend.elements(segmentIds) as Int32Array
  backend.addon.segmentSum(backend.floats(x), ids, x.shape[0]!, product(rest), segments, out.values)
  return out.info
}

export const layoutKernels: Kernels = {
  Transpose: transpose,
  Slice: slice,
  SplitV: splitV,
  Concat: concat,
  Pack: pack,
  Unpack: unpack,
  PadV2: pad,
  Tile: tile,
  Reverse: reverse,
  GatherV2: gather,
  UnsortedSegmentSum: unsortedSegmentSum,
}
