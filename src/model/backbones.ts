/** The backbones: InceptionV1 and ResNet-101 as TF-slim names and builds them, and a small one for demonstrations. */
import type { Hypes } from '../config/hypes.js'
import { INPUT, findNode, pruneGraph } from './graph.js'
import type { BackboneGraph, BackboneNode, ConvNode } from './graph.js'

/** The backbone that the hypes ask for, with its top and early layer, pruned to what these need. */
export function buildBackbone(hypes: Hypes): BackboneGraph {
  const base = hypes.slim_basename
  const graph = BACKBONES[base]()
  const layer = (name: string, key: string, fallback: string): string =>
    name === '' ? fallback : findNode(graph, base, name, key)
  return pruneGraph({
    nodes: graph.nodes,
    top: layer(hypes.slim_top_lname, 'slim_top_lname', graph.top),
    early: layer(hypes.slim_attention_lname, 'slim_attention_lname', graph.early),
    channels: hypes.data.channels,
  })
}

/** A backbone whatever its frames. */
type Layers = Omit<BackboneGraph, 'channels'>

/** A convolution without bias, followed by batch norm and ReLU. */
function conv(
  name: string,
  input: string,
  filters: number,
  size: number,
  stride = 1,
  rest: Partial<ConvNode> = {},
): ConvNode {
  return {
    op: 'conv',
    name,
    input,
    filters,
    kernel: [size, size],
    stride,
    padding: 'same',
    batchNorm: true,
    bias: false,
    activation: 'relu',
    ...rest,
  }
}

/**
 * For demonstrations: 0.24 GMAC at 352 x 256. Small nodules need features of a high resolution, so most of the work is
 * done at strides 4 and 8; one convolution then reads, for each cell, its early features and a rim around them, place
 * by place, where further strided layers would blur where in the cell something is.
 */
function tiny(): Layers {
  const layers: [name: string, filters: number, size: number, stride: number][] = [
    ['conv1', 16, 3, 2],
    ['conv2', 32, 3, 2],
    ['conv3', 32, 3, 1],
    ['conv4', 64, 3, 2],
    ['conv5', 64, 3, 1],
    ['conv6', 64, 3, 1],
    ['conv7', 128, 6, 4],
  ]
  let input = INPUT
  const nodes = layers.map(([name, filters, size, stride]) => {
    const node = conv(`tiny/${name}`, input, filters, size, stride)
    input = node.name
    return node
  })
  return { nodes, top: 'tiny/conv7', early: 'tiny/conv6' }
}

/**
 * For nodules from 3 mm at 0.7 mm a pixel: residual blocks at strides 4 and 8, where cells of 8 px are decided upon;
 * about 10,000 multiplications a pixel.
 */
function lung(): Layers {
  const nodes: BackboneNode[] = []
  let last = INPUT
  const add = (node: BackboneNode): string => {
    nodes.push(node)
    return (last = node.name)
  }
  const block = (name: string, filters: number): void => {
    const input = last
    add(conv(`lung/${name}/conv1`, input, filters, 3))
    add(conv(`lung/${name}/conv2`, last, filters, 3, 1, { activation: 'none' }))
    add({ op: 'add', name: `lung/${name}`, inputs: [input, last], activation: 'relu' })
  }
  add(conv('lung/conv1', last, 24, 5, 2))
  add(conv('lung/conv2', last, 48, 3, 2))
  block('block1', 48)
  const early = last
  add(conv('lung/conv3', last, 96, 3, 2))
  block('block2', 96)
  block('block3', 96)
  return { nodes, top: last, early }
}

/** Filters of an inception module: 1x1; 1x1 -> 3x3; 1x1 -> 3x3; 1x1 behind the pooling. */
type Module = [name: string, b0: number, b1: [number, number], b2: [number, number], b3: number]

/** GoogLeNet with batch norm, up to Mixed_5c. Source: Szegedy et al., arXiv 1409.4842, table 1; names of TF-slim. */
function inceptionV1(): Layers {
  const nodes: BackboneNode[] = []
  const scope = 'InceptionV1'
  let last = INPUT
  const add = (node: BackboneNode): string => {
    nodes.push(node)
    return (last = node.name)
  }
  const pool = (name: string, size: number): string =>
    add({ op: 'maxPool', name: `${scope}/${name}`, input: last, size, stride: 2 })
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
            add({ op: 'maxPool', name: `${path}/Branch_3/MaxPool_0a_3x3`, input, size: 3, stride: 1 }),
            b3,
            1,
          ),
        ),
      ]
      add({ op: 'concat', name: path, inputs: outputs })
    }
  }
  add(conv(`${scope}/Conv2d_1a_7x7`, INPUT, 64, 7, 2))
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

/**
 * ResNet v1 with bottleneck units; TF-slim strides in the last unit of a block. Source: He et al., arXiv 1512.03385,
 * table 1; names of TF-slim.
 * @param units bottleneck units of the four blocks
 */
function resnetV1(scope: string, units: readonly [number, number, number, number]): Layers {
  const nodes: BackboneNode[] = [
    conv(`${scope}/conv1`, INPUT, 64, 7, 2, { padding: 'centered' }),
    { op: 'maxPool', name: `${scope}/pool1`, input: `${scope}/conv1`, size: 3, stride: 2 },
  ]
  let last = `${scope}/pool1`
  let channels = 64
  units.forEach((count, index) => {
    const block = `${scope}/block${index + 1}`
    const inner = 64 * 2 ** index
    for (let unit = 1; unit <= count; unit++) {
      const path = `${block}/unit_${unit}/bottleneck_v1`
      const stride = unit === count && index < 3 ? 2 : 1
      let shortcut = last
      if (channels !== inner * 4) {
        shortcut = `${path}/shortcut`
        nodes.push(conv(shortcut, last, inner * 4, 1, stride, { activation: 'none' }))
      } else if (stride > 1) {
        shortcut = `${path}/subsample`
        nodes.push({ op: 'maxPool', name: shortcut, input: last, size: 1, stride })
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
  return { nodes, top: `${scope}/block4`, early: `${scope}/block1` }
}

/** A backbone is one entry here, and its name one choice of `slim_basename`. */
const BACKBONES: Record<Hypes['slim_basename'], () => Layers> = {
  InceptionV1: inceptionV1,
  resnet_v1_101: () => resnetV1('resnet_v1_101', [3, 4, 23, 3]),
  tiny,
  lung,
}
