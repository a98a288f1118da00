import { NoduleError } from '../errors.js'

/**
 * A backbone as data: the forward pass (backbone.ts), the weights (weights.ts) and the ONNX export walk the same list.
 * Nodes stand in the order of computation; `input` and `inputs` name earlier nodes or INPUT.
 *
 * Weights of a conv node, by name (TensorFlow's layouts and TF-slim's names):
 * `${name}/weights` [kh, kw, in, out]; with batchNorm `${name}/BatchNorm/{gamma,beta,moving_mean,moving_variance}` [out];
 * with bias `${name}/biases` [out].
 */
export interface BackboneGraph {
  nodes: readonly BackboneNode[]
  /** The node of the coarse features (stride region_size). */
  top: string
  /** The node of the early features that rezoom samples. */
  early: string
  /** Channels of the frames: data.channels of the hypes. */
  channels: number
  /** Added to the variance in every batch norm. */
  epsilon: number
  /** What the frames become before the first layer. */
  input: InputScale
}

/**
 * Gray levels g in 0..255 become g / divide - subtract: one number each, or one for red, green and blue, which frames of
 * another number of channels take the mean of.
 */
export interface InputScale {
  divide: number | readonly [number, number, number]
  subtract: number | readonly [number, number, number]
}

/** Divisors or subtrahends by channel; one number where all channels have the same. */
export function byChannel(values: InputScale['divide'], channels: number): number | readonly number[] {
  if (typeof values === 'number') return values
  return channels === 3 ? values : (values[0] + values[1] + values[2]) / 3
}

/** The name of the normalized frames, [n, height, width, channels]. */
export const INPUT = 'frames'

/** Added to the variance in batch norms where nothing else is said. */
export const BATCH_NORM_EPSILON = 1e-3

/**
 * 'same': TensorFlow's SAME (output = ceil(input / stride); an odd rest of the padding goes behind).
 * 'centered': (k - 1) / 2 before and behind whatever the stride, as TF-slim's conv2d_same for ResNets.
 */
export type Padding = 'same' | 'centered'

export interface ConvNode {
  op: 'conv'
  name: string
  input: string
  filters: number
  kernel: readonly [number, number]
  stride: number
  padding: Padding
  /** Batch norm follows the convolution; then there is no bias. */
  batchNorm: boolean
  bias: boolean
  activation: Activation
  /** Each channel by itself: `filters` are as many as the input's channels, weights `${name}/depthwise_weights` [kh, kw, in, 1]. */
  depthwise?: boolean
}

export type Activation = 'relu' | 'relu6' | 'none'

/** A maximum ignores the padding. */
export interface PoolNode {
  op: 'maxPool'
  name: string
  input: string
  size: number
  stride: number
  padding: Padding
}

/** Along the channels. */
export interface ConcatNode {
  op: 'concat'
  name: string
  inputs: readonly string[]
}

export interface AddNode {
  op: 'add'
  name: string
  inputs: readonly [string, string]
  activation: 'relu' | 'none'
}

export type BackboneNode = ConvNode | PoolNode | ConcatNode | AddNode

/** Size of a node's output; `stride` is frame pixels per output pixel. */
export interface NodeShape {
  height: number
  width: number
  channels: number
  stride: number
}

/** Rows or columns of padding [before, behind] of a window of `size` over `length` elements. */
export function paddingOf(length: number, size: number, stride: number, padding: Padding): [number, number] {
  if (padding === 'centered') return [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)]
  const total = Math.max(0, (Math.ceil(length / stride) - 1) * stride + size - length)
  return [Math.floor(total / 2), Math.ceil(total / 2)]
}

function windowed(length: number, size: number, stride: number, padding: Padding): number {
  const [before, behind] = paddingOf(length, size, stride, padding)
  return Math.floor((length + before + behind - size) / stride) + 1
}

/** Sizes of all nodes for frames of `height` x `width`; INPUT included. */
export function graphShapes(graph: BackboneGraph, height: number, width: number): Map<string, NodeShape> {
  const shapes = new Map<string, NodeShape>([[INPUT, { height, width, channels: graph.channels, stride: 1 }]])
  const shapeOf = (name: string): NodeShape => {
    const shape = shapes.get(name)
    if (shape === undefined) throw new Error(`backbone node ${name} is used before it is made`)
    return shape
  }
  for (const node of graph.nodes) {
    if (node.op === 'concat') {
      const inputs = node.inputs.map(shapeOf)
      shapes.set(node.name, { ...inputs[0]!, channels: inputs.reduce((sum, item) => sum + item.channels, 0) })
    } else if (node.op === 'add') shapes.set(node.name, { ...shapeOf(node.inputs[0]) })
    else {
      const input = shapeOf(node.input)
      const [kh, kw] = node.op === 'conv' ? node.kernel : [node.size, node.size]
      const { padding } = node
      shapes.set(node.name, {
        height: windowed(input.height, kh, node.stride, padding),
        width: windowed(input.width, kw, node.stride, padding),
        channels: node.op === 'conv' ? node.filters : input.channels,
        stride: input.stride * node.stride,
      })
    }
  }
  return shapes
}

/** The graph without the nodes that neither `top` nor `early` needs. */
export function pruneGraph(graph: BackboneGraph): BackboneGraph {
  const needed = new Set([graph.top, graph.early])
  for (const node of [...graph.nodes].reverse()) {
    if (!needed.has(node.name)) continue
    for (const input of 'inputs' in node ? node.inputs : [node.input]) needed.add(input)
  }
  return { ...graph, nodes: graph.nodes.filter((node) => needed.has(node.name)) }
}

/** The node called `name` or `${prefix}/${name}`. Throws NoduleError (FORMAT) for the hypes key `key`. */
export function findNode(
  graph: Pick<BackboneGraph, 'nodes' | 'top' | 'early'>,
  prefix: string,
  name: string,
  key: string,
): string {
  const node = graph.nodes.find((item) => item.name === name || item.name === `${prefix}/${name}`)
  if (node === undefined) {
    throw new NoduleError('FORMAT', 'no such layer', {
      place: key,
      expected: `a layer of ${prefix} (such as ${graph.early} or ${graph.top})`,
      actual: JSON.stringify(name),
    })
  }
  return node.name
}
