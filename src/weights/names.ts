/** What files of weights call the variables of a backbone. */
import { BACKBONES, wholeBackbone } from '../model/backbones/registry.js'
import type { BackboneName } from '../config/backbones.js'
import { backboneSpecs } from '../model/weights.js'
import type { BackboneGraph, ConvNode } from '../model/graph.js'

/** Whose names: of the graph itself (TF-slim's and this package's), or those of PyTorch's modules. */
export type Naming = 'graph' | 'modules'

/** One variable of a backbone and what a file calls it. */
export interface NamedVariable {
  /** Name and shape here; see model/graph.ts. */
  name: string
  shape: readonly number[]
  /** Its name in the file, without a prefix. */
  source: string
  /** A convolution's filter: its axes may lie otherwise in the file. */
  filter: 'full' | 'depthwise' | undefined
  /** The value where files leave it out: scales of batch norms, which TF-slim's InceptionV1 has not. */
  otherwise?: number
}

const PARTS: Readonly<Record<string, string>> = {
  weights: 'weight',
  depthwise_weights: 'weight',
  biases: 'bias',
  'BatchNorm/gamma': 'weight',
  'BatchNorm/beta': 'bias',
  'BatchNorm/moving_mean': 'running_mean',
  'BatchNorm/moving_variance': 'running_var',
}

/** The side of the frames that the shapes are taken for: variables do not depend on it. */
const SIDE = 64

/** The namings that a backbone's files can have. */
export function namingsOf(backbone: BackboneName): readonly Naming[] {
  return BACKBONES[backbone].modules === undefined ? ['graph'] : ['graph', 'modules']
}

/** The variables of a graph of this backbone as files of the naming call them. */
export function namedVariables(
  backbone: BackboneName,
  naming: Naming,
  graph: BackboneGraph = wholeBackbone(backbone),
): NamedVariable[] {
  const { modules } = BACKBONES[backbone]
  const convolutions = graph.nodes.filter((node): node is ConvNode => node.op === 'conv')
  const byLength = [...convolutions].sort((a, b) => b.name.length - a.name.length)
  return backboneSpecs(graph, SIDE, SIDE).map(({ name, shape }) => {
    const node = byLength.find((item) => name.startsWith(`${item.name}/`))!
    const part = name.slice(node.name.length + 1)
    let source = name
    if (naming === 'modules') {
      const { conv, norm } = modules!(node.name)
      source = `${part.startsWith('BatchNorm/') ? norm! : conv}.${PARTS[part]!}`
    }
    const isFilter = part === 'weights' || part === 'depthwise_weights'
    return {
      name,
      shape,
      source,
      filter: isFilter ? (node.depthwise === true ? 'depthwise' : 'full') : undefined,
      ...(part === 'BatchNorm/gamma' ? { otherwise: 1 } : {}),
    }
  })
}
