/** NoduleNetwork and its gradient: the kernels of the layers, one after another, without a tensor of tfjs between them. */
import * as tf from '@tensorflow/tfjs'
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs'
import type { Network, NetworkNode } from '../network.js'
import type { NativeBackend } from './backend.js'
import { planConvolution } from './convolutions.js'
import { BACKEND } from './kernel.js'
import type { Call, Kernels } from './kernel.js'
import { hasPlaces, planPool } from './layers.js'
import { block, writeChannels } from './layout.js'

/** A node with what is known before it runs. Places: 0 is the input, i the result of node i - 1. */
interface Layer {
  place: number
  node: NetworkNode
  shape: number[]
  /** Number of the convolution. */
  conv: number
  /** The place of the concatenation into whose result a convolution's goes at once: the only one that reads it. */
  into: number | undefined
  /** Of the kernels; `start`: the first channel within `into`. */
  attrs: NamedAttrMap
}

/** By the shapes of input and filters, which stay the same in a training. */
const plans = new WeakMap<Network, Map<string, Layer[]>>()

function layersOf({ inputs, attrs }: Call): Layer[] {
  const network = attrs['network'] as unknown as Network
  const filters = network.nodes.filter(({ op }) => op === 'conv').map((_, conv) => inputs[3 * conv]!.shape)
  const x = inputs['x']!.shape
  const key = [x, ...filters].join()
  let known = plans.get(network)
  if (known === undefined) plans.set(network, (known = new Map<string, Layer[]>()))
  let layers = known.get(key)
  if (layers === undefined) known.set(key, (layers = planLayers(network, x, filters)))
  return layers
}

const inputsOf = (node: NetworkNode): readonly number[] => ('inputs' in node ? node.inputs : [node.input])

function planLayers({ nodes, epsilon }: Network, x: number[], filters: number[][]): Layer[] {
  const shapes = [x]
  let conv = 0
  const layers = nodes.map((node, index): Layer => {
    const sizes = inputsOf(node).map((input) => shapes[input]!)
    const layer = { place: index + 1, node, shape: sizes[0]!, conv, into: undefined, attrs: {} }
    if (node.op === 'conv') {
      const filterShape = filters[conv++]!
      const window = { strides: node.stride, pad: node.pad as 'same', dataFormat: 'NHWC', dilations: 1 }
      const geometry = planConvolution(window, layer.shape, filterShape)!
      const more = { inputShape: layer.shape, filterShape, epsilon, relu: node.relu, start: 0 }
      layer.attrs = { ...window, geometry, ...more }
      layer.shape = geometry.outShape
    } else if (node.op === 'maxPool') {
      const { size, stride, pad } = node
      const window = { filterSize: size, strides: stride, pad: pad as 'same', dimRoundingMode: 'floor' }
      const plan = planPool(window, layer.shape)
      layer.attrs = { ...window, plan, places: hasPlaces(plan.taps) } as unknown as NamedAttrMap
      layer.shape = plan.outShape
    } else if (node.op === 'concat')
      layer.shape = [...layer.shape.slice(0, 3), sizes.reduce((sum, size) => sum + size[3]!, 0)]
    shapes.push(layer.shape)
    return layer
  })
  for (const layer of layers) {
    const readers = layers.flatMap(({ place, node }) =>
      inputsOf(node).flatMap((input) => (input === layer.place ? place : [])),
    )
    const [reader] = readers
    if (layer.node.op !== 'conv' || readers.length !== 1 || nodes[reader! - 1]!.op !== 'concat') continue
    layer.into = reader!
    const inputs = inputsOf(nodes[reader! - 1]!)
    const before = inputs.slice(0, inputs.indexOf(layer.place))
    layer.attrs['start'] = before.reduce((sum, input) => sum + shapes[input]![3]!, 0)
  }
  return layers
}

function runKernel(
  backend: NativeBackend,
  name: string,
  inputs: Call['inputs'],
  attrs: NamedAttrMap,
): TensorInfo[] {
  const made = tf.getKernel(name, BACKEND)!.kernelFunc({ inputs, attrs, backend })
  return Array.isArray(made) ? made : [made]
}

function network(call: Call): TensorInfo[] {
  const { inputs, backend } = call
  const layers = layersOf(call)
  const made: TensorInfo[] = [inputs['x']!]
  const held: TensorInfo[] = []
  const moments: TensorInfo[] = []
  const joined = (place: number): TensorInfo =>
    (made[place] ??= backend.output(layers[place - 1]!.shape, 'float32').info)
  const run = (name: string, of: Call['inputs'], attrs: NamedAttrMap): TensorInfo =>
    runKernel(backend, name, of, attrs)[0]!

  for (const { node, place, conv, into, attrs } of layers) {
    if (node.op === 'conv') {
      const [filter, gamma, beta] = [inputs[3 * conv]!, inputs[3 * conv + 1]!, inputs[3 * conv + 2]!]
      const x = run('Conv2D', { x: made[node.input]!, filter }, attrs)
      const part = into === undefined ? {} : { into: joined(into) }
      const normal = runKernel(backend, 'NoduleBatchNorm', { x, gamma, beta, ...part }, attrs)
      const [y, mean, variance] = normal as [TensorInfo, TensorInfo, TensorInfo]
      if (into === undefined) made[place] = y
      else backend.disposeData(y.dataId)
      moments.push(mean, variance)
      held.push(x, backend.alias(mean), backend.alias(variance))
    } else if (node.op === 'maxPool') {
      const [y, places] = runKernel(backend, 'MaxPool', { x: made[node.input]! }, attrs)
      made[place] = y!
      if (places !== undefined) held.push(places)
    } else if (node.op === 'add') {
      const [a, b] = [made[node.inputs[0]]!, made[node.inputs[1]]!]
      made[place] = run(node.relu ? 'NoduleAddRelu' : 'Add', { a, b }, attrs)
    } else {
      let start = 0
      for (const input of node.inputs) {
        const part = made[input]
        if (part !== undefined && layers[input - 1]?.into !== place)
          writeChannels(backend, part, joined(place), start)
        start += (part ?? layers[input - 1]!).shape[3]!
      }
    }
    if (into === undefined) held.push(made[place]!)
  }
  return [backend.alias(made.at(-1)!), backend.hold(held), ...moments]
}

