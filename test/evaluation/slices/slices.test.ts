import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { iou } from '../../../src/geometry/box.js'
import type { EdgeBox, ScoredBox } from '../../../src/geometry/box.js'
import {
  evaluatePairs,
  evaluateSlices,
  outcomesAt,
  sliceCurve,
  tensorBoxCurve,
} from '../../../src/evaluation/slices/slices.js'
import { cocoAveragePrecision } from '../../../src/evaluation/slices/coco.js'
import { pairImages } from '../../../src/evaluation/slices/pairs.js'
import type { EvaluatedEntry, ImagePair } from '../../../src/evaluation/slices/pairs.js'

const box = (x1: number, y1: number, x2: number, y2: number): EdgeBox => ({ x1, y1, x2, y2 })
const scored = (score: number, x1: number, y1: number, x2: number, y2: number): ScoredBox => ({
  ...box(x1, y1, x2, y2),
  score,
})
const pair = (truth: EdgeBox[], detections: ScoredBox[], index = 0): ImagePair => ({
  image: `frames/${index}.png`,
  index,
  truth,
  detections,
})

describe('hand-computed curves', () => {
  test('one hit, one duplicate, one false alarm, one miss', () => {
    // Truth: A, B. 0.9 hits A; 0.8 is a second box on A (a false positive); 0.6 is nowhere; 0.3 hits B.
    const image = pair(
      [box(0, 0, 10, 10), box(50, 50, 60, 60)],
      [
        scored(0.3, 50, 50, 60, 60),
        scored(0.9, 0, 0, 10, 10),
        scored(0.8, 0, 0, 10, 9),
        scored(0.6, 90, 90, 99, 99),
      ],
    )
    const result = evaluatePairs([image])
    expect(result.curve.map((point) => [point.threshold, point.tp, point.fp, point.fn])).toEqual([
      [0.9, 1, 0, 1],
      [0.8, 1, 1, 1],
      [0.6, 1, 2, 1],
      [0.3, 2, 2, 0],
    ])
    // Precision envelope: 1 up to recall 0.5, then 0.5 up to recall 1.
    expect(result.ap).toBeCloseTo(0.75, 12)
    // Recall 0, .1 ... .5: precision 1 (6 points); .6 ... 1: 0.5 (5 points).
    expect(result.ap11).toBeCloseTo((6 + 2.5) / 11, 12)
    expect(result.bestF1).toMatchObject({ threshold: 0.9, f1: 2 / 3 })
    expect(result.recallAtPrecision.find((point) => point.target === 0.5)).toEqual({
      target: 0.5,
      value: 1,
      threshold: 0.3,
    })
    expect(result.recallAtPrecision.find((point) => point.target === 0.8)!.value).toBe(0.5)
    expect(result.precisionAtRecall.find((point) => point.target === 0.7)).toEqual({
      target: 0.7,
      value: 0.5,
      threshold: 0.3,
    })
  })

  test('the flow moves an early detection to another true box', () => {
    // 0.9 fits A and B, and A better; 0.5 fits A only. Greedy matching would lose one, the flow finds both.
    const a = box(0, 0, 10, 10)
    const b = box(0, 3, 10, 13)
    const both = scored(0.9, 0, 1, 10, 11)
    const onlyA = scored(0.5, 0, -4, 10, 7)
    expect(iou(onlyA, a)).toBeGreaterThanOrEqual(0.5)
    expect(iou(onlyA, b)).toBeLessThan(0.5)
    expect(iou(both, a)).toBeGreaterThan(iou(both, b))
    expect(evaluatePairs([pair([a, b], [both, onlyA])]).counts).toMatchObject({ tp: 2, fp: 0, fn: 0 })
  })

  test('IoU of exactly the threshold matches', () => {
    const image = pair([box(0, 0, 10, 10)], [scored(1, 0, 0, 10, 20)])
    expect(evaluatePairs([image], { iou: 0.5 }).counts.tp).toBe(1)
    expect(evaluatePairs([image], { iou: 0.5000001 }).counts.tp).toBe(0)
  })

  test('equal scores enter together', () => {
    const images = [
      pair([box(0, 0, 10, 10)], [scored(0.5, 0, 0, 10, 10), scored(0.5, 30, 30, 40, 40)]),
      pair([], [scored(0.5, 0, 0, 5, 5)], 1),
    ]
    expect(sliceCurve(images, 0.5)).toEqual([
      { threshold: 0.5, precision: 1 / 3, recall: 1, tp: 1, fp: 2, fn: 0 },
    ])
  })

  test('excluded findings count neither way where that is asked for', () => {
    const truth = [
      {
        image_path: 'a.png',
        rects: [box(0, 0, 10, 10)],
        nodule: { excluded: [box(50, 0, 60, 10), box(0, 0, 10, 11)] },
      },
    ]
    const rects = [
      scored(0.9, 50, 0, 60, 11),
      scored(0.8, 0, 0, 10, 10),
      scored(0.7, 51, 0, 60, 10),
      scored(0.6, 80, 0, 90, 10),
    ]
    const predictions = [{ image_path: 'a.png', rects }]
    expect(evaluateSlices(truth, predictions).counts).toMatchObject({ tp: 1, fp: 3 })
    const result = evaluateSlices(truth, predictions, { ignoreExcluded: true })
    expect(result.curve.map((point) => [point.threshold, point.tp, point.fp])).toEqual([
      [0.8, 1, 0],
      [0.7, 1, 0],
      [0.6, 1, 1],
    ])
    expect(result.ap).toBe(1)
    const { images } = pairImages(truth, predictions, { ignoreExcluded: true })
    expect(outcomesAt(images, 0.5, 0.5)[0]).toMatchObject({
      falsePositives: [3],
      ignored: [0, 2],
      missed: [],
    })
    expect(cocoAveragePrecision(images).byIou.find((item) => item.iou === 0.5)!.ap).toBeCloseTo(1, 12)
  })

  test('no detection, no truth', () => {
    const nothingFound = evaluatePairs([pair([box(0, 0, 1, 1)], [])])
    expect(nothingFound).toMatchObject({ ap: 0, ap11: 0, bestF1: null, curve: [] })
    expect(nothingFound.counts).toEqual({ tp: 0, fp: 0, fn: 1, ignored: 0, precision: null, recall: 0 })
    const nothingThere = evaluatePairs([pair([], [scored(0.4, 0, 0, 1, 1)])])
    expect(nothingThere).toMatchObject({ ap: null, ap11: null, bestF1: null })
    expect(nothingThere.counts).toEqual({ tp: 0, fp: 1, fn: 0, ignored: 0, precision: 0, recall: null })
  })

  test('outcomes name the boxes', () => {
    const image = pair(
      [box(0, 0, 10, 10), box(50, 50, 60, 60)],
      [scored(0.2, 50, 50, 60, 60), scored(0.9, 0, 0, 10, 10), scored(0.8, 80, 0, 90, 10)],
    )
    expect(outcomesAt([image], 0.5, 0.5)).toEqual([
      {
        image: 'frames/0.png',
        index: 0,
        matched: [{ truth: 0, detection: 1 }],
        falsePositives: [2],
        ignored: [],
        missed: [1],
      },
    ])
  })
})

