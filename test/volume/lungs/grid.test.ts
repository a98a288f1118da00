import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addonStatus } from '../../../src/kernels/index.js'
import {
  closeMask,
  cropMask,
  dilateMask,
  erodeMask,
  extentOf,
  fillHoles,
  findParts,
  growSeeds,
  partMask,
  pasteMask,
  type Grid,
} from '../../../src/volume/lungs/grid.js'

const devices = [
  { device: 'reference' as const },
  ...(addonStatus().available ? [{ device: 'cpu' as const }] : []),
]

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

/** Squared distance in mm of every voxel to the nearest one that is 1, by trying all. */
function distances(grid: Grid): number[] {
  const at = places(grid)
  const inside = at.filter((_, n) => grid.data[n] === 1)
  return at.map((p) =>
    Math.min(...inside.map((q) => (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2)),
  )
}

describe('dilateMask', () => {
  it.each(devices)('is the brute-force dilation by a ball on $device', ({ device }) => {
    fc.assert(
      fc.property(grids, fc.constantFrom(0.9, 1.7, 3.1, 20), (grid, radius) => {
        const expected = distances(grid).map((d) => (d <= radius * radius ? 1 : 0))
        expect([...dilateMask(grid, radius, { device }).data]).toEqual(expected)
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
        const extent = extentOf(grid)
        if (extent === undefined) return
        const back: Grid = { ...grid, data: new Uint8Array(grid.data.length) }
        pasteMask(back, cropMask(grid, extent, rim), extent, rim)
        expect(back.data).toEqual(grid.data)
      }),
    )
  })
})

describe('findParts', () => {
  it.each(devices)(
    'gives neighbors one label, strangers another, and counts every voxel once on $device',
    ({ device }) => {
      fc.assert(
        fc.property(grids, (grid) => {
          const parts = findParts(grid, { device })
          const labels = new Int32Array(grid.data.length)
          for (const [n, label] of parts.labels.entries()) labels.fill(label, parts.starts[n], parts.ends[n])
          expect([...labels].map((label) => (label > 0 ? 1 : 0))).toEqual([...grid.data])
          expect([...labels]).toEqual(flooded(grid))
          for (let label = 1; label < parts.sizes.length; label++) {
            const mask = partMask(grid, parts, label)
            expect(mask.data.reduce((sum, value) => sum + value, 0)).toBe(parts.sizes[label])
          }
        }),
        { numRuns: 200 },
      )
    },
  )

  it('shares a mask between seeds', () => {
    const row = (text: string): Grid => ({
      data: Uint8Array.from(text, (c) => (c === '#' ? 1 : 0)),
      shape: [1, 1, text.length],
      spacing: [1, 1, 1],
    })
    expect([...growSeeds(row('######.##'), [row('#........'), row('....#....')])]).toEqual([
      1, 1, 1, 2, 2, 2, 0, 0, 0,
    ])
  })
})

/** Labels in the order of the first voxel of each part, by flooding from every voxel. */
function flooded(grid: Grid): number[] {
  const [nz, ny, nx] = grid.shape
  const labels = Array.from({ length: grid.data.length }, () => 0)
  let label = 0
  const flood = (z: number, y: number, x: number): void => {
    if (z < 0 || y < 0 || x < 0 || z >= nz || y >= ny || x >= nx) return
    const n = (z * ny + y) * nx + x
    if (grid.data[n] !== 1 || labels[n] !== 0) return
    labels[n] = label
    for (const d of [-1, 1]) {
      flood(z + d, y, x)
      flood(z, y + d, x)
      flood(z, y, x + d)
    }
  }
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++) {
        const n = (z * ny + y) * nx + x
        if (grid.data[n] !== 1 || labels[n] !== 0) continue
        label++
        flood(z, y, x)
      }
  return labels
}
