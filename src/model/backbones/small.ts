import { INPUT } from '../graph.js'
import type { BackboneNode } from '../graph.js'
import { conv } from './types.js'
import type { Layers } from './types.js'

/**
 * For demonstrations: 0.24 GMAC at 352 x 256. Small nodules need features of a high resolution, so most of the work is
 * done at strides 4 and 8; one convolution then reads, for each cell, its early features and a rim around them, place
 * by place, where further strided layers would blur where in the cell something is.
 */
export function tiny(): Layers {
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
export function lung(): Layers {
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