describe('TensorBox', () => {
  interface Case {
    iou: number
    truth: EvaluatedEntry[]
    predictions: EvaluatedEntry[]
    points: { precision: number; recall: number; score: number | null; fppi: number }[]
  }
  const file = JSON.parse(
    readFileSync(new URL('../../fixtures/evaluation/tensorbox_rpc.json', import.meta.url), 'utf8'),
  ) as { cases: Case[] }

  test.each(file.cases.map((item, index) => [index, item] as const))(
    'case %i equals the reference line by line',
    (_, item) => {
      const { images } = pairImages(item.truth, item.predictions)
      const points = tensorBoxCurve(images, item.iou)
      expect(points.map((point) => [point.precision, point.recall, point.fppi])).toEqual(
        item.points.map((point) => [point.precision, point.recall, point.fppi]),
      )
      expect(points.map((point) => point.score)).toEqual(item.points.map((point) => point.score ?? Infinity))
    },
  )
})

/** Largest number of detections that can be assigned to different true boxes, by trying every assignment. */
function bruteForce(truth: EdgeBox[], detections: EdgeBox[], minIou: number, used = 0, from = 0): number {
  if (from === detections.length) return 0
  let best = bruteForce(truth, detections, minIou, used, from + 1)
  for (let t = 0; t < truth.length; t++) {
    if ((used >> t) & 1 || iou(truth[t]!, detections[from]!) < minIou) continue
    best = Math.max(best, 1 + bruteForce(truth, detections, minIou, used | (1 << t), from + 1))
  }
  return best
}

