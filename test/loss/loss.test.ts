import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import type { Hypes } from '../../src/config/hypes.js'
import { computeLoss, matchBoxes, matchedAccuracy, rezoomClasses } from '../../src/loss/loss.js'
import type { Matched } from '../../src/loss/loss.js'
import { createRandom } from '../../src/random.js'

const hypes: Hypes = parseHypes({
  image_width: 64,
  image_height: 32,
  grid_width: 2,
  grid_height: 1,
  rnn_len: 2,
  solver: { head_weights: [1, 0.1], hungarian_iou: 0.25 },
})

beforeAll(async () => {
  await tf.setBackend('cpu')
})

/** Two cells with two slots; the first cell holds one box. */
const targets = {
  boxes: new Float32Array([4, 0, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  ignored: new Uint8Array(2),
  counts: new Int32Array([1, 0]),
}
const predictions = new Float32Array([0, 0, 1, 1, 5, 1, 10, 8, 0, 0, 2, 2, 0, 0, 2, 2])

function outputs(): Parameters<typeof computeLoss>[0] {
  return {
    boxes: tf.tensor4d(predictions, [1, 2, 2, 4]),
    logits: tf.tensor4d([1, 0, 0, 2, 0, 0, 3, 0], [1, 2, 2, 2]),
    rezoomLogits: tf.tensor4d([0, 0, 0, 1, 0, 0, 0, 0], [1, 2, 2, 2]),
    deltas: tf.tensor4d([9, 9, 9, 9, -1, 0, 0, 20, 9, 9, 9, 9, 9, 9, 9, 9], [1, 2, 2, 4]),
    statistics: [],
  }
}

describe('matchBoxes', () => {
  it('takes the slot that overlaps rather than the first', () => {
    const matched = matchBoxes(predictions, targets, hypes)
    expect([...matched.classes]).toEqual([0, 1, 0, 0])
    expect([...matched.boxes.subarray(4, 8)]).toEqual([4, 0, 10, 10])
    expect(matched.boxes.filter((_, i) => i < 4 || i >= 8).every((value) => value === 0)).toBe(true)
  })

  it('costs no more than any other matching', () => {
    const random = createRandom(4)
    const box = (): number[] => [
      random.normal() * 8,
      random.normal() * 8,
      4 + random.uniform() * 9,
      4 + random.uniform() * 9,
    ]
    for (let round = 0; round < 40; round++) {
      const guess = new Float32Array([...box(), ...box()])
      const truth = {
        boxes: new Float32Array([...box(), ...box()]),
        ignored: new Uint8Array(2),
        counts: new Int32Array([2]),
      }
      const one = { ...hypes, grid_width: 1 }
      const { boxes } = matchBoxes(guess, truth, one)
      const pairs = [
        [0, 1],
        [1, 0],
      ].map((order) => order.map((j, i) => cost(guess, i, truth.boxes, j)).reduce((a, b) => a + b))
      const kept = boxes[0] === truth.boxes[0] ? 0 : 1
      expect(pairs[kept]!).toBeLessThanOrEqual(Math.min(...pairs) + 1e-4)
    }
  })

  it('refuses what is not a number', () => {
    const bad = predictions.slice()
    bad[3] = NaN
    expect(() => matchBoxes(bad, targets, hypes)).toThrow(/not finite/)
  })
})

function cost(a: Float32Array, i: number, b: Float32Array, j: number): number {
  const [p, t] = [a.subarray(4 * i, 4 * i + 4), b.subarray(4 * j, 4 * j + 4)]
  const overlap = (axis: 0 | 1): number =>
    Math.max(
      0,
      Math.min(p[axis]! + p[axis + 2]! / 2, t[axis]! + t[axis + 2]! / 2) -
        Math.max(p[axis]! - p[axis + 2]! / 2, t[axis]! - t[axis + 2]! / 2),
    )
  const shared = overlap(0) * overlap(1)
  const iou = shared / (p[2]! * p[3]! + t[2]! * t[3]! - shared)
  const distance = p.reduce((sum, value, k) => sum + Math.abs(value - t[k]!), 0)
  return i + distance / 2000 + (iou < 0.25 ? 100 : 0)
}

describe('computeLoss', () => {
  it('has the values that are computed by hand', () => {
    tf.tidy(() => {
      const loss = computeLoss(outputs(), targets, hypes)
      const read = (scalar: tf.Scalar | undefined): number => scalar!.dataSync()[0]!
      const ce = (wanted: number, other: number): number => Math.log(1 + Math.exp(other - wanted))
      // Slots: background (1, 0), nodule (0, 2), background (0, 0), background (3, 0); two cells.
      expect(read(loss.confidence)).toBeCloseTo((ce(1, 0) + ce(2, 0) + ce(0, 0) + ce(3, 0)) / 2, 5)
      // |4 - 5| + |0 - 1| + 0 + |10 - 8|
      expect(read(loss.box)).toBeCloseTo((4 / 2) * 0.1, 6)
      // The center is off by 1/10 and 1/10 of the size: right.
      expect(read(loss.rezoomConfidence)).toBeCloseTo(((3 * ce(0, 0) + ce(1, 0)) / 2) * 0.1, 5)
      // Corrected: (0, 1, 0, 18): 0 + 1 + 0 + min(324, 100).
      expect(read(loss.delta)).toBeCloseTo((101 / 2) * 0.1 * 0.03, 5)
      const parts = [loss.confidence, loss.box, loss.rezoomConfidence, loss.delta].map(read)
      expect(read(loss.total)).toBeCloseTo(
        parts.reduce((a, b) => a + b),
        5,
      )
    })
  })

  it('rezoom_weights weigh the second stage', () => {
    const changed = { ...hypes, solver: { ...hypes.solver, rezoom_weights: [1, 0.3] } }
    const [plain, heavy] = [hypes, changed].map((h) => computeLoss(outputs(), targets, h))
    const read = (scalar: tf.Scalar | undefined): number => scalar!.dataSync()[0]!
    for (const part of ['rezoomConfidence', 'delta'] as const)
      expect(read(heavy![part])).toBeCloseTo(10 * read(plain![part]), 4)
    expect(read(heavy!.box)).toBe(read(plain!.box))
  })

  it('relative_box_px counts residuals in shares of the true size', () => {
    const relative = { ...hypes, solver: { ...hypes.solver, relative_box_px: 5 } }
    const loss = computeLoss(outputs(), targets, relative)
    // The true box is 10 x 10: each residual counts half.
    expect(loss.box.dataSync()[0]).toBeCloseTo((2 / 2) * 0.1, 6)
    expect(loss.delta!.dataSync()[0]).toBeCloseTo(((0.25 + 81) / 2) * 0.1 * 0.03, 5)
  })

  it('has the gradient that differences give', () => {
    // Away from the corners of |x|.
    const fresh = {
      ...outputs(),
      boxes: tf.tensor4d(
        predictions.map((value) => value + 0.3),
        [1, 2, 2, 4],
      ),
    }
    const total = (boxes: Float32Array, logits: Float32Array, deltas: Float32Array): number =>
      tf.tidy(
        () =>
          computeLoss(
            {
              ...fresh,
              boxes: tf.tensor4d(boxes, [1, 2, 2, 4]),
              logits: tf.tensor4d(logits, [1, 2, 2, 2]),
              deltas: tf.tensor4d(deltas, [1, 2, 2, 4]),
            },
            targets,
            hypes,
          ).total.dataSync()[0]!,
      )
    const start = [fresh.boxes, fresh.logits, fresh.deltas!].map(
      (tensor) => tensor.dataSync() as Float32Array,
    )
    const gradients = tf
      .grads((boxes, logits, deltas) => {
        const given = { ...fresh, boxes, logits, deltas } as Parameters<typeof computeLoss>[0]
        return computeLoss(given, targets, hypes).total
      })([fresh.boxes, fresh.logits, fresh.deltas!])
      .map((tensor) => tensor.dataSync())
    start.forEach((values, which) =>
      values.forEach((_, i) => {
        const moved = (by: number): number => {
          const copies = start.map((array) => array.slice()) as [Float32Array, Float32Array, Float32Array]
          copies[which]![i]! += by
          return total(...copies)
        }
        expect(gradients[which]![i]).toBeCloseTo((moved(1e-2) - moved(-1e-2)) / 2e-2, 2)
      }),
    )
  })

  it('is finite and its gradient too where no cell holds a box', () => {
    const empty = {
      boxes: new Float32Array(16),
      counts: new Int32Array(2),
      ignored: new Uint8Array(2),
    }
    const loss = computeLoss(outputs(), empty, hypes)
    expect(loss.box.dataSync()[0]).toBe(0)
    expect(loss.delta!.dataSync()[0]).toBe(0)
    expect(Number.isFinite(loss.total.dataSync()[0])).toBe(true)
  })
})

describe('rezoomClasses', () => {
  const matched: Matched = { classes: new Float32Array([0, 1, 0, 0]), boxes: new Float32Array(16) }
  matched.boxes.set([4, 0, 10, 10], 4)
  const classes = (mode: Hypes['rezoom_change_loss'], box: number[]): number => {
    const guess = new Float32Array(16)
    guess.set(box, 4)
    return rezoomClasses(guess, matched, { ...hypes, rezoom_change_loss: mode })[1]!
  }

  it('follows rezoom_change_loss', () => {
    expect(classes('center', [5.9, 0, 1, 1])).toBe(1)
    expect(classes('center', [6.1, 0, 10, 10])).toBe(0)
    expect(classes('iou', [4, 0, 10, 6])).toBe(1)
    expect(classes('iou', [4, 0, 10, 4])).toBe(0)
    expect(classes('iou', [4, 0, -10, 4])).toBe(0)
    expect(classes('none', [400, 0, 1, 1])).toBe(1)
    // Boxes are at least a pixel wide: 1 x 10 and 1 x 6.
    matched.boxes.set([4, 0, 0.5, 10], 4)
    expect(classes('iou', [4, 0, -3, 6])).toBe(1)
    expect(classes('iou', [4.5, 0, 0.1, 10])).toBe(0)
    matched.boxes.set([4, 0, 10, 10], 4)
  })

  it('counts agreement over all slots', () => {
    expect(matchedAccuracy([0.1, 0.9, 0.6, 0.2], matched)).toBe(0.75)
  })
})
describe('confidence weights', () => {
  const value = (o: Partial<typeof targets>, gamma = 0): number => {
    const solver = { ...hypes.solver, focal_gamma: gamma }
    return computeLoss(outputs(), { ...targets, ...o }, { ...hypes, solver }).confidence.dataSync()[0]!
  }
  const entropy = (wrong: number, right: number): number => Math.log(1 + Math.exp(wrong - right))
  // Slot 1 of cell 0 is matched: its class is 1.
  const each = [entropy(0, 1), entropy(0, 2), entropy(0, 0), entropy(0, 3)]

  it('leaves ignored cells out', () => {
    expect(value({})).toBeCloseTo(each.reduce((a, b) => a + b) / 2, 5)
    expect(value({ ignored: new Uint8Array([0, 1]) })).toBeCloseTo((each[0]! + each[1]!) / 2, 5)
  })

  it('focal_gamma turns the weight of what is right already down', () => {
    const focal = each.map((loss) => (1 - Math.exp(-loss)) ** 2 * loss)
    expect(value({}, 2)).toBeCloseTo(focal.reduce((a, b) => a + b) / 2, 5)
  })
})
