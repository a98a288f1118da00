import { NoduleError } from '../errors.js'
import { DATA_TYPE } from './proto.js'
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './proto.js'

/** Smallest and largest value of a tensor on the calibration frames. */
export interface Range {
  min: number
  max: number
}

/** Integer operators that onnxruntime has for a quantized model of ours; everything else stays float. */
const PASSING = new Set(['MaxPool', 'AveragePool', 'Concat', 'Add', 'Relu'])

/**
 * Largest magnitude of an int8 weight: 7 bits. CPUs without VNNI add pairs of uint8 * int8 products in 16 bits, which
 * overflow with 8-bit weights; the model must give the same answer on them.
 */
const WEIGHT_LIMIT = 64

/**
 * The tensors that quantization needs the ranges of: what goes into and comes out of every convolution, and what
 * integer operators pass on. The decoder stays float: it is small, and its outputs are positions.
 */
export function quantizedTensors(model: OnnxModel): string[] {
  const names = new Set<string>()
  const consumers = consumersOf(model.graph)
  for (const node of model.graph.node) {
    const [output] = node.output as [string]
    if (node.op_type === 'Conv') names.add(node.input[0]!)
    const next = consumers.get(output) ?? []
    // A Relu that follows at once becomes part of the integer operator before it, a Clip of its range.
    const absorbed =
      next.length === 1 && (next[0]!.op_type === 'Relu' || isAbsorbedClip(model.graph, next[0]!))
    const integer =
      node.op_type === 'Conv' || (PASSING.has(node.op_type) && node.input.every((name) => names.has(name)))
    const rectified =
      (node.op_type === 'Relu' && absorbsRelu(model.graph, node.input[0]!, names)) ||
      isAbsorbedClip(model.graph, node)
    if ((integer || rectified) && !absorbed) names.add(output)
  }
  return [...names]
}

/** Whether the value, which only a Relu reads, comes from an operator that will be an integer one. */
function absorbsRelu(graph: OnnxGraph, value: string, names: ReadonlySet<string>): boolean {
  const producer = graph.node.find((node) => node.output.includes(value))
  if (producer === undefined) return false
  return (
    producer.op_type === 'Conv' ||
    (producer.op_type === 'Add' && producer.input.every((name) => names.has(name)))
  )
}

/**
 * Whether a node clips what a convolution gives from 0 on (ReLU6): integers that end at 0 and at the largest value seen
 * clip by themselves.
 */
function isAbsorbedClip(graph: OnnxGraph, node: OnnxNode): boolean {
  if (node.op_type !== 'Clip') return false
  const [value, low] = node.input as [string, string]
  const lowest = graph.initializer.find(({ name }) => name === low)
  if (lowest === undefined || floatData(lowest)[0] !== 0) return false
  const readers = graph.node.filter(({ input }) => input.includes(value))
  const producer = graph.node.find(({ output }) => output.includes(value))
  return readers.length === 1 && producer?.op_type === 'Conv'
}

function consumersOf(graph: OnnxGraph): Map<string, OnnxNode[]> {
  const consumers = new Map<string, OnnxNode[]>()
  for (const node of graph.node) {
    for (const name of node.input) {
      const list = consumers.get(name)
      if (list === undefined) consumers.set(name, [node])
      else list.push(node)
    }
  }
  return consumers
}

/**
 * A copy of a float model whose convolutions compute in integers: uint8 activations with one scale a tensor, int8
 * weights with one scale an output channel, int32 biases. It is written as QuantizeLinear / DequantizeLinear pairs,
 * which onnxruntime replaces by integer operators.
 *
 * @param ranges of every tensor in `quantizedTensors`
 */
export function quantizeModel(model: OnnxModel, ranges: ReadonlyMap<string, Range>): OnnxModel {
  const { graph } = model
  const rangeOf = (name: string): Range => {
    const range = ranges.get(name)
    if (range === undefined || !Number.isFinite(range.min) || !Number.isFinite(range.max))
      throw new NoduleError('NUMERIC', 'no range for a tensor', {
        place: name,
        actual: JSON.stringify(range),
      })
    return range
  }
  const parameters = new Map<string, Parameters>()
  for (const name of quantizedTensors(model)) parameters.set(name, parametersOf(rangeOf(name)))
  // A maximum of integers is one of the same scale.
  for (const node of graph.node) {
    const input = parameters.get(node.input[0] ?? '')
    if (node.op_type === 'MaxPool' && input !== undefined) parameters.set(node.output[0]!, input)
  }

  // Convolutions give what the Clip behind them would.
  const clipped = new Map(
    graph.node.flatMap((node) =>
      isAbsorbedClip(graph, node) ? [[node.input[0]!, node.output[0]!] as const] : [],
    ),
  )
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name!, tensor]))
  const initializer: OnnxTensor[] = []
  const nodes: OnnxNode[] = []
  const used = new Set<string>()
  const add = (tensor: OnnxTensor): string => {
    initializer.push(tensor)
    return tensor.name!
  }
  const pair = (name: string): void => {
    const found = parameters.get(name)
    if (found === undefined) return
    const scale = add(floats(`${name}/scale`, [], [found.scale]))
    const zero = add({
      name: `${name}/zero_point`,
      dims: [],
      data_type: DATA_TYPE.uint8,
      raw_data: Uint8Array.of(found.zeroPoint),
    })
    nodes.push(
      plainNode('QuantizeLinear', [name, scale, zero], `${name}/quantized`),
      plainNode('DequantizeLinear', [`${name}/quantized`, scale, zero], `${name}/dequantized`),
    )
  }
  for (const { name } of graph.input) pair(name)
  for (const node of graph.node) {
    const input = node.input.map((name) => (parameters.has(name) ? `${name}/dequantized` : name))
    if (node.op_type === 'Conv') {
      const scale = parameters.get(node.input[0]!)!.scale
      const bias = node.input[2] === undefined ? undefined : floatData(constants.get(node.input[2])!)
      const weights = quantizeWeights(constants.get(node.input[1]!)!, bias, scale)
      input[1] = dequantizedWeights(weights, add, nodes)
      if (node.input[2] !== undefined)
        input[2] = dequantizedBias(constants.get(node.input[2])!, weights.scales, scale, add, nodes)
    }
    if (clipped.has(node.input[0]!) && node.op_type === 'Clip') continue
    const output = node.output.map((name) => clipped.get(name) ?? name)
    nodes.push({ ...node, input, output })
    for (const name of input) used.add(name)
    for (const name of output) pair(name)
  }
  const kept = graph.initializer.filter(({ name }) => used.has(name!))
  return {
    ...model,
    graph: { ...graph, node: nodes, initializer: [...kept, ...initializer] },
    metadata_props: model.metadata_props.map(({ key, value }) =>
      key === 'precision' ? { key, value: 'int8' } : { key, value },
    ),
  }
}

