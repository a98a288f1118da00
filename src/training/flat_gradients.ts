import * as tf from '@tensorflow/tfjs'

/**
 * Changes the gradients of a step in place: one vector, the tensors of all trained weights one after another in the order
 * of the model's weights, which is the same wherever the hypes are. An engine that trains on several machines puts its
 * all-reduce (the mean) here; clipping and the optimizer then see the same everywhere.
 */
export type ReduceGradients = (flat: Float32Array) => void

/** The gradients as `reduce` leaves them; those that were given are disposed of. */
export function reduceFlat(
  gradients: ReadonlyMap<string, tf.Tensor>,
  reduce: ReduceGradients,
): Map<string, tf.Tensor> {
  const flat = new Float32Array([...gradients.values()].reduce((sum, { size }) => sum + size, 0))
  let at = 0
  for (const gradient of gradients.values()) {
    flat.set(gradient.dataSync(), at)
    at += gradient.size
  }
  reduce(flat)
  const reduced = new Map<string, tf.Tensor>()
  at = 0
  for (const [name, gradient] of gradients) {
    reduced.set(name, tf.tensor(flat.slice(at, at + gradient.size), gradient.shape))
    at += gradient.size
    gradient.dispose()
  }
  return reduced
}
