import * as tf from '@tensorflow/tfjs'
import { NoduleError } from '../errors.js'
import type { BatchStatistics } from '../model/backbone.js'
import type { Optimizer } from '../training/optimizer.js'
import { PLAIN_VIEW, renderView } from './augment.js'
import type { PatchBatch } from './batches.js'
import { cubePlanes, cubeSpec } from './cube.js'
import type { PatchModel } from './model.js'
import type { CubeStore } from './store.js'
import { targetLoss } from './targets.js'

/**
 * One training step. Throws NoduleError (NUMERIC) where loss or gradients are not finite; the weights are then unchanged.
 * @returns the loss, and the global norm of the gradients before the clipping
 */
export function patchStep(
  model: PatchModel,
  optimizer: Optimizer,
  { cubes, labels }: PatchBatch,
  o: { step: number; learningRate: number },
): { loss: number; gradientNorm: number } {
  const { hypes, weights } = model
  const trainable = [...weights].filter(([, variable]) => variable.trainable)
  const input = cubeTensor(model, cubes)
  let statistics: BatchStatistics[] = []
  try {
    const { value, grads } = tf.variableGrads(
      () => {
        const forward = model.forward(input, { training: true, step: o.step })
        ;({ statistics } = forward)
        return targetLoss(forward.outputs, labels, hypes.targets)
      },
      trainable.map(([, variable]) => variable),
    )
    try {
      const loss = value.dataSync()[0]!
      if (!Number.isFinite(loss))
        throw new NoduleError('NUMERIC', 'the loss is not finite (a lower solver.learning_rate may help)', {
          place: `step ${o.step}`,
          expected: 'a finite number',
          actual: String(loss),
        })
      const gradients = new Map(trainable.map(([name, variable]) => [name, grads[variable.name]!]))
      const gradientNorm = optimizer.apply(gradients, o.learningRate, o.step)
      model.updateAverages(statistics)
      statistics = []
      return { loss, gradientNorm }
    } finally {
      value.dispose()
      tf.dispose(grads)
    }
  } finally {
    input.dispose()
    tf.dispose(statistics.flatMap(({ mean, variance }) => [mean, variance]))
  }
}

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

function cubeTensor({ hypes }: PatchModel, cubes: Float32Array): tf.Tensor4D {
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
