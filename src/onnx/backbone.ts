import { NoduleError } from '../errors.js'
import { INPUT } from '../model/graph.js'
import type { BackboneGraph, BackboneNode, ConvNode } from '../model/graph.js'
import { filterName } from '../model/weights.js'
import type { GraphBuilder } from './builder.js'
import { concatChannels, conv2d, pool2d } from './ops.js'
import type { ConvWeights, FeatureMap } from './ops.js'

/** A model's weights by name, in TensorFlow's layouts; they come from a checkpoint. */
export class Weights {
  readonly #tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>

  constructor(tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>) {
    this.#tensors = tensors
  }

  /** The tensor of this name and rank. Throws NoduleError (FORMAT). */
  get(name: string, rank: number): { shape: readonly number[]; data: Float32Array } {
    const tensor = this.#tensors.get(name)
    if (tensor === undefined || tensor.shape.length !== rank) {
      throw new NoduleError('FORMAT', 'the checkpoint lacks a weight', {
        place: name,
        expected: `tensor of rank ${rank}`,
        actual: tensor === undefined ? 'nothing' : `shape [${tensor.shape.join(', ')}]`,
      })
    }
    return tensor
  }

  vector(name: string): Float32Array {
    return this.get(name, 1).data
  }

  matrix(name: string): { shape: readonly [number, number]; data: Float32Array } {
    const { shape, data } = this.get(name, 2)
    return { shape: [shape[0]!, shape[1]!], data }
  }
}

/** Emits the backbone: the same list of nodes that the tfjs model runs. Returns every node's feature map by name. */
export function emitBackbone(
  graph: GraphBuilder,
  backbone: BackboneGraph,
  input: FeatureMap,
  weights: Weights,
  fold: boolean,
): Map<string, FeatureMap> {
  const maps = new Map<string, FeatureMap>([[INPUT, input]])
  const get = (name: string): FeatureMap => {
    const map = maps.get(name)
    if (map === undefined) throw new Error(`backbone node ${name} is used before it is made`)
    return map
  }
  for (const node of backbone.nodes) {
    maps.set(node.name, emitNode(graph, backbone.epsilon, node, get, weights, fold))
  }
  return maps
}

function emitNode(
  graph: GraphBuilder,
  epsilon: number,
  node: BackboneNode,
  get: (name: string) => FeatureMap,
  weights: Weights,
  fold: boolean,
): FeatureMap {
  if (node.op === 'conv') {
    return conv2d(graph, get(node.input), convWeights(node, epsilon, weights), {
      name: node.name,
      stride: node.stride,
      padding: node.padding,
      activation: node.activation,
      depthwise: node.depthwise === true,
      fold,
    })
  }
  if (node.op === 'concat') return concatChannels(graph, node.inputs.map(get), node.name)
  if (node.op === 'add') {
    const [a, b] = node.inputs.map(get) as [FeatureMap, FeatureMap]
    const sum = graph.node('Add', [a.name, b.name], `${node.name}/add`)
    return { ...a, name: node.activation === 'relu' ? graph.node('Relu', [sum], node.name) : sum }
  }
  return pool2d(graph, get(node.input), {
    name: node.name,
    kind: 'max',
    size: node.size,
    stride: node.stride,
    padding: node.padding,
  })
}

function convWeights(node: ConvNode, epsilon: number, weights: Weights): ConvWeights {
  const { shape, data } = weights.get(filterName(node), 4)
  const norm = (part: string): Float32Array => weights.vector(`${node.name}/BatchNorm/${part}`)
  return {
    shape: shape as readonly [number, number, number, number],
    data,
    bias: node.bias ? weights.vector(`${node.name}/biases`) : undefined,
    batchNorm: node.batchNorm
      ? {
          gamma: norm('gamma'),
          beta: norm('beta'),
          mean: norm('moving_mean'),
          variance: norm('moving_variance'),
          epsilon,
        }
      : undefined,
  }
}
