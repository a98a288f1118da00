import * as tf from '@tensorflow/tfjs'
import type { PatchTarget } from '../config/patch_hypes.js'

/** What a patch classifier says about one thing. A further target is a line here and in PATCH_TARGETS. */
interface TargetKind {
  /** What the label, a number, means. */
  doc: string
  /** Loss of each cube, [n], from its outputs [n] and labels [n]. */
  loss: (outputs: tf.Tensor, labels: tf.Tensor) => tf.Tensor
}

/** Cross entropy of sigmoid(x) with the label y: softplus(x) - x * y, which does not overflow. */
const binary = (outputs: tf.Tensor, labels: tf.Tensor): tf.Tensor =>
  tf.sub(tf.softplus(outputs), tf.mul(outputs, labels))

export const TARGETS: Readonly<Record<PatchTarget, TargetKind>> = {
  nodule: { doc: 'a nodule (1) or not (0); the output is a logit', loss: binary },
}

/** Labels of a cube by target; one that is absent says nothing about the cube. */
export type CubeLabels = Partial<Record<PatchTarget, number>>

/**
 * The mean loss over the cubes that have a label, summed over the targets.
 * @param outputs [n, targets]
 * @param labels n times targets; NaN: no label
 */
export function targetLoss(
  outputs: tf.Tensor2D,
  labels: Float32Array,
  targets: readonly PatchTarget[],
): tf.Scalar {
  const n = outputs.shape[0]
  const parts = targets.map((target, index) => {
    const own = Float32Array.from({ length: n }, (_, row) => labels[row * targets.length + index]!)
    const known = own.map((label) => (Number.isNaN(label) ? 0 : 1))
    const count = known.reduce((sum, one) => sum + one, 0)
    const column = tf.reshape(tf.slice(outputs, [0, index], [n, 1]), [n])
    const losses = TARGETS[target].loss(
      column,
      tf.tensor1d(own.map((label) => (Number.isNaN(label) ? 0 : label))),
    )
    return tf.sum(tf.mul(losses, tf.tensor1d(known.map((one) => one / Math.max(1, count)))))
  })
  return parts.length === 1 ? (parts[0] as tf.Scalar) : (tf.addN(parts) as tf.Scalar)
}
