/**
 * Products of all slots at once, each slot with weights of its own; see fused.ts. Differentiable in all inputs. On the
 * native engine nothing is copied together or apart.
 */
import * as tf from '@tensorflow/tfjs'
import { numbered, run, saveFor, unstack } from './fused.js'

/**
 * Of every slot k: [its state, its part of what was seen] * its weights.
 * @param states [slots, m, u]
 * @param seen [m, slots, w]
 * @param weights a slot: [u + w, n]
 * @returns [slots, m, n]
 */
export function slotLayer(
  states: tf.Tensor3D,
  seen: tf.Tensor3D,
  weights: readonly tf.Tensor2D[],
): tf.Tensor3D {
  const fused = withKernel('NoduleSlots', [states, seen, ...weights], {})
  if (fused !== undefined) return fused
  const parts = unstack(seen, 1) as tf.Tensor2D[]
  const rows = unstack(states).map((state, k) => tf.concat([state as tf.Tensor2D, parts[k]!], 1))
  return tf.stack(rows.map((row, k) => tf.matMul(row, weights[k]!))) as tf.Tensor3D
}

/**
 * Of every slot k: its state * its weights, times `scale`.
 * @param states [slots, m, u]
 * @param weights a slot: [u, n]
 * @returns [m, slots, n]
 */
export function slotHeads(states: tf.Tensor3D, weights: readonly tf.Tensor2D[], scale: number): tf.Tensor3D {
  const fused = withKernel('NoduleSlotHeads', [states, ...weights], { scale })
  if (fused !== undefined) return fused
  const products = unstack(states).map((state, k) => tf.matMul(state as tf.Tensor2D, weights[k]!))
  return tf.mul(tf.stack(products, 1), scale)
}

/** The kernel with its gradient; undefined where the engine lacks it. */
function withKernel(
  name: 'NoduleSlots' | 'NoduleSlotHeads',
  inputs: readonly tf.Tensor[],
  attributes: Record<string, number>,
): tf.Tensor3D | undefined {
  if (tf.getKernel(name, tf.getBackend()) == null) return undefined
  const op = tf.customGrad((...args) => {
    const all = args.slice(0, -1) as tf.Tensor[]
    const restore = saveFor(args.at(-1) as unknown as tf.GradSaveFunc, all)
    return {
      value: run(name, numbered(all), attributes)![0]!,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        run(`${name}Grad`, { ...numbered(restore(saved)), dy }, attributes)!,
    }
  })
  return op(...inputs) as tf.Tensor3D
}
