/** The first layer of the second stage, of all slots at once; see fused.ts. */
import * as tf from '@tensorflow/tfjs'
import { numbered, run, unstack } from './fused.js'

/**
 * Of every slot k: [state of the slot, its own part of what was seen] * weights of the slot. Differentiable in all inputs.
 * On the native engine nothing is copied together or apart.
 * @param states a slot: [m, u]
 * @param seen [m, slots, w]
 * @param weights a slot: [u + w, n]
 * @returns [slots, m, n]
 */
export function slotLayer(
  states: readonly tf.Tensor2D[],
  seen: tf.Tensor3D,
  weights: readonly tf.Tensor2D[],
): tf.Tensor3D {
  const slots = states.length
  if (tf.getKernel('NoduleSlots', tf.getBackend()) == null) {
    const parts = unstack(seen, 1) as tf.Tensor2D[]
    return tf.stack(
      states.map((state, k) => tf.matMul(tf.concat([state, parts[k]!], 1), weights[k]!)),
    ) as tf.Tensor3D
  }
  const op = tf.customGrad((...args) => {
    const save = args.at(-1) as unknown as tf.GradSaveFunc
    const all = args.slice(0, -1) as tf.Tensor[]
    save(all)
    return {
      value: run('NoduleSlots', numbered(all), { slots })![0]!,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        run('NoduleSlotsGrad', { ...numbered(saved), dy }, { slots })!,
    }
  })
  return op(seen, ...states, ...weights) as tf.Tensor3D
}
