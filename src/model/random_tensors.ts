import * as tf from '@tensorflow/tfjs'
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

/** Drops a share of the elements and scales up the others, so that the mean stays. Differentiable. */
export function dropout<T extends tf.Tensor>(x: T, source: DropoutSource, label: string): T {
  const { rate, seed, step } = source
  if (rate === 0) return x
  let state = Math.floor(createRandom(seed).fork(`dropout/${label}/${step}`).uniform() * 0x100000000)
  const limit = Math.round(rate * 0x100000000)
  const scale = 1 / (1 - rate)
  const mask = new Float32Array(x.size)
  for (let i = 0; i < mask.length; i++) {
    // Counter through the finalizer of MurmurHash3: a generator that costs two multiplications.
    state = (state + 0x9e3779b9) | 0
    let bits = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
    if ((bits ^ (bits >>> 16)) >>> 0 >= limit) mask[i] = scale
  }
  return tf.mul(x, tf.tensor(mask, x.shape, 'float32'))
}
