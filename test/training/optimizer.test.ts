import * as tf from '@tensorflow/tfjs'
import { describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { createOptimizer } from '../../src/training/optimizer.js'

describe('createOptimizer', () => {
  // Two weights with gradients 3 and 4: the global norm is 5.
  it.each([
    [1, 0.6, 0.8],
    [5, 3, 4],
    [0, 3, 4],
  ])('clip_norm %d moves the weights by %d and %d times the rate', (clip, first, second) => {
    const weights = new Map(['a', 'b'].map((name) => [name, tf.variable(tf.tensor1d([0]))]))
    const optimizer = createOptimizer(parseHypes({ clip_norm: clip, solver: { opt: 'SGD' } }), weights)
    const gradients = new Map([
      ['a', tf.tensor1d([3])],
      ['b', tf.tensor1d([4])],
    ])
    expect(optimizer.apply(gradients, 0.5, 0)).toBeCloseTo(5)
    expect(weights.get('a')!.dataSync()[0]).toBeCloseTo(-0.5 * first)
    expect(weights.get('b')!.dataSync()[0]).toBeCloseTo(-0.5 * second)
    optimizer.dispose()
    tf.dispose([...weights.values(), ...gradients.values()])
  })
})
