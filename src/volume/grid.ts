/** A binary or labeled volume, [z, y, x], with its voxel size in mm in the same order. */
export interface Grid<T extends Uint8Array | Int16Array | Int32Array = Uint8Array> {
  data: T
  shape: readonly [number, number, number]
  spacing: readonly [number, number, number]
}

/** The part of a grid between two corners, [low, high) per axis. */
export type Extent = readonly [
  readonly [number, number],
  readonly [number, number],
  readonly [number, number],
]

/**
 * Labels the 6-connected parts of voxels that are 1.
 *
 * @returns labels 1, 2, ... [z, y, x] and the number of voxels of each label (index 0 unused)
 */
export function labelParts(mask: Grid): { labels: Int32Array; sizes: number[] } {
  const [nz, ny, nx] = mask.shape
  const plane = ny * nx
  const labels = new Int32Array(mask.data.length)
  const stack = new Int32Array(mask.data.length)
  const sizes = [0]
  for (let start = 0; start < labels.length; start++) {
    if (mask.data[start] !== 1 || labels[start] !== 0) continue
    const label = sizes.length
    let size = 0
    let top = 0
    stack[top++] = start
    labels[start] = label
    while (top > 0) {
      const at = stack[--top]!
      size++
      const x = at % nx
      const y = ((at - x) / nx) % ny
      const z = (at - x - y * nx) / plane
      const visit = (next: number): void => {
        if (mask.data[next] === 1 && labels[next] === 0) {
          labels[next] = label
          stack[top++] = next
        }
      }
      if (x > 0) visit(at - 1)
      if (x < nx - 1) visit(at + 1)
      if (y > 0) visit(at - nx)
      if (y < ny - 1) visit(at + nx)
      if (z > 0) visit(at - plane)
      if (z < nz - 1) visit(at + plane)
    }
    sizes.push(size)
  }
  return { labels, sizes }
}

/** Extent of the voxels for which `inside` holds; undefined where there are none. */
export function extentOf(
  grid: Grid<Uint8Array | Int32Array>,
  inside: (value: number) => boolean,
): Extent | undefined {
  const [nz, ny, nx] = grid.shape
  let [z1, y1, x1, z2, y2, x2] = [nz, ny, nx, -1, -1, -1]
  let n = 0
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, n++) {
        if (!inside(grid.data[n]!)) continue
        if (z < z1) z1 = z
        if (z > z2) z2 = z
        if (y < y1) y1 = y
        if (y > y2) y2 = y
        if (x < x1) x1 = x
        if (x > x2) x2 = x
      }
  return z2 < 0
    ? undefined
    : [
        [z1, z2 + 1],
        [y1, y2 + 1],
        [x1, x2 + 1],
      ]
}

/**
 * Squared distance in mm from each voxel to the nearest voxel that is 1 (0 on those), by lower envelopes of parabolas
 * along each axis in turn (Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", 2012).
 */
export function squaredDistance(mask: Grid): Float32Array {
  const [nz, ny, nx] = mask.shape
  const far = 1e12
  const field = new Float32Array(mask.data.length)
  for (let n = 0; n < field.length; n++) field[n] = mask.data[n] === 1 ? 0 : far
  const longest = Math.max(nz, ny, nx)
  const line = new Float64Array(longest)
  const places = new Int32Array(longest)
  const bounds = new Float64Array(longest + 1)
  const pass = (
    count: number,
    stride: number,
    step: number,
    starts: (visit: (start: number) => void) => void,
  ) => {
    const square = step * step
    starts((start) => {
      let any = false
      for (let q = 0; q < count; q++) {
        line[q] = field[start + q * stride]!
        if (line[q]! < far) any = true
      }
      if (!any) return
      let k = -1
      for (let q = 0; q < count; q++) {
        if (line[q]! >= far) continue
        let meet = -Infinity
        while (k >= 0) {
          const p = places[k]!
          meet = (line[q]! - line[p]! + square * (q * q - p * p)) / (2 * square * (q - p))
          if (meet > bounds[k]!) break
          k--
          meet = -Infinity
        }
        k++
        places[k] = q
        bounds[k] = meet
        bounds[k + 1] = Infinity
      }
      k = 0
      for (let q = 0; q < count; q++) {
        while (bounds[k + 1]! < q) k++
        const d = q - places[k]!
        field[start + q * stride] = square * d * d + line[places[k]!]!
      }
    })
  }
  pass(nx, 1, mask.spacing[2], (visit) => {
    for (let row = 0; row < nz * ny; row++) visit(row * nx)
  })
  pass(ny, nx, mask.spacing[1], (visit) => {
    for (let z = 0; z < nz; z++) for (let x = 0; x < nx; x++) visit(z * ny * nx + x)
  })
  pass(nz, ny * nx, mask.spacing[0], (visit) => {
    for (let n = 0; n < ny * nx; n++) visit(n)
  })
  return field
}

