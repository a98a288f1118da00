import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ScoredBox } from '../../src/geometry/box.js'
import type { VolumeGeometry } from '../../src/geometry/patient.js'
import { LINK_DEFAULTS, linkBoxes } from '../../src/nodules/index.js'
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
    // The default is fitted to the shipped model (LINK_DEFAULTS).
    expect(nodule!.boxDiameterMm).toBeCloseTo(11.4)
    expect(linkBoxes(slices, geometry(even(10)), { diameterScale: 1 })[0]!.boxDiameterMm).toBeCloseTo(10)
    expect(nodule!.elongation).toBeCloseTo(10 / 11.4)
    expect(nodule!.driftMm).toBeCloseTo(0)
    expect(nodule).toMatchObject({ maxScore: 0.9, sliceCount: 5, expectedSlices: 3 })
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
    const none = (k: number): SliceBoxes => ({ k, boxes: [] })
    expect(linkBoxes([at(1), none(2), none(3), at(4)], geometry(even(6, 2.5)))).toHaveLength(2)
    expect(linkBoxes([at(1), at(4)], geometry(even(6, 1)))).toHaveLength(1)
    // Neighbors by index across a hole of 40 mm in the series.
    expect(linkBoxes([at(1), at(2)], geometry([0, 2.5, 42.5, 45]))).toHaveLength(2)
    // Thick slices: neighbors link although they are further apart than maxGapMm.
    expect(linkBoxes([at(1), at(2)], geometry(even(4, 10), [10, 0.5, 0.5]))).toHaveLength(1)
  })

  test('where distances change, neighbors link up to 10 mm, and the extent is that of the slices there', () => {
    const ball = [square(50, 50, 40, 0.9)]
    const extents = (positions: number[], usual: number, found: number[], step = usual): [number, number][] =>
      linkBoxes(
        positions.map((_, k) => ({ k, boxes: found.includes(k) ? ball : [] })),
        geometry(positions, [usual, 0.5, 0.5]),
        {},
        step,
      ).map(({ sliceCount, extentMm }) => [sliceCount, Number(extentMm.toFixed(6))])
    const late = (first: number[], step: number, count: number): number[] => [
      ...first,
      ...even(count, step).map((position) => first.at(-1)! + step + position),
    ]
    // As scans have it: 4.2 mm, then 7.4.
    const twoSteps = late(even(8, 4.2), 7.4, 6)
    expect(extents(twoSteps, 4.2, [2, 3, 4])).toEqual([[3, 12.6]])
    expect(extents(twoSteps, 4.2, [9, 10, 11])).toEqual([[3, 22.2]])
    expect(extents(twoSteps, 4.2, [6, 7, 8])).toEqual([[3, 17.4]])
    expect(extents(twoSteps, 4.2, [9, 11])).toHaveLength(2)
    // Thick slices below thin ones of which every second is examined, and the other way round.
    expect(extents(late(even(4, 5.5), 2.5, 8), 1.25, [0, 1, 2], 2.5)).toEqual([[3, 11 + 1.25 + 2.75]])
    expect(extents(late(even(8, 5.5), 1.25, 6), 5.5, [9, 10, 11])).toEqual([[3, 3.75]])
    // A hole: slices are missing.
    expect(extents([0, 2.5, 12.5, 15], 2.5, [0, 1, 2, 3])).toEqual([[4, 17.5]])
    expect(extents([0, 2.5, 12.6, 15.1], 2.5, [0, 1, 2, 3])).toEqual([
      [2, 5],
      [2, 5],
    ])
    // What is left at the end of an even series is no other distance.
    expect(extents([0, 2.5, 5, 7.5, 8.75], 1.25, [2, 3, 4], 2.5)).toEqual([[3, 6.25]])
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

  /** All slices of a series, with boxes on some. */
  const series = (count: number, found: Record<number, ScoredBox[]>): SliceBoxes[] =>
    Array.from({ length: count }, (_, k) => ({ k, boxes: found[k] ?? [] }))

  test('a large box on one slice counts for less than the same box on all its slices', () => {
    const box = [square(50, 50, 20, 0.9)] // 10 mm: 4 slices, of which 3 are asked for
    const [one] = linkBoxes(series(5, { 2: box }), geometry(even(5)))
    const [three] = linkBoxes(series(5, { 1: box, 2: box, 3: box }), geometry(even(5)))
    expect(one!.confidence).toBeCloseTo(0.3)
    expect(three!.confidence).toBeCloseTo(0.9)
  })

  test('what cannot be there does not count against a nodule: thick slices, the end of a crop, slices passed over', () => {
    // 4 mm across on slices of 5 mm: one slice shows it.
    const small = { 2: [square(50, 50, 8, 0.8)] }
    expect(linkBoxes(series(5, small), geometry(even(5, 5), [5, 0.5, 0.5]))[0]!.confidence).toBeCloseTo(0.8)
    // 10 mm across, cut off: there are two slices of it.
    const cut = { 0: [square(50, 50, 20, 0.8)], 1: [square(50, 50, 18, 0.8)] }
    const [half] = linkBoxes(series(8, cut), geometry(even(8)))
    expect(half).toMatchObject({
      sliceCount: 2,
      expectedSlices: 2,
      confidence: expect.closeTo(0.8, 5) as number,
    })
    // A single image.
    expect(linkBoxes([{ k: 0, boxes: cut[0] }], geometry([0]))[0]!.confidence).toBeCloseTo(0.8)
    // Every fourth slice of 1.25 mm is examined: 5 mm apart, and 10 mm across.
    const passed = [0, 4, 8, 12].map((k) => ({
      k,
      boxes: k === 4 || k === 8 ? [square(50, 50, 20, 0.8)] : [],
    }))
    const thin = geometry(even(16, 1.25), [1.25, 0.5, 0.5])
    const [linked, ...others] = linkBoxes(passed, thin, { maxGapMm: 1 }, 5)
    expect(others).toEqual([])
    expect(linked).toMatchObject({
      sliceCount: 2,
      extentMm: 10,
      confidence: expect.closeTo(0.8, 5) as number,
    })
  })

  test('a vessel along the slices, or one that drifts through them, falls behind a ball with the same scores', () => {
    const box = (k: number, dx: number): ScoredBox[] => [square(50 + dx * k, 50, 10, 0.8)]
    const tube = (dx: number): SliceBoxes[] =>
      series(12, Object.fromEntries(Array.from({ length: 10 }, (_, k) => [k + 1, box(k + 1, dx)])))
    const [ball] = linkBoxes(series(12, { 5: box(5, 0), 6: box(6, 0) }), geometry(even(12)))
    const [straight, ...rest] = linkBoxes(tube(0), geometry(even(12)))
    const [oblique] = linkBoxes(tube(4), geometry(even(12)))
    expect(rest).toEqual([])
    expect(ball!.elongation).toBeLessThan(1)
    expect(ball!.confidence).toBeCloseTo(0.8, 5)
    // 22.5 mm long, 5.7 mm across.
    expect(straight!.elongation).toBeCloseTo(22.5 / 5.7)
    expect(straight!.driftMm).toBeCloseTo(0)
    expect(straight!.confidence).toBeLessThan(0.3)
    expect(oblique!.driftMm).toBeCloseTo(9 * 2)
    expect(oblique!.elongation).toBeCloseTo(Math.hypot(22.5, 18) / 5.7)
    expect(oblique!.confidence).toBeLessThan(straight!.confidence)
    // Weak boxes at the ends, of the vessel that a nodule hangs on, are no part of its shape.
    const tail = series(
      12,
      Object.fromEntries(
        Array.from({ length: 10 }, (_, k) => [k, [square(50, 50, 10, k > 3 && k < 6 ? 0.8 : 0.2)]]),
      ),
    )
    const [hanging] = linkBoxes(tail, geometry(even(12)))
    expect(hanging!.extentMm).toBe(25)
    expect(hanging!.elongation).toBeCloseTo(2.5 / 5.7)
    expect(hanging!.confidence).toBeCloseTo(0.8, 5)
  })

  test('the confidence is a logistic of the fields of the nodule, whose weights may be others', () => {
    const found = series(6, { 2: [square(50, 50, 16, 0.9)], 3: [square(54, 50, 16, 0.6)] })
    const weights = {
      bias: -0.5,
      maxScore: 0.4,
      top2Score: 0.3,
      support: 0.2,
      slices: 0.7,
      elongation: -2,
      drift: -3,
    }
    const [n] = linkBoxes(found, geometry(even(6)), { weights, elongated: 0.1 })
    expect(n).toMatchObject({ maxScore: 0.9, top2Score: 0.75, sliceCount: 2 })
    const logit = (p: number): number => Math.log(p / (1 - p))
    const sum =
      -0.5 +
      0.4 * logit(0.9) +
      0.3 * logit(0.75) +
      0.2 * logit(n!.support) +
      0.7 * Math.log(2) -
      2 * (n!.elongation - 0.1) -
      (3 * 2) / n!.boxDiameterMm
    expect(n!.confidence).toBeCloseTo(1 / (1 + Math.exp(-sum)), 9)
    // Certain scores stay numbers.
    const sure = series(3, { 0: [square(50, 50, 10, 1)], 2: [square(90, 90, 10, 0)] })
    for (const { confidence } of linkBoxes(sure, geometry(even(3)))) expect(confidence).toBeGreaterThan(0)
  })

  test('wrong arguments are refused', () => {
    const slice = { k: 0, boxes: [] }
    expect(() => linkBoxes([slice, slice], geometry([0]))).toThrow(
      'Expected each slice at most once for slices',
    )
    expect(() => linkBoxes([], geometry([0]), { minIou: 2 })).toThrow(
      'Expected number between 0 and 1 for minIou',
    )
    const weights = { ...LINK_DEFAULTS.weights, drift: NaN }
    expect(() => linkBoxes([], geometry([0]), { weights })).toThrow('for weights.drift')
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
        const maxGap = Math.max(5, 1.5 * steps[0]!)

        const total = slices.reduce((sum, { boxes }) => sum + boxes.length, 0)
        expect(nodules.reduce((sum, nodule) => sum + nodule.slices.length, 0)).toBe(total)
        for (const nodule of nodules) {
          for (const { k, index, box } of nodule.slices) expect(slices[k]!.boxes[index]).toMatchObject(box)
          const ks = nodule.slices.map(({ k }) => k)
          ks.slice(1).forEach((k, index) => {
            expect(k).toBeGreaterThan(ks[index]!)
            const bound = k === ks[index]! + 1 ? Math.max(maxGap, 10) : maxGap
            expect(positions[k]! - positions[ks[index]!]!).toBeLessThanOrEqual(bound + 2e-6)
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
          const sides = nodule.slices.map(
            ({ box }) => Math.max(box.x2 - box.x1, box.y2 - box.y1) * 0.5 * 1.14,
          )
          expect(nodule.boxDiameterMm).toBeLessThanOrEqual(Math.max(...sides) + 1e-9)
          expect(nodule.boxDiameterMm).toBeGreaterThanOrEqual(Math.min(...sides) - 1e-9)
          expect(nodule.elongation).toBeGreaterThanOrEqual(0)
          expect(nodule.maxScore).toBe(Math.max(...scores))
          expect(nodule.support).toBeLessThanOrEqual(nodule.maxScore)
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
