import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseHypes, readHypes } from '../../src/config/hypes.js'
import type { Hypes } from '../../src/config/hypes.js'
import { startEngine } from '../../src/engine/start.js'
import { iou } from '../../src/geometry/box.js'
import { createDetector } from '../../src/model/detector.js'
import { dropout } from '../../src/model/random_tensors.js'
import { rezoom } from '../../src/model/rezoom.js'
import { createRandom } from '../../src/random.js'
import { createOptimizer } from '../../src/training/optimizer.js'
import { testStep, trainStep } from '../../src/training/step.js'
import type { Examples } from '../../src/training/step.js'

const SMALL = {
  image_width: 96,
  image_height: 64,
  grid_width: 3,
  grid_height: 2,
  slim_basename: 'tiny',
  lstm_size: 16,
}

const LUNG = {
  ...{ slim_basename: 'lung', region_size: 8, grid_width: 12, grid_height: 8, use_lstm: false, rnn_len: 1 },
  ...{ lstm_input_scale: 1, rezoom_feature_scale: 1 },
}

beforeAll(async () => {
  await startEngine('wasm')
})

/** Frames of noise, each with one bright disk. */
function disks(count: number, width: number, height: number, centers: [number, number, number][]): Examples {
  const random = createRandom(1)
  const frames = Float32Array.from({ length: count * width * height * 3 }, () => random.uniform() * 60)
  const boxes = centers.map(([x, y, r], n) => {
    for (let j = 0; j < height; j++)
      for (let i = 0; i < width; i++)
        if (Math.hypot(i + 0.5 - x, j + 0.5 - y) < r)
          frames.fill(220, ((n * height + j) * width + i) * 3, ((n * height + j) * width + i) * 3 + 3)
    return [{ x1: x - r, y1: y - r, x2: x + r, y2: y + r }]
  })
  return { frames, boxes }
}

