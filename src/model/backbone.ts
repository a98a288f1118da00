import * as tf from '@tensorflow/tfjs'
import { addRelu, batchNormRelu } from '../engine/fused.js'
import { moveAverages as moveAll } from '../engine/fused_training.js'
import { hasNetworks, trainNetwork } from '../engine/network.js'
import { INPUT, byChannel } from './graph.js'
import type { Activation, BackboneGraph, ConvNode, PoolNode } from './graph.js'
import { centered, stretchesOf } from './networks.js'
import type { Stretch } from './networks.js'
import { filterName } from './weights.js'

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
  if (statistics !== undefined && hasNetworks()) {
    const stretches = stretchesOf(graph)
    if (
      stretches?.every(({ convolutions }) =>
        convolutions.every((node) => !isFrozen(betaOf(node, weights))),
      ) === true
    )
      return runStretches(graph, stretches, weights, input, statistics)
  }
  const outputs = new Map<string, tf.Tensor4D>([[INPUT, input]])
  const output = (name: string): tf.Tensor4D => {
    const tensor = outputs.get(name)
    if (tensor === undefined) throw new Error(`backbone node ${name} is used before it is made`)
    return tensor
  }
  for (const node of graph.nodes) {
    let result: tf.Tensor4D
    if (node.op === 'conv') result = convolve(node, graph.epsilon, weights, output(node.input), statistics)
    else if (node.op === 'concat') result = tf.concat(node.inputs.map(output), 3)
    else if (node.op === 'add') {
      const [a, b] = node.inputs.map(output) as [tf.Tensor4D, tf.Tensor4D]
      result = node.activation === 'relu' ? addRelu(a, b) : tf.add(a, b)
    } else result = pool(node, output(node.input))
    outputs.set(node.name, result)
  }
  return { top: output(graph.top), early: output(graph.early) }
}

/** In training, with all layers trained: no gradient runs to the input. */
function runStretches(
  graph: BackboneGraph,
  stretches: readonly Stretch[],
  weights: Weights,
  input: tf.Tensor4D,
  statistics: BatchStatistics[],
): { top: tf.Tensor4D; early: tf.Tensor4D } {
  const outputs = new Map<string, tf.Tensor4D>([[INPUT, input]])
  for (const { network, from, to, convolutions } of stretches) {
    const all = convolutions.map((node) => ({
      filter: weights.get(filterName(node))!,
      gamma: weights.get(`${node.name}/BatchNorm/gamma`)!,
      beta: betaOf(node, weights),
    }))
    const result = trainNetwork(network, outputs.get(from)!, all, from !== INPUT)
    result.statistics.forEach((moments, at) => statistics.push({ name: convolutions[at]!.name, ...moments }))
    outputs.set(to, result.y)
  }
  return { top: outputs.get(graph.top)!, early: outputs.get(graph.early)! }
}

function betaOf(node: ConvNode, weights: Weights): tf.Tensor {
  return weights.get(`${node.name}/BatchNorm/beta`)!
}

/** Gray levels 0..255 to what the backbone takes; see InputScale. */
export function normalizeFrames(graph: BackboneGraph, frames: tf.Tensor4D): tf.Tensor4D {
  const divide = byChannel(graph.input.divide, graph.channels)
  const subtract = byChannel(graph.input.subtract, graph.channels)
  const operand = (values: number | readonly number[]): tf.TensorLike =>
    typeof values === 'number' ? values : [...values]
  return tf.sub(divide === 1 ? frames : tf.div(frames, operand(divide)), operand(subtract))
}

function activate(x: tf.Tensor4D, activation: Activation): tf.Tensor4D {
  if (activation === 'none') return x
  return activation === 'relu' ? tf.relu(x) : tf.relu6(x)
}

function pool(node: PoolNode, x: tf.Tensor4D): tf.Tensor4D {
  if (node.padding === 'same') return tf.maxPool(x, node.size, node.stride, 'same')
  // tfjs-node has no explicit padding. What is pooled comes out of a ReLU: zeros do not change a maximum.
  return tf.maxPool(tf.pad(x, centered(node.size, node.size)), node.size, node.stride, 'valid')
}

/** A layer that is not trained keeps to its averages. */
function isFrozen(weight: tf.Tensor): boolean {
  return weight instanceof tf.Variable && !weight.trainable
}

function convolve(
  node: ConvNode,
  epsilon: number,
  weights: Weights,
  x: tf.Tensor4D,
  statistics: BatchStatistics[] | undefined,
): tf.Tensor4D {
  const weight = (name: string): tf.Tensor => weights.get(`${node.name}/${name}`)!
  const pads = centered(...node.kernel)
  const filter = weights.get(filterName(node)) as tf.Tensor4D
  let y: tf.Tensor4D
  if (node.depthwise === true) {
    if (node.padding !== 'same') throw new Error('a depthwise convolution with centered padding')
    y = tf.depthwiseConv2d(x, filter, node.stride, 'same')
  } else if (node.padding === 'same') y = tf.conv2d(x, filter, node.stride, 'same')
  // tfjs-node has no explicit padding.
  else if (tf.getBackend() === 'tensorflow') y = tf.conv2d(tf.pad(x, pads), filter, node.stride, 'valid')
  else y = tf.conv2d(x, filter, node.stride, pads)
  const relu = node.activation === 'relu'
  if (!node.batchNorm) {
    const sum = node.bias ? tf.add<tf.Tensor4D>(y, weight('biases')) : y
    return activate(sum, node.activation)
  }
  const gamma = weight('BatchNorm/gamma')
  const beta = weight('BatchNorm/beta')
  if (statistics !== undefined && !isFrozen(beta)) {
    const normal = batchNormRelu(y, gamma, beta, epsilon, relu)
    statistics.push({ name: node.name, mean: normal.mean, variance: normal.variance })
    const result = normal.y as tf.Tensor4D
    return relu ? result : activate(result, node.activation)
  }
  const normal = tf.batchNorm(
    y,
    weight('BatchNorm/moving_mean') as tf.Tensor1D,
    weight('BatchNorm/moving_variance') as tf.Tensor1D,
    beta as tf.Tensor1D,
    gamma as tf.Tensor1D,
    epsilon,
  ) as tf.Tensor4D
  return activate(normal, node.activation)
}

/** Moves the batch-norm averages towards the statistics of a training pass and disposes of these. */
export function moveAverages(
  weights: ReadonlyMap<string, tf.Variable>,
  statistics: readonly BatchStatistics[],
  momentum: number,
): void {
  moveAll(
    statistics.flatMap(({ name, mean, variance }) => [
      { average: weights.get(`${name}/BatchNorm/moving_mean`)!, value: mean },
      { average: weights.get(`${name}/BatchNorm/moving_variance`)!, value: variance },
    ]),
    momentum,
  )
  tf.dispose(statistics.flatMap(({ mean, variance }) => [mean, variance]))
}
