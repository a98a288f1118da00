import { pixelHull } from '../geometry/hull.js'
import type { Hull } from '../geometry/hull.js'
import type { PlacedContour, VoxelMask } from './types.js'
import { greatest, least } from '../lists.js'

/** Voxel indices, both ends included. */
export interface VoxelExtent {
  k: readonly [number, number]
  j: readonly [number, number]
  i: readonly [number, number]
}

/** Smallest block that holds every contour point. */
export function contourExtent(contours: readonly PlacedContour[]): VoxelExtent {
  const range = (values: readonly number[]): [number, number] =>
    values.reduce<[number, number]>(
      ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
      [Infinity, -Infinity],
    )
  const points = contours.flatMap((contour) => contour.points)
  return {
    k: range(contours.map((contour) => contour.k)),
    j: range(points.map((point) => Math.floor(point.y))),
    i: range(points.map((point) => Math.floor(point.x))),
  }
}

/** The union of blocks. */
export function joinExtents(extents: readonly VoxelExtent[]): VoxelExtent {
  const join = (axis: 'k' | 'j' | 'i'): [number, number] => [
    least(extents.map((extent) => extent[axis][0])),
    greatest(extents.map((extent) => extent[axis][1])),
  ]
  return { k: join('k'), j: join('j'), i: join('i') }
}

/**
 * Fills one reader's contours: voxels inside an inclusion line, without the line itself; then what exclusion lines
 * enclose, lines included, is taken out. As pylidc's `boolean_mask`.
 *
 * @returns [z, y, x] over `extent`
 */
export function fillContours(contours: readonly PlacedContour[], extent: VoxelExtent): VoxelMask {
  const shape = [
    extent.k[1] - extent.k[0] + 1,
    extent.j[1] - extent.j[0] + 1,
    extent.i[1] - extent.i[0] + 1,
  ] as const
  const [, height, width] = shape
  const voxels = new Uint8Array(shape[0] * height * width)
  for (const inclusion of [true, false]) {
    for (const contour of contours) {
      if (contour.inclusion !== inclusion) continue
      const offset = (contour.k - extent.k[0]) * height * width
      fillPolygon(voxels.subarray(offset, offset + height * width), contour, extent, inclusion ? 1 : 0)
      for (const { x, y } of contour.points) {
        voxels[offset + (Math.floor(y) - extent.j[0]) * width + Math.floor(x) - extent.i[0]] = 0
      }
    }
  }
  return { k0: extent.k[0], j0: extent.j[0], i0: extent.i[0], shape, voxels }
}

/**
 * Sets the pixels whose centers lie inside a polygon, by the crossings test of matplotlib's `Path.contains_points`
 * (rows are its x, columns its y: pylidc passes (i, j)), so that pixels on an edge fall on the same side. Each column is
 * tested against the few lines that cross it.
 */
function fillPolygon(slice: Uint8Array, contour: PlacedContour, extent: VoxelExtent, value: 0 | 1): void {
  const { points } = contour
  if (points.length < 3) return
  const [left, right] = extent.i
  const width = right - left + 1
  const low = Math.ceil(least(points.map((point) => point.y)))
  const high = Math.floor(greatest(points.map((point) => point.y)))
  for (let column = left; column <= right; column++) {
    const crossing: number[] = []
    for (let n = 0, from = points.length - 1; n < points.length; from = n++)
      if (points[from]!.x >= column !== points[n]!.x >= column) crossing.push(n)
    if (crossing.length === 0) continue
    for (let row = low; row <= high; row++) {
      let inside = false
      for (const n of crossing) {
        const [from, to] = [points.at(n - 1)!, points[n]!]
        const right = (to.x - column) * (from.y - to.y) >= (to.y - row) * (from.x - to.x)
        if (right === to.x >= column) inside = !inside
      }
      if (inside) slice[(row - extent.j[0]) * width + column - left] = value
    }
  }
}

/** Voxels that at least `agreement` (0 to 1) of the masks hold, and one of them at all; the masks share one block. */
export function agreeMasks(masks: readonly VoxelMask[], agreement: number): VoxelMask {
  const voxels = new Uint8Array(masks[0]!.voxels.length)
  for (let at = 0; at < voxels.length; at++) {
    let count = 0
    for (const mask of masks) count += mask.voxels[at]!
    voxels[at] = count > 0 && count / masks.length >= agreement ? 1 : 0
  }
  return { ...masks[0]!, voxels }
}

/** The hull of the centers of a mask's pixels on slice `k` of the series, image pixels at the edges. */
export function hullOnSlice({ k0, j0, i0, shape, voxels }: VoxelMask, k: number): Hull {
  const [, height, width] = shape
  const ends: [number, number][] = []
  for (let j = 0; j < height; j++) {
    const from = ((k - k0) * height + j) * width
    const row = voxels.subarray(from, from + width)
    const first = row.indexOf(1)
    if (first >= 0) ends.push([i0 + first, j0 + j], [i0 + row.lastIndexOf(1), j0 + j])
  }
  return pixelHull(ends)
}
