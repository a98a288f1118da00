import type { Detector } from '../model/detector.js'
import { INPUT } from '../model/graph.js'
import { GraphDef } from './event_schema.js'

interface Node {
  name: string
  op: string
  input: string[]
  attr: object
}

/** The network as TensorBoard's graph shows it: the backbone's layers, then the decoder's parts. */
export function graphDef({ graph, hypes, specs }: Detector): Uint8Array {
  const shapes = new Map(specs.map(({ name, shape }) => [name, shape]))
  const nodes: Node[] = graph.nodes.map((node) => ({
    name: node.name,
    op: node.op,
    input: 'inputs' in node ? [...node.inputs] : [node.input],
    attr: attributes(shapes.get(`${node.name}/weights`)),
  }))
  const decoder = (name: string, input: string[]): Node => {
    const full = `decoder/${name}`
    return { name: full, op: name, input, attr: attributes(shapes.get(`${full}/0`)) }
  }
  const input = { name: INPUT, op: 'Placeholder', input: [], attr: {} }
  const cells = decoder(hypes.use_lstm ? 'lstm' : 'hidden', [graph.top])
  const first = [decoder('box_ip', [cells.name]), decoder('conf_ip', [cells.name])]
  const second = hypes.use_rezoom ? [decoder('rezoom', [graph.early, 'decoder/box_ip', cells.name])] : []
  const all = [input, ...nodes, cells, ...first, ...second]
  return GraphDef.encode(GraphDef.fromObject({ node: all })).finish()
}

function attributes(shape: readonly number[] | undefined): object {
  return shape === undefined ? {} : { shape: { shape: { dim: shape.map((size) => ({ size })) } } }
}