const anyBox = fc
  .tuple(
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 4, max: 12 }),
    fc.integer({ min: 4, max: 12 }),
  )
  .map(([x, y, w, h]) => box(x, y, x + w, y + h))
const anyImage = fc.record({
  truth: fc.array(anyBox, { maxLength: 4 }),
  detections: fc.array(
    fc
      .tuple(anyBox, fc.integer({ min: 0, max: 6 }))
      .map(([edges, score]): ScoredBox => ({ ...edges, score: score / 6 })),
    { maxLength: 6 },
  ),
})

describe('against brute force', () => {
  test('counts at every threshold', () => {
    fc.assert(
      fc.property(
        fc.array(anyImage, { minLength: 1, maxLength: 3 }),
        fc.constantFrom(0.1, 0.3, 0.5, 0.7),
        (sets, minIou) => {
          const images = sets.map((set, index) => pair(set.truth, set.detections, index))
          const scores = [...new Set(sets.flatMap((set) => set.detections.map((item) => item.score)))]
          const curve = sliceCurve(images, minIou)
          expect(curve.map((point) => point.threshold)).toEqual(scores.sort((a, b) => b - a))
          for (const point of curve) {
            let tp = 0
            let kept = 0
            for (const set of sets) {
              const detections = set.detections.filter((item) => item.score >= point.threshold)
              tp += bruteForce(set.truth, detections, minIou)
              kept += detections.length
            }
            expect([point.tp, point.fp]).toEqual([tp, kept - tp])
            const outcomes = outcomesAt(images, point.threshold, minIou)
            expect(outcomes.reduce((sum, outcome) => sum + outcome.matched.length, 0)).toBe(tp)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('neither the order of images nor of boxes matters', () => {
    fc.assert(
      fc.property(fc.array(anyImage, { minLength: 1, maxLength: 4 }), (sets) => {
        const images = sets.map((set, index) => pair(set.truth, set.detections, index))
        const turned = [...images].reverse().map((image) => ({
          ...image,
          truth: [...image.truth].reverse(),
          detections: [...image.detections].reverse(),
        }))
        expect(sliceCurve(turned, 0.5)).toEqual(sliceCurve(images, 0.5))
      }),
    )
  })

  test('AP lies between 0 and 1, recall never falls', () => {
    fc.assert(
      fc.property(fc.array(anyImage, { minLength: 1, maxLength: 4 }), (sets) => {
        const result = evaluatePairs(sets.map((set, index) => pair(set.truth, set.detections, index)))
        if (result.ap === null) return
        expect(result.ap).toBeGreaterThanOrEqual(0)
        expect(result.ap).toBeLessThanOrEqual(1 + 1e-12)
        result.curve.forEach((point, index) => {
          if (index > 0) expect(point.recall!).toBeGreaterThanOrEqual(result.curve[index - 1]!.recall!)
        })
      }),
    )
  })
})

describe('bringing lists together', () => {
  const entry = (image_path: string, rects: EvaluatedEntry['rects'] = []): EvaluatedEntry => ({
    image_path,
    rects,
  })

  test('relative and absolute paths of the same image', () => {
    const truth = [entry('frames/a.png', [box(0, 0, 2, 2)]), entry('frames/b.png')]
    const predictions = [
      entry('/data/run/frames/b.png', [scored(1, 0, 0, 2, 2)]),
      entry('../run/frames/a.png', [scored(0.5, 0, 0, 2, 2)]),
    ]
    const { images, warnings } = pairImages(truth, predictions)
    expect(images.map((image) => [image.image, image.detections.length])).toEqual([
      ['frames/a.png', 1],
      ['frames/b.png', 1],
    ])
    expect(warnings).toEqual([])
    const byFolder = pairImages([entry('a.png')], [entry('../truth/a.png')], {
      truthDir: '/x/truth',
      predictionsDir: '/x/predictions',
    })
    expect(byFolder.images).toHaveLength(1)
  })

  test('a tail that fits two images is refused', () => {
    const truth = [entry('one/a.png'), entry('two/a.png')]
    expect(() => pairImages(truth, [entry('a.png')])).toThrow(/ambiguous image.*fits 2/)
    expect(pairImages(truth, [entry('x/one/a.png'), entry('x/two/a.png')]).images).toHaveLength(2)
  })

  test('different image sets', () => {
    const truth = [entry('a.png', [box(0, 0, 2, 2)]), entry('b.png', [box(0, 0, 2, 2)])]
    const predictions = [entry('a.png', [scored(1, 0, 0, 2, 2)]), entry('c.png', [scored(1, 0, 0, 2, 2)])]
    expect(() => evaluateSlices(truth, predictions)).toThrow(
      /do not name the same images.*none for 1.*b\.png/,
    )
    expect(() => evaluateSlices(truth.slice(0, 1), predictions)).toThrow(/1 that it does not name.*c\.png/)
    const missed = evaluateSlices(truth, predictions, { mismatch: 'miss' })
    expect(missed.counts).toMatchObject({ tp: 1, fp: 0, fn: 1 })
    expect(missed.warnings).toEqual([
      '1 of 2 images has no predictions; its 1 true box counts as missed',
      expect.stringContaining('not in'),
    ])
    const skipped = evaluateSlices(truth, predictions, { mismatch: 'skip' })
    expect(skipped.counts).toMatchObject({ tp: 1, fp: 0, fn: 0 })
    expect(skipped.images).toBe(1)
    const left = evaluateSlices([...truth.slice(0, 1), entry('c.png', [])], predictions.slice(1), {
      mismatch: 'skip',
    })
    expect(left.warnings.at(-1)).toBe('truth has no true box left: recall and AP are undefined')
  })

  test('what is wrong in a list is named', () => {
    const truth = [entry('a.png', [box(0, 0, 2, 2)])]
    const bad = (score: number | undefined): EvaluatedEntry[] => [
      entry('a.png', [{ ...box(0, 0, 2, 2), score }]),
    ]
    const named = { predictionsName: 'p.json' }
    expect(() => pairImages(truth, bad(Number.NaN), named)).toThrow(
      'p.json: /0/rects/0/score: wrong score: expected finite number but received NaN',
    )
    expect(() => pairImages(truth, bad(undefined), named)).toThrow(/received none/)
    expect(() => pairImages([], bad(1))).toThrow(/names no image/)
    expect(() => pairImages([...truth, ...truth], bad(1))).toThrow(/listed twice.*1 repeated/)
    expect(() => pairImages(truth, [...bad(1), ...bad(1)])).toThrow(/listed twice/)
    expect(() => pairImages([entry('a.png', [box(0, Number.NaN, 1, 1)])], bad(1))).toThrow(/rects\/0\/y1/)
    expect(() => evaluateSlices(truth, bad(1), { iou: 0 })).toThrow(/for iou/)
  })

  test('boxes without an area, inside out, or below the score are counted', () => {
    const truth = [entry('a.png', [box(2, 2, 0, 0), box(5, 5, 5, 9)])]
    const predictions = [
      entry('a.png', [scored(0.9, 2, 0, 0, 2), scored(0.8, 1, 1, 1, 1), scored(0.1, 0, 0, 1, 1)]),
    ]
    const result = evaluateSlices(truth, predictions, { minScore: 0.5 })
    expect(result.counts).toMatchObject({ tp: 1, fp: 0, fn: 0 })
    expect(result.warnings).toEqual([
      '1 true box without an area is left out',
      '1 predicted boxes without an area are left out',
      '1 predicted boxes score below 0.5 and are left out',
    ])
  })
})
