import * as tf from '@tensorflow/tfjs'
import type { Hypes } from '../config/hypes.js'
import { NoduleError } from '../errors.js'
import { adam, globalNorm, rmsProp } from '../engine/fused.js'

/** Decay of RMSProp's mean square and of Adam's averages: TensorBox's and TensorFlow's. */
const RMS_DECAY = 0.9
const ADAM_BETA1 = 0.9
const ADAM_BETA2 = 0.999

/** The state of an optimizer: per slot, one tensor for each trainable weight. */
const SLOTS = {
  RMS: [{ name: 'rms', start: 1 }],
  Adam: [
    { name: 'm', start: 0 },
    { name: 'v', start: 0 },
  ],
  AdamW: [
    { name: 'm', start: 0 },
    { name: 'v', start: 0 },
  ],
  SGD: [],
  momentum: [{ name: 'velocity', start: 0 }],
} as const

export interface Optimizer {
  /** Slots by `slot/weight name`; part of a checkpoint. */
  readonly slots: Map<string, tf.Variable>
  /**
   * Scales the gradients down to the global norm `clip_norm` (0: as they are), then moves the weights.
   * Throws NoduleError (NUMERIC) where the norm is not finite; the weights are then unchanged.
   * @param step number of the step from 0, for Adam's bias correction
   * @returns the global norm before the clipping
   */
  apply: (gradients: ReadonlyMap<string, tf.Tensor>, learningRate: number, step: number) => number
  dispose: () => void
}

/** The hypes that an optimizer depends on. */
interface OptimizerHypes {
  clip_norm: number
  solver: Pick<Hypes['solver'], 'opt' | 'epsilon' | 'weight_decay' | 'momentum'>
}

/** RMSProp's slot starts at 1, as TensorFlow 1 has it: the first steps are small. */
export function createOptimizer(hypes: OptimizerHypes, weights: ReadonlyMap<string, tf.Variable>): Optimizer {
  const { opt, momentum } = hypes.solver
  const kind = opt === 'SGD' && momentum > 0 ? 'momentum' : opt
  const epsilon = hypes.solver.epsilon
  const slots = new Map<string, tf.Variable>()
  for (const { name: slot, start } of SLOTS[kind]) {
    for (const [name, weight] of weights) {
      if (!weight.trainable) continue
      const tensor = tf.fill(weight.shape, start)
      slots.set(`${slot}/${name}`, tf.variable(tensor, false))
      tensor.dispose()
    }
  }

  const apply: Optimizer['apply'] = (gradients, learningRate, step) => {
    const norm = globalNorm([...gradients.values()])
    if (!Number.isFinite(norm)) {
      throw new NoduleError('NUMERIC', 'the gradients are not finite', {
        place: `step ${step}`,
        expected: 'a finite global norm',
        actual: String(norm),
      })
    }
    const scale = hypes.clip_norm > 0 && norm > hypes.clip_norm ? hypes.clip_norm / norm : 1
    for (const [name, gradient] of gradients) {
      const weight = weights.get(name)!
      const variables = [weight, ...SLOTS[kind].map((slot) => slots.get(`${slot.name}/${name}`)!)]
      const moved = move(variables, gradient, scale, learningRate, step)
      variables.forEach((variable, index) => variable.assign(moved[index]!))
      tf.dispose(moved)
    }
    return norm
  }

  function move(
    [weight, first, second]: tf.Variable[],
    gradient: tf.Tensor,
    scale: number,
    rate: number,
    step: number,
  ): tf.Tensor[] {
    if (kind === 'RMS')
      return rmsProp(weight!, first!, gradient, { learningRate: rate, decay: RMS_DECAY, epsilon, scale })
    if (kind === 'SGD') return [tf.tidy(() => tf.sub(weight!, tf.mul(gradient, rate * scale)))]
    // As TensorFlow's MomentumOptimizer has it: the rate is outside of the velocity.
    if (kind === 'momentum')
      return tf.tidy(() => {
        const velocity = tf.add(tf.mul(first!, momentum), tf.mul(gradient, scale))
        return [tf.sub(weight!, tf.mul(velocity, rate)), velocity]
      })
    // Decoupled decay (Loshchilov and Hutter, arXiv 1711.05101); vectors (biases, batch norms) keep their size.
    if (kind === 'AdamW' && weight!.rank > 1 && hypes.solver.weight_decay > 0)
      weight!.assign(tf.tidy(() => tf.mul(weight!, 1 - rate * hypes.solver.weight_decay)))
    const correction = Math.sqrt(1 - ADAM_BETA2 ** (step + 1)) / (1 - ADAM_BETA1 ** (step + 1))
    const o = { learningRate: rate * correction, beta1: ADAM_BETA1, beta2: ADAM_BETA2, epsilon, scale }
    return adam(weight!, first!, second!, gradient, o)
  }

  return { slots, apply, dispose: () => tf.dispose([...slots.values()]) }
}
