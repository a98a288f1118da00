import { type LungsOptions, dilateMask, erodeMask, findParts } from '../../kernels/lungs.js'
import type { Grid, Parts } from '../../kernels/reference/masks.js'

export { dilateMask, erodeMask, findParts }
export type { Grid, Parts }

/** The part of a grid between two corners, [low, high) per axis. */
export type Extent = readonly [
  readonly [number, number],
  readonly [number, number],
  readonly [number, number],
]

/** The label of the largest part, the first of equals; 0 where there is none. */
export function largestPart({ sizes }: Parts): number {
  let largest = 0
  for (let label = 1; label < sizes.length; label++) if (sizes[label]! > sizes[largest]!) largest = label
  return largest
}

/** One part as a mask of its own. */
export function partMask(like: Grid, parts: Parts, label: number): Grid {
  const data = new Uint8Array(like.data.length)
  for (let n = 0; n < parts.labels.length; n++)
    if (parts.labels[n] === label) data.fill(1, parts.starts[n], parts.ends[n])
  return { ...like, data }
}

/** Extent of the voxels that are 1; undefined where there are none. */
export function extentOf(mask: Grid): Extent | undefined {
  const [nz, ny, nx] = mask.shape
  let [z1, y1, x1, z2, y2, x2] = [nz, ny, nx, -1, -1, -1]
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      const row = (z * ny + y) * nx
      const line = mask.data.subarray(row, row + nx)
      const first = line.indexOf(1)
      if (first < 0) continue
      if (z < z1) z1 = z
      if (z > z2) z2 = z
      if (y < y1) y1 = y
      if (y > y2) y2 = y
      if (first < x1) x1 = first
      const last = line.lastIndexOf(1)
      if (last > x2) x2 = last
    }
  return z2 < 0
    ? undefined
    : [
        [z1, z2 + 1],
        [y1, y2 + 1],
        [x1, x2 + 1],
      ]
}

/** Closes gaps and dents narrower than about twice `radius` mm: dilation, then erosion, by balls. */
export function closeMask(mask: Grid, radius: number, options: LungsOptions = {}): Grid {
  return erodeMask(dilateMask(mask, radius, options), radius, options)
}

/** Gives each voxel of a mask to the nearest of several seeds, on ways through the mask: label 1, 2, ...; 0 unreached. */
export function growSeeds(mask: Grid, seeds: readonly Grid[]): Uint8Array {
  const [, ny, nx] = mask.shape
  const plane = ny * nx
  const labels = new Uint8Array(mask.data.length)
  const queue = new Int32Array(mask.data.length)
  let tail = 0
  for (const [s, seed] of seeds.entries())
    for (let n = 0; n < labels.length; n++)
      if (seed.data[n] === 1 && labels[n] === 0) {
        labels[n] = s + 1
        queue[tail++] = n
      }
  for (let head = 0; head < tail; head++) {
    const at = queue[head]!
    const x = at % nx
    const inPlane = at % plane
    const label = labels[at]!
    const visit = (next: number): void => {
      if (mask.data[next] === 1 && labels[next] === 0) {
        labels[next] = label
        queue[tail++] = next
      }
    }
    if (x > 0) visit(at - 1)
    if (x < nx - 1) visit(at + 1)
    if (inPlane >= nx) visit(at - nx)
    if (inPlane < plane - nx) visit(at + nx)
    if (at >= plane) visit(at - plane)
    if (at < labels.length - plane) visit(at + plane)
  }
  return labels
}

/** A copy of the part within `extent`, with `rim` free voxels around it. */
export function cropMask(mask: Grid, extent: Extent, rim: number): Grid {
  const shape = extent.map(([low, high]) => high - low + 2 * rim) as unknown as readonly [
    number,
    number,
    number,
  ]
  const data = new Uint8Array(shape[0] * shape[1] * shape[2])
  const [, ny, nx] = mask.shape
  for (let z = extent[0][0]; z < extent[0][1]; z++)
    for (let y = extent[1][0]; y < extent[1][1]; y++) {
      const from = (z * ny + y) * nx
      const to = ((z - extent[0][0] + rim) * shape[1] + (y - extent[1][0] + rim)) * shape[2] + rim
      data.set(mask.data.subarray(from + extent[2][0], from + extent[2][1]), to)
    }
  return { data, shape, spacing: mask.spacing }
}

/** Writes the cropped mask back to where it came from, as far as it lies within `target`; the inverse of `cropMask`. */
export function pasteMask(target: Grid, crop: Grid, extent: Extent, rim: number): void {
  const [nz, ny, nx] = target.shape
  const [cz, cy, cx] = crop.shape
  const [z0, y0, x0] = [extent[0][0] - rim, extent[1][0] - rim, extent[2][0] - rim]
  const [x1, x2] = [Math.max(0, -x0), Math.min(cx, nx - x0)]
  for (let z = Math.max(0, -z0); z < Math.min(cz, nz - z0); z++)
    for (let y = Math.max(0, -y0); y < Math.min(cy, ny - y0); y++) {
      const from = (z * cy + y) * cx
      const to = ((z + z0) * ny + y + y0) * nx + x0
      target.data.set(crop.data.subarray(from + x1, from + x2), to + x1)
    }
}

/** Fills holes: what is 0 and not connected to the border of the grid. Needs a free voxel all around the mask. */
export function fillHoles(mask: Grid, options: LungsOptions = {}): void {
  const { starts, ends, labels } = findParts(mask, { ...options, below: 1 })
  for (let run = 0; run < labels.length; run++)
    if (labels[run] !== labels[0]) mask.data.fill(1, starts[run], ends[run])
}
