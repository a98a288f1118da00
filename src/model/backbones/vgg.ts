import { INPUT } from '../graph.js'
import type { BackboneNode } from '../graph.js'
import { conv } from './types.js'
import type { Layers, TorchModules } from './types.js'

/** Convolutions and filters of the five stages. Source: Simonyan and Zisserman, arXiv 1409.1556, table 1, column D. */
const STAGES: readonly (readonly [convolutions: number, filters: number])[] = [
  [2, 64],
  [2, 128],
  [3, 256],
  [3, 512],
  [3, 512],
]

/** VGG-16 without its dense layers: biases, no batch norm; names of TF-slim. */
export function vgg16(scope: string): Layers {
  const nodes: BackboneNode[] = []
  let last = INPUT
  STAGES.forEach(([count, filters], index) => {
    const stage = index + 1
    for (let n = 1; n <= count; n++) {
      const name = `${scope}/conv${stage}/conv${stage}_${n}`
      nodes.push(conv(name, last, filters, 3, 1, { batchNorm: false, bias: true }))
      last = name
    }
    const name = `${scope}/pool${stage}`
    nodes.push({ op: 'maxPool', name, input: last, size: 2, stride: 2, padding: 'same' })
    last = name
  })
  return { nodes, top: last, early: `${scope}/conv4/conv4_3` }
}

/** torchvision's names: features.N, of which every convolution, ReLU and pooling is one. */
export function vggModules(node: string): TorchModules {
  const [, stage, n] = /conv(\d)_(\d)$/.exec(node) ?? []
  const before = STAGES.slice(0, Number(stage) - 1).reduce((sum, [count]) => sum + 2 * count + 1, 0)
  return { conv: `features.${before + 2 * (Number(n) - 1)}` }
}
