import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boxArea, cellToEdge, clipBox, edgeToCell, intersectionArea, iou } from '../../src/geometry/box.js'
import type { EdgeBox } from '../../src/geometry/box.js'

const coordinate = fc.double({ min: -1000, max: 1000, noNaN: true })
const size = fc.double({ min: 0.01, max: 500, noNaN: true })
const edgeBox = fc
  .tuple(coordinate, coordinate, size, size)
  .map(([x1, y1, w, h]): EdgeBox => ({ x1, y1, x2: x1 + w, y2: y1 + h }))

describe('boxes', () => {
  it('computes IoU by hand', () => {
    const a = { x1: 0, y1: 0, x2: 10, y2: 10 }
    expect(iou(a, { x1: 5, y1: 0, x2: 15, y2: 10 })).toBeCloseTo(1 / 3, 12)
    expect(iou(a, { x1: 10, y1: 0, x2: 20, y2: 10 })).toBe(0)
    expect(iou({ x1: 1, y1: 1, x2: 1, y2: 1 }, a)).toBe(0)
    expect(boxArea({ x1: 5, y1: 0, x2: 1, y2: 4 })).toBe(0)
  })

  it('IoU is symmetric, within [0, 1], and 1 for a box with itself', () => {
    fc.assert(
      fc.property(edgeBox, edgeBox, (a, b) => {
        expect(iou(a, b)).toBeCloseTo(iou(b, a), 12)
        expect(iou(a, b)).toBeGreaterThanOrEqual(0)
        expect(iou(a, b)).toBeLessThanOrEqual(1 + 1e-12)
        expect(iou(a, a)).toBeCloseTo(1, 9)
        expect(intersectionArea(a, b)).toBeLessThanOrEqual(Math.min(boxArea(a), boxArea(b)) * (1 + 1e-12))
      }),
    )
  })

  it('cell boxes and edge boxes convert back and forth', () => {
    fc.assert(
      fc.property(edgeBox, coordinate, coordinate, (box, x, y) => {
        const back = cellToEdge(edgeToCell(box, x, y), x, y)
        for (const key of ['x1', 'y1', 'x2', 'y2'] as const) expect(back[key]).toBeCloseTo(box[key], 8)
      }),
    )
  })

  it('clips to the image', () => {
    expect(clipBox({ x1: -3, y1: 2, x2: 99, y2: 50 }, 40, 30)).toEqual({ x1: 0, y1: 2, x2: 40, y2: 30 })
  })
})
