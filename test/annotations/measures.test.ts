import { describe, expect, it } from 'vitest'
import { measureMark } from '../../src/annotations/index.js'
import type { PlacedMark } from '../../src/annotations/index.js'
import { surfaceArea } from '../../src/annotations/measures.js'
import type { VolumeGeometry } from '../../src/geometry/patient.js'

/** A line around columns 11 to 14 and rows 21 to 28. */
const mark: PlacedMark = {
  noduleId: '1',
  session: 0,
  readerId: '',
  contours: [
    {
      sopInstanceUid: '',
      z: 0,
      k: 0,
      inclusion: true,
      points: [
        { x: 10, y: 20 },
        { x: 15, y: 20 },
        { x: 15, y: 29 },
        { x: 10, y: 29 },
      ],
    },
  ],
}

function geometry(rowDistance: number, columnDistance: number): VolumeGeometry {
  return {
    origin: [0, 0, 0],
    rowDirection: [1, 0, 0],
    columnDirection: [0, 1, 0],
    sliceDirection: [0, 0, 1],
    spacing: [2, rowDistance, columnDistance],
    slicePositions: [0],
  }
}

describe('pixels that are not square', () => {
  it('count by the distances of rows and of columns', () => {
    // From row to row 0.5 mm, from column to column 2 mm.
    const measures = measureMark(mark, geometry(0.5, 2), 2)
    expect(measures.axialDiameterMm).toBeCloseTo(Math.hypot(5 * 2, 9 * 0.5), 9)
    expect(measures.contourVolumeMm3).toBeCloseTo(5 * 2 * (9 * 0.5) * 2, 9)
    expect(measureMark(mark, geometry(2, 0.5), 2).axialDiameterMm).toBeCloseTo(Math.hypot(5 * 0.5, 9 * 2), 9)
  })

  it('give a voxel the surface of an octahedron with half axes of half a voxel', () => {
    const one = { k0: 0, j0: 0, i0: 0, shape: [1, 1, 1] as const, voxels: Uint8Array.of(1) }
    const octahedron = (a: number, b: number, c: number): number => Math.hypot(b * c, a * c, a * b)
    for (const [z, y, x] of [
      [1, 2, 3],
      [1, 3, 2],
      [3, 2, 1],
    ] as const)
      expect(surfaceArea(one, [z, y, x])).toBeCloseTo(octahedron(z, y, x), 9)
    // A row of two voxels is longer where the columns are further apart.
    const pair = { ...one, shape: [1, 1, 2] as const, voxels: Uint8Array.of(1, 1) }
    expect(surfaceArea(pair, [1, 1, 4])).toBeGreaterThan(surfaceArea(pair, [1, 4, 1]))
  })
})
