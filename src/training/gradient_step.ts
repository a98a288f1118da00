import * as tf from '@tensorflow/tfjs'
import { NoduleError } from '../errors.js'
import type { BatchStatistics } from '../model/backbone.js'
import type { Variables } from '../checkpoints/checkpoint.js'
import { reduceFlat } from './flat_gradients.js'
import type { ReduceGradients } from './flat_gradients.js'
import type { Optimizer } from './optimizer.js'

/** Where a training step stands. */
export interface StepPlace {
  /** From 0. */
  step: number
  learningRate: number
  /** Where somebody looks at this step: receives numbers by the tags of their histograms. */
  observe?: Observe | undefined
  /** Where several machines train together. */
  reduce?: ReduceGradients | undefined
}

export type Observe = (tag: string, values: ArrayLike<number>) => void

/** What a model says about one batch. */
export interface Forward<Numbers> {
  /** What is made smaller. */
  loss: tf.Scalar
  /** Batch statistics of the batch norms. */
  statistics: BatchStatistics[]
  /** What the log tells, the loss as `loss` among it. */
  numbers: Numbers & { loss: number }
}

interface Model {
  readonly weights: Variables
  /** Takes the statistics of one batch, and disposes of them. */
  updateAverages: (statistics: readonly BatchStatistics[]) => void
}

/**
 * One training step: forward, backward, clipping, weights and averages moved. Of several batches the gradients are
 * averaged: these means are all that machines which train together have to exchange (`place.reduce`). The averages of the
 * batch norms move once for every batch, in order.
 *
 * Throws NoduleError (NUMERIC) where loss or gradients are not finite; the weights are then unchanged.
 * @param forward number: counts the batches of the run, from 0
 */
export function gradientStep<Batch, Numbers extends object>(
  model: Model,
  optimizer: Optimizer,
  batches: readonly Batch[],
  place: StepPlace,
  forward: (batch: Batch, number: number) => Forward<Numbers>,
): Numbers & { loss: number; gradientNorm: number } {
  const trainable = [...model.weights].filter(([, variable]) => variable.trainable)
  const all: (Numbers & { loss: number })[] = []
  const statistics: BatchStatistics[][] = []
  let gradients = new Map<string, tf.Tensor>()
  try {
    for (const [index, batch] of batches.entries()) {
      const { value, grads } = tf.variableGrads(
        () => {
          const result = forward(batch, place.step * batches.length + index)
          statistics.push(result.statistics)
          if (!Number.isFinite(result.numbers.loss)) throw notFinite(place.step, result.numbers)
          all.push(result.numbers)
          return result.loss
        },
        trainable.map(([, variable]) => variable),
      )
      value.dispose()
      const found = trainable.flatMap(([name, variable]): [string, tf.Tensor][] => {
        const gradient = grads[variable.name]
        return gradient == null ? [] : [[name, gradient]]
      })
      gradients = index === 0 ? new Map(found) : sums(gradients, new Map(found))
    }
    if (batches.length > 1) gradients = scaled(gradients, 1 / batches.length)
    if (place.reduce !== undefined) gradients = reduceFlat(gradients, place.reduce)
    if (place.observe !== undefined)
      for (const [name, gradient] of gradients) place.observe(`gradients/${name}`, gradient.dataSync())
    const gradientNorm = optimizer.apply(gradients, place.learningRate, place.step)
    // One batch after the other: each moves the averages that the one before left.
    while (statistics.length > 0) model.updateAverages(statistics.shift()!)
    return { ...means(all), gradientNorm }
  } finally {
    tf.dispose([...gradients.values()])
    tf.dispose(statistics.flat().flatMap(({ mean, variance }) => [mean, variance]))
  }
}

function sums(a: Map<string, tf.Tensor>, b: Map<string, tf.Tensor>): Map<string, tf.Tensor> {
  const result = new Map<string, tf.Tensor>()
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const parts = [a.get(name), b.get(name)].filter((part) => part !== undefined)
    result.set(name, parts.length === 1 ? parts[0]! : tf.add(parts[0]!, parts[1]!))
    if (parts.length > 1) tf.dispose(parts)
  }
  return result
}

function scaled(tensors: Map<string, tf.Tensor>, factor: number): Map<string, tf.Tensor> {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const result = tf.mul(tensor, factor)
      tensor.dispose()
      return [name, result]
    }),
  )
}

function means<Numbers extends object>(all: readonly Numbers[]): Numbers {
  if (all.length === 1) return all[0]!
  const names = Object.keys(all[0]!) as (keyof Numbers)[]
  return Object.fromEntries(
    names.map((name) => [name, all.reduce((sum, one) => sum + Number(one[name]), 0) / all.length]),
  ) as unknown as Numbers
}

function notFinite(step: number, numbers: object): NoduleError {
  const bad = Object.entries(numbers).filter(([, value]) => !Number.isFinite(value))
  return new NoduleError('NUMERIC', 'the loss is not finite (a lower solver.learning_rate may help)', {
    place: `step ${step}`,
    expected: 'finite numbers',
    actual: bad.map(([name, value]) => `${name} ${value}`).join(', '),
  })
}
