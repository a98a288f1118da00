/**
 * What a training step costs at least: its multiplications at the rate of a large matrix product. The native engine needs
 * fewer of them for 3x3 convolutions (native/tensor/winograd.h).
 */
import * as tf from '@tensorflow/tfjs'
import type { Detector } from '../src/model/detector.js'
import { graphShapes } from '../src/model/graph.js'
import { measureTogether } from './measure.js'

/** Floating-point operations of one step, forward and both gradients, an image: convolutions, and products of the decoder. */
export function stepOperations({ hypes, graph, weights }: Detector): {
  convolutions: number
  products: number
} {
  const shapes = graphShapes(graph, hypes.image_height, hypes.image_width)
  let convolutions = 0
  let first = true
  for (const node of graph.nodes) {
    if (node.op !== 'conv') continue
    const { height, width } = shapes.get(node.name)!
    // Nobody needs the gradient of the frames.
    convolutions += (first ? 2 : 3) * 2 * height * width * weights.get(`${node.name}/weights`)!.size
    first = false
  }
  const cells = hypes.grid_height * hypes.grid_width
  const steps = hypes.rnn_len
  let products = 0
  for (const [name, { shape, size }] of weights) {
    if (!name.startsWith('decoder/') || shape.length !== 2) continue
    const perRow = 3 * 2 * size
    if (!name.includes('/lstm/')) products += cells * perRow
    else {
      const state = (shape[1]! / 4 / shape[0]!) * perRow
      // The first layer's input is the same at every step; the state is 0 before the first.
      const inputs = name.includes('layer_0') ? 1 : steps
      products += cells * (inputs * (perRow - state) + (steps - 1) * state)
    }
  }
  return { convolutions, products }
}

/** Operations a millisecond of a product of two 1,536 x 1,536 matrices in the present engine. */
export async function productRate(): Promise<number> {
  const n = 1536
  const a = tf.randomUniform([n, n])
  const work = (): void => tf.matMul(a, a).dispose()
  const { product } = await measureTogether({ product: work }, 1)
  a.dispose()
  return (2 * n ** 3) / product.ms
}
