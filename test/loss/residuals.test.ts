import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { absolute, boundedSquare, residualLoss } from '../../src/loss/residuals.js'
import type { Cost } from '../../src/loss/residuals.js'

beforeAll(() => tf.setBackend('cpu'))

describe('residualLoss', () => {
  const predictions = [0, 3, -20, 4.5, 1, 7]
  const goals = {
    truths: new Float32Array([2, 3, 0, 4, 100, 7.5]),
    weights: new Float32Array([1, 1, 1, 0.5, 0, 2]),
  }
  const plain = (x: tf.Tensor, cost: (residuals: tf.Tensor) => tf.Tensor): tf.Tensor =>
    tf.mul(tf.sum(cost(tf.mul(tf.tensor1d(goals.weights), tf.sub(tf.tensor1d(goals.truths), x)))), 0.7)

  it.each<[string, Cost, (residuals: tf.Tensor) => tf.Tensor]>([
    ['absolute', absolute, (r) => tf.abs(r)],
    ['square of at most 100', boundedSquare(100), (r) => tf.minimum(tf.square(r), 100)],
  ])('%s: value and gradient of the same written with operations', (_, cost, operations) => {
    const of = (loss: (x: tf.Tensor) => tf.Tensor): number[][] => {
      // Part of a larger expression: its gradient is not 1.
      const { value, grad } = tf.valueAndGrad((x) => tf.mul(3, loss(x)))(tf.tensor1d(predictions))
      return [value, grad].map((tensor) => [...tensor.dataSync()])
    }
    const [value, slopes] = of((x) => residualLoss(x, goals, cost, 0.7))
    const [expected, wanted] = of((x) => plain(x, operations))
    expect(value![0]).toBeCloseTo(expected![0]!, 4)
    // At a residual of 0 the slope of |x| is 0 here, and -1 in tfjs.
    wanted![1] = 0
    slopes!.forEach((slope, i) => expect(slope).toBeCloseTo(wanted![i]!, 5))
  })
})
