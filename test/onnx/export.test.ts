import * as tf from '@tensorflow/tfjs'
import * as ort from 'onnxruntime-node'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import type { Hypes } from '../../src/config/hypes.js'
import { startEngine } from '../../src/engine/start.js'
import { createDetector } from '../../src/model/detector.js'
import type { Detector } from '../../src/model/detector.js'
import { buildModel } from '../../src/onnx/detector.js'
import { withFrame } from '../../src/onnx/frame_size.js'
import { encodeModel } from '../../src/onnx/proto.js'
import { createRandom } from '../../src/random.js'

beforeAll(async () => {
  await startEngine('wasm')
})

function smallHypes(changes: Record<string, unknown>): Hypes {
  return parseHypes({
    slim_basename: 'tiny',
    image_width: 96,
    image_height: 64,
    grid_width: 3,
    grid_height: 2,
    lstm_size: 24,
    rnn_len: 3,
    // Random weights give small features: without these factors all cells would say the same.
    lstm_input_scale: 1,
    rezoom_feature_scale: 0.1,
    rezoom_conf_scale: 5,
    ...changes,
  })
}

/** Random weights with batch-norm averages and biases that are not 0 and 1, as after training. */
function trainedLike(hypes: Hypes): {
  detector: Detector
  tensors: Map<string, { shape: number[]; data: Float32Array }>
} {
  const detector = createDetector(hypes, 5)
  const random = createRandom(11)
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>()
  for (const [name, variable] of detector.weights) {
    let data = variable.dataSync() as Float32Array
    if (/moving_mean|beta|bias/.test(name)) data = data.map(() => 0.2 * random.normal())
    else if (/moving_variance|gamma/.test(name)) data = data.map(() => 0.6 + random.uniform())
    const tensor = tf.tensor(data, variable.shape)
    variable.assign(tensor)
    tensor.dispose()
    tensors.set(name, { shape: variable.shape, data: Float32Array.from(data) })
  }
  return { detector, tensors }
}

/** Largest difference of two results, and how far the two frames of the expected one are apart: what it depends on. */
function compareValues(
  expected: Float32Array,
  actual: Float32Array,
): { difference: number; content: number } {
  const half = expected.length / 2
  let difference = 0
  let content = 0
  expected.forEach((value, index) => {
    difference = Math.max(difference, Math.abs(value - actual[index]!))
    if (index < half) content = Math.max(content, Math.abs(value - expected[index + half]!))
  })
  return { difference, content }
}

/** @param exported the hypes that the model is exported with, where they have another frame */
async function compare(hypes: Hypes, foldBatchNorm = true, exported = hypes): Promise<void> {
  const { detector, tensors } = trainedLike(hypes)
  const n = 2
  const { image_height: height, image_width: width } = hypes
  const random = createRandom(3)
  // Two frames of different contrast.
  const size = 3 * height * width
  const frames = Uint8Array.from({ length: n * size }, (_, i) => random.integer(i < size ? 256 : 40))
  const expected = tf.tidy(() => {
    const x = tf
      .tensor4d(Float32Array.from(frames), [n, 3, height, width])
      .transpose<tf.Tensor4D>([0, 2, 3, 1])
    const { boxes, confidences } = detector.decode(detector.forward(x, { training: false }))
    return { boxes: boxes.dataSync() as Float32Array, confidences: confidences.dataSync() as Float32Array }
  })
  detector.dispose()
  const metadata = {
    hypes: exported,
    step: 1,
    seed: 5,
    codeVersion: '0',
    checkpointSha256: '',
    precision: 'float32' as const,
  }
  const bytes = encodeModel(buildModel(tensors, metadata, { foldBatchNorm }))
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 2 })
  const results = await session.run({ frames: new ort.Tensor('uint8', frames, [n, 3, height, width]) })
  const cells = hypes.grid_width * hypes.grid_height
  expect(results['boxes']!.dims).toEqual([n, cells, hypes.rnn_len, 4])
  expect(results['confidences']!.dims).toEqual([n, cells, hypes.rnn_len])
  const boxes = compareValues(expected.boxes, results['boxes']!.data as Float32Array)
  const confidences = compareValues(expected.confidences, results['confidences']!.data as Float32Array)
  await session.release()
  // Relative to how much the outputs depend on the frame: a model whose outputs are all alike would prove nothing.
  expect(boxes.content).toBeGreaterThan(1)
  expect(confidences.content).toBeGreaterThan(0.01)
  expect(boxes.difference / boxes.content).toBeLessThan(1e-4)
  expect(confidences.difference / confidences.content).toBeLessThan(1e-4)
}

