import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boxAround, isHullOf, pixelHull, shapeOf, withHull } from '../../src/geometry/hull.js'
import type { Hull } from '../../src/geometry/hull.js'
import { greatest } from '../../src/lists.js'

type Pixel = readonly [number, number]

/** How far points reach along a direction. */
const reach = (points: Hull, angle: number): number =>
  greatest(points.map(([x, y]) => x * Math.cos(angle) + y * Math.sin(angle)))
const centers = (pixels: readonly Pixel[]): Hull => pixels.map(([x, y]) => [x + 0.5, y + 0.5])
const sorted = (hull: Hull): Hull => [...hull].sort((a, b) => a[0] - b[0] || a[1] - b[1])

function disk(radius: number): Pixel[] {
  const pixels: Pixel[] = []
  for (let y = -radius; y <= radius; y++)
    for (let x = -radius; x <= radius; x++) if (Math.hypot(x, y) <= radius) pixels.push([x, y])
  return pixels
}

const someAngles = Array.from({ length: 64 }, (_, n) => (n / 64) * 2 * Math.PI)

describe('pixelHull', () => {
  it('has no more corners than it needs', () => {
    expect(pixelHull([[3, 4]])).toEqual([[3.5, 4.5]])
    expect(
      pixelHull([
        [3, 4],
        [3, 4],
      ]),
    ).toEqual([[3.5, 4.5]])
    // A row, a column and a slanted line: their ends.
    for (const [dx, dy] of [
      [1, 0],
      [0, 1],
      [2, -1],
    ] as const)
      expect(sorted(pixelHull([0, 1, 2, 3].map((n): Pixel => [n * dx, 5 + n * dy])))).toEqual(
        sorted([
          [0.5, 5.5],
          [3 * dx + 0.5, 5 + 3 * dy + 0.5],
        ]),
      )
    const square = [0, 1, 2].flatMap((y) => [0, 1, 2].map((x): Pixel => [x, y]))
    expect(sorted(pixelHull(square))).toEqual([
      [0.5, 0.5],
      [0.5, 2.5],
      [2.5, 0.5],
      [2.5, 2.5],
    ])
  })

  it('reaches in every direction as far as the pixels', () => {
    const pixels = fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 })), {
      minLength: 1,
      maxLength: 60,
    })
    fc.assert(
      fc.property(pixels, (some) => {
        const hull = pixelHull(some)
        for (const angle of someAngles) expect(reach(hull, angle)).toBeCloseTo(reach(centers(some), angle), 9)
      }),
    )
  })

  it('of large masks has 32 corners, is exact along x and y and a hundredth of the radius short at most', () => {
    for (const radius of [20, 40, 64, 250]) {
      const [hull, all] = [pixelHull(disk(radius)), centers(disk(radius))]
      expect(hull.length).toBeLessThanOrEqual(32)
      for (const angle of someAngles) {
        const short = reach(all, angle) - reach(hull, angle)
        expect(short).toBeGreaterThan(-1e-9)
        expect(short).toBeLessThan(radius / 100)
      }
      for (const n of [0, 1, 2, 3])
        expect(reach(hull, (n * Math.PI) / 2)).toBeCloseTo(reach(all, (n * Math.PI) / 2), 9)
    }
  })
})

describe('isHullOf', () => {
  const box = { x1: 10, y1: 20, x2: 16, y2: 24 }
  it.each<[string, Hull, boolean]>([
    [
      'half a pixel inside',
      [
        [10.5, 20.5],
        [15.5, 23.5],
      ],
      true,
    ],
    [
      'the box itself, rounded',
      [
        [10.001, 19.999],
        [16.001, 24],
      ],
      true,
    ],
    ['one point in the middle', [[13, 22]], true],
    [
      'moved to the right',
      [
        [11.5, 20.5],
        [16.5, 23.5],
      ],
      false,
    ],
    [
      'too low',
      [
        [10.5, 20.5],
        [15.5, 23],
      ],
      false,
    ],
    [
      'larger than the box',
      [
        [9, 20.5],
        [17, 23.5],
      ],
      false,
    ],
    [
      'no number',
      [
        [NaN, 20.5],
        [15.5, 23.5],
      ],
      false,
    ],
    [
      'far beyond',
      [
        [-1e308, 20.5],
        [1e308, 23.5],
      ],
      false,
    ],
  ])('%s: %j %s', (_, hull, expected) => {
    expect(isHullOf(hull, box)).toBe(expected)
    expect(withHull(box, hull)).toEqual(expected ? { ...box, hull } : box)
  })
})

describe('shapeOf', () => {
  const box = { x1: 10, y1: 20, x2: 16, y2: 24 }
  it('is the ellipse in a box without a hull, and with one its points and half a pixel', () => {
    expect(shapeOf(box)).toEqual({ points: [[13, 22]], radiusX: 3, radiusY: 2 })
    const hull: Hull = [
      [10.5, 20.5],
      [15.5, 23.5],
    ]
    expect(shapeOf({ ...box, hull })).toEqual({ points: hull, radiusX: 0.5, radiusY: 0.5 })
  })

  it('gives the box back, also where the hull is rounded', () => {
    for (const hull of [
      undefined,
      [
        [10.5, 20.5],
        [15.5, 23.5],
      ],
      [
        [10.333, 20.5],
        [15.668, 23.499],
      ],
    ] as const) {
      const back = boxAround(shapeOf(withHull(box, hull)))
      for (const side of ['x1', 'y1', 'x2', 'y2'] as const) expect(back[side]).toBeCloseTo(box[side], 12)
    }
  })
})
