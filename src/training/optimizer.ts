import * as tf from '@tensorflow/tfjs'
import type { Hypes } from '../config/hypes.js'
import { NoduleError } from '../errors.js'
import { globalNorm, moveWeights } from '../engine/fused_training.js'
import type { Move } from '../engine/fused_training.js'

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
    const all = [...gradients].map(([name, gradient]) => ({
      weight: weights.get(name)!,
      slots: SLOTS[kind].map((slot) => slots.get(`${slot.name}/${name}`)!),
      gradient,
    }))
    moveWeights(all, { ...moveOf(learningRate, step), scale })
    return norm
  }

  function moveOf(rate: number, step: number): Omit<Move, 'scale'> {
    const plain = { learningRate: rate, decay: 0, decay2: 0, epsilon, keep: 1 }
    if (kind === 'SGD') return { ...plain, kind }
    if (kind === 'momentum') return { ...plain, kind, decay: momentum }
    if (kind === 'RMS') return { ...plain, kind, decay: RMS_DECAY }
    const correction = Math.sqrt(1 - ADAM_BETA2 ** (step + 1)) / (1 - ADAM_BETA1 ** (step + 1))
    return {
      ...plain,
      kind: 'Adam',
      learningRate: rate * correction,
      decay: ADAM_BETA1,
      decay2: ADAM_BETA2,
      keep: kind === 'AdamW' ? 1 - rate * hypes.solver.weight_decay : 1,
    }
  }

  return { slots, apply, dispose: () => tf.dispose([...slots.values()]) }
}