describe('the exported model computes what the tfjs model computes', () => {
  test.each([
    ['lstm, rezoom, reregress', {}],
    ['one LSTM layer, box of 1', { num_lstm_layers: 1, rnn_len: 1 }],
    ['no LSTM', { use_lstm: false, rnn_len: 1 }],
    ['no LSTM, no rezoom', { use_lstm: false, rnn_len: 1, use_rezoom: false, reregress: false }],
    ['no rezoom', { use_rezoom: false, reregress: false }],
    ['no reregress', { reregress: false }],
    ['more samples', { rezoom_w_coords: [-0.5, 0, 0.5], rezoom_h_coords: [0.1] }],
    ['limited channels', { later_feat_channels: 100, early_feat_channels: 20 }],
    ['deconv', { deconv: true, lstm_input_scale: 100 }],
    ['larger boxes', { box_margin_px: 0.7 }],
  ])('tiny: %s', async (_, changes) => compare(smallHypes(changes)))

  test('tiny, batch norm not folded', async () => compare(smallHypes({}), false))

  test('InceptionV1 with average-pooled late channels', async () =>
    compare(smallHypes({ slim_basename: 'InceptionV1', avg_pool_size: 5, later_feat_channels: 832 })))

  test('InceptionV1 with deconv: 256 channels made anew, the others kept', async () =>
    compare(smallHypes({ slim_basename: 'InceptionV1', deconv: true, later_feat_channels: 400 })))

  test('lung', async () => {
    const grid = { region_size: 8, image_width: 48, grid_width: 6, image_height: 32, grid_height: 4 }
    const head = { use_lstm: false, rnn_len: 1, lstm_input_scale: 1, rezoom_feature_scale: 1 }
    await compare(smallHypes({ slim_basename: 'lung', ...grid, ...head }))
  })

  test.each([
    ['as exported', 6, 4],
    ['larger', 9, 7],
    ['narrow', 4, 9],
  ])('of a fixed scale, frames of any size: %s', async (_, columns, rows) => {
    const data = { mm_per_pixel: 0.7 }
    const size = { region_size: 8, image_width: 48, grid_width: 6, image_height: 32, grid_height: 4, data }
    for (const head of [{ use_lstm: false, rnn_len: 1 }, {}]) {
      const hypes = smallHypes({ slim_basename: 'lung', ...size, ...head })
      await compare(withFrame(hypes, { width: 8 * columns, height: 8 * rows }), true, hypes)
    }
  })

  test('frames of a model without a fixed scale, or with a deconvolution, have the one size', async () => {
    const inputOf = (changes: Record<string, unknown>): unknown => {
      const hypes = smallHypes(changes)
      const { detector, tensors } = trainedLike(hypes)
      detector.dispose()
      const given = { hypes, step: 1, seed: 5, codeVersion: '0', checkpointSha256: '' }
      return buildModel(tensors, { ...given, precision: 'float32' }).graph.input[0]!.type.tensor_type.shape
        .dim
    }
    const fixed = [{ dim_param: 'N' }, { dim_value: 3 }, { dim_value: 64 }, { dim_value: 96 }]
    expect(inputOf({})).toEqual(fixed)
    expect(inputOf({ deconv: true, data: { mm_per_pixel: 0.7 } })).toEqual(fixed)
    expect(inputOf({ data: { mm_per_pixel: 0.7 } })).toEqual([
      ...fixed.slice(0, 2),
      { dim_param: 'H' },
      { dim_param: 'W' },
    ])
  })

  test('ResNet-101', async () =>
    compare(smallHypes({ slim_basename: 'resnet_v1_101', image_width: 64, grid_width: 2 })))

  // Gray levels less a mean are a hundred times larger than those from -1 to 1, and VGG has no batch norm to scale them.
  const large = { lstm_input_scale: 0.01, rezoom_feature_scale: 0.001 }
  test.each([
    ['googlenet', {}],
    ['resnet50', {}],
    ['vgg_16', large],
    ['efficientnet_lite0', {}],
  ])('%s', async (slim_basename, changes) =>
    compare(smallHypes({ slim_basename, image_width: 64, grid_width: 2, ...changes })),
  )
})
