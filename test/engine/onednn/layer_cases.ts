/** Cases of the layers and of the kernels that move elements. */
import * as tf from '@tensorflow/tfjs'
import { normal, withGradients } from './cases.js'
import type { Case } from './cases.js'

type Pad = 'same' | 'valid' | tf.backend_util.ExplicitPadding
type Op = (...inputs: tf.Tensor[]) => tf.Tensor

interface ConvCase {
  image: number[]
  filter: number[]
  stride: number | [number, number]
  pad: Pad
}

const explicit = (
  top: number,
  bottom: number,
  left: number,
  right: number,
): tf.backend_util.ExplicitPadding => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
]

const CONVOLUTIONS: ConvCase[] = [
  { image: [1, 1, 1, 1], filter: [1, 1, 1, 1], stride: 1, pad: 'valid' },
  { image: [2, 9, 7, 5], filter: [3, 3, 5, 4], stride: 1, pad: 'same' },
  { image: [1, 13, 11, 3], filter: [7, 7, 3, 64], stride: 2, pad: 'same' },
  { image: [2, 14, 12, 3], filter: [7, 7, 3, 16], stride: 2, pad: 'same' },
  { image: [1, 10, 12, 16], filter: [1, 1, 16, 32], stride: 1, pad: 'same' },
  { image: [1, 10, 12, 16], filter: [1, 1, 16, 32], stride: 2, pad: 'same' },
  // Fewer channels than a register has numbers, of AVX-512 and of AVX2.
  { image: [4, 60, 50, 3], filter: [1, 1, 3, 16], stride: 2, pad: 'same' },
  { image: [2, 60, 50, 12], filter: [1, 1, 12, 16], stride: [1, 2], pad: 'same' },
  { image: [1, 14, 14, 4], filter: [1, 1, 4, 8], stride: 2, pad: 'valid' },
  { image: [1, 32, 32, 7], filter: [1, 1, 7, 8], stride: 2, pad: explicit(1, 1, 1, 1) },
  { image: [3, 8, 8, 33], filter: [1, 1, 33, 17], stride: 1, pad: 'valid' },
  { image: [1, 11, 9, 16], filter: [3, 3, 16, 16], stride: 2, pad: 'same' },
  { image: [1, 12, 10, 16], filter: [3, 3, 16, 16], stride: 2, pad: 'same' },
  { image: [1, 12, 10, 16], filter: [3, 3, 16, 48], stride: 2, pad: 'valid' },
  { image: [1, 9, 10, 8], filter: [5, 3, 8, 8], stride: [1, 2], pad: 'valid' },
  { image: [1, 9, 10, 8], filter: [2, 4, 8, 8], stride: [2, 1], pad: 'same' },
  { image: [2, 8, 9, 6], filter: [3, 3, 6, 10], stride: 1, pad: explicit(1, 1, 1, 1) },
  { image: [2, 8, 9, 6], filter: [3, 3, 6, 10], stride: 2, pad: explicit(1, 2, 0, 1) },
  { image: [1, 12, 12, 64], filter: [5, 5, 64, 32], stride: 1, pad: 'same' },
  { image: [1, 3, 3, 4], filter: [5, 5, 4, 4], stride: 1, pad: 'same' },
  // Few pixels: as one product.
  { image: [2, 8, 7, 20], filter: [3, 3, 20, 33], stride: 1, pad: 'same' },
  { image: [1, 9, 10, 16], filter: [5, 3, 16, 24], stride: [1, 2], pad: 'valid' },
  { image: [2, 9, 8, 17], filter: [3, 3, 17, 16], stride: 2, pad: explicit(1, 2, 0, 1) },
]

const DEPTHWISE: ConvCase[] = [
  { image: [1, 1, 1, 1], filter: [1, 1, 1, 1], stride: 1, pad: 'valid' },
  { image: [2, 9, 7, 5], filter: [3, 3, 5, 1], stride: 1, pad: 'same' },
  { image: [1, 12, 10, 16], filter: [3, 3, 16, 1], stride: 2, pad: 'same' },
  { image: [1, 11, 9, 33], filter: [5, 5, 33, 1], stride: 2, pad: 'same' },
  { image: [3, 8, 13, 17], filter: [5, 3, 17, 1], stride: 2, pad: 'valid' },
  { image: [1, 3, 3, 4], filter: [5, 5, 4, 1], stride: 1, pad: 'same' },
  { image: [2, 8, 9, 6], filter: [3, 3, 6, 1], stride: 2, pad: explicit(1, 2, 0, 1) },
  // Several threads, several blocks of sums.
  { image: [2, 40, 44, 96], filter: [3, 3, 96, 1], stride: 1, pad: 'same' },
]