interface Parameters {
  scale: number
  zeroPoint: number
}

/** 0 must be a value of the integers: padding is 0. */
function parametersOf({ min, max }: Range): Parameters {
  const low = Math.min(min, 0)
  const high = Math.max(max, 0)
  const scale = high > low ? (high - low) / 255 : 1
  return { scale: Math.fround(scale), zeroPoint: Math.min(255, Math.max(0, Math.round(-low / scale))) }
}

interface QuantizedWeights {
  name: string
  dims: number[]
  /** One per output channel, the first axis. */
  scales: Float32Array
  values: Int8Array
}

/** A bias is counted in steps of input scale * weight scale: so many of them fit, with room for the products. */
const BIAS_STEPS = 2 ** 30
/** Smaller scales would be 0 in float32, or become so with the input's. */
const TINY = 2 ** -60

/** Where a channel's weights are tiny beside its bias, which a batch norm may bring about, the bias sets their scale. */
function quantizeWeights(
  tensor: OnnxTensor,
  bias: Float32Array | undefined,
  inputScale: number,
): QuantizedWeights {
  const data = floatData(tensor)
  const channels = tensor.dims[0]!
  const size = data.length / channels
  const scales = new Float32Array(channels)
  const values = new Int8Array(data.length)
  for (let o = 0; o < channels; o++) {
    const part = data.subarray(o * size, (o + 1) * size)
    const largest = part.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
    const least = Math.abs(bias?.[o] ?? 0) / (BIAS_STEPS * inputScale)
    const scale = Math.fround(largest > 0 ? Math.max(largest / WEIGHT_LIMIT, least, TINY) : 1)
    scales[o] = scale
    part.forEach((value, index) => {
      values[o * size + index] = Math.round(value / scale)
    })
  }
  return { name: tensor.name!, dims: tensor.dims, scales, values }
}

function dequantizedWeights(
  { name, dims, scales, values }: QuantizedWeights,
  add: (tensor: OnnxTensor) => string,
  nodes: OnnxNode[],
): string {
  const channels = scales.length
  const integers = add({
    name: `${name}/quantized`,
    dims,
    data_type: DATA_TYPE.int8,
    raw_data: new Uint8Array(values.buffer),
  })
  const scale = add(floats(`${name}/scale`, [channels], scales))
  const zero = add({
    name: `${name}/zero_point`,
    dims: [channels],
    data_type: DATA_TYPE.int8,
    raw_data: new Uint8Array(channels),
  })
  const output = `${name}/dequantized`
  nodes.push(plainNode('DequantizeLinear', [integers, scale, zero], output, 0))
  return output
}

/** int32, in units of input scale * weight scale: what the integer product is counted in. */
function dequantizedBias(
  tensor: OnnxTensor,
  weightScales: Float32Array,
  inputScale: number,
  add: (tensor: OnnxTensor) => string,
  nodes: OnnxNode[],
): string {
  const name = tensor.name!
  const scales = weightScales.map((scale) => scale * inputScale)
  const limit = 2 ** 31 - 1
  const values = Int32Array.from(floatData(tensor), (value, o) =>
    Math.min(limit, Math.max(-limit, Math.round(value / scales[o]!))),
  )
  const channels = values.length
  const integers = add({
    name: `${name}/quantized`,
    dims: [channels],
    data_type: DATA_TYPE.int32,
    raw_data: new Uint8Array(values.buffer),
  })
  const scale = add(floats(`${name}/scale`, [channels], scales))
  const zero = add({
    name: `${name}/zero_point`,
    dims: [channels],
    data_type: DATA_TYPE.int32,
    raw_data: new Uint8Array(4 * channels),
  })
  const output = `${name}/dequantized`
  nodes.push(plainNode('DequantizeLinear', [integers, scale, zero], output, 0))
  return output
}

function plainNode(op: string, input: string[], output: string, axis?: number): OnnxNode {
  const attribute = axis === undefined ? [] : [{ name: 'axis', type: 2, i: axis }]
  return { name: `${output}:${op}`, op_type: op, input, output: [output], attribute }
}

function floats(name: string, dims: number[], values: ArrayLike<number>): OnnxTensor {
  const data = Float32Array.from(values)
  return { name, dims, data_type: DATA_TYPE.float, raw_data: new Uint8Array(data.buffer) }
}

/** The values of a float tensor; copied, since raw_data of a file may lie at an odd address. */
function floatData(tensor: OnnxTensor): Float32Array {
  return new Float32Array(new Uint8Array(tensor.raw_data).buffer)
}