describe('createDetector', () => {
  it.each([
    ['all stages', {}],
    ['no corrections', { reregress: false }],
    ['no second stage', { use_rezoom: false }],
    ['no LSTM', { use_lstm: false, rnn_len: 1 }],
    ['two layers', { num_lstm_layers: 2, rnn_len: 3 }],
    ['deconvolution', { deconv: true }],
    ['lung, stride 8', LUNG],
    ['fewer channels', { later_feat_channels: 50, early_feat_channels: 7 }],
  ])('%s: outputs have their shapes, training moves every weight', (_, change) => {
    const hypes = parseHypes({ ...SMALL, batch_size: 2, ...change })
    const cells = hypes.grid_width * hypes.grid_height
    const detector = createDetector(hypes, 1)
    const optimizer = createOptimizer(hypes, detector.weights)
    const examples = disks(2, 96, 64, [
      [20, 20, 8],
      [70, 40, 10],
    ])
    const before = new Map([...detector.weights].map(([name, w]) => [name, w.dataSync()]))
    for (let step = 0; step < 2; step++)
      trainStep(detector, optimizer, examples, { step, learningRate: 0.01 })
    for (const [name, weight] of detector.weights)
      // Only matched slots have a box loss: the box weights of later slots may stand still.
      if (!/(box_ip|boxes)\/[1-9]/.test(name)) expect(weight.dataSync(), name).not.toEqual(before.get(name))
    const { boxes, confidences } = tf.tidy(() => {
      const frames = tf.tensor4d(examples.frames, [2, 64, 96, 3])
      const outputs = detector.forward(frames, { training: false })
      expect(outputs.logits.shape).toEqual([2, cells, hypes.rnn_len, hypes.num_classes])
      expect(outputs.rezoomLogits?.shape).toEqual(hypes.use_rezoom ? outputs.logits.shape : undefined)
      const decoded = detector.decode(outputs)
      return { boxes: decoded.boxes.arraySync(), confidences: decoded.confidences.arraySync() }
    })
    expect([boxes.length, boxes[0]!.length, boxes[0]![0]!.length]).toEqual([2, cells, hypes.rnn_len])
    expect(confidences.flat(2).every((value) => value >= 0 && value <= 1)).toBe(true)
    optimizer.dispose()
    detector.dispose()
  })

  it('has the same weights for a seed and others for another', () => {
    const hypes = parseHypes(SMALL)
    const values = (seed: number): string => {
      const detector = createDetector(hypes, seed)
      const all = [...detector.weights.values()].map((weight) => weight.dataSync().slice(0, 3).join())
      detector.dispose()
      return all.join(';')
    }
    expect(values(7)).toBe(values(7))
    expect(values(7)).not.toBe(values(8))
  })

  it('draws final boxes larger by the margin, and changes nothing else', () => {
    const decoded = (margin: number): { boxes: number[][]; confidences: number[][][] } => {
      const detector = createDetector(parseHypes({ ...SMALL, box_margin_px: margin }), 1)
      const { frames } = disks(1, 96, 64, [[20, 20, 8]])
      const result = tf.tidy(() => {
        const input = tf.tensor4d(frames, [1, 64, 96, 3])
        const { boxes, confidences } = detector.decode(detector.forward(input, { training: false }))
        return {
          boxes: boxes.reshape<tf.Tensor2D>([-1, 4]).arraySync(),
          confidences: confidences.arraySync(),
        }
      })
      detector.dispose()
      return result
    }
    const [plain, grown] = [decoded(0), decoded(1.5)]
    expect(grown.confidences).toEqual(plain.confidences)
    for (const [n, [x1, y1, x2, y2]] of plain.boxes.entries())
      for (const [at, edge] of [x1! - 1.5, y1! - 1.5, x2! + 1.5, y2! + 1.5].entries())
        expect(grown.boxes[n]![at]).toBeCloseTo(edge, 4)
  })

  it('refuses hypes that do not fit together', () => {
    const half = { ...SMALL, region_size: 16, grid_width: 6, grid_height: 4 }
    expect(() => createDetector(parseHypes(half), 1)).toThrow(/region_size: .*expected 32.*received 16/)
    expect(() => createDetector(parseHypes({ ...SMALL, use_lstm: false }), 1)).toThrow(
      /rnn_len: .*expected 1/,
    )
  })

  it('leaves no tensors behind', () => {
    const hypes = parseHypes(SMALL)
    const detector = createDetector(hypes, 1)
    const optimizer = createOptimizer(hypes, detector.weights)
    const examples = disks(1, 96, 64, [[40, 30, 9]])
    trainStep(detector, optimizer, examples, { step: 0, learningRate: 0.001 })
    testStep(detector, examples)
    const { numTensors } = tf.memory()
    for (let step = 1; step < 4; step++)
      trainStep(detector, optimizer, examples, { step, learningRate: 0.001 })
    testStep(detector, examples)
    expect(tf.memory().numTensors).toBe(numTensors)
    optimizer.dispose()
    detector.dispose()
    examples.frames.fill(NaN)
  })
})

