import * as tf from '@tensorflow/tfjs'
import { peek } from '../engine/fused.js'

/** What a residual costs, and the slope of that. */
export interface Cost {
  of: (residual: number) => number
  slope: (residual: number) => number
}

export const absolute: Cost = { of: Math.abs, slope: Math.sign }

/** The square, but no more than `most`, where the slope ends. */
export function boundedSquare(most: number): Cost {
  return {
    of: (residual) => Math.min(residual ** 2, most),
    slope: (residual) => (residual ** 2 <= most ? 2 * residual : 0),
  }
}

/**
 * factor * sum of cost(weights * (truths - predictions)). Differentiable in the predictions. These are few numbers: one
 * loop costs less than the calls of the operations that it would be.
 */
export function residualLoss(
  predictions: tf.Tensor,
  { truths, weights }: { truths: Float32Array; weights: Float32Array },
  cost: Cost,
  factor: number,
): tf.Scalar {
  const op = tf.customGrad((...args) => {
    const [given, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc]
    save([given])
    const residual = (values: Float32Array, i: number): number =>
      Math.fround(weights[i]! * Math.fround(truths[i]! - values[i]!))
    const values = peek(given)
    let sum = 0
    for (let i = 0; i < truths.length; i++) sum += cost.of(residual(values, i))
    return {
      value: tf.scalar(factor * sum),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const scale = Math.fround(factor * peek(dy)[0]!)
        const again = peek(saved[0]!)
        const slopes = truths.map(
          (_, i) => -weights[i]! * Math.fround(scale * cost.slope(residual(again, i))),
        )
        return tf.tensor(slopes, given.shape, 'float32')
      },
    }
  })
  return op(predictions) as tf.Scalar
}
