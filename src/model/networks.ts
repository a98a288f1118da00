/** A backbone as one or two networks that an engine may run as operations of their own: src/engine/network.ts. */
import type { Network, NetworkNode, NetworkPadding } from '../engine/network.js'
import { INPUT } from './graph.js'
import type { BackboneGraph, BackboneNode, ConvNode, Padding } from './graph.js'

/** The nodes that lead from one place, and from no other, to another. */
export interface Stretch {
  network: Network
  from: string
  to: string
  convolutions: readonly ConvNode[]
}

const known = new WeakMap<BackboneGraph, readonly Stretch[] | undefined>()

/**
 * The graph as stretches, one behind another: up to the early features and on to the coarse ones. Undefined where a node is
 * not what a Network has, or where something leads past the early features.
 */
export function stretchesOf(graph: BackboneGraph): readonly Stretch[] | undefined {
  if (!known.has(graph)) known.set(graph, makeStretches(graph))
  return known.get(graph)
}

function makeStretches({ nodes, early, top, epsilon }: BackboneGraph): readonly Stretch[] | undefined {
  const cut = nodes.findIndex(({ name }) => name === early) + 1
  const parts = early === top ? [nodes] : [nodes.slice(0, cut), nodes.slice(cut)]
  const ends = early === top ? [INPUT, top] : [INPUT, early, top]
  const stretches = parts.map((part, index) => stretchOf(part, ends[index]!, ends[index + 1]!, epsilon))
  return stretches.includes(undefined) ? undefined : (stretches as Stretch[])
}

export const inputsOf = (node: BackboneNode): readonly string[] =>
  'inputs' in node ? node.inputs : [node.input]

function stretchOf(
  nodes: readonly BackboneNode[],
  from: string,
  to: string,
  epsilon: number,
): Stretch | undefined {
  const places = new Map([[from, 0], ...nodes.map(({ name }, index) => [name, index + 1] as const)])
  const read = new Set(nodes.flatMap(inputsOf))
  if ([...read].some((name) => !places.has(name))) return undefined
  if (nodes.at(-1)?.name !== to || nodes.some(({ name }) => name !== to && !read.has(name))) return undefined
  const translated = nodes.map((node) => translate(node, places))
  if (translated.includes(undefined)) return undefined
  const convolutions = nodes.filter((node) => node.op === 'conv')
  return { network: { nodes: translated as NetworkNode[], epsilon }, from, to, convolutions }
}

function translate(node: BackboneNode, places: ReadonlyMap<string, number>): NetworkNode | undefined {
  const place = (name: string): number => places.get(name)!
  if (node.op === 'concat') return { op: 'concat', inputs: node.inputs.map(place) }
  if (node.op === 'add') {
    const [a, b] = node.inputs
    return { op: 'add', inputs: [place(a), place(b)], relu: node.activation === 'relu' }
  }
  const input = place(node.input)
  const { stride } = node
  if (node.op === 'maxPool')
    return { op: 'maxPool', input, size: node.size, stride, pad: pad(node.padding, [node.size, node.size]) }
  if (node.depthwise === true || !node.batchNorm || node.activation === 'relu6') return undefined
  return { op: 'conv', input, stride, pad: pad(node.padding, node.kernel), relu: node.activation === 'relu' }
}

function pad(padding: Padding, [height, width]: readonly [number, number]): NetworkPadding {
  return padding === 'same' ? 'same' : centered(height, width)
}

/** Explicit padding of a window: (size - 1) / 2 before and behind. */
export function centered(height: number, width: number): Exclude<NetworkPadding, string> {
  const around = (size: number): [number, number] => [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)]
  return [[0, 0], around(height), around(width), [0, 0]]
}
