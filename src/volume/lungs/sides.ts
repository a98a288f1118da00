import { voxelToPatient } from '../../geometry/patient.js'
import type { Vector3 } from '../../geometry/vector.js'
import type { HuVolume } from '../hu_volume.js'
import type { Grid } from './grid.js'

export interface NamedLungs {
  right: Grid | undefined
  left: Grid | undefined
}

/**
 * Which lung is which: the patient's right has the smaller x (LPS). A single lung is compared with the middle of the
 * body around it; where the image cuts the body off, with the patient's x = 0, and a warning says so.
 *
 * @param tissue gives the body on the grid of the lungs
 */
export function nameSides(
  lungs: readonly Grid[],
  tissue: () => Grid,
  volume: HuVolume,
  factors: readonly [number, number, number],
  warnings: string[],
): NamedLungs {
  const sign = volume.geometry.rowDirection[0] >= 0 ? 1 : -1
  const [one, other] = lungs
  if (one !== undefined && other !== undefined)
    return sign * (centroid(one)[2] - centroid(other)[2]) <= 0
      ? { right: one, left: other }
      : { right: other, left: one }
  warnings.push('only one lung found')
  if (one === undefined) return { right: undefined, left: undefined }
  const center = centroid(one)
  const middle = bodyMiddle(one, tissue())
  if (middle === undefined) warnings.push('the image cuts the body off: the side of the lung is uncertain')
  const toLeft = middle === undefined ? patientX(center, volume, factors) : sign * (center[2] - middle)
  return toLeft < 0 ? { right: one, left: undefined } : { right: undefined, left: one }
}

/** Mean voxel index of a mask, [z, y, x]. */
function centroid({ data, shape: [, ny, nx] }: Grid): Vector3 {
  const sum: [number, number, number] = [0, 0, 0]
  let count = 0
  for (let n = 0; n < data.length; n++)
    if (data[n] === 1) {
      sum[0] += Math.floor(n / (nx * ny))
      sum[1] += Math.floor(n / nx) % ny
      sum[2] += n % nx
      count++
    }
  return [sum[0] / count, sum[1] / count, sum[2] / count]
}

/**
 * Middle column between the sides of the body, over the rows that hold lung; undefined where more than a tenth of them
 * do not show both sides.
 */
function bodyMiddle(lung: Grid, tissue: Grid): number | undefined {
  const [nz, ny, nx] = lung.shape
  let sum = 0
  let seen = 0
  let rows = 0
  for (let start = 0; start < nz * ny * nx; start += nx) {
    if (!lung.data.subarray(start, start + nx).includes(1)) continue
    rows++
    const body = tissue.data.subarray(start, start + nx)
    const [first, last] = [body.indexOf(1), body.lastIndexOf(1)]
    if (first <= 0 || last === nx - 1) continue
    sum += (first + last) / 2
    seen++
  }
  return seen < 0.9 * rows ? undefined : sum / seen
}

/** Patient x (mm) of a voxel of the coarse grid. */
function patientX(voxel: Vector3, volume: HuVolume, factors: readonly [number, number, number]): number {
  const fine = (axis: 0 | 1 | 2): number => (voxel[axis] + 0.5) * factors[axis] - 0.5
  return voxelToPatient(volume.geometry, fine(0), fine(1), fine(2))[0]
}