/** Large enough that two threads and more share them, as images, as bands of rows, as both. */
export const LARGE_CONVOLUTIONS: ConvCase[] = [
  { image: [5, 17, 15, 24], filter: [3, 3, 24, 40], stride: 1, pad: 'same' },
  { image: [5, 24, 24, 20], filter: [3, 3, 20, 48], stride: 2, pad: 'same' },
  { image: [3, 40, 38, 5], filter: [5, 5, 5, 24], stride: 2, pad: 'same' },
  { image: [1, 41, 23, 16], filter: [3, 3, 16, 48], stride: 1, pad: 'same' },
  { image: [1, 43, 31, 16], filter: [3, 3, 16, 128], stride: 2, pad: 'same' },
  { image: [1, 61, 40, 3], filter: [7, 7, 3, 64], stride: 2, pad: 'same' },
  { image: [1, 40, 33, 24], filter: [5, 3, 24, 32], stride: [1, 2], pad: 'valid' },
  { image: [2, 26, 27, 32], filter: [3, 3, 32, 64], stride: 1, pad: explicit(1, 1, 1, 1) },
  { image: [2, 27, 28, 32], filter: [3, 3, 32, 96], stride: 2, pad: explicit(1, 2, 0, 1) },
  { image: [1, 30, 29, 32], filter: [3, 3, 32, 32], stride: 3, pad: 'same' },
  // By Winograd's tiles: odd sizes and channels; padding of every kind.
  { image: [2, 25, 22, 35], filter: [3, 3, 35, 50], stride: 1, pad: 'same' },
  { image: [1, 40, 33, 40], filter: [3, 3, 40, 41], stride: 1, pad: 'valid' },
  { image: [1, 37, 33, 36], filter: [3, 3, 36, 48], stride: 1, pad: explicit(2, 1, 0, 2) },
]

const name = (x: object): string => JSON.stringify(x).replaceAll('"', '')

const MATRICES: { a: number[]; b: number[]; ta: boolean; tb: boolean }[] = [
  [
    [1, 1],
    [1, 1],
  ],
  [
    [5, 3],
    [3, 7],
  ],
  [
    [88, 100],
    [100, 64],
  ],
  [
    [2, 5, 3],
    [2, 3, 4],
  ],
  [
    [4, 5, 3],
    [3, 6],
  ],
  [
    [5, 3],
    [4, 3, 2],
  ],
  [
    [2, 3, 5, 4],
    [2, 3, 4, 6],
  ],
].flatMap(([a, b]) =>
  [false, true].flatMap((ta) =>
    [false, true].map((tb) => {
      const swap = (shape: number[], on: boolean): number[] =>
        on ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape
      return { a: swap(a!, ta), b: swap(b!, tb), ta, tb }
    }),
  ),
)

interface PoolCase {
  image: number[]
  size: number | [number, number]
  stride: number | [number, number]
  pad: 'same' | 'valid' | number
}

const POOLS: PoolCase[] = [
  { image: [1, 1, 1, 1], size: 1, stride: 1, pad: 'same' },
  { image: [2, 9, 7, 5], size: 3, stride: 2, pad: 'same' },
  { image: [2, 8, 6, 5], size: 3, stride: 2, pad: 'same' },
  { image: [1, 8, 6, 70], size: 3, stride: 1, pad: 'same' },
  { image: [1, 8, 6, 17], size: 2, stride: 2, pad: 'valid' },
  { image: [3, 7, 9, 4], size: [2, 3], stride: [1, 2], pad: 'valid' },
  { image: [1, 8, 11, 32], size: 5, stride: 1, pad: 'same' },
  { image: [1, 6, 6, 3], size: 3, stride: 2, pad: 1 },
]

/** Average pooling written with a depthwise convolution, whose gradient in tfjs is right at padded borders too. */
function averageByConvolution(x: tf.Tensor, c: PoolCase): tf.Tensor {
  const [height, width] = typeof c.size === 'number' ? [c.size, c.size] : c.size
  const channels = x.shape[3]!
  const ones = tf.ones<tf.Rank.R4>([height, width, channels, 1])
  const pad = c.pad as 'same'
  const sums = tf.depthwiseConv2d(x as tf.Tensor4D, ones, c.stride, pad)
  return tf.div(sums, tf.depthwiseConv2d(tf.onesLike(x) as tf.Tensor4D, ones, c.stride, pad))
}

