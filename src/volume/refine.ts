import { extentOf, type Grid } from './grid.js'
import type { HuVolume } from './hu_volume.js'
import type { Lungs, SegmentOptions } from './lungs.js'

/** Lung surface at full resolution: voxels below are lung, above are wall, HU. */
const surfaceHu = -400

interface CoarseLungs {
  /** Right and left lung after closing. */
  closed: (Grid | undefined)[]
  /** Right and left lung before: dark voxels only. */
  air: (Grid | undefined)[]
  trachea: Int32Array
}

/**
 * Brings the lungs from the coarse grid to full resolution. Blocks deep inside are taken whole; at the surface each voxel
 * is judged by its HU where the lung is air, and taken with its block where closing filled it (vessels, nodules).
 */
export function refineMask(
  volume: HuVolume,
  coarse: Grid<Int16Array>,
  factors: readonly [number, number, number],
  lungs: CoarseLungs,
  warnings: string[],
  o: SegmentOptions,
): Lungs {
  const { data, shape, geometry } = volume
  const [nz, ny, nx] = shape
  const [cz, cy, cx] = coarse.shape
  const [fz, fy, fx] = factors
  const mask = new Uint8Array(data.length)
  const sides = o.sides === true ? new Uint8Array(data.length) : undefined
  const kinds = blockKinds(coarse.shape, lungs)
  const counts = [0, 0]
  for (let z = 0; z < cz; z++)
    for (let y = 0; y < cy; y++)
      for (let x = 0; x < cx; x++) {
        const code = kinds[(z * cy + y) * cx + x]!
        if (code === 0) continue
        const kind = code & 3
        const side = code >> 2
        const i1 = x * fx
        const i2 = Math.min(nx, i1 + fx)
        const k2 = Math.min(nz, (z + 1) * fz)
        const j2 = Math.min(ny, (y + 1) * fy)
        let count = 0
        for (let k = z * fz; k < k2; k++)
          for (let j = y * fy; j < j2; j++) {
            const row = (k * ny + j) * nx
            for (let i = row + i1; i < row + i2; i++) {
              if (kind !== whole && data[i]! >= surfaceHu) continue
              mask[i] = 1
              count++
              if (sides !== undefined) sides[i] = side + 1
            }
          }
        counts[side]! += count
      }
  for (const at of lungs.trachea) {
    if (mask[at] === 0) continue
    mask[at] = 0
    if (sides !== undefined) sides[at] = 0
  }
  const ml = (geometry.spacing[0] * geometry.spacing[1] * geometry.spacing[2]) / 1000
  const [right, left] = counts.map((count) => count * ml) as [number, number]
  const [z, y, x] = extentOf({ data: mask, shape, spacing: geometry.spacing }) ?? [
    [0, nz],
    [0, ny],
    [0, nx],
  ]
  return {
    mask,
    ...(sides === undefined ? {} : { sides }),
    box: { z: [...z], y: [...y], x: [...x] },
    volumeMl: { left, right, total: left + right },
    warnings,
  }
}

const whole = 2
const surface = 1

/** 0: no lung. Else side * 4 + kind: `whole` block, or `surface`, whose voxels must be dark. */
function blockKinds(shape: readonly [number, number, number], lungs: CoarseLungs): Uint8Array {
  const [nz, ny, nx] = shape
  const plane = ny * nx
  const kinds = new Uint8Array(nz * plane)
  for (const side of [0, 1]) {
    const closed = lungs.closed[side]?.data
    const air = lungs.air[side]?.data
    if (closed === undefined || air === undefined) continue
    for (let z = 0; z < nz; z++)
      for (let y = 0; y < ny; y++)
        for (let x = 0; x < nx; x++) {
          const n = z * plane + y * nx + x
          if (closed[n] === 1) {
            // At the ends of the scan the lung goes on.
            const inner =
              air[n] === 0 ||
              (x > 0 &&
                x < nx - 1 &&
                y > 0 &&
                y < ny - 1 &&
                closed[n - 1] === 1 &&
                closed[n + 1] === 1 &&
                closed[n - nx] === 1 &&
                closed[n + nx] === 1 &&
                (z === 0 || closed[n - plane] === 1) &&
                (z === nz - 1 || closed[n + plane] === 1))
            kinds[n] = (side << 2) | (inner ? whole : surface)
          } else if (
            kinds[n] === 0 &&
            ((x > 0 && air[n - 1] === 1) ||
              (x < nx - 1 && air[n + 1] === 1) ||
              (y > 0 && air[n - nx] === 1) ||
              (y < ny - 1 && air[n + nx] === 1) ||
              (z > 0 && air[n - plane] === 1) ||
              (z < nz - 1 && air[n + plane] === 1))
          )
            kinds[n] = (side << 2) | surface
        }
  }
  return kinds
}
