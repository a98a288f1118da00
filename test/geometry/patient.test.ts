import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cross, dot } from '../../src/geometry/vector.js'
import {
  hasUsualVoxels,
  patientToVoxel,
  positionToSlice,
  sliceToPosition,
  usualVoxels,
  voxelToPatient,
} from '../../src/geometry/patient.js'
import type { Vector3 } from '../../src/geometry/vector.js'
import type { VolumeGeometry } from '../../src/geometry/patient.js'

const axial: VolumeGeometry = {
  origin: [-166, -171.7, -340],
  rowDirection: [1, 0, 0],
  columnDirection: [0, 1, 0],
  sliceDirection: [0, 0, 1],
  spacing: [2.5, 0.703125, 0.703125],
  slicePositions: [0, 2.5, 5, 10, 12.5],
}

function unit(v: Vector3): Vector3 {
  const length = Math.sqrt(dot(v, v))
  return [v[0] / length, v[1] / length, v[2] / length]
}

describe('voxel and patient coordinates', () => {
  it('places voxels of an axial series, over a gap too', () => {
    expect(voxelToPatient(axial, 0, 0, 0)).toEqual([-166, -171.7, -340])
    expect(voxelToPatient(axial, 3, 0, 2)[2]).toBe(-330)
    expect(voxelToPatient(axial, 3, 0, 2)[0]).toBeCloseTo(-164.59375, 9)
    expect(sliceToPosition(axial, 2.5)).toBe(7.5)
    expect(positionToSlice(axial, 7.5)).toBe(2.5)
    expect(sliceToPosition(axial, -2)).toBe(-5)
    expect(positionToSlice(axial, 17.5)).toBe(6)
  })

  it('inverts for oblique and tilted geometries', () => {
    const angle = fc.double({ min: -0.6, max: 0.6, noNaN: true })
    const index = fc.double({ min: -2, max: 8, noNaN: true })
    fc.assert(
      fc.property(angle, angle, angle, index, index, index, (a, b, tilt, k, j, i) => {
        const row = unit([1, a, b])
        const column = unit(cross(unit(cross(row, [0, 1, 0])), row))
        const normal = cross(row, column)
        const slice = unit([normal[0], normal[1] + tilt * 0.5, normal[2]])
        const geometry: VolumeGeometry = {
          ...axial,
          rowDirection: row,
          columnDirection: column,
          sliceDirection: slice,
        }
        const back = patientToVoxel(geometry, voxelToPatient(geometry, k, j, i))
        expect(back[0]).toBeCloseTo(k, 6)
        expect(back[1]).toBeCloseTo(j, 6)
        expect(back[2]).toBeCloseTo(i, 6)
      }),
    )
  })

  it('refuses a geometry without slices', () => {
    expect(() => sliceToPosition({ ...axial, slicePositions: [] }, 0)).toThrow(/at least one slice/)
  })
})

describe('voxels of the usual size', () => {
  const even = { ...axial, slicePositions: [0, 2.5, 5.1, 7.499999999, 10] }

  it('are counted where slices are even, be their positions rounded', () => {
    expect(hasUsualVoxels(even)).toBe(true)
    expect(usualVoxels(even, [3, 4, 5, 0, 7])).toBe(19)
    expect(usualVoxels(even, [7], 2)).toBe(7)
    expect(usualVoxels({ ...even, slicePositions: [0] }, [7])).toBe(7)
    expect(usualVoxels(even, [])).toBe(0)
  })

  it('reach half of the way to the next slices, across a hole too', () => {
    expect(hasUsualVoxels(axial)).toBe(false)
    // Between 5 and 10 mm one slice is missing.
    expect(usualVoxels(axial, [0, 2, 2, 2, 2])).toBe(2 * 5)
    // What ends at the hole ends there.
    expect(usualVoxels(axial, [2, 2, 2])).toBe(2 * 3)
    expect(usualVoxels(axial, [2, 2], 3)).toBe(2 * 2)
    const two = { ...axial, spacing: [1, 1, 1] as Vector3, slicePositions: [0, 5, 10, 15, 20, 21, 22, 23] }
    expect(usualVoxels(two, [0, 1, 1])).toBe(10)
    expect(usualVoxels(two, [1, 1], 5)).toBe(2)
    expect(usualVoxels(two, [1, 1], 4)).toBe(1 + 1)
    expect(usualVoxels(two, [1, 1], 3)).toBe(5 + 3)
  })

  it('are lower with a tilted gantry', () => {
    const [sin, cos] = [Math.sin(0.4), Math.cos(0.4)]
    const tilted = { ...even, columnDirection: [0, cos, -sin] as Vector3 }
    expect(hasUsualVoxels(tilted)).toBe(false)
    expect(usualVoxels(tilted, [1, 2, 3])).toBeCloseTo(6 * cos, 12)
    expect(hasUsualVoxels({ ...even, columnDirection: unit([1e-5, 1, -1e-5]) })).toBe(true)
  })
})
