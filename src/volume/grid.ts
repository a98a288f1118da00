/** A binary volume or one of HU, [z, y, x], with its voxel size in mm in the same order. */
export interface Grid<T extends Uint8Array | Int16Array = Uint8Array> {
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

/** The 6-connected parts of the voxels that are 1, as runs along x: row after row, each [start, end) in voxel indices. */
export interface Parts {
  starts: Int32Array
  ends: Int32Array
  /** Part of each run, from 1. */
  labels: Int32Array
  /** Voxels of each part; index 0 unused. */
  sizes: number[]
}

/** Finds the connected parts of a mask: runs along x, joined where those of neighboring rows or slices overlap. */
export function findParts(mask: Grid): Parts {
  const [nz, ny, nx] = mask.shape
  const { data } = mask
  const rows = nz * ny
  const firstOfRow = new Int32Array(rows + 1)
  let capacity = 1024
  let starts = new Int32Array(capacity)
  let ends = new Int32Array(capacity)
  let count = 0
  for (let row = 0; row < rows; row++) {
    firstOfRow[row] = count
    const limit = (row + 1) * nx
    let n = row * nx
    while (n < limit) {
      if (data[n] !== 1) {
        n++
        continue
      }
      const start = n
      while (n < limit && data[n] === 1) n++
      if (count === capacity) {
        capacity *= 2
        starts = enlarge(starts, capacity)
        ends = enlarge(ends, capacity)
      }
      starts[count] = start
      ends[count++] = n
    }
  }
  firstOfRow[rows] = count
  const parent = new Int32Array(count)
  for (let n = 0; n < count; n++) parent[n] = n
  const root = (n: number): number => {
    while (parent[n] !== n) {
      parent[n] = parent[parent[n]!]!
      n = parent[n]!
    }
    return n
  }
  /** Joins the overlapping runs of a row and of an earlier row that lies `offset` voxels before it. */
  const join = (row: number, other: number, offset: number): void => {
    let a = firstOfRow[row]!
    let b = firstOfRow[other]!
    while (a < firstOfRow[row + 1]! && b < firstOfRow[other + 1]!) {
      if (ends[b]! + offset <= starts[a]!) b++
      else if (ends[a]! <= starts[b]! + offset) a++
      else {
        const [ra, rb] = [root(a), root(b)]
        if (ra < rb) parent[rb] = ra
        else if (rb < ra) parent[ra] = rb
        if (ends[a]! < ends[b]! + offset) a++
        else b++
      }
    }
  }
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      const row = z * ny + y
      if (y > 0) join(row, row - 1, nx)
      if (z > 0) join(row, row - ny, ny * nx)
    }
  const labels = new Int32Array(count)
  const sizes = [0]
  for (let n = 0; n < count; n++) {
    const top = root(n)
    // The root is the first run of its part.
    if (top === n) {
      labels[n] = sizes.length
      sizes.push(0)
    } else labels[n] = labels[top]!
    sizes[labels[n]!]! += ends[n]! - starts[n]!
  }
  return { starts: starts.subarray(0, count), ends: ends.subarray(0, count), labels, sizes }
}

function enlarge(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const out = new Int32Array(length)
  out.set(array)
  return out
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

/**
 * Dilation by a ball: 1 where a voxel of the mask lies within `radius` mm. The squared distance is built up axis by axis,
 * each pass looking no further than the radius.
 */
export function dilateMask(mask: Grid, radius: number): Grid {
  const nx = mask.shape[2]
  const square = radius * radius
  const far = 1e9
  const along = new Float32Array(mask.data.length)
  // x: distance to the nearest voxel of the row, by a scan in each direction.
  const stepX = mask.spacing[2]
  for (let row = 0; row < mask.data.length; row += nx) {
    let gap = far
    for (let x = 0; x < nx; x++) {
      gap = mask.data[row + x] === 1 ? 0 : gap + stepX
      along[row + x] = gap
    }
    gap = far
    for (let x = nx - 1; x >= 0; x--) {
      gap = mask.data[row + x] === 1 ? 0 : gap + stepX
      if (gap < along[row + x]!) along[row + x] = gap
      const nearest = along[row + x]!
      along[row + x] = nearest > radius ? far : nearest * nearest
    }
  }
  const across = spread(along, mask, 1, radius)
  const all = spread(across, mask, 0, radius)
  const data = new Uint8Array(mask.data.length)
  for (let n = 0; n < data.length; n++) if (all[n]! <= square) data[n] = 1
  return { ...mask, data }
}

/** Least of the squared distances of the voxels within the radius along an axis (0: z, 1: y), the way there included. */
function spread(from: Float32Array, mask: Grid, axis: 0 | 1, radius: number): Float32Array {
  const [nz, ny, nx] = mask.shape
  const to = from.slice()
  const step = mask.spacing[axis]
  const stride = axis === 1 ? nx : ny * nx
  const count = mask.shape[axis]
  const reach = Math.floor(radius / step)
  for (let row = 0; row < nz * ny; row++) {
    const at = axis === 1 ? row % ny : Math.floor(row / ny)
    const base = row * nx
    for (let offset = -reach; offset <= reach; offset++) {
      const other = at + offset
      if (offset === 0 || other < 0 || other >= count) continue
      const way = (offset * step) ** 2
      const source = base + offset * stride
      for (let x = 0; x < nx; x++) {
        const value = from[source + x]! + way
        if (value < to[base + x]!) to[base + x] = value
      }
    }
  }
  return to
}

function invert(mask: Grid): Grid {
  const data = new Uint8Array(mask.data.length)
  for (let n = 0; n < data.length; n++) data[n] = mask.data[n] === 1 ? 0 : 1
  return { ...mask, data }
}

/** Voxels further than `radius` mm from everything outside of the mask; beyond the grid is nothing. */
export function erodeMask(mask: Grid, radius: number): Grid {
  return invert(dilateMask(invert(mask), radius))
}

/** Closes gaps and dents narrower than about twice `radius` mm: dilation, then erosion, by balls. */
export function closeMask(mask: Grid, radius: number): Grid {
  return erodeMask(dilateMask(mask, radius), radius)
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
