import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boxArea, intersectionArea } from '../../src/geometry/box.js'
import { dropOverlapping, stitch } from '../../src/inference/stitch.js'
import type { RawFrame } from '../../src/inference/raw_frame.js'

function frame(boxes: [number, number, number, number, number][]): RawFrame {
  return {
    boxes: Float32Array.from(boxes.flatMap((box) => box.slice(0, 4))),
    confidences: Float32Array.from(boxes.map((box) => box[4])),
  }
}

describe('stitch', () => {
  test('duplicates inside a cell and across cells are dropped, however many overlap one box', () => {
    const raw = frame([
      [10, 10, 20, 20, 0.5],
      [10, 10, 20, 20, 0.9],
      [11, 10, 21, 20, 0.8],
      [10, 11, 20, 21, 0.7],
      [50, 50, 60, 60, 0.25],
      [12, 12, 15, 15, 0.6], // inside the first: IoU is only 0.09
    ])
    expect(stitch(raw)).toEqual([
      { x1: 10, y1: 10, x2: 20, y2: 20, score: expect.closeTo(0.9) as number },
      { x1: 50, y1: 50, x2: 60, y2: 60, score: 0.25 },
    ])
  })

  test('what was kept raw can be stitched later: the same boxes', () => {
    const coordinate = fc.integer({ min: 0, max: 30 })
    const anyBox = fc
      .tuple(
        coordinate,
        coordinate,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        coordinate,
      )
      .map(([x, y, w, h, score]): [number, number, number, number, number] => [
        x,
        y,
        x + w,
        y + h,
        score / 32,
      ])
    fc.assert(
      fc.property(fc.array(anyBox, { maxLength: 12 }), fc.constantFrom(0, 0.3, 0.7, 1), (boxes, overlap) => {
        const list = boxes.map(([x1, y1, x2, y2, score]) => ({ x1, y1, x2, y2, score }))
        const once = dropOverlapping(list, overlap)
        expect(once).toEqual(stitch(frame(boxes), { minScore: 0, overlap }))
        expect(dropOverlapping(once, overlap)).toEqual(once)
      }),
    )
  })

  test('boxes that touch or share little stay apart', () => {
    const raw = frame([
      [0, 0, 10, 10, 0.9],
      [10, 0, 20, 10, 0.8],
      [8, 8, 18, 18, 0.7],
    ])
    expect(stitch(raw)).toHaveLength(3)
    expect(stitch(raw, { overlap: 0 })).toHaveLength(2)
  })

  test('low scores, NaN, boxes turned inside out and boxes outside the frame are dropped; the rest is clipped', () => {
    const raw = frame([
      [0, 0, 10, 10, 0.05],
      [0, 0, 10, 10, NaN],
      [10, 0, 0, 10, 0.9],
      [NaN, 0, 30, 10, 0.9],
      [-20, 0, -5, 10, 0.9],
      [-5, -5, 10, 10, 0.9],
    ])
    expect(stitch(raw, { frameWidth: 352, frameHeight: 256 })).toMatchObject([
      { x1: 0, y1: 0, x2: 10, y2: 10 },
    ])
  })

  test('wrong options are refused', () => {
    expect(() => stitch(frame([]), { minScore: 2 })).toThrow('Expected number between 0 and 1 for minScore')
  })

  const coordinate = fc.float({ min: 0, max: 100, noNaN: true })
  const raw = fc.array(
    fc
      .tuple(
        coordinate,
        coordinate,
        fc.float({ min: 1, max: 40, noNaN: true }),
        fc.float({ min: 0, max: 1, noNaN: true }),
      )
      .map(([x, y, side, score]): [number, number, number, number, number] => [
        x,
        y,
        x + side,
        y + side,
        score,
      ]),
    { maxLength: 40 },
  )

  test('properties', () => {
    fc.assert(
      fc.property(raw, fc.float({ min: 0, max: 1, noNaN: true }), (boxes, overlap) => {
        const given = frame(boxes)
        const result = stitch(given, { minScore: 0.2, overlap })
        const eligible = boxes.filter((_, index) => given.confidences[index]! >= 0.2)
        // Something is found where something is there, and the best of all is always among it.
        expect(result.length > 0).toBe(eligible.length > 0)
        if (result.length > 0) expect(result[0]!.score).toBe(Math.max(...given.confidences))
        for (const [index, a] of result.entries()) {
          for (const b of result.slice(index + 1)) {
            expect(a.score).toBeGreaterThanOrEqual(b.score)
            const shared = intersectionArea(a, b)
            if (shared > 0) expect(shared).toBeLessThan(overlap * Math.min(boxArea(a), boxArea(b)))
          }
        }
        // Stitching what is stitched changes nothing.
        const again = stitch(frame(result.map((b) => [b.x1, b.y1, b.x2, b.y2, b.score])), {
          minScore: 0.2,
          overlap,
        })
        expect(again).toEqual(result)
      }),
    )
  })
})