/** Closes gaps and dents narrower than about twice `radius` mm: dilation, then erosion, by balls. */
export function closeMask(mask: Grid, radius: number): Grid {
  const square = radius * radius
  const distance = squaredDistance(mask)
  const grown: Grid = { ...mask, data: new Uint8Array(mask.data.length) }
  // Complement of the dilated mask: the erosion measures the distance to it.
  for (let n = 0; n < distance.length; n++) grown.data[n] = distance[n]! > square ? 1 : 0
  const inner = squaredDistance(grown)
  const closed = new Uint8Array(mask.data.length)
  for (let n = 0; n < closed.length; n++) closed[n] = mask.data[n] === 1 || inner[n]! > square ? 1 : 0
  return { ...mask, data: closed }
}

/** Voxels at least `radius` mm away from everything outside of the mask. */
export function erodeMask(mask: Grid, radius: number): Grid {
  const outside: Grid = { ...mask, data: new Uint8Array(mask.data.length) }
  for (let n = 0; n < mask.data.length; n++) outside.data[n] = mask.data[n] === 1 ? 0 : 1
  const distance = squaredDistance(outside)
  const data = new Uint8Array(mask.data.length)
  for (let n = 0; n < data.length; n++) data[n] = distance[n]! > radius * radius ? 1 : 0
  return { ...mask, data }
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

/** Writes 1 into `target` wherever the cropped mask is 1; the inverse of `cropMask`. */
export function pasteMask(target: Grid, crop: Grid, extent: Extent, rim: number): void {
  const [nz, ny, nx] = target.shape
  const [cz, cy, cx] = crop.shape
  for (let z = 0; z < cz; z++) {
    const tz = z + extent[0][0] - rim
    if (tz < 0 || tz >= nz) continue
    for (let y = 0; y < cy; y++) {
      const ty = y + extent[1][0] - rim
      if (ty < 0 || ty >= ny) continue
      for (let x = 0; x < cx; x++) {
        const tx = x + extent[2][0] - rim
        if (tx < 0 || tx >= nx || crop.data[(z * cy + y) * cx + x] !== 1) continue
        target.data[(tz * ny + ty) * nx + tx] = 1
      }
    }
  }
}

/** Fills holes: what is 0 and not connected to the border of the grid. Needs a free voxel all around the mask. */
export function fillHoles(mask: Grid): void {
  const [, ny, nx] = mask.shape
  const { data } = mask
  const plane = ny * nx
  const seen = new Uint8Array(data.length)
  const stack = new Int32Array(data.length)
  let top = 0
  const push = (n: number): void => {
    if (n >= 0 && n < data.length && data[n] === 0 && seen[n] === 0) {
      seen[n] = 1
      stack[top++] = n
    }
  }
  push(0)
  while (top > 0) {
    const at = stack[--top]!
    // Wrapping around a row's end is harmless: the rim is free.
    push(at - 1)
    push(at + 1)
    push(at - nx)
    push(at + nx)
    push(at - plane)
    push(at + plane)
  }
  for (let n = 0; n < data.length; n++) if (seen[n] === 0) data[n] = 1
}
