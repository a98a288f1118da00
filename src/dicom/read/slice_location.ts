import { cross } from '../../geometry/vector.js'
import type { Vector3 } from '../../geometry/vector.js'

interface ImagePlane {
  rows: number
  columns: number
  rowDirection: Vector3
  columnDirection: Vector3
  /** Distance between rows and between columns, mm. */
  pixelSpacing: readonly [number, number]
}

/** What images without Image Orientation (Patient) are taken for: axial, seen from the feet. */
export const AXIAL: readonly number[] = [1, 0, 0, 0, 1, 0]

/**
 * A position for images that have none, from Slice Location (0020,1041): that far along the normal (towards the head in
 * axial images), the image's center on the axis. Distances between slices are right; where the patient lies is not known.
 */
export function positionByLocation(location: number, plane: ImagePlane): Vector3 {
  const { rows, columns, rowDirection, columnDirection, pixelSpacing } = plane
  const normal = cross(rowDirection, columnDirection)
  const main = normal.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0)
  const along = main < 0 ? -location : location
  const right = ((columns - 1) / 2) * pixelSpacing[1]
  const down = ((rows - 1) / 2) * pixelSpacing[0]
  const at = (axis: 0 | 1 | 2): number =>
    along * normal[axis] - right * rowDirection[axis] - down * columnDirection[axis]
  return [at(0), at(1), at(2)]
}
