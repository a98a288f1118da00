import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ScoredBox } from '../../src/geometry/box.js'
import type { VolumeGeometry } from '../../src/geometry/patient.js'
import { linkBoxes } from '../../src/nodules/index.js'
import type { SliceBoxes } from '../../src/nodules/index.js'

function geometry(positions: number[], spacing: [number, number, number] = [2.5, 0.5, 0.5]): VolumeGeometry {
  return {
    origin: [-100, -120, -300],
    rowDirection: [1, 0, 0],
    columnDirection: [0, 1, 0],
    sliceDirection: [0, 0, 1],
    spacing,
    slicePositions: positions,
  }
}

const even = (count: number, step = 2.5): number[] => Array.from({ length: count }, (_, k) => k * step)

function square(x: number, y: number, side: number, score: number): ScoredBox {
  return { x1: x - side / 2, y1: y - side / 2, x2: x + side / 2, y2: y + side / 2, score }
}

describe('linkBoxes', () => {
  test('a ball becomes one nodule with its center and diameter', () => {
    // Radius 5 mm at (k 4, y 100, x 200): 0.5 mm pixels, 2.5 mm slices.
    const slices: SliceBoxes[] = [-4, -2.5, 0, 2.5, 4].map((dz, index) => ({
      k: index + 2,
      boxes: [square(200, 100, (2 * Math.sqrt(25 - dz * dz)) / 0.5, 0.9)],
    }))
    const [nodule, ...others] = linkBoxes(slices, geometry(even(10)))
    expect(others).toEqual([])
    expect(nodule!.boxDiameterMm).toBeCloseTo(10)
    expect(nodule!.centerVoxel[0]).toBeCloseTo(4)
    expect(nodule!.centerVoxel[1]).toBeCloseTo(99.5)
    expect(nodule!.centerVoxel[2]).toBeCloseTo(199.5)
    expect(nodule!.center[0]).toBeCloseTo(-100 + 199.5 * 0.5)
    expect(nodule!.center[1]).toBeCloseTo(-120 + 99.5 * 0.5)
    expect(nodule!.center[2]).toBeCloseTo(-300 + 10)
    expect(nodule!.confidence).toBeCloseTo(0.9)
    expect(nodule!.extentMm).toBeCloseTo(12.5)
    expect(nodule!.slices.map(({ k }) => k)).toEqual([2, 3, 4, 5, 6])
  })

  test('a slice without a box is bridged by mm, not by index', () => {
    const at = (k: number): SliceBoxes => ({ k, boxes: [square(50, 50, 10, 0.8)] })
    expect(linkBoxes([at(1), at(3)], geometry(even(6, 2.5)))).toHaveLength(1)
    expect(linkBoxes([at(1), at(4)], geometry(even(6, 2.5)))).toHaveLength(2)
    expect(linkBoxes([at(1), at(4)], geometry(even(6, 1)))).toHaveLength(1)
    // Neighbors by index across a hole of 40 mm in the series.
    expect(linkBoxes([at(1), at(2)], geometry([0, 2.5, 42.5, 45]))).toHaveLength(2)
    // Thick slices: neighbors link although they are further apart than maxGapMm.
    expect(linkBoxes([at(1), at(2)], geometry(even(4, 10), [10, 0.5, 0.5]))).toHaveLength(1)
  })

  test('two nodules side by side stay two, and each takes its own box', () => {
    const slices = [0, 1, 2].map((k) => ({
      k,
      boxes: [square(50 + k, 50, 10, 0.7), square(64 + k, 50, 10, 0.9)],
    }))
    const nodules = linkBoxes(slices, geometry(even(3)))
    expect(nodules.map(({ id, confidence }) => [id, confidence])).toEqual([
      [1, expect.closeTo(0.9)],
      [2, expect.closeTo(0.7)],
    ])
    expect(nodules[0]!.slices.map(({ box }) => box.x1)).toEqual([59, 60, 61])
  })

  test('a large box on one slice counts for less than the same box on all its slices', () => {
    const box = square(50, 50, 20, 0.9) // 10 mm: 4 slices, of which 3 are asked for
    const one = linkBoxes([{ k: 1, boxes: [box] }], geometry(even(5)))
    const three = linkBoxes(
      [1, 2, 3].map((k) => ({ k, boxes: [box] })),
      geometry(even(5)),
    )
    expect(one[0]!.confidence).toBeCloseTo(0.3)
    expect(three[0]!.confidence).toBeCloseTo(0.9)
  })

  test('wrong arguments are refused', () => {
    const slice = { k: 0, boxes: [] }
    expect(() => linkBoxes([slice, slice], geometry([0]))).toThrow(
      'Expected each slice at most once for slices',
    )
    expect(() => linkBoxes([], geometry([0]), { minIou: 2 })).toThrow(
      'Expected number between 0 and 1 for minIou',
    )
  })

  const box = fc.record({
    x: fc.double({ min: 0, max: 120, noNaN: true }),
    y: fc.double({ min: 0, max: 120, noNaN: true }),
    side: fc.double({ min: 2, max: 40, noNaN: true }),
    score: fc.double({ min: 0.01, max: 1, noNaN: true }),
  })
  const scan = fc.record({
    steps: fc.array(fc.double({ min: 0.5, max: 12, noNaN: true }), { minLength: 1, maxLength: 12 }),
    found: fc.array(fc.array(box, { maxLength: 5 }), { minLength: 1, maxLength: 12 }),
  })

  test('properties: every box in one nodule, one box a slice, gaps and measures within bounds', () => {
    fc.assert(
      fc.property(scan, ({ steps, found }) => {
        const positions = steps.reduce<number[]>((list, step) => [...list, list.at(-1)! + step], [0])
        const place = geometry(positions, [steps[0]!, 0.5, 0.5])
        const slices = found
          .slice(0, positions.length)
          .map((boxes, k) => ({ k, boxes: boxes.map(({ x, y, side, score }) => square(x, y, side, score)) }))
        const nodules = linkBoxes(slices, place)
        const maxGap = Math.max(5, 1.5 * steps[0]!) + 1e-6

        const total = slices.reduce((sum, { boxes }) => sum + boxes.length, 0)
        expect(nodules.reduce((sum, nodule) => sum + nodule.slices.length, 0)).toBe(total)
        for (const nodule of nodules) {
          for (const { k, index, box } of nodule.slices) expect(slices[k]!.boxes[index]).toMatchObject(box)
          const ks = nodule.slices.map(({ k }) => k)
          ks.slice(1).forEach((k, index) => {
            expect(k).toBeGreaterThan(ks[index]!)
            expect(positions[k]! - positions[ks[index]!]!).toBeLessThanOrEqual(maxGap)
          })
          const scores = nodule.slices.map(({ score }) => score)
          expect(nodule.confidence).toBeGreaterThan(0)
          expect(nodule.confidence).toBeLessThanOrEqual(Math.max(...scores) + 1e-12)
          const [k, j, i] = nodule.centerVoxel
          expect(k).toBeGreaterThanOrEqual(ks[0]! - 1e-6)
          expect(k).toBeLessThanOrEqual(ks.at(-1)! + 1e-6)
          expect(i + 0.5).toBeGreaterThanOrEqual(nodule.box.x1 - 1e-6)
          expect(i + 0.5).toBeLessThanOrEqual(nodule.box.x2 + 1e-6)
          expect(j + 0.5).toBeGreaterThanOrEqual(nodule.box.y1 - 1e-6)
          expect(j + 0.5).toBeLessThanOrEqual(nodule.box.y2 + 1e-6)
          const sides = nodule.slices.map(({ box }) => ((box.x2 - box.x1 + box.y2 - box.y1) / 2) * 0.5)
          expect(nodule.boxDiameterMm).toBeLessThanOrEqual(Math.max(...sides) + 1e-9)
          expect(nodule.boxDiameterMm).toBeGreaterThanOrEqual(Math.min(...sides) - 1e-9)
        }
        const falling = nodules.map(({ confidence }) => confidence)
        expect(falling).toEqual([...falling].sort((a, b) => b - a))
        expect(nodules.map(({ id }) => id)).toEqual(nodules.map((_, index) => index + 1))

        // The order in which slices and boxes come does not matter.
        const shuffled = [...slices].reverse().map(({ k, boxes }) => ({ k, boxes: [...boxes].reverse() }))
        const again = linkBoxes(shuffled, place)
        const places = (list: typeof nodules): unknown =>
          list.map(({ slices: members, ...rest }) => ({
            ...rest,
            members: members.map(({ k, box }) => [k, box]),
          }))
        expect(places(again)).toEqual(places(nodules))
      }),
      { numRuns: 200 },
    )
  })
})
