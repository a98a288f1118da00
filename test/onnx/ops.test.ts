import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, test } from 'vitest'
import { createRandom } from '../../src/random.js'
import { concatChannels, conv2d, dense, pool2d, sliceChannels } from '../../src/onnx/ops.js'
import type { ConvWeights, FeatureMap } from '../../src/onnx/ops.js'
import { runGraph } from './run_graph.js'

beforeAll(async () => {
  await tf.setBackend('cpu')
})

function normals(count: number, seed: number): Float32Array {
  const random = createRandom(seed)
  return Float32Array.from({ length: count }, () => random.normal())
}

/** [h, w, c] places of a map in NHWC order to NCHW order. */
function toNchw(data: Float32Array, [n, h, w, c]: readonly [number, number, number, number]): Float32Array {
  return tf.tidy(() => tf.tensor4d(data, [n, h, w, c]).transpose([0, 3, 1, 2]).dataSync() as Float32Array)
}

/** Runs one feature-map emitter in onnxruntime and its twin in tfjs (NHWC) and compares. */
async function compare(
  shape: readonly [number, number, number, number],
  emit: Parameters<typeof runGraph>[2] extends (graph: infer G) => string
    ? (graph: G, x: FeatureMap) => FeatureMap
    : never,
  reference: (x: tf.Tensor4D) => tf.Tensor4D,
): Promise<void> {
  const [n, height, width, channels] = shape
  const data = normals(n * height * width * channels, 7)
  const expected = tf.tidy(() => {
    const y = reference(tf.tensor4d(data, [...shape]))
    return { shape: y.shape, data: toNchw(y.dataSync() as Float32Array, y.shape) }
  })
  let map: FeatureMap | undefined
  const actual = await runGraph([n, channels, height, width], toNchw(data, shape), (graph) => {
    map = emit(graph, { name: 'x', channels, height, width })
    return map.name
  })
  const [m, h, w, c] = expected.shape
  expect(actual.dims).toEqual([m, c, h, w])
  expect(map).toMatchObject({ channels: c, height: h, width: w })
  let worst = 0
  expected.data.forEach((value, index) => {
    worst = Math.max(worst, Math.abs(value - actual.data[index]!))
  })
  expect(worst).toBeLessThan(2e-5)
}

function convWeights(
  kh: number,
  kw: number,
  cin: number,
  cout: number,
  kind: 'bias' | 'batchNorm',
): ConvWeights {
  const data = normals(kh * kw * cin * cout, 3).map((value) => value / Math.sqrt(kh * kw * cin))
  const shape = [kh, kw, cin, cout] as const
  if (kind === 'bias') return { shape, data, bias: normals(cout, 4) }
  return {
    shape,
    data,
    batchNorm: {
      gamma: normals(cout, 5),
      beta: normals(cout, 6),
      mean: normals(cout, 8),
      variance: normals(cout, 9).map((value) => value * value + 0.01),
      epsilon: 1e-3,
    },
  }
}

function tfConv(x: tf.Tensor4D, weights: ConvWeights, stride: number, relu: boolean): tf.Tensor4D {
  let y = tf.conv2d(x, tf.tensor4d(weights.data, [...weights.shape]), stride, 'same')
  if (weights.bias !== undefined) y = y.add(tf.tensor1d(weights.bias))
  if (weights.batchNorm !== undefined) {
    const { gamma, beta, mean, variance, epsilon } = weights.batchNorm
    y = tf.batchNorm(
      y,
      tf.tensor1d(mean),
      tf.tensor1d(variance),
      tf.tensor1d(beta),
      tf.tensor1d(gamma),
      epsilon,
    )
  }
  return relu ? tf.relu(y) : y
}

describe('ops of the exported graph equal those of tfjs', () => {
  test.each([
    { kernel: [7, 7], stride: 2, size: [16, 22], kind: 'batchNorm', fold: true, relu: true },
    { kernel: [3, 3], stride: 2, size: [7, 9], kind: 'batchNorm', fold: false, relu: true },
    { kernel: [3, 3], stride: 1, size: [5, 1], kind: 'bias', fold: true, relu: false },
    { kernel: [1, 1], stride: 2, size: [8, 5], kind: 'bias', fold: false, relu: false },
    { kernel: [2, 4], stride: 3, size: [10, 11], kind: 'batchNorm', fold: true, relu: false },
  ] as const)('conv $kernel stride $stride on $size, $kind, fold $fold', async (c) => {
    const weights = convWeights(c.kernel[0], c.kernel[1], 3, 4, c.kind)
    await compare(
      [2, c.size[0], c.size[1], 3],
      (graph, x) =>
        conv2d(graph, x, weights, {
          name: 'conv',
          stride: c.stride,
          padding: 'same',
          activation: c.relu ? 'relu' : 'none',
          fold: c.fold,
        }),
      (x) => tfConv(x, weights, c.stride, c.relu),
    )
  })

  test.each([
    { kind: 'max', size: 3, stride: 2, shape: [8, 11] },
    { kind: 'max', size: 2, stride: 2, shape: [7, 8] },
    { kind: 'max', size: 3, stride: 1, shape: [4, 5] },
    { kind: 'max', size: 1, stride: 2, shape: [5, 6] },
    { kind: 'average', size: 5, stride: 1, shape: [8, 11] },
    { kind: 'average', size: 3, stride: 2, shape: [6, 7] },
  ] as const)('$kind pool $size stride $stride on $shape', async ({ kind, size, stride, shape }) => {
    await compare(
      [2, shape[0], shape[1], 3],
      (graph, x) => pool2d(graph, x, { name: 'pool', kind, size, stride }),
      (x) => (kind === 'max' ? tf.maxPool(x, size, stride, 'same') : tf.avgPool(x, size, stride, 'same')),
    )
  })

  test('slice and concat of channels', async () => {
    await compare(
      [2, 3, 4, 5],
      (graph, x) =>
        concatChannels(
          graph,
          [sliceChannels(graph, x, 3, 5, 'tail'), sliceChannels(graph, x, 0, 3, 'head')],
          'joined',
        ),
      (x) => tf.concat([x.slice([0, 0, 0, 3], [-1, -1, -1, 2]), x.slice([0, 0, 0, 0], [-1, -1, -1, 3])], 3),
    )
  })

  test('dense', async () => {
    const x = normals(6, 1)
    const weights = { shape: [3, 4] as const, data: normals(12, 2), bias: normals(4, 3) }
    const actual = await runGraph([2, 3], x, (graph) => dense(graph, 'x', weights, 'dense'))
    const expected = tf
      .tensor2d(x, [2, 3])
      .matMul(tf.tensor2d(weights.data, [3, 4]))
      .add(tf.tensor1d(weights.bias))
    expect(actual.dims).toEqual([2, 4])
    ;[...expected.dataSync()].forEach((value, index) => expect(actual.data[index]).toBeCloseTo(value, 5))
  })

  test('mismatched channels are refused', async () => {
    await expect(
      runGraph([1, 2, 4, 4], new Float32Array(32), (graph) => {
        const x = { name: 'x', channels: 2, height: 4, width: 4 }
        return conv2d(graph, x, convWeights(1, 1, 3, 1, 'bias'), {
          name: 'c',
          stride: 1,
          padding: 'same',
          activation: 'none',
          fold: true,
        }).name
      }),
    ).rejects.toThrow('Expected 3 channels for c input but received 2')
  })
})
