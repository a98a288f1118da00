/**
 * A network of convolutions with batch norm as one differentiable operation, where the engine has it as a kernel: the
 * results of a concatenation are written in place, gradients are added where they are made, and memory serves again as soon
 * as nobody needs it. Its plain twin are tfjs's operations one by one (runBackbone of src/model/backbone.ts).
 */
import * as tf from '@tensorflow/tfjs'
import { numbered, run, saveFor } from './fused.js'

/** Padding around a window, as tfjs has it. */
export type NetworkPadding = 'same' | tf.backend_util.ExplicitPadding

/** What a node makes; it reads what earlier nodes made: 0 is the input, i the result of node i - 1. */
export type NetworkNode =
  /** A convolution, then batch norm with the statistics of the batch, then ReLU where it says so. */
  | { op: 'conv'; input: number; stride: number; pad: NetworkPadding; relu: boolean }
  | { op: 'maxPool'; input: number; size: number; stride: number; pad: NetworkPadding }
  /** Along the channels. */
  | { op: 'concat'; inputs: readonly number[] }
  | { op: 'add'; inputs: readonly [number, number]; relu: boolean }

/** The last node makes the result; all others lead to it. */
export interface Network {
  nodes: readonly NetworkNode[]
  /** Added to the variance in every batch norm. */
  epsilon: number
}

/** Of a convolution. */
export interface NetworkWeights {
  /** [kh, kw, in, out] */
  filter: tf.Tensor
  /** [out] each */
  gamma: tf.Tensor
  beta: tf.Tensor
}

/** Whether the running engine has the kernels. */
export function hasNetworks(): boolean {
  return tf.getKernel('NoduleNetwork', tf.getBackend()) != null
}

/**
 * Runs a network in training. Differentiable in all weights, and in x where `ofInput` says so.
 * @param x [n, h, w, c]
 * @param weights of the convolutions, in the order of the nodes
 * @returns y, and of each convolution the mean and biased variance [out] of its batch norm, kept: the caller disposes of them
 */
export function trainNetwork(
  network: Network,
  x: tf.Tensor4D,
  weights: readonly NetworkWeights[],
  ofInput: boolean,
): { y: tf.Tensor4D; statistics: { mean: tf.Tensor; variance: tf.Tensor }[] } {
  const flat = weights.flatMap(({ filter, gamma, beta }) => [filter, gamma, beta])
  const attributes = { network, ofInput } as unknown as Record<string, boolean>
  const statistics: { mean: tf.Tensor; variance: tf.Tensor }[] = []
  const op = tf.customGrad((...args) => {
    const inputs = { x, ...numbered(flat) }
    const [y, held, ...moments] = run('NoduleNetwork', inputs, attributes) as [tf.Tensor, tf.Tensor]
    for (let at = 0; at < moments.length; at += 2)
      statistics.push({ mean: tf.keep(moments[at]!), variance: tf.keep(moments[at + 1]!) })
    const restore = saveFor(args.at(-1) as unknown as tf.GradSaveFunc, [x, held, ...flat])
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [input, parts, ...all] = restore(saved) as [tf.Tensor, tf.Tensor]
        return run('NoduleNetworkGrad', { dy, held: parts, x: input, ...numbered(all) }, attributes)!
      },
    }
  })
  const y = op(...(ofInput ? [x] : []), ...flat) as tf.Tensor4D
  return { y, statistics }
}
