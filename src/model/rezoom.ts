import * as tf from '@tensorflow/tfjs'
import type { Hypes } from '../config/hypes.js'
import { peek, writeTensors } from '../engine/fused.js'
import { rezoomForwardSync, rezoomGradientSync } from '../kernels/index.js'
import type { RezoomInput } from '../kernels/index.js'

/**
 * Bilinear samples of the early features at the predicted boxes: center + offset * size, for every pair of
 * `rezoom_h_coords` (outer) and `rezoom_w_coords`. Differentiable in both inputs.
 * @param features [n, h, w, c]
 * @param boxes [n, b, 4] center x, center y, width, height in frame pixels
 * @param stride frame pixels per feature pixel
 * @returns [n, b, samples * c], samples outer
 */
export function rezoom(features: tf.Tensor4D, boxes: tf.Tensor3D, stride: number, hypes: Hypes): tf.Tensor3D {
  const channels = features.shape[3]
  const samples = hypes.rezoom_w_coords.length * hypes.rezoom_h_coords.length
  const outShape: [number, number, number] = [boxes.shape[0], boxes.shape[1], samples * channels]
  const inputOf = (map: tf.Tensor, box: tf.Tensor): RezoomInput => ({
    features: peek(map),
    shape: features.shape,
    boxes: peek(box),
    offsetsX: hypes.rezoom_w_coords,
    offsetsY: hypes.rezoom_h_coords,
    stride,
  })
  const op = tf.customGrad((...args) => {
    const [map, box] = args as [tf.Tensor, tf.Tensor]
    const save = args[2] as unknown as tf.GradSaveFunc
    save([map, box])
    return {
      value: writeTensors([outShape], (out) => void rezoomForwardSync(inputOf(map, box), { out }))[0]!,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        writeTensors([features.shape, boxes.shape], (dFeatures, dBoxes) => {
          const out = { features: dFeatures!, boxes: dBoxes! }
          rezoomGradientSync(inputOf(saved[0]!, saved[1]!), peek(dy), { out })
        }),
    }
  })
  return op(features, boxes) as tf.Tensor3D
}
