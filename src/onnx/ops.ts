import { invalidParameter } from '../check.js'
import { paddingOf } from '../model/graph.js'
import type { Activation, Padding } from '../model/graph.js'
import type { GraphBuilder } from './builder.js'

/** A feature map in the graph: NCHW, N dynamic, the rest fixed. */
export interface FeatureMap {
  name: string
  channels: number
  height: number
  width: number
}

interface Window {
  height: number
  width: number
  /** Of ONNX: [top, left, bottom, right]. */
  pads: number[]
}

function windowOf(
  x: FeatureMap,
  kernel: readonly [number, number],
  stride: number,
  padding: Padding,
): Window {
  const [top, bottom] = paddingOf(x.height, kernel[0], stride, padding)
  const [left, right] = paddingOf(x.width, kernel[1], stride, padding)
  return {
    height: Math.floor((x.height + top + bottom - kernel[0]) / stride) + 1,
    width: Math.floor((x.width + left + right - kernel[1]) / stride) + 1,
    pads: [top, left, bottom, right],
  }
}

/** [kh, kw, in, out], as TensorFlow stores convolutions, to ONNX's [out, in, kh, kw]; depthwise: [kh, kw, out, 1]. */
export function hwioToOihw(
  data: Float32Array,
  [kh, kw, cin, cout]: readonly [number, number, number, number],
): Float32Array {
  const result = new Float32Array(data.length)
  const taps = kh * kw
  for (let tap = 0; tap < taps; tap++) {
    for (let c = 0; c < cin; c++) {
      const from = (tap * cin + c) * cout
      for (let o = 0; o < cout; o++) result[(o * cin + c) * taps + tap] = data[from + o]!
    }
  }
  return result
}

export interface ConvWeights {
  /** HWIO; of a depthwise convolution [kh, kw, channels, 1]. */
  shape: readonly [number, number, number, number]
  data: Float32Array
  bias?: Float32Array | undefined
  batchNorm?: BatchNorm | undefined
}

export interface BatchNorm {
  gamma: Float32Array
  beta: Float32Array
  mean: Float32Array
  variance: Float32Array
  epsilon: number
}

/** Multiplies batch norm into the convolution before it: equal in exact arithmetic, one node less at run time. */
export function foldBatchNorm(weights: ConvWeights): ConvWeights {
  const { shape, data, bias, batchNorm } = weights
  if (batchNorm === undefined) return weights
  const cout = batchNorm.gamma.length
  const scale = new Float64Array(cout)
  const shift = new Float32Array(cout)
  for (let o = 0; o < cout; o++) {
    scale[o] = batchNorm.gamma[o]! / Math.sqrt(batchNorm.variance[o]! + batchNorm.epsilon)
    shift[o] = batchNorm.beta[o]! + ((bias?.[o] ?? 0) - batchNorm.mean[o]!) * scale[o]!
  }
  const scaled = new Float32Array(data.length)
  for (let index = 0; index < data.length; index++) scaled[index] = data[index]! * scale[index % cout]!
  return { shape, data: scaled, bias: shift }
}

/** Convolution with explicit padding, then batch norm (folded in or as a node of its own), then ReLU or ReLU6. */
export function conv2d(
  graph: GraphBuilder,
  x: FeatureMap,
  given: ConvWeights,
  o: {
    name: string
    stride: number
    padding: Padding
    activation: Activation
    fold: boolean
    depthwise?: boolean
  },
): FeatureMap {
  const [kh, kw, cin] = given.shape
  const groups = o.depthwise === true ? cin : 1
  const cout = given.shape[3] * groups
  if (cin !== x.channels) throw invalidParameter(`${o.name} input`, `${cin} channels`, x.channels)
  const weights = o.fold ? foldBatchNorm(given) : given
  const { height, width, pads } = windowOf(x, [kh, kw], o.stride, o.padding)
  const inputs = [
    x.name,
    graph.constant(
      `${o.name}/weights`,
      [cout, cin / groups, kh, kw],
      hwioToOihw(weights.data, groups === 1 ? weights.shape : [kh, kw, 1, cin]),
    ),
  ]
  if (weights.bias !== undefined) inputs.push(graph.constant(`${o.name}/biases`, [cout], weights.bias))
  let name = graph.node('Conv', inputs, `${o.name}/conv`, {
    kernel_shape: [kh, kw],
    strides: [o.stride, o.stride],
    pads,
    ...(groups === 1 ? {} : { group: groups }),
  })
  if (weights.batchNorm !== undefined) {
    const { gamma, beta, mean, variance, epsilon } = weights.batchNorm
    const vector = (label: string, data: Float32Array): string =>
      graph.constant(`${o.name}/BatchNorm/${label}`, [cout], data)
    name = graph.node(
      'BatchNormalization',
      [
        name,
        vector('gamma', gamma),
        vector('beta', beta),
        vector('moving_mean', mean),
        vector('moving_variance', variance),
      ],
      `${o.name}/normalized`,
      { epsilon: { float: epsilon } },
    )
  }
  if (o.activation === 'relu') name = graph.node('Relu', [name], `${o.name}/relu`)
  if (o.activation === 'relu6')
    name = graph.node('Clip', [name, graph.scalar(0), graph.scalar(6)], `${o.name}/relu6`)
  return { name, channels: cout, height, width }
}

/** Max or average pooling; padding counts neither for the maximum nor for the average. */
export function pool2d(
  graph: GraphBuilder,
  x: FeatureMap,
  o: { name: string; kind: 'max' | 'average'; size: number; stride: number; padding?: Padding },
): FeatureMap {
  const { height, width, pads } = windowOf(x, [o.size, o.size], o.stride, o.padding ?? 'same')
  const attributes = { kernel_shape: [o.size, o.size], strides: [o.stride, o.stride], pads }
  const name =
    o.kind === 'max'
      ? graph.node('MaxPool', [x.name], o.name, attributes)
      : graph.node('AveragePool', [x.name], o.name, { ...attributes, count_include_pad: 0 })
  return { name, channels: x.channels, height, width }
}

/** Joins maps of one size along the channels. */
export function concatChannels(graph: GraphBuilder, maps: readonly FeatureMap[], name: string): FeatureMap {
  const { height, width } = maps[0]!
  for (const map of maps) {
    if (map.height !== height || map.width !== width)
      throw invalidParameter(`${name} input`, `map of ${height} x ${width}`, `${map.height} x ${map.width}`)
  }
  return {
    name: graph.node(
      'Concat',
      maps.map((map) => map.name),
      name,
      { axis: 1 },
    ),
    channels: maps.reduce((sum, map) => sum + map.channels, 0),
    height,
    width,
  }
}

/** Channels [begin, end) of a map. */
export function sliceChannels(
  graph: GraphBuilder,
  x: FeatureMap,
  begin: number,
  end: number,
  name: string,
): FeatureMap {
  if (begin === 0 && end === x.channels) return x
  const inputs = [x.name, graph.integers([begin]), graph.integers([end]), graph.integers([1])]
  return { ...x, name: graph.node('Slice', inputs, name), channels: end - begin }
}

/** x [rows, in] * weights [in, out] + bias. */
export function dense(
  graph: GraphBuilder,
  x: string,
  weights: { shape: readonly [number, number]; data: Float32Array; bias?: Float32Array | undefined },
  name: string,
): string {
  const matrix = graph.constant(`${name}/weights`, weights.shape, weights.data)
  if (weights.bias === undefined) return graph.node('MatMul', [x, matrix], name)
  return graph.node(
    'Gemm',
    [x, matrix, graph.constant(`${name}/biases`, [weights.shape[1]], weights.bias)],
    name,
  )
}
