/** rezoom written with tfjs operations, as it would be without a kernel of its own. */
import * as tf from '@tensorflow/tfjs'
import { startEngine } from '../src/engine/start.js'
import type { RezoomInput } from '../src/kernels/index.js'

/** Forward, and the gradients for features and boxes, of a batch of one image in NHWC, on the fastest engine. */
export async function tfjsRezoom(
  input: RezoomInput,
  gradient: Float32Array,
): Promise<{ engine: string; work: () => Promise<void> }> {
  const { name } = await startEngine('auto')
  const [, height, width, channels] = input.shape
  const count = input.boxes.length / 4
  const samples = Array.from(input.offsetsY).flatMap((oy) =>
    Array.from(input.offsetsX, (ox) => [ox, oy] as const),
  )
  const features = tf.tensor2d(input.features, [height * width, channels])
  const boxes = tf.tensor2d(input.boxes, [count, 4])
  const dy = tf.tensor3d(gradient, [count, samples.length, channels])

  type Axis = { position: tf.Tensor; p0: tf.Tensor; p1: tf.Tensor }
  const positions = (center: tf.Tensor, extent: tf.Tensor, offset: number, size: number): tf.Tensor =>
    center
      .add(extent.mul(offset))
      .div(input.stride)
      .sub(0.5)
      .clipByValue(0, size - 1)
  /** Positions and pixels of a sample along x and y. */
  const places = (box: tf.Tensor, [ox, oy]: readonly [number, number]): [x: Axis, y: Axis] => {
    const [cx, cy, w, h] = box.split(4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
    return (
      [
        [cx, w, ox, width],
        [cy, h, oy, height],
      ] as const
    ).map(([center, extent, offset, size]) => {
      const position = positions(center, extent, offset, size)
      const p0 = position.floor()
      return { position, p0, p1: p0.add(1).minimum(size - 1) }
    }) as [Axis, Axis]
  }
  /** `fixed`: the pixels, of which tfjs cannot take a gradient; they do not move with the boxes. */
  const sampled = (map: tf.Tensor, box: tf.Tensor, fixed: [Axis, Axis][]): tf.Tensor =>
    tf.stack(
      samples.map((offsets, s) => {
        const moved = places(box, offsets)
        const [x, y] = fixed[s] as [Axis, Axis]
        const tx = moved[0].position.sub(x.p0)
        const ty = moved[1].position.sub(y.p0)
        const at = (row: tf.Tensor, column: tf.Tensor): tf.Tensor =>
          map.gather(row.mul(width).add(column).squeeze([1]).toInt() as tf.Tensor1D)
        const top = at(y.p0, x.p0).mul(tf.sub(1, tx)).add(at(y.p0, x.p1).mul(tx))
        const bottom = at(y.p1, x.p0).mul(tf.sub(1, tx)).add(at(y.p1, x.p1).mul(tx))
        return top.mul(tf.sub(1, ty)).add(bottom.mul(ty))
      }),
      1,
    )
  return {
    engine: name,
    work: async () => {
      const results = tf.tidy(() => {
        const fixed = samples.map((offsets) => places(boxes, offsets))
        const { value, grads } = tf.valueAndGrads((map, box) =>
          sampled(map as tf.Tensor, box as tf.Tensor, fixed)
            .mul(dy)
            .sum(),
        )([features, boxes])
        return [value, ...grads]
      })
      await Promise.all(results.map((tensor) => tensor.data()))
      tf.dispose(results)
    },
  }
}
