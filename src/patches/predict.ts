import * as tf from '@tensorflow/tfjs'
import { PLAIN_VIEW, renderView } from './augment.js'
import { cubePlanes, cubeSpec } from './cube.js'
import type { PatchModel } from './model.js'
import type { CubeStore } from './store.js'

const TEST_BATCH = 64

/** Outputs of the model, as it is used, for cubes of a store as they are: [cubes, targets]. */
export function predictCubes(model: PatchModel, store: CubeStore, indices: readonly number[]): Float32Array {
  const spec = cubeSpec(model.hypes)
  const size = cubePlanes(spec) * spec.fine.size ** 2
  const width = model.hypes.targets.length
  const outputs = new Float32Array(indices.length * width)
  for (let start = 0; start < indices.length; start += TEST_BATCH) {
    const part = indices.slice(start, start + TEST_BATCH)
    const cubes = new Float32Array(part.length * size)
    part.forEach((index, n) =>
      renderView(store.read(index), spec, PLAIN_VIEW, undefined, cubes.subarray(n * size, (n + 1) * size)),
    )
    const values = tf.tidy(() =>
      model.forward(cubeTensor(model, cubes), { training: false }).outputs.dataSync(),
    )
    outputs.set(values, start * width)
  }
  return outputs
}

/** Cubes as the model takes them: gray levels [n, size, size, planes]. */
export function cubeTensor({ hypes }: PatchModel, cubes: Float32Array): tf.Tensor4D {
  const spec = cubeSpec(hypes)
  const { size } = spec.fine
  const planes = cubePlanes(spec)
  return tf.tensor4d(cubes, [cubes.length / (size * size * planes), size, size, planes])
}

/** The probability that a positive scores higher than a negative, ties half; NaN without both. */
export function areaUnderCurve(scores: readonly number[], positive: readonly boolean[]): number {
  const order = scores.map((_, index) => index).sort((a, b) => scores[a]! - scores[b]!)
  let ranks = 0
  let count = 0
  for (let start = 0; start < order.length;) {
    let end = start
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++
    // Ties share the mean of their ranks, which count from 1.
    for (let n = start; n < end; n++) {
      if (!positive[order[n]!]) continue
      ranks += (start + 1 + end) / 2
      count++
    }
    start = end
  }
  const others = order.length - count
  return count > 0 && others > 0 ? (ranks - (count * (count + 1)) / 2) / (count * others) : Number.NaN
}
