import type { Vector3 } from '../geometry/vector.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { contourExtent, fillContours } from './mask.js'
import { SURFACE_CASES } from './surface_table.js'
import type { MarkMeasures, PlacedMark, VoxelMask } from './types.js'

/**
 * Measures of one reader's outline, as pylidc's Annotation has them: they follow the contour lines, which lie one pixel
 * outside of the nodule, not the mask.
 *
 * @param thickness slice thickness, mm: used for the surface, and for the volume of a mark on one slice
 */
export function measureMark(mark: PlacedMark, geometry: VolumeGeometry, thickness: number): MarkMeasures {
  const [, rowDistance, columnDistance] = geometry.spacing
  const mask = fillContours(mark.contours, contourExtent(mark.contours))
  return {
    axialDiameterMm: diameterOf(mark, rowDistance / columnDistance) * columnDistance,
    contourVolumeMm3: volumeOf(mark, [thickness, rowDistance, columnDistance]),
    surfaceMm2: surfaceArea(mask, [thickness, rowDistance, columnDistance]),
    centroidVoxel: centroidOf(mark),
  }
}

/** Mean of the contour points, [k, j, i]. */
function centroidOf(mark: PlacedMark): Vector3 {
  let count = 0
  const sum = [0, 0, 0] as [number, number, number]
  for (const { points, k } of mark.contours) {
    for (const { x, y } of points) {
      sum[0] += k
      sum[1] += y
      sum[2] += x
      count++
    }
  }
  return [sum[0] / count, sum[1] / count, sum[2] / count]
}

/** Greatest distance of two points of one contour, column distances; `aspect`: column distances from row to row. */
function diameterOf(mark: PlacedMark, aspect: number): number {
  let greatest = 0
  for (const { points } of mark.contours) {
    for (let a = 0; a < points.length; a++) {
      for (let b = a + 1; b < points.length; b++) {
        const x = points[a]!.x - points[b]!.x
        const y = (points[a]!.y - points[b]!.y) * aspect
        const squared = x * x + y * y
        if (squared > greatest) greatest = squared
      }
    }
  }
  return Math.sqrt(greatest)
}

/**
 * Shoelace area of each contour times half the distance to the neighboring contour planes on either side, mm3; along z, as
 * pylidc takes it, which is too far with a tilted gantry.
 *
 * @param spacing thickness, distance of rows, distance of columns, mm
 */
function volumeOf(mark: PlacedMark, [thickness, rowDistance, columnDistance]: Vector3): number {
  const heights = [...new Set(mark.contours.map((contour) => contour.z))].sort((a, b) => a - b)
  let volume = 0
  for (const { points, z, inclusion } of mark.contours) {
    let doubled = 0
    let from = points.at(-1)!
    for (const to of points) {
      doubled += from.x * to.y - to.x * from.y
      from = to
    }
    const area = (Math.abs(doubled) / 2) * rowDistance * columnDistance
    const k = heights.indexOf(z)
    const last = heights.length - 1
    const below = k > 0 ? heights[k]! - heights[k - 1]! : last > 0 ? heights[1]! - heights[0]! : thickness
    const above =
      k < last ? heights[k + 1]! - heights[k]! : last > 0 ? heights[last]! - heights[last - 1]! : thickness
    volume += (inclusion ? 1 : -1) * area * ((below + above) / 2)
  }
  return volume
}

/** Edge middles and the middle of a cell in doubled coordinates, in the order of the table's letters. */
const VERTICES: readonly Vector3[] = Array.from({ length: 27 }, (_, at): Vector3 => [
  Math.floor(at / 9),
  Math.floor(at / 3) % 3,
  at % 3,
]).filter((vertex) => vertex.filter((value) => value === 1).length % 2 === 1)

/**
 * Area of the triangulated surface of a mask, mm2, by marching cubes as scikit-image has it; the axes are taken in
 * pylidc's order (row, column, slice), on which ambiguous cells depend.
 *
 * @param spacing of the voxels along z, y, x, mm
 */
export function surfaceArea(mask: VoxelMask, spacing: Vector3): number {
  const areas = caseAreas(spacing)
  const [depth, height, width] = mask.shape
  // A rim of empty voxels closes the surface.
  const row = width + 2
  const plane = row * (height + 2)
  const padded = new Uint8Array(plane * (depth + 2))
  for (let k = 0; k < depth; k++) {
    for (let j = 0; j < height; j++) {
      const from = (k * height + j) * width
      padded.set(mask.voxels.subarray(from, from + width), (k + 1) * plane + (j + 1) * row + 1)
    }
  }
  // Bit 4a + 2b + c of a case is the voxel a rows, b columns and c slices on.
  const offsets = Array.from(
    { length: 8 },
    (_, bit) => (bit >> 2) * row + ((bit >> 1) & 1) + (bit & 1) * plane,
  )
  let area = 0
  for (let k = 0; k <= depth; k++) {
    for (let j = 0; j <= height; j++) {
      for (let i = 0; i <= width; i++) {
        const at = k * plane + j * row + i
        let cell = 0
        for (let bit = 0; bit < 8; bit++) cell |= padded[at + offsets[bit]!]! << bit
        area += areas[cell]!
      }
    }
  }
  return area
}

let known: { spacing: Vector3; areas: number[] } | undefined

/** Area of each cell case, mm2; those of the last voxel size are kept, since all outlines of a series have one. */
function caseAreas(spacing: Vector3): number[] {
  if (known === undefined || spacing.some((value, axis) => value !== known!.spacing[axis]))
    known = { spacing, areas: computeCaseAreas(spacing) }
  return known.areas
}

function computeCaseAreas([z, y, x]: Vector3): number[] {
  const scale: Vector3 = [y / 2, x / 2, z / 2]
  const vertices = VERTICES.map((vertex) => vertex.map((value, axis) => value * scale[axis]!))
  return SURFACE_CASES.map((letters) => {
    let area = 0
    for (let t = 0; t < letters.length; t += 3) {
      const [a, b, c] = [0, 1, 2].map((n) => vertices[letters.charCodeAt(t + n) - 97]!)
      const [ux, uy, uz] = [0, 1, 2].map((axis) => b![axis]! - a![axis]!)
      const [vx, vy, vz] = [0, 1, 2].map((axis) => c![axis]! - a![axis]!)
      area += Math.hypot(uy! * vz! - uz! * vy!, uz! * vx! - ux! * vz!, ux! * vy! - uy! * vx!) / 2
    }
    return area
  })
}