/** What the forward pass held, by layers. */
interface Held {
  /** Results by place; undefined where they are part of a concatenation's. */
  made: (TensorInfo | undefined)[]
  /** By place: a convolution before its batch norm, and the moments. */
  norms: { x: TensorInfo; mean: TensorInfo; variance: TensorInfo }[]
  /** By place: where the maxima are. */
  places: (TensorInfo | undefined)[]
}

function readHeld(layers: readonly Layer[], x: TensorInfo, parts: readonly TensorInfo[]): Held {
  const held: Held = { made: [x], norms: [], places: [] }
  let at = 0
  for (const { node, place, into, attrs } of layers) {
    if (node.op === 'conv')
      held.norms[place] = { x: parts[at++]!, mean: parts[at++]!, variance: parts[at++]! }
    if (attrs['places'] === true) held.places[place] = parts[at++]
    held.made[place] = into === undefined ? parts[at++] : undefined
  }
  return held
}

function networkGrad(call: Call): TensorInfo[] {
  const { inputs, attrs, backend } = call
  const layers = layersOf(call)
  const { made, norms, places } = readHeld(layers, inputs['x']!, backend.held(inputs['held']!))
  const ofWeights: TensorInfo[] = []
  // Gradients of the results by place, so far.
  const sums: (TensorInfo | undefined)[] = []
  sums[layers.length] = backend.alias(inputs['dy']!)
  const wanted = (place: number): boolean => place > 0 || attrs['ofInput'] === true
  const run = (name: string, of: Call['inputs'], how: NamedAttrMap): TensorInfo[] =>
    runKernel(backend, name, of, how)
  const drop = (info: TensorInfo): unknown => backend.disposeData(info.dataId)
  const add = (place: number, gradient: TensorInfo): void => {
    const sum = sums[place]
    sums[place] = sum === undefined ? gradient : run('Add', { a: sum, b: gradient }, {})[0]!
    if (sum !== undefined) [sum, gradient].forEach(drop)
  }

  for (const { node, place, conv, into, attrs: how } of layers.toReversed()) {
    const dy = sums[place]!
    if (node.op === 'conv') {
      const [filter, gamma, beta] = [inputs[3 * conv]!, inputs[3 * conv + 1]!, inputs[3 * conv + 2]!]
      const onto = into === undefined && backend.refCount(dy.dataId) === 1 ? { onto: dy } : {}
      const ofNorm = run('NoduleBatchNormGrad', { dy, gamma, beta, ...norms[place]!, ...onto }, how)
      const [dx, dGamma, dBeta] = ofNorm as [TensorInfo, TensorInfo, TensorInfo]
      const [dFilter] = run('Conv2DBackpropFilter', { x: made[node.input]!, dy: dx }, how) as [TensorInfo]
      ofWeights.splice(0, 0, dFilter, dGamma, dBeta)
      if (wanted(node.input)) addOfConvolution(node.input, { dy: dx, filter }, how)
      drop(dx)
    } else if (node.op === 'maxPool') {
      const [input, output] = [made[node.input]!, made[place]!]
      const found = places[place] === undefined ? {} : { places: places[place] }
      if (wanted(node.input)) add(node.input, run('MaxPoolGrad', { dy, input, output, ...found }, how)[0]!)
    } else if (node.op === 'add') {
      const [gradient] = node.relu ? run('NoduleReluGrad', { dy, y: made[place]! }, {}) : [backend.alias(dy)]
      for (const input of node.inputs) if (wanted(input)) add(input, backend.alias(gradient!))
      drop(gradient!)
    } else {
      let start = 0
      for (const input of node.inputs) {
        const { shape } = input === 0 ? inputs['x']! : layers[input - 1]!
        if (layers[input - 1]?.into === place) sums[input] = backend.alias(dy)
        else if (wanted(input)) add(input, block(backend, dy, [0, 0, 0, start], shape))
        start += shape[3]!
      }
    }
    drop(dy)
  }
  return [...(sums[0] === undefined ? [] : [sums[0]]), ...ofWeights]

  /** A product is added to what only we have. */
  function addOfConvolution(place: number, of: Call['inputs'], how: NamedAttrMap): void {
    const sum = sums[place]
    const { isProduct } = how['geometry'] as unknown as { isProduct: boolean }
    if (sum !== undefined && isProduct && backend.refCount(sum.dataId) === 1)
      drop(run('Conv2DBackpropInput', { ...of, onto: sum }, how)[0]!)
    else add(place, run('Conv2DBackpropInput', of, how)[0]!)
  }
}

export const networkKernels: Kernels = { NoduleNetwork: network, NoduleNetworkGrad: networkGrad }
