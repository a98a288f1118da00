import * as tf from '@tensorflow/tfjs'
import type { Hypes } from '../config/hypes.js'
import { lstmLayer } from '../engine/fused.js'
import { DECONV_CHANNELS } from './weights.js'

type Weights = ReadonlyMap<string, tf.Tensor>

/** Coarse channels from here on are average-pooled with `avg_pool_size`, as in TensorBox. */
const POOLED_FROM = 700
/** Window over which the channels that `deconv` makes anew are average-pooled, as in TensorBox. */
const DECONV_POOL = 5

/**
 * Gives the coarse features a wider view: the later channels averaged over neighboring cells, or the first ones made
 * anew from all, taken down by a convolution and up again.
 * @param top [n, gridHeight, gridWidth, c]
 * @returns the same shape
 */
export function widenCoarse(hypes: Hypes, weights: Weights, top: tf.Tensor4D): tf.Tensor4D {
  const [n, height, width, channels] = top.shape
  if (hypes.deconv) {
    const down = tf.conv2d(top, weights.get('deconv/conv') as tf.Tensor4D, 2, 'same')
    const made = Math.min(DECONV_CHANNELS, channels)
    const mixed = poolChannels(down, 0, made, DECONV_POOL)
    const filter = weights.get('deconv/transposed') as tf.Tensor4D
    const [, h, w] = down.shape
    const up = tf.conv2dTranspose(mixed, filter, [n, 2 * h, 2 * w, made], 2, 'valid')
    // A grid of odd size comes back one cell larger.
    const cut = tf.slice(up, [0, 0, 0, 0], [n, height, width, made])
    if (made === channels) return cut
    return tf.concat([cut, tf.slice(top, [0, 0, 0, made], [n, height, width, channels - made])], 3)
  }
  if (hypes.avg_pool_size > 1 && channels > POOLED_FROM)
    return poolChannels(top, POOLED_FROM, channels, hypes.avg_pool_size)
  return top
}

/** Average-pools the channels [first, end) over `size` x `size` cells; the others stay. */
function poolChannels(x: tf.Tensor4D, first: number, end: number, size: number): tf.Tensor4D {
  const [n, h, w, channels] = x.shape
  const part = (from: number, to: number): tf.Tensor4D => tf.slice(x, [0, 0, 0, from], [n, h, w, to - from])
  const parts: tf.Tensor4D[] = []
  if (first > 0) parts.push(part(0, first))
  parts.push(tf.avgPool(part(first, end), size, 1, 'same'))
  if (end < channels) parts.push(part(end, channels))
  return tf.concat(parts, 3)
}

/**
 * Decodes every cell into `rnn_len` hidden vectors: the LSTM reads the same input at each of its steps.
 * @param input [cells of all frames, later]
 * @returns [rnn_len, cells of all frames, lstm_size]
 */
export function decodeCells(hypes: Hypes, weights: Weights, input: tf.Tensor2D): tf.Tensor3D {
  if (!hypes.use_lstm)
    return tf.expandDims(tf.matMul(input, weights.get('decoder/ip') as tf.Tensor2D)) as tf.Tensor3D
  let states: tf.Tensor = input
  for (let layer = 0; layer < hypes.num_lstm_layers; layer++) {
    const weight = (name: string): tf.Tensor => weights.get(`decoder/lstm/layer_${layer}/${name}`)!
    states = lstmLayer(states, weight('kernel'), weight('bias'), hypes.rnn_len)
  }
  return states as tf.Tensor3D
}
