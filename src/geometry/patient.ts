import { invalidParameter } from '../check.js'
import { cross, dot } from './vector.js'
import type { Vector3 } from './vector.js'

/**
 * Where a volume lies in the patient: DICOM patient space (LPS: +x to the patient's left, +y to the back, +z to
 * the head), millimeters. Source: DICOM PS3.3 C.7.6.2.1.1.
 */
export interface VolumeGeometry {
  /** Patient position (mm) of the center of voxel (k, j, i) = (0, 0, 0). */
  origin: Vector3
  /** Unit vector along increasing column index i (the first triple of Image Orientation (Patient)). */
  rowDirection: Vector3
  /** Unit vector along increasing row index j (the second triple). */
  columnDirection: Vector3
  /** Unit vector along increasing slice index k. */
  sliceDirection: Vector3
  /** Distance of neighboring voxel centers in mm, [z, y, x]; z is the median distance of the slices. */
  spacing: Vector3
  /**
   * Position of each slice in mm along `sliceDirection`, relative to slice 0, ascending; length = slices. It keeps
   * gaps, where `spacing[0]` does not.
   */
  slicePositions: readonly number[]
}

/** Position in mm along the slice direction of a fractional slice index; linear beyond the ends. */
export function sliceToPosition(geometry: VolumeGeometry, k: number): number {
  const positions = geometry.slicePositions
  const last = positions.length - 1
  if (last < 0) throw invalidParameter('geometry.slicePositions', 'at least one slice', positions)
  if (k <= 0 || last === 0) return positions[0]! + k * geometry.spacing[0]
  if (k >= last) return positions[last]! + (k - last) * geometry.spacing[0]
  const low = Math.floor(k)
  return positions[low]! + (k - low) * (positions[low + 1]! - positions[low]!)
}

/** The inverse of `sliceToPosition`. */
export function positionToSlice(geometry: VolumeGeometry, position: number): number {
  const positions = geometry.slicePositions
  const last = positions.length - 1
  if (last < 0) throw invalidParameter('geometry.slicePositions', 'at least one slice', positions)
  if (position <= positions[0]! || last === 0) return (position - positions[0]!) / geometry.spacing[0]
  if (position >= positions[last]!) return last + (position - positions[last]!) / geometry.spacing[0]
  let low = 0
  let high = last
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (positions[middle]! <= position) low = middle
    else high = middle
  }
  const step = positions[high]! - positions[low]!
  return step > 0 ? low + (position - positions[low]!) / step : low
}

/** Voxel indices (k, j, i), which may be fractional and name voxel centers, to patient mm (x, y, z). */
export function voxelToPatient(geometry: VolumeGeometry, k: number, j: number, i: number): Vector3 {
  const { origin, rowDirection, columnDirection, sliceDirection, spacing } = geometry
  const along = sliceToPosition(geometry, k)
  const at = (axis: 0 | 1 | 2): number =>
    origin[axis] +
    rowDirection[axis] * i * spacing[2] +
    columnDirection[axis] * j * spacing[1] +
    sliceDirection[axis] * along
  return [at(0), at(1), at(2)]
}

/** Patient mm (x, y, z) to fractional voxel indices (k, j, i); the inverse of `voxelToPatient`. */
export function patientToVoxel(geometry: VolumeGeometry, point: Vector3): Vector3 {
  const { origin, rowDirection, columnDirection, sliceDirection, spacing } = geometry
  const offset: Vector3 = [point[0] - origin[0], point[1] - origin[1], point[2] - origin[2]]
  // The slice direction need not be normal to the image plane (gantry tilt): solve the 3 x 3 system.
  const determinant = dot(rowDirection, cross(columnDirection, sliceDirection))
  if (!(Math.abs(determinant) > 1e-9)) throw invalidParameter('geometry', 'independent directions', geometry)
  const x = dot(offset, cross(columnDirection, sliceDirection)) / determinant
  const y = dot(rowDirection, cross(offset, sliceDirection)) / determinant
  const z = dot(rowDirection, cross(columnDirection, offset)) / determinant
  return [positionToSlice(geometry, z), y / spacing[1], x / spacing[2]]
}

/** Distances that differ by no more from the usual one are the usual one: positions are rounded. */
const USUAL_SHARE = 0.05

/**
 * How many voxels of the usual size, `spacing[0] * spacing[1] * spacing[2]`, the voxels of something have the volume of:
 * a voxel reaches half of the way to the slices on either side, and with a tilted gantry slices lie nearer than they are
 * stacked. With even slices it is exactly their number.
 *
 * @param counts voxels on each slice, from slice `first` on
 */
export function usualVoxels(geometry: VolumeGeometry, counts: ArrayLike<number>, first = 0): number {
  let voxels = 0
  for (let n = 0; n < counts.length; n++)
    if (counts[n]! > 0)
      voxels += counts[n]! * heightShare(geometry, first + n, (k) => (counts[k - first] ?? 0) > 0)
  return voxels * tiltShare(geometry)
}

/** Whether every voxel has the usual size. */
export function hasUsualVoxels(geometry: VolumeGeometry): boolean {
  return (
    tiltShare(geometry) === 1 &&
    geometry.slicePositions.every((_, k) => heightShare(geometry, k, () => true) === 1)
  )
}

/** Height of a voxel of slice `k`, as a part of the usual one, along the slice direction. */
function heightShare(
  { slicePositions, spacing }: VolumeGeometry,
  k: number,
  isPart: (k: number) => boolean,
): number {
  const usual = spacing[0]
  const wayTo = (to: number): number =>
    to > 0 && to < slicePositions.length ? slicePositions[to]! - slicePositions[to - 1]! : usual
  const [below, above] = [wayTo(k), wayTo(k + 1)]
  // Slices are missing where it ends: how far it goes on, nobody knows.
  const down = isPart(k - 1) ? below : Math.min(below, Math.max(usual, above))
  const up = isPart(k + 1) ? above : Math.min(above, Math.max(usual, below))
  const share = (down + up) / (2 * usual)
  return Math.abs(share - 1) <= USUAL_SHARE ? 1 : share
}

/** Distance of the planes by that along the slice direction. */
function tiltShare({ rowDirection, columnDirection, sliceDirection }: VolumeGeometry): number {
  const share = Math.abs(dot(sliceDirection, cross(rowDirection, columnDirection)))
  // Directions are rounded.
  return Math.abs(share - 1) < 1e-6 ? 1 : share
}
