import { invalidParameter } from '../check.js'
import { ATTRIBUTE_TYPE, DATA_TYPE } from './proto.js'
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from './proto.js'

/** The operator set that the emitted graphs use: the first with everything they need that is long established. */
export const OPSET = 17

/** Integers become INT, other numbers must be wrapped: `{ float: 1 }`; arrays become INTS. */
export type AttributeValue = number | string | readonly number[] | { float: number }

export type ElementType = keyof typeof DATA_TYPE
export type TensorData = Float32Array | Uint8Array | Int8Array | Int32Array | BigInt64Array

const ELEMENT_OF: readonly [new (n: number) => TensorData, ElementType][] = [
  [Float32Array, 'float'],
  [Uint8Array, 'uint8'],
  [Int8Array, 'int8'],
  [Int32Array, 'int32'],
  [BigInt64Array, 'int64'],
]

/** Collects nodes and constants of one graph; every value is known by its name. */
export class GraphBuilder {
  readonly #nodes: OnnxNode[] = []
  readonly #constants = new Map<string, OnnxTensor>()
  readonly #names = new Set<string>()
  readonly #inputs: OnnxValue[] = []
  readonly #outputs: OnnxValue[] = []

  /** Declares an input; a string dimension is dynamic. */
  input(name: string, type: ElementType, dims: readonly (number | string)[], doc = ''): string {
    this.#inputs.push(valueInfo(this.#claim(name), type, dims, doc))
    return name
  }

  /** Declares the value `name`, which a node made, as an output. */
  output(name: string, type: ElementType, dims: readonly (number | string)[], doc = ''): void {
    if (!this.#names.has(name)) throw invalidParameter('output', 'name of a value of the graph', name)
    this.#outputs.push(valueInfo(name, type, dims, doc))
  }

  /** A constant under a stable name; asking again for the same name gives the same constant. */
  constant(name: string, dims: readonly number[], data: TensorData): string {
    if (this.#constants.has(name)) return name
    const size = dims.reduce((product, n) => product * n, 1)
    if (size !== data.length) throw invalidParameter(`constant ${name}`, `${size} values`, data.length)
    const type = ELEMENT_OF.find(([kind]) => data instanceof kind)![1]
    this.#constants.set(this.#claim(name), {
      name,
      dims: [...dims],
      data_type: DATA_TYPE[type],
      raw_data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    })
    return name
  }

  /** A scalar float constant, shared by all that use the same value. */
  scalar(value: number): string {
    return this.constant(`scalar/${value}`, [], Float32Array.of(value))
  }

  /** A vector of int64: shapes, axes, splits. */
  integers(values: readonly number[]): string {
    return this.constant(
      `integers/${values.join('_')}`,
      [values.length],
      BigInt64Array.from(values.map(BigInt)),
    )
  }

  /** Adds a node with one output and returns the output's name (`name`, made unique). */
  node(
    op: string,
    inputs: readonly string[],
    name: string,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    return this.nodes(op, inputs, [name], attributes)[0]!
  }

  /** Adds a node with several outputs. */
  nodes(
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string[] {
    const made = outputs.map((name) => this.#claim(this.#unique(name)))
    this.#nodes.push({
      name: `${made[0]}:${op}`,
      op_type: op,
      input: [...inputs],
      output: made,
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    })
    return made
  }

  /** The finished graph. */
  graph(name: string, doc = ''): OnnxGraph {
    return {
      name,
      doc_string: doc,
      node: this.#nodes,
      initializer: [...this.#constants.values()],
      input: this.#inputs,
      output: this.#outputs,
    }
  }

  #unique(name: string): string {
    if (!this.#names.has(name)) return name
    let count = 2
    while (this.#names.has(`${name}_${count}`)) count++
    return `${name}_${count}`
  }

  #claim(name: string): string {
    if (this.#names.has(name)) throw invalidParameter('name', 'a name that the graph does not hold yet', name)
    this.#names.add(name)
    return name
  }
}

function attribute(name: string, value: AttributeValue): OnnxAttribute {
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) throw invalidParameter(name, 'integer or { float }', value)
    return { name, type: ATTRIBUTE_TYPE.int, i: value }
  }
  if (typeof value === 'string')
    return { name, type: ATTRIBUTE_TYPE.string, s: new TextEncoder().encode(value) }
  if ('float' in value) return { name, type: ATTRIBUTE_TYPE.float, f: value.float }
  return { name, type: ATTRIBUTE_TYPE.ints, ints: [...value] }
}

function valueInfo(
  name: string,
  type: ElementType,
  dims: readonly (number | string)[],
  doc: string,
): OnnxValue {
  const dim = dims.map((size) => (typeof size === 'number' ? { dim_value: size } : { dim_param: size }))
  return { name, doc_string: doc, type: { tensor_type: { elem_type: DATA_TYPE[type], shape: { dim } } } }
}