export const layerCases: Case[] = [
  ...[...CONVOLUTIONS, ...LARGE_CONVOLUTIONS].map((c): Case => ({
    name: `conv2d ${name(c)}`,
    run: () =>
      withGradients(((x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(x, w, c.stride, c.pad)) as Op, [
        normal(c.image),
        normal(c.filter, 'w'),
      ]),
    tolerance: 3e-5,
  })),
  ...DEPTHWISE.map((c): Case => ({
    name: `depthwiseConv2d ${name(c)}`,
    run: () =>
      withGradients(
        ((x: tf.Tensor4D, w: tf.Tensor4D) => tf.depthwiseConv2d(x, w, c.stride, c.pad as 'same')) as Op,
        [normal(c.image), normal(c.filter, 'w')],
      ),
    tolerance: 3e-5,
  })),
  {
    name: 'depthwiseConv2d with dilations',
    // Forward: tfjs has no gradient of it.
    run: () => [
      tf.depthwiseConv2d(
        normal<tf.Rank.R4>([1, 15, 13, 8]),
        normal<tf.Rank.R4>([3, 3, 8, 1], 'w'),
        1,
        'same',
        'NHWC',
        [2, 3],
      ),
    ],
  },
  {
    name: 'conv2d with dilations',
    run: () =>
      (
        [
          [[1, 15, 13, 8], [3, 3, 8, 16], 'same', 2],
          [[1, 15, 13, 8], [3, 2, 8, 4], 'valid', [3, 1]],
          [[1, 9, 8, 16], [3, 3, 16, 18], 'same', [2, 1]],
        ] as const
      ).map(([image, filter, pad, dilations]) =>
        tf.conv2d(
          normal<tf.Rank.R4>([...image]),
          normal<tf.Rank.R4>([...filter], 'w'),
          1,
          pad,
          'NHWC',
          dilations as number | [number, number],
        ),
      ),
  },
  {
    name: 'conv2dTranspose',
    run: () =>
      withGradients(
        ((x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2dTranspose(x, w, [1, 12, 10, 4], 2, 'same')) as Op,
        [normal([1, 6, 5, 8]), normal([3, 3, 4, 8], 'w')],
      ),
    tolerance: 3e-5,
  },
  ...MATRICES.map((c): Case => ({
    name: `matMul ${name(c)}`,
    run: () => {
      const op = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.matMul(a, b, c.ta, c.tb)
      const inputs = [normal(c.a, 'a'), normal(c.b, 'b')] as const
      // tfjs's gradient does not know that a batch was broadcast.
      if (c.a.length !== c.b.length) return [op(...inputs)]
      return withGradients(op as Op, [...inputs])
    },
    tolerance: 3e-5,
  })),
  ...POOLS.map((c): Case => ({
    name: `maxPool ${name(c)}`,
    run: () =>
      withGradients(
        (x) => tf.maxPool(x as tf.Tensor4D, c.size, c.stride, c.pad, c.pad === 1 ? 'floor' : undefined),
        // Rounded, so that windows have ties.
        [tf.round(normal(c.image, 'x', 2))],
      ),
  })),
  ...POOLS.map((c): Case => ({
    name: `avgPool ${name(c)}`,
    run: () => [
      tf.avgPool(normal<tf.Rank.R4>(c.image), c.size, c.stride, c.pad, c.pad === 1 ? 'floor' : undefined),
    ],
  })),
  ...[true, false].map((full): Case => ({
    name: `batchNorm at inference ${full ? 'with' : 'without'} scale and offset`,
    run: () => {
      const [mean, scale, offset] = ['m', 's', 'o'].map((label) => normal<tf.Rank.R1>([19], label))
      const variance = tf.square(normal([19], 'v')) as tf.Tensor1D
      const x = normal<tf.Rank.R4>([2, 5, 7, 19])
      return [
        full
          ? tf.batchNorm(x, mean!, variance, offset, scale, 0.01)
          : tf.batchNorm(x, mean!, variance, undefined, undefined, 0.01),
      ]
    },
  })),
]

/** Forward and gradient agree with TensorFlow's definition, not with tfjs's cpu gradient: see AveragePoolGradient in native/tensor/pool.h. */
export const averagePoolCases = POOLS.filter((c) => typeof c.pad !== 'number').map((c) => ({
  name: `avgPool gradient ${name(c)}`,
  native: () =>
    withGradients((x) => tf.avgPool(x as tf.Tensor4D, c.size, c.stride, c.pad), [normal(c.image)]),
  expected: () => withGradients((x) => averageByConvolution(x!, c), [normal(c.image)]),
}))

const TYPES = ['float32', 'int32', 'bool'] as const
const typed = (shape: number[], dtype: (typeof TYPES)[number]): tf.Tensor =>
  dtype === 'bool' ? tf.greater(normal(shape), 0) : tf.cast(tf.mul(normal(shape), 10), dtype)

export const layoutCases: Case[] = [
  ...TYPES.flatMap((dtype): Case[] => [
    {
      name: `transpose ${dtype}`,
      run: () => [
        tf.transpose(typed([5, 7], dtype)),
        tf.transpose(typed([130, 67], dtype)),
        tf.transpose(typed([3, 4, 5], dtype), [2, 0, 1]),
        tf.transpose(typed([2, 3, 4, 5], dtype), [0, 3, 1, 2]),
        tf.transpose(typed([2, 3, 4, 5], dtype), [0, 2, 1, 3]),
        tf.transpose(typed([2, 3, 1, 4, 5], dtype), [4, 2, 3, 0, 1]),
      ],
    },
    {
      name: `slice, split, unstack ${dtype}`,
      run: () => [
        tf.slice(typed([9], dtype), 3, 4),
        tf.slice(typed([4, 5, 6], dtype), [1, 0, 2], [2, -1, 3]),
        tf.slice(typed([4, 5, 6], dtype), [1, 2, 3], [0, 1, 1]),
        ...tf.split(typed([4, 6], dtype), 3, 1),
        ...tf.split(typed([4, 6, 2], dtype), [1, 3, 2], 1),
        ...tf.unstack(typed([3, 4, 2], dtype), 1),
      ],
    },
    {
      name: `concat, stack, tile, reverse, pad ${dtype}`,
      run: () => [
        tf.concat([typed([2, 3], dtype), typed([2, 5], dtype), typed([2, 1], dtype)], 1),
        tf.concat([typed([2, 3], dtype), typed([4, 3], dtype)], 0),
        tf.concat([typed([0, 3], dtype), typed([4, 3], dtype)], 0),
        tf.stack([typed([2, 3], dtype), typed([2, 3], dtype)], 1),
        tf.stack([typed([2, 3], dtype), typed([2, 3], dtype)], -1),
        tf.tile(typed([2, 3], dtype), [2, 3]),
        tf.tile(typed([2, 1, 3], dtype), [1, 4, 2]),
        tf.reverse(typed([3, 4, 5], dtype), [0, 2]),
        tf.pad(
          typed([3, 4], dtype),
          [
            [1, 0],
            [2, 3],
          ],
          dtype === 'bool' ? 1 : 7,
        ),
      ],
    },
    {
      name: `gather ${dtype}`,
      run: () => [
        tf.gather(typed([6, 5], dtype), tf.tensor1d([3, 0, 3, 5], 'int32')),
        tf.gather(typed([6, 5], dtype), tf.tensor1d([4, 1], 'int32'), 1),
        tf.gather(typed([3, 6, 5], dtype), tf.tensor2d([1, 1, 2, 0], [2, 2], 'int32'), 1),
        tf.gather(typed([2, 6, 5], dtype), tf.tensor2d([1, 4, 2, 0], [2, 2], 'int32'), 1, 1),
      ],
    },
  ]),
  {
    name: 'gradients of slice, split, concat, stack, unstack, tile, reverse, pad, transpose, gather',
    run: () => {
      const x = [normal([4, 6, 5])]
      const indices = tf.tensor1d([3, 0, 3, 1, 3], 'int32')
      return [
        ...withGradients((t) => tf.slice(t!, [1, 2, 0], [2, 3, 5]), x),
        ...withGradients((t) => tf.split(t!, [1, 5], 1)[1]!, x),
        ...withGradients((t) => tf.concat([t!, tf.mul(t!, 2)], 2), x),
        ...withGradients((t) => tf.stack([t!, tf.mul(t!, 2)], 1), x),
        ...withGradients((t) => tf.unstack(t!, 1)[2]!, x),
        ...withGradients((t) => tf.tile(t!, [1, 2, 3]), x),
        ...withGradients((t) => tf.reverse(t!, [1]), x),
        ...withGradients(
          (t) =>
            tf.pad(
              t!,
              [
                [1, 0],
                [0, 2],
                [3, 3],
              ],
              0.5,
            ),
          x,
        ),
        ...withGradients((t) => tf.transpose(t!, [2, 0, 1]), x),
        ...withGradients((t) => tf.gather(t!, indices), x),
        ...withGradients((t) => tf.gather(t!, indices, 1), x),
      ]
    },
  },
  {
    name: 'unsortedSegmentSum drops ids outside',
    run: () => [tf.unsortedSegmentSum(normal([5, 3]), tf.tensor1d([1, 0, 1, 3, 7], 'int32'), 4)],
  },
]
