/** From full resolution to the coarse grid on which lungs are worked out, and back. */

export interface ShrinkWork {
  /** HU, [z, y, x]. */
  data: Int16Array
  shape: Int32Array
  /** Voxels per block and axis. */
  factors: Int32Array
  /** [ceil(nz / fz), ceil(ny / fy), ceil(nx / fx)]: the mean of each block, rounded to nearest, half up. */
  output: Int16Array
}

export function shrinkReference({ data, shape, factors, output }: ShrinkWork): void {
  const [nz, ny, nx] = shape as unknown as [number, number, number]
  const [fz, fy, fx] = factors as unknown as [number, number, number]
  const [cz, cy, cx] = blocks(shape, factors)
  const sums = new Float64Array(cx)
  for (let z = 0; z < cz; z++)
    for (let y = 0; y < cy; y++) {
      sums.fill(0)
      const [k2, j2] = [Math.min(nz, (z + 1) * fz), Math.min(ny, (y + 1) * fy)]
      for (let k = z * fz; k < k2; k++)
        for (let j = y * fy; j < j2; j++) {
          const row = (k * ny + j) * nx
          for (let x = 0, i = 0; x < cx; x++) {
            const end = Math.min(nx, i + fx)
            let sum = 0
            for (; i < end; i++) sum += data[row + i]!
            sums[x] = sums[x]! + sum
          }
        }
      const rows = (k2 - z * fz) * (j2 - y * fy)
      for (let x = 0; x < cx; x++)
        output[(z * cy + y) * cx + x] = Math.round(sums[x]! / (rows * (Math.min(nx, (x + 1) * fx) - x * fx)))
    }
}

/** Blocks per axis; the last one may be cut off. */
export function blocks(shape: ArrayLike<number>, factors: ArrayLike<number>): [number, number, number] {
  const along = (axis: number): number => Math.ceil(shape[axis]! / factors[axis]!)
  return [along(0), along(1), along(2)]
}

export interface RefineWork {
  /** HU, [z, y, x]. */
  data: Int16Array
  shape: Int32Array
  factors: Int32Array
  /** Right and left lung on the coarse grid after closing, 0 or 1; empty where there is no such lung. */
  closed: readonly [Uint8Array, Uint8Array]
  /** The same before closing: dark blocks only. */
  air: readonly [Uint8Array, Uint8Array]
  /** Voxel indices to leave out. */
  trachea: Int32Array
  /** Voxels below are lung, above are wall, HU. */
  surfaceHu: number
  /** [z, y, x], all 0 before; 1 in the lungs. */
  mask: Uint8Array
  /** As the mask: 1 in the right lung, 2 in the left one; or empty. */
  sides: Uint8Array
  /** [2] voxels of the right and of the left lung. */
  counts: Float64Array
  /** [6] extent of the mask: z1, z2, y1, y2, x1, x2, [low, high); all 0 where it is empty. */
  box: Int32Array
}

const surface = 1
const whole = 2

/**
 * Blocks deep inside a closed lung, and what closing filled, are taken whole; at its surface each voxel is judged by its HU.
 */
export function refineReference(work: RefineWork): void {
  const { data, shape, factors, mask, sides, counts, surfaceHu } = work
  const [nz, ny, nx] = shape as unknown as [number, number, number]
  const [fz, fy, fx] = factors as unknown as [number, number, number]
  const [cz, cy, cx] = blocks(shape, factors)
  const kinds = blockKinds([cz, cy, cx], work)
  counts.fill(0)
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
              if (sides.length > 0) sides[i] = side + 1
            }
          }
        counts[side]! += count
      }
  for (const at of work.trachea) {
    if (mask[at] === 0) continue
    mask[at] = 0
    if (sides.length > 0) sides[at] = 0
    const [x, y, z] = [at % nx, Math.floor(at / nx) % ny, Math.floor(at / (nx * ny))]
    const block = (Math.floor(z / fz) * cy + Math.floor(y / fy)) * cx + Math.floor(x / fx)
    counts[kinds[block]! >> 2]!--
  }
  findBox(work)
}

/** 0: no lung. Else side * 4 + kind: `whole` block, or `surface`, whose voxels must be dark. */
function blockKinds(
  [nz, ny, nx]: readonly [number, number, number],
  lungs: Pick<RefineWork, 'closed' | 'air'>,
): Uint8Array {
  const plane = ny * nx
  const kinds = new Uint8Array(nz * plane)
  for (const side of [0, 1] as const) {
    const closed = lungs.closed[side]
    const air = lungs.air[side]
    if (closed.length === 0) continue
    for (let z = 0; z < nz; z++)
      for (let y = 0; y < ny; y++)
        for (let x = 0; x < nx; x++) {
          const n = z * plane + y * nx + x
          if (closed[n] === 1) {
            // At the ends of the scan the lung goes on.
            const inner =
              air[n] !== 1 ||
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

function findBox({ mask, shape, box }: RefineWork): void {
  const [nz, ny, nx] = shape as unknown as [number, number, number]
  let [z1, y1, x1, z2, y2, x2] = [nz, ny, nx, 0, 0, 0]
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      const row = mask.subarray((z * ny + y) * nx, (z * ny + y + 1) * nx)
      const first = row.indexOf(1)
      if (first < 0) continue
      z1 = Math.min(z1, z)
      z2 = z + 1
      y1 = Math.min(y1, y)
      y2 = Math.max(y2, y + 1)
      x1 = Math.min(x1, first)
      x2 = Math.max(x2, row.lastIndexOf(1) + 1)
    }
  box.set(z2 === 0 ? [0, 0, 0, 0, 0, 0] : [z1, z2, y1, y2, x1, x2])
}
