import * as tf from '@tensorflow/tfjs'
import { addRelu, batchNormRelu, moveAverage } from '../engine/fused.js'
import { BATCH_NORM_EPSILON, INPUT } from './graph.js'
import type { BackboneGraph, ConvNode } from './graph.js'

/** The batch statistics of one batch norm in a training pass. */
export interface BatchStatistics {
  /** The convolution that it follows. */
  name: string
  mean: tf.Tensor
  variance: tf.Tensor
}

type Weights = ReadonlyMap<string, tf.Tensor>

/**
 * Runs the graph.
 * @param input normalized frames, [n, height, width, 3]
 * @param statistics receives the batch statistics; undefined: inference with the moving averages
 * @returns top [n, gridHeight, gridWidth, c] and early [n, h, w, c]
 */
export function runBackbone(
  graph: BackboneGraph,
  weights: Weights,
  input: tf.Tensor4D,
  statistics: BatchStatistics[] | undefined,
): { top: tf.Tensor4D; early: tf.Tensor4D } {
  const outputs = new Map<string, tf.Tensor4D>([[INPUT, input]])
  const output = (name: string): tf.Tensor4D => {
    const tensor = outputs.get(name)
    if (tensor === undefined) throw new Error(`backbone node ${name} is used before it is made`)
    return tensor
  }
  for (const node of graph.nodes) {
    let result: tf.Tensor4D
    if (node.op === 'conv') result = convolve(node, weights, output(node.input), statistics)
    else if (node.op === 'concat') result = tf.concat(node.inputs.map(output), 3)
    else if (node.op === 'add') {
      const [a, b] = node.inputs.map(output) as [tf.Tensor4D, tf.Tensor4D]
      result = node.activation === 'relu' ? addRelu(a, b) : tf.add(a, b)
    } else {
      const pool = node.op === 'maxPool' ? tf.maxPool : tf.avgPool
      result = pool(output(node.input), node.size, node.stride, 'same') as tf.Tensor4D
    }
    outputs.set(node.name, result)
  }
  return { top: output(graph.top), early: output(graph.early) }
}

function convolve(
  node: ConvNode,
  weights: Weights,
  x: tf.Tensor4D,
  statistics: BatchStatistics[] | undefined,
): tf.Tensor4D {
  const weight = (name: string): tf.Tensor => weights.get(`${node.name}/${name}`)!
  const [before, behind] = [Math.floor((node.kernel[0] - 1) / 2), Math.ceil((node.kernel[0] - 1) / 2)]
  const [left, right] = [Math.floor((node.kernel[1] - 1) / 2), Math.ceil((node.kernel[1] - 1) / 2)]
  const pads: tf.backend_util.ExplicitPadding = [
    [0, 0],
    [before, behind],
    [left, right],
    [0, 0],
  ]
  const filter = weight('weights') as tf.Tensor4D
  let y: tf.Tensor4D
  if (node.padding === 'same') y = tf.conv2d(x, filter, node.stride, 'same')
  // tfjs-node has no explicit padding.
  else if (tf.getBackend() === 'tensorflow') y = tf.conv2d(tf.pad(x, pads), filter, node.stride, 'valid')
  else y = tf.conv2d(x, filter, node.stride, pads)
  const relu = node.activation === 'relu'
  if (!node.batchNorm) {
    const sum = node.bias ? tf.add<tf.Tensor4D>(y, weight('biases')) : y
    return relu ? tf.relu(sum) : sum
  }
  const gamma = weight('BatchNorm/gamma')
  const beta = weight('BatchNorm/beta')
  if (statistics !== undefined) {
    const normal = batchNormRelu(y, gamma, beta, BATCH_NORM_EPSILON, relu)
    statistics.push({ name: node.name, mean: normal.mean, variance: normal.variance })
    return normal.y as tf.Tensor4D
  }
  const normal = tf.batchNorm(
    y,
    weight('BatchNorm/moving_mean') as tf.Tensor1D,
    weight('BatchNorm/moving_variance') as tf.Tensor1D,
    beta as tf.Tensor1D,
    gamma as tf.Tensor1D,
    BATCH_NORM_EPSILON,
  ) as tf.Tensor4D
  return relu ? tf.relu(normal) : normal
}

/** Moves the batch-norm averages towards the statistics of a training pass and disposes of these. */
export function moveAverages(
  weights: ReadonlyMap<string, tf.Variable>,
  statistics: readonly BatchStatistics[],
  momentum: number,
): void {
  for (const { name, mean, variance } of statistics) {
    moveAverage(weights.get(`${name}/BatchNorm/moving_mean`)!, mean, momentum)
    moveAverage(weights.get(`${name}/BatchNorm/moving_variance`)!, variance, momentum)
  }
  tf.dispose(statistics.flatMap(({ mean, variance }) => [mean, variance]))
}
