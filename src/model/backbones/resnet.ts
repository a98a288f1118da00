import { INPUT } from '../graph.js'
import type { BackboneNode } from '../graph.js'
import { conv } from './types.js'
import type { Layers, TorchModules } from './types.js'

/** Bottleneck units of the four blocks. Source: He et al., arXiv 1512.03385, table 1. */
export type Units = readonly [number, number, number, number]

/**
 * ResNet v1 with bottleneck units, by TF-slim's names; the 3x3 convolution of a unit strides.
 * @param striding which unit of a block strides, and how its padding lies: TF-slim's last ones of the first three blocks
 * (so that block1 has stride 8), or torchvision's first ones of the last three (block2 has stride 8)
 */
export function resnetV1(scope: string, units: Units, striding: 'slim' | 'torchvision'): Layers {
  const slim = striding === 'slim'
  const nodes: BackboneNode[] = [
    conv(`${scope}/conv1`, INPUT, 64, 7, 2, { padding: 'centered' }),
    {
      op: 'maxPool',
      name: `${scope}/pool1`,
      input: `${scope}/conv1`,
      size: 3,
      stride: 2,
      padding: slim ? 'same' : 'centered',
    },
  ]
  let last = `${scope}/pool1`
  let channels = 64
  units.forEach((count, index) => {
    const block = `${scope}/block${index + 1}`
    const inner = 64 * 2 ** index
    for (let unit = 1; unit <= count; unit++) {
      const path = `${block}/unit_${unit}/bottleneck_v1`
      const strides = slim ? unit === count && index < 3 : unit === 1 && index > 0
      const stride = strides ? 2 : 1
      let shortcut = last
      if (channels !== inner * 4) {
        shortcut = `${path}/shortcut`
        nodes.push(conv(shortcut, last, inner * 4, 1, stride, { activation: 'none' }))
      } else if (stride > 1) {
        shortcut = `${path}/subsample`
        nodes.push({ op: 'maxPool', name: shortcut, input: last, size: 1, stride, padding: 'same' })
      }
      nodes.push(
        conv(`${path}/conv1`, last, inner, 1),
        conv(`${path}/conv2`, `${path}/conv1`, inner, 3, stride, {
          padding: stride > 1 ? 'centered' : 'same',
        }),
        conv(`${path}/conv3`, `${path}/conv2`, inner * 4, 1, 1, { activation: 'none' }),
      )
      last = unit === count ? block : path
      nodes.push({ op: 'add', name: last, inputs: [shortcut, `${path}/conv3`], activation: 'relu' })
      channels = inner * 4
    }
  })
  return { nodes, top: `${scope}/block4`, early: `${scope}/block${slim ? 1 : 2}` }
}

/** torchvision's names: conv1 and bn1, layer1.0.conv1 and layer1.0.bn1, layer1.0.downsample.0 and .1. */
export function resnetModules(node: string): TorchModules {
  const [, block, unit, part] = /block(\d)\/unit_(\d+)\/bottleneck_v1\/(\w+)$/.exec(node) ?? []
  if (part === undefined) return { conv: 'conv1', norm: 'bn1' }
  const path = `layer${block}.${Number(unit) - 1}`
  if (part === 'shortcut') return { conv: `${path}.downsample.0`, norm: `${path}.downsample.1` }
  return { conv: `${path}.${part}`, norm: `${path}.${part.replace('conv', 'bn')}` }
}
