import { INPUT } from '../graph.js'
import type { BackboneNode } from '../graph.js'
import { conv } from './types.js'
import type { Layers, TorchModules } from './types.js'

/**
 * Stages of inverted bottlenecks. Source: Tan and Le, arXiv 1905.11946, table 1, and Google's
 * tpu/models/official/efficientnet/lite: no squeeze-and-excitation, ReLU6.
 */
const STAGES: readonly { units: number; size: number; stride: number; expand: number; filters: number }[] = [
  { units: 1, size: 3, stride: 1, expand: 1, filters: 16 },
  { units: 2, size: 3, stride: 2, expand: 6, filters: 24 },
  { units: 2, size: 5, stride: 2, expand: 6, filters: 40 },
  { units: 3, size: 3, stride: 2, expand: 6, filters: 80 },
  { units: 3, size: 5, stride: 1, expand: 6, filters: 112 },
  { units: 4, size: 5, stride: 2, expand: 6, filters: 192 },
  { units: 1, size: 3, stride: 1, expand: 6, filters: 320 },
]

/** EfficientNet-Lite0 up to its last bottleneck; blocks are numbered from 0 as in its checkpoints. */
export function efficientnetLite0(scope: string): Layers {
  const relu6 = { activation: 'relu6' } as const
  const nodes: BackboneNode[] = [conv(`${scope}/stem`, INPUT, 32, 3, 2, relu6)]
  let last = `${scope}/stem`
  let channels = 32
  let block = 0
  let early = last
  STAGES.forEach(({ units, size, stride: first, expand, filters }, stage) => {
    for (let unit = 0; unit < units; unit++) {
      const path = `${scope}/blocks_${block++}`
      const stride = unit === 0 ? first : 1
      const wide = channels * expand
      let inner = last
      if (expand > 1) {
        inner = `${path}/expand`
        nodes.push(conv(inner, last, wide, 1, 1, relu6))
      }
      nodes.push(
        conv(`${path}/depthwise`, inner, wide, size, stride, { ...relu6, depthwise: true }),
        conv(`${path}/project`, `${path}/depthwise`, filters, 1, 1, { activation: 'none' }),
      )
      if (stride === 1 && channels === filters)
        nodes.push({ op: 'add', name: path, inputs: [last, `${path}/project`], activation: 'none' })
      last = nodes.at(-1)!.name
      channels = filters
    }
    if (stage === 2) early = last
  })
  return { nodes, top: last, early }
}

/** Names of the PyTorch port (PyPI: efficientnet-lite-pytorch). */
export function efficientnetModules(node: string): TorchModules {
  const [, block, part] = /blocks_(\d+)\/(\w+)$/.exec(node) ?? []
  if (block === undefined) return { conv: '_conv_stem', norm: '_bn0' }
  const norm = { expand: '_bn0', depthwise: '_bn1', project: '_bn2' }[part as 'expand']
  return { conv: `_blocks.${block}._${part}_conv`, norm: `_blocks.${block}.${norm}` }
}
