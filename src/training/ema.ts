import * as tf from '@tensorflow/tfjs'
import { checkNumber } from '../check.js'
import { moveAverages } from '../engine/fused_training.js'
import type { Variables } from '../checkpoints/checkpoint.js'

/**
 * A moving average of a model's weights, batch-norm averages included: averages = d * averages + (1 - d) * weights
 * after each step, where d rises with the steps to `decay`, so that the random start is soon forgotten
 * (d = min(decay, (1 + step) / (10 + step)), as TensorFlow's ExponentialMovingAverage has it). Source: Polyak and
 * Juditsky, 1992.
 *
 * A checkpoint of a run that averages holds `averages` as the model, and the weights that are trained beside them
 * (see `slots`), so that the run can go on.
 */
export interface Ema {
  /** By the weights' names: the model to validate, save and export. */
  readonly averages: Map<string, tf.Variable>
  /** The weights themselves as `raw/<name>`: to be saved with the optimizer's slots, and restored with them. */
  readonly slots: ReadonlyMap<string, tf.Variable>
  /** To be called after each training step; `step` counts from 0. */
  update: (step: number) => void
  /** Does the work, which must not train, with the averages in the place of the weights. */
  use: <Result>(work: () => Promise<Result>) => Promise<Result>
  dispose: () => void
}

/** Begins at the weights as they are. Throws NoduleError (INVALID_PARAMETER). */
export function createEma(weights: Variables, decay: number): Ema {
  checkNumber('decay', decay, 0, 0.999999)
  const averages = new Map(
    [...weights].map(([name, weight]): [string, tf.Variable] => {
      // A copy: engines move variables in place, so that the two must not share their memory.
      const copy = tf.tensor(Float32Array.from(weight.dataSync()), weight.shape, 'float32')
      const average = tf.variable(copy, false)
      copy.dispose()
      return [name, average]
    }),
  )
  return {
    averages,
    slots: new Map([...weights].map(([name, weight]) => [`raw/${name}`, weight])),
    update: (step) => {
      const momentum = Math.min(decay, (1 + step) / (10 + step))
      moveAverages(
        [...weights].map(([name, weight]) => ({ average: averages.get(name)!, value: weight })),
        momentum,
      )
    },
    use: async (work) => {
      const kept = [...weights.values()].map((weight) => weight.clone())
      try {
        for (const [name, weight] of weights) weight.assign(averages.get(name)!)
        return await work()
      } finally {
        ;[...weights.values()].forEach((weight, index) => weight.assign(kept[index]!))
        tf.dispose(kept)
      }
    },
    dispose: () => tf.dispose([...averages.values()]),
  }
}
