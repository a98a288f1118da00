/** What happens to the weights after the gradients: their norm, optimizers, moving averages. See fused.ts. */
import * as tf from '@tensorflow/tfjs'
import { numbered, run } from './fused.js'

/** The sum of the squares of all elements, a scalar tensor. */
function squaredNorm(x: tf.Tensor): tf.Tensor {
  return run('NoduleSquaredNorm', { x }, {})?.[0] ?? tf.tidy(() => tf.sum(tf.square(x)))
}

/** The Euclidean norm of all elements of all tensors together. */
export function globalNorm(tensors: readonly tf.Tensor[]): number {
  if (tensors.length === 0) return 0
  return tf.tidy(() => {
    const sum = run('NoduleSquaredNorms', numbered(tensors), {})?.[0] ?? tf.addN(tensors.map(squaredNorm))
    return Math.sqrt(sum.dataSync()[0]!)
  })
}

/**
 * One step of RMSProp without momentum: s = decay * s + (1 - decay) * g^2; w = w - lr * g / sqrt(s + epsilon), as
 * TensorFlow 1 has it (epsilon inside the root). Source: Tieleman and Hinton, Coursera lecture 6.5, 2012.
 * @returns the new weight and mean square
 */
function rmsProp(
  weight: tf.Tensor,
  meanSquare: tf.Tensor,
  gradient: tf.Tensor,
  o: { learningRate: number; decay: number; epsilon: number; scale: number },
): tf.Tensor[] {
  const fused = run('NoduleRmsProp', { weight, meanSquare, gradient }, { ...o })
  if (fused !== undefined) return fused
  return tf.tidy(() => {
    const g = tf.mul(gradient, o.scale)
    const s = tf.add(tf.mul(meanSquare, o.decay), tf.mul(tf.square(g), 1 - o.decay))
    return [tf.sub(weight, tf.div(tf.mul(g, o.learningRate), tf.sqrt(tf.add(s, o.epsilon)))), s]
  })
}

/**
 * One step of Adam: m = b1 * m + (1 - b1) * g; v = b2 * v + (1 - b2) * g^2; w = w - lr * m / (sqrt(v) + epsilon).
 * The caller puts the bias correction into `learningRate`. Source: Kingma and Ba, arXiv 1412.6980, end of section 2.
 * @returns the new weight, mean and mean square
 */
function adam(
  weight: tf.Tensor,
  mean: tf.Tensor,
  meanSquare: tf.Tensor,
  gradient: tf.Tensor,
  o: { learningRate: number; beta1: number; beta2: number; epsilon: number; scale: number },
): tf.Tensor[] {
  const fused = run('NoduleAdam', { weight, mean, meanSquare, gradient }, { ...o })
  if (fused !== undefined) return fused
  return tf.tidy(() => {
    const g = tf.mul(gradient, o.scale)
    const m = tf.add(tf.mul(mean, o.beta1), tf.mul(g, 1 - o.beta1))
    const v = tf.add(tf.mul(meanSquare, o.beta2), tf.mul(tf.square(g), 1 - o.beta2))
    return [tf.sub(weight, tf.div(tf.mul(m, o.learningRate), tf.add(tf.sqrt(v), o.epsilon))), m, v]
  })
}

/** One step of an optimizer. `scale` multiplies the gradients first (global-norm clipping). */
export interface Move {
  /**
   * - SGD: w = w - lr * g
   * - momentum: v = decay * v + g; w = w - lr * v, as TensorFlow's MomentumOptimizer has it: the rate is outside of v
   * - RMS: see `rmsProp`; decay
   * - Adam: see `adam`; decay and decay2 are b1 and b2
   */
  kind: 'SGD' | 'momentum' | 'RMS' | 'Adam'
  learningRate: number
  decay: number
  decay2: number
  epsilon: number
  scale: number
  /**
   * Adam: what is left of a weight before it is moved, of those that decay. Decoupled decay: Loshchilov and Hutter, arXiv
   * 1711.05101.
   */
  keep: number
}

/** A weight with its gradient and the optimizer's slots. */
export interface Moved {
  weight: tf.Variable
  slots: readonly tf.Variable[]
  gradient: tf.Tensor
}

/** Vectors (biases, batch norms) keep their size. */
export function isDecayed({ shape }: { shape: readonly number[] }): boolean {
  return shape.length > 1
}

/** Moves all weights and slots, which may be written in place. */
export function moveWeights(all: readonly Moved[], move: Move): void {
  if (all.length === 0) return
  const gradients = all.map(({ gradient }) => gradient)
  const variables = [
    ...all.map(({ weight }) => weight),
    ...all[0]!.slots.flatMap((_, slot) => all.map(({ slots }) => slots[slot]!)),
  ]
  const inputs = numbered([...gradients, ...variables])
  const outputs = run('NoduleMoveWeights', inputs, { ...move, count: all.length })
  if (outputs !== undefined) assignAll(variables, outputs)
  else for (const one of all) assignAll([one.weight, ...one.slots], moveOne(one, move))
}

/** The weight and its slots after the step. */
function moveOne({ weight, slots, gradient }: Moved, o: Move): tf.Tensor[] {
  const [first, second] = slots
  if (o.kind === 'RMS') return rmsProp(weight, first!, gradient, o)
  if (o.kind === 'SGD') return [tf.tidy(() => tf.sub(weight, tf.mul(gradient, o.learningRate * o.scale)))]
  if (o.kind === 'momentum')
    return tf.tidy(() => {
      const velocity = tf.add(tf.mul(first!, o.decay), tf.mul(gradient, o.scale))
      return [tf.sub(weight, tf.mul(velocity, o.learningRate)), velocity]
    })
  if (isDecayed(weight) && o.keep !== 1) weight.assign(tf.tidy(() => tf.mul(weight, o.keep)))
  return adam(weight, first!, second!, gradient, { ...o, beta1: o.decay, beta2: o.decay2 })
}

/** average * momentum + value * (1 - momentum) of every pair, assigned to the average; each average once. */
export function moveAverages(
  all: readonly { average: tf.Variable; value: tf.Tensor }[],
  momentum: number,
): void {
  if (all.length === 0) return
  const averages = all.map(({ average }) => average)
  // Engines move all of them at once: a second value would be lost, or written at the same time.
  if (new Set(averages).size < averages.length) throw new Error('an average is to be moved twice in one call')
  const inputs = numbered([...averages, ...all.map(({ value }) => value)])
  const outputs =
    run('NoduleMoveAverages', inputs, { momentum, count: all.length }) ??
    all.map(({ average, value }) =>
      tf.tidy(() => tf.add(tf.mul(average, momentum), tf.mul(value, 1 - momentum))),
    )
  assignAll(averages, outputs)
}

/** Without outputs the variables were written in place. */
function assignAll(variables: readonly tf.Variable[], outputs: tf.Tensor[]): void {
  outputs.forEach((output, index) => variables[index]!.assign(output))
  tf.dispose(outputs)
}
