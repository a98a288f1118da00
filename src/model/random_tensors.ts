import type * as tf from '@tensorflow/tfjs'
import { dropElements } from '../engine/fused.js'
import { createRandom } from '../random.js'

/** Samples of a normal distribution cut at two standard deviations. */
export function truncatedNormal(size: number, deviation: number, seed: number, label: string): Float32Array {
  const random = createRandom(seed).fork(label)
  const values = new Float32Array(size)
  for (let i = 0; i < size; i++) {
    let value = random.normal()
    while (Math.abs(value) > 2) value = random.normal()
    values[i] = value * deviation
  }
  return values
}

/** Samples of the uniform distribution over [-limit, limit). */
export function uniform(size: number, limit: number, seed: number, label: string): Float32Array {
  const random = createRandom(seed).fork(label)
  return Float32Array.from({ length: size }, () => (random.uniform() * 2 - 1) * limit)
}

/** Where the dropout masks of a step come from: the same seed, step and label give the same mask on every engine. */
export interface DropoutSource {
  rate: number
  seed: number
  step: number
}

/**
 * Drops a share of the elements and scales up the others, so that the mean stays. Differentiable.
 * @param labels several: one for each of as many equal parts of x along its first axis
 */
export function dropout<T extends tf.Tensor>(x: T, source: DropoutSource, ...labels: readonly string[]): T {
  const { rate, seed, step } = source
  if (rate === 0) return x
  const states = labels.map((label) =>
    Math.floor(createRandom(seed).fork(`dropout/${label}/${step}`).uniform() * 0x100000000),
  )
  return dropElements(x, { states, limit: Math.round(rate * 0x100000000), scale: 1 / (1 - rate) })
}