describe('training', () => {
  it('overfits two frames: the disks are found, nothing else', () => {
    const hypes: Hypes = {
      ...parseHypes({ ...readHypes('hypes/tiny.json'), ...SMALL, batch_size: 2, lstm_size: 64, dropout: 0 }),
    }
    const detector = createDetector(hypes, 1)
    const optimizer = createOptimizer(hypes, detector.weights)
    const examples = disks(2, 96, 64, [
      [20, 20, 8],
      [70, 44, 11],
    ])
    let loss = Infinity
    for (let step = 0; step < 120; step++)
      ({ loss } = trainStep(detector, optimizer, examples, { step, learningRate: 0.003 }))
    expect(loss).toBeLessThan(0.1)
    tf.tidy(() => {
      const frames = tf.tensor4d(examples.frames, [2, 64, 96, 3])
      const { boxes, confidences } = detector.decode(detector.forward(frames, { training: false }))
      const [b, c] = [boxes.arraySync(), confidences.arraySync()]
      examples.boxes.forEach((truth, n) => {
        const found = b[n]!.flatMap((cell, i) => cell.filter((_, k) => c[n]![i]![k]! > 0.5))
        expect(found.length).toBeGreaterThan(0)
        for (const [x1, y1, x2, y2] of found as [number, number, number, number][])
          expect(iou({ x1, y1, x2, y2 }, truth[0]!)).toBeGreaterThan(0.5)
      })
    })
    optimizer.dispose()
    detector.dispose()
  })

  it('the loss of lstm_rezoom_lung falls on a fixed frame', () => {
    const hypes = readHypes('hypes/lstm_rezoom_lung.json')
    const detector = createDetector(hypes, 1)
    const optimizer = createOptimizer(hypes, detector.weights)
    const examples = disks(1, 352, 256, [[100, 90, 10]])
    const losses = [0, 1, 2].map(
      (step) => trainStep(detector, optimizer, examples, { step, learningRate: 0.01 }).loss,
    )
    expect(losses[2]).toBeLessThan(losses[0]! - 0.001)
    optimizer.dispose()
    detector.dispose()
  })

  it('ends with a clear error when numbers overflow, and keeps the weights', () => {
    const hypes = parseHypes(SMALL)
    const detector = createDetector(hypes, 1)
    const optimizer = createOptimizer(hypes, detector.weights)
    const examples = disks(1, 96, 64, [[40, 30, 9]])
    examples.frames[5] = Infinity
    const before = detector.weights.get('tiny/conv1/weights')!.dataSync()
    expect(() => trainStep(detector, optimizer, examples, { step: 3, learningRate: 1 })).toThrow(
      expect.objectContaining({ code: 'NUMERIC' }) as Error,
    )
    expect(detector.weights.get('tiny/conv1/weights')!.dataSync()).toEqual(before)
  })
})

describe('rezoom', () => {
  it('passes the gradients of the kernel on', () => {
    const hypes = parseHypes({ rezoom_w_coords: [-0.25, 0.25], rezoom_h_coords: [0] })
    const random = createRandom(2)
    const features = Float32Array.from({ length: 4 * 5 * 2 }, () => random.normal())
    const boxes = new Float32Array([13.3, 11.2, 9.5, 7.1, 21.7, 17.9, 6.3, 5.2])
    const value = (f: Float32Array, b: Float32Array): number =>
      tf.tidy(
        () =>
          tf
            .sum(tf.square(rezoom(tf.tensor4d(f, [1, 4, 5, 2]), tf.tensor3d(b, [1, 2, 4]), 8, hypes)))
            .dataSync()[0]!,
      )
    const [df, db] = tf
      .grads((f, b) => tf.sum(tf.square(rezoom(f as tf.Tensor4D, b as tf.Tensor3D, 8, hypes))))([
        tf.tensor4d(features, [1, 4, 5, 2]),
        tf.tensor3d(boxes, [1, 2, 4]),
      ])
      .map((tensor) => tensor.dataSync()) as [Float32Array, Float32Array]
    const difference = (array: Float32Array, i: number, of: (moved: Float32Array) => number): number => {
      const at = (by: number): Float32Array => array.map((v, j) => (j === i ? v + by : v))
      return (of(at(1e-2)) - of(at(-1e-2))) / 2e-2
    }
    df.forEach((d, i) =>
      expect(d).toBeCloseTo(
        difference(features, i, (moved) => value(moved, boxes)),
        2,
      ),
    )
    db.forEach((d, i) =>
      expect(d).toBeCloseTo(
        difference(boxes, i, (moved) => value(features, moved)),
        2,
      ),
    )
  })
})

describe('dropout', () => {
  it('drops the share, keeps the mean, and repeats for a seed, step and label', () => {
    const x = tf.ones([20000])
    const mask = (step: number, label: string): number[] => [
      ...dropout(x, { rate: 0.3, seed: 1, step }, label).dataSync(),
    ]
    const first = mask(0, 'a')
    expect(first.filter((value) => value === 0).length / 20000).toBeCloseTo(0.3, 1)
    expect(first.reduce((a, b) => a + b) / 20000).toBeCloseTo(1, 1)
    expect(mask(0, 'a')).toEqual(first)
    expect(mask(1, 'a')).not.toEqual(first)
    expect(mask(0, 'b')).not.toEqual(first)
  })
})
