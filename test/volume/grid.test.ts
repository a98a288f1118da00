import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  closeMask,
  cropMask,
  erodeMask,
  extentOf,
  fillHoles,
  labelParts,
  pasteMask,
  squaredDistance,
  type Grid,
} from '../../src/volume/grid.js'

const grids = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 7 }))
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      spacing: fc.tuple(fc.constantFrom(0.5, 1, 2.5), fc.constantFrom(0.7, 1, 2), fc.constantFrom(0.7, 1, 3)),
      data: fc.uint8Array({
        minLength: shape[0] * shape[1] * shape[2],
        maxLength: shape[0] * shape[1] * shape[2],
        max: 1,
      }),
    }),
  )

/** Voxel coordinates in mm. */
function places(grid: Grid): [number, number, number][] {
  const [nz, ny, nx] = grid.shape
  const out: [number, number, number][] = []
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++) out.push([z * grid.spacing[0], y * grid.spacing[1], x * grid.spacing[2]])
  return out
}

describe('squaredDistance', () => {
  it('is the brute-force distance', () => {
    fc.assert(
      fc.property(grids, (grid) => {
        const at = places(grid)
        const inside = at.filter((_, n) => grid.data[n] === 1)
        const distance = squaredDistance(grid)
        for (const [n, p] of at.entries()) {
          const nearest = Math.min(
            ...inside.map((q) => (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2),
          )
          if (inside.length === 0) expect(distance[n]).toBeGreaterThan(1e11)
          else expect(distance[n]).toBeCloseTo(nearest, 3)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('morphology', () => {
  it('closing only adds, erosion only takes, and closing twice changes nothing', () => {
    fc.assert(
      fc.property(grids, (grid) => {
        const rim = 6
        const padded = cropMask(grid, grid.shape.map((n) => [0, n]) as never, rim)
        const closed = closeMask(padded, 2.1)
        const eroded = erodeMask(padded, 1.1)
        expect(padded.data.every((value, n) => closed.data[n]! >= value && eroded.data[n]! <= value)).toBe(
          true,
        )
        expect(closeMask(closed, 2.1).data).toEqual(closed.data)
      }),
      { numRuns: 60 },
    )
  })

  it('fills holes and leaves what is open', () => {
    const shape = [5, 5, 5] as const
    const data = new Uint8Array(125)
    for (let z = 1; z < 4; z++)
      for (let y = 1; y < 4; y++) data.fill(1, (z * 5 + y) * 5 + 1, (z * 5 + y) * 5 + 4)
    data[62] = 0
    const filled = { data: data.slice(), shape, spacing: [1, 1, 1] as const }
    fillHoles(filled)
    expect(filled.data[62]).toBe(1)
    // A channel to the outside: no hole any more.
    data[62 + 1] = 0
    const open = { data: data.slice(), shape, spacing: [1, 1, 1] as const }
    fillHoles(open)
    expect(open.data).toEqual(data)
  })

  it('crops and pastes back', () => {
    fc.assert(
      fc.property(grids, fc.integer({ min: 0, max: 3 }), (grid, rim) => {
        const extent = extentOf(grid, (value) => value === 1)
        if (extent === undefined) return
        const back: Grid = { ...grid, data: new Uint8Array(grid.data.length) }
        pasteMask(back, cropMask(grid, extent, rim), extent, rim)
        expect(back.data).toEqual(grid.data)
      }),
    )
  })
})

describe('labelParts', () => {
  it('gives neighbors one label and counts every voxel once', () => {
    fc.assert(
      fc.property(grids, (grid) => {
        const { labels, sizes } = labelParts(grid)
        const [nz, ny, nx] = grid.shape
        const counted = Array.from({ length: sizes.length }, () => 0)
        let n = 0
        for (let z = 0; z < nz; z++)
          for (let y = 0; y < ny; y++)
            for (let x = 0; x < nx; x++, n++) {
              expect(labels[n] !== 0).toBe(grid.data[n] === 1)
              counted[labels[n]!]!++
              const both = (m: number): void => {
                if (grid.data[n] === 1 && grid.data[m] === 1) expect(labels[m]).toBe(labels[n])
              }
              if (x > 0) both(n - 1)
              if (y > 0) both(n - nx)
              if (z > 0) both(n - nx * ny)
            }
        expect(counted.slice(1)).toEqual(sizes.slice(1))
      }),
      { numRuns: 100 },
    )
  })
})
