/** Matrix products, pooling, batch norm at inference. */
import * as tf from '@tensorflow/tfjs'
import type { TensorInfo } from '@tensorflow/tfjs'
import { areFloats, product } from './kernel.js'
import type { Call, Kernels } from './kernel.js'

type Shape4D = [number, number, number, number]

function batchMatMul({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { a, b } = inputs as { a: TensorInfo; b: TensorInfo }
  if (!areFloats(a, b)) return undefined
  const transposeA = attrs['transposeA'] === true
  const transposeB = attrs['transposeB'] === true
  const [rowsA, columnsA] = a.shape.slice(-2) as [number, number]
  const [rowsB, columnsB] = b.shape.slice(-2) as [number, number]
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA]
  const [inner, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB]
  if (k !== inner) throw new Error(`matMul: the inner dimensions ${k} and ${inner} differ`)
  const leadA = a.shape.slice(0, -2)
  const leadB = b.shape.slice(0, -2)
  const lead = tf.broadcast_util.assertAndGetBroadcastShape(leadA, leadB)
  const [batchA, batchB, batch] = [product(leadA), product(leadB), product(lead)]
  // A batch of several dimensions that are broadcast in part: rare.
  if (batchA !== batch && batchA !== 1) return undefined
  if (batchB !== batch && batchB !== 1) return undefined
  const out = backend.output([...lead, m, n], 'float32')
  const [left, right] = [backend.floats(a), backend.floats(b)]
  if (batchB === 1 && !transposeA && batch > 1) {
    // One product: the rows of all batches share the right-hand matrix.
    backend.addon.matMul(false, transposeB, batch * m, n, k, left, 0, right, 0, out.values, 0, false)
    return out.info
  }
  for (let i = 0; i < batch; i++) {
    const aStart = batchA === 1 ? 0 : i * m * k
    const bStart = batchB === 1 ? 0 : i * k * n
    const cStart = i * m * n
    backend.addon.matMul(
      transposeA,
      transposeB,
      m,
      n,
      k,
      left,
      aStart,
      right,
      bStart,
      out.values,
      cStart,
      false,
    )
  }
  return out.info
}

/** A pooling as the addon takes it. */
interface PoolPlan {
  meta: Int32Array
  outShape: number[]
  /** Of a window. */
  taps: number
  /** Where nothing is pooled. */
  isIdentity: boolean
}

/** `attrs.plan`: made before, for a caller with the same pooling again and again. */
export function planPool(attrs: Call['attrs'], shape: number[]): PoolPlan {
  const known = attrs['plan'] as unknown as PoolPlan | undefined
  if (known !== undefined) return known
  const c = tf.backend_util.computePool2DInfo(
    shape as Shape4D,
    attrs['filterSize'] as number,
    attrs['strides'] as number,
    1,
    attrs['pad'] as 'same',
    attrs['dimRoundingMode'] as 'floor',
  )
  const sizes = [
    [c.batchSize, c.inHeight, c.inWidth, c.inChannels, c.outHeight, c.outWidth],
    [c.filterHeight, c.filterWidth, c.strideHeight, c.strideWidth, c.dilationHeight, c.dilationWidth],
    [c.padInfo.top, c.padInfo.left],
  ]
  const taps = c.filterHeight * c.filterWidth
  const isIdentity = taps === 1 && tf.util.arraysEqual(c.inShape, c.outShape)
  return { meta: Int32Array.from(sizes.flat()), outShape: c.outShape, taps, isIdentity }
}

/** With `attrs.places` also where in its window each maximum is, for the gradient. */
function maxPool({ inputs, attrs, backend }: Call): TensorInfo | TensorInfo[] | undefined {
  const { x } = inputs as { x: TensorInfo }
  if (!areFloats(x)) return undefined
  const { meta, outShape, isIdentity } = planPool(attrs, x.shape)
  if (attrs['places'] !== true && isIdentity) return backend.alias(x)
  const out = backend.output(outShape, 'float32')
  const places = attrs['places'] === true ? backend.output(outShape, 'bool') : undefined
  backend.addon.maxPool(meta, backend.floats(x), out.values, places?.values)
  return places === undefined ? out.info : [out.info, places.info]
}

/** Finds the places once more where MaxPool gave none. */
function maxPoolGrad({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { dy, input, places } = inputs as { dy: TensorInfo; input: TensorInfo; places?: TensorInfo }
  if (!areFloats(dy, input)) return undefined
  const { meta, taps } = planPool(attrs, input.shape)
  if (!hasPlaces(taps)) return undefined
  let found = places
  if (found === undefined) {
    const again = maxPool({ inputs: { x: input }, attrs: { ...attrs, places: true }, backend })
    const [y, own] = again as [TensorInfo, TensorInfo]
    backend.disposeData(y.dataId)
    found = own
  }
  const out = backend.output(input.shape, 'float32')
  backend.addon.maxPoolGradient(meta, backend.elements(found) as Uint8Array, backend.floats(dy), out.values)
  if (places === undefined) backend.disposeData(found.dataId)
  return out.info
}

/** Whether the taps of a window can be told apart in the places of its maximum: kMostTaps of native/tensor/pool.h. */
export function hasPlaces(taps: number): boolean {
  return taps <= 255
}

function avgPool({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo }
  if (!areFloats(x)) return undefined
  const { meta, outShape, isIdentity } = planPool(attrs, x.shape)
  if (isIdentity) return backend.alias(x)
  const out = backend.output(outShape, 'float32')
  backend.addon.averagePool(meta, backend.floats(x), out.values)
  return out.info
}

function avgPoolGrad({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { dy, input } = inputs as { dy: TensorInfo; input: TensorInfo }
  if (!areFloats(dy)) return undefined
  const { meta } = planPool(attrs, input.shape)
  const out = backend.output(input.shape, 'float32')
  backend.addon.averagePoolGradient(meta, backend.floats(dy), out.values)
  return out.info
}

function fusedBatchNorm({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x, mean, variance, offset, scale } = inputs as Record<'x' | 'mean' | 'variance', TensorInfo> & {
    offset?: TensorInfo
    scale?: TensorInfo
  }
  const channels = x.shape.at(-1) ?? 1
  const perChannel = [mean, variance, offset, scale].every(
    (info) => info == null || (info.shape.length === 1 && info.shape[0] === channels),
  )
  if (!perChannel || !areFloats(x, mean, variance) || channels === 0) return undefined
  const epsilon = (attrs['varianceEpsilon'] as number | undefined) ?? 0.001
  const out = backend.output(x.shape, 'float32')
  const optional = (info: TensorInfo | undefined | null): Float32Array | null =>
    info == null ? null : backend.floats(info)
  const [gamma, beta] = [optional(scale), optional(offset)]
  const statistics = [backend.floats(mean), backend.floats(variance)] as const
  const rows = product(x.shape) / channels
  backend.addon.batchNormInference(
    ...([rows, channels, epsilon, false, backend.floats(x), gamma, beta] as const),
    ...statistics,
    out.values,
  )
  return out.info
}

export const layerKernels: Kernels = {
  BatchMatMul: batchMatMul,
  MaxPool: maxPool,
  AvgPool: avgPool,
  MaxPoolGrad: maxPoolGrad,
  AvgPoolGrad: avgPoolGrad,
  FusedBatchNorm: fusedBatchNorm,
}
