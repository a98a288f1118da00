import { INPUT } from '../graph.js'
import type { BackboneNode, Padding } from '../graph.js'
import { conv } from './types.js'
import type { Layers, TorchModules } from './types.js'

/** Filters of an inception module: 1x1; 1x1 -> 3x3; 1x1 -> 3x3; 1x1 behind the pooling. */
type Module = [name: string, b0: number, b1: [number, number], b2: [number, number], b3: number]

/**
 * GoogLeNet with batch norm, up to Mixed_5c. Source: Szegedy et al., arXiv 1409.4842, table 1; names of TF-slim.
 * @param first padding of the first convolution: torchvision's is centered. Its poolings, which round up without
 * padding, are SAME where sizes are even, as they are in frames of whole cells.
 */
export function inceptionV1(scope: string, first: Padding): Layers {
  const nodes: BackboneNode[] = []
  let last = INPUT
  const add = (node: BackboneNode): string => {
    nodes.push(node)
    return (last = node.name)
  }
  const pool = (name: string, size: number): string =>
    add({ op: 'maxPool', name: `${scope}/${name}`, input: last, size, stride: 2, padding: 'same' })
  const modules = (items: Module[]): void => {
    for (const [name, b0, b1, b2, b3] of items) {
      const path = `${scope}/${name}`
      const input = last
      // TF-slim names this one layer differently; its checkpoints have that name.
      const second = name === 'Mixed_5b' ? 'Conv2d_0a_3x3' : 'Conv2d_0b_3x3'
      const outputs = [
        add(conv(`${path}/Branch_0/Conv2d_0a_1x1`, input, b0, 1)),
        add(
          conv(
            `${path}/Branch_1/Conv2d_0b_3x3`,
            add(conv(`${path}/Branch_1/Conv2d_0a_1x1`, input, b1[0], 1)),
            b1[1],
            3,
          ),
        ),
        add(
          conv(
            `${path}/Branch_2/${second}`,
            add(conv(`${path}/Branch_2/Conv2d_0a_1x1`, input, b2[0], 1)),
            b2[1],
            3,
          ),
        ),
        add(
          conv(
            `${path}/Branch_3/Conv2d_0b_1x1`,
            add({
              op: 'maxPool',
              name: `${path}/Branch_3/MaxPool_0a_3x3`,
              input,
              size: 3,
              stride: 1,
              padding: 'same',
            }),
            b3,
            1,
          ),
        ),
      ]
      add({ op: 'concat', name: path, inputs: outputs })
    }
  }
  add(conv(`${scope}/Conv2d_1a_7x7`, INPUT, 64, 7, 2, { padding: first }))
  pool('MaxPool_2a_3x3', 3)
  add(conv(`${scope}/Conv2d_2b_1x1`, last, 64, 1))
  add(conv(`${scope}/Conv2d_2c_3x3`, last, 192, 3))
  pool('MaxPool_3a_3x3', 3)
  modules([
    ['Mixed_3b', 64, [96, 128], [16, 32], 32],
    ['Mixed_3c', 128, [128, 192], [32, 96], 64],
  ])
  pool('MaxPool_4a_3x3', 3)
  modules([
    ['Mixed_4b', 192, [96, 208], [16, 48], 64],
    ['Mixed_4c', 160, [112, 224], [24, 64], 64],
    ['Mixed_4d', 128, [128, 256], [24, 64], 64],
    ['Mixed_4e', 112, [144, 288], [32, 64], 64],
    ['Mixed_4f', 256, [160, 320], [32, 128], 128],
  ])
  pool('MaxPool_5a_2x2', 2)
  modules([
    ['Mixed_5b', 256, [160, 320], [32, 128], 128],
    ['Mixed_5c', 384, [192, 384], [48, 128], 128],
  ])
  return { nodes, top: `${scope}/Mixed_5c`, early: `${scope}/Mixed_3b` }
}

/** torchvision's names: conv1, conv2, conv3, inception3a.branch2.1, ... */
export function googlenetModules(node: string): TorchModules {
  const stem = /\/Conv2d_(1a|2b|2c)_/.exec(node)?.[1]
  const [, stage, letter, branch, step] = /Mixed_(\d)(\w)\/Branch_(\d)\/Conv2d_0(\w)/.exec(node) ?? []
  let name: string
  if (stem !== undefined) name = `conv${['1a', '2b', '2c'].indexOf(stem) + 1}`
  else {
    const path = `inception${stage}${String.fromCharCode(letter!.charCodeAt(0) - 1)}.branch${Number(branch) + 1}`
    // Branch 1 is one convolution; 2 and 3 are two; in 4 the first is a pooling.
    const first = step === 'a' && !node.endsWith('Conv2d_0a_3x3')
    name = branch === '0' ? path : `${path}.${first ? 0 : 1}`
  }
  return { conv: `${name}.conv`, norm: `${name}.bn` }
}
