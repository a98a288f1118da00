/** Masks as the specification: dilation by a ball and connected parts. */

/** A binary volume or one of HU, [z, y, x], with its voxel size in mm in the same order. */
export interface Grid<T extends Uint8Array | Int16Array = Uint8Array> {
  data: T
  shape: readonly [number, number, number]
  spacing: readonly [number, number, number]
}

/** Connected parts as runs along x: row after row, each [start, end) in voxel indices. */
export interface Parts {
  starts: Int32Array
  ends: Int32Array
  /** Part of each run, from 1, in the order of the parts' first voxels. */
  labels: Int32Array
  /** Voxels of each part; index 0 unused. */
  sizes: Int32Array
}

export interface DilateWork {
  /** [z, y, x]; 1 is in the mask, all else is not. */
  mask: Uint8Array
  shape: Int32Array
  /** The ball: triples of dz, dy and the half width in x, in voxels. */
  reach: Int32Array
  /** Whether what is not in the mask is dilated, and the mask is what it leaves: an erosion. */
  invert: boolean
  /** [z, y, x], 0 or 1. */
  output: Uint8Array
}

/** Every run of the mask fills the ball's rows around it. */
export function dilateReference({ mask, shape, reach, invert, output }: DilateWork): void {
  const [nz, ny, nx] = shape as unknown as [number, number, number]
  const seed = invert ? 0 : 1
  output.fill(1 - seed)
  const fillAround = (z: number, y: number, start: number, end: number): void => {
    for (let n = 0; n < reach.length; n += 3) {
      const toZ = z + reach[n]!
      const toY = y + reach[n + 1]!
      if (toZ < 0 || toZ >= nz || toY < 0 || toY >= ny) continue
      const row = (toZ * ny + toY) * nx
      const half = reach[n + 2]!
      output.fill(seed, row + Math.max(0, start - half), row + Math.min(nx, end + half))
    }
  }
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      const row = (z * ny + y) * nx
      let start = -1
      for (let x = 0; x <= nx; x++) {
        const inside = x < nx && (mask[row + x] === 1) !== invert
        if (inside && start < 0) start = x
        if (inside || start < 0) continue
        fillAround(z, y, start, x)
        start = -1
      }
    }
}

export interface PartsWork {
  data: Uint8Array | Int16Array
  shape: Int32Array
  /** Voxels with data < below belong to parts; undefined: those with data = 1. */
  below: number | undefined
  /** 4-connected within the slices only. */
  planar: boolean
}

/** Finds the runs, then joins those of neighboring rows and slices that overlap. */
export function findPartsReference(work: PartsWork): Parts {
  const [nz, ny, nx] = work.shape as unknown as [number, number, number]
  const { starts, ends, firstOfRow } = findRuns(work)
  const count = starts.length
  const parent = Int32Array.from(starts.keys())
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
      if (z > 0 && !work.planar) join(row, row - ny, ny * nx)
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
  return { starts, ends, labels, sizes: Int32Array.from(sizes) }
}

/** The runs in order, and for each row (and one past the last) the number of runs before it. */
function findRuns({ data, shape, below }: PartsWork): {
  starts: Int32Array
  ends: Int32Array
  firstOfRow: Int32Array
} {
  const [nz, ny, nx] = shape as unknown as [number, number, number]
  const firstOfRow = new Int32Array(nz * ny + 1)
  let starts = new Int32Array(1024)
  let ends = new Int32Array(1024)
  let count = 0
  const inside = (value: number): boolean => (below === undefined ? value === 1 : value < below)
  for (let row = 0; row < nz * ny; row++) {
    firstOfRow[row] = count
    const limit = (row + 1) * nx
    for (let n = row * nx; n < limit; n++) {
      if (!inside(data[n]!)) continue
      const start = n
      while (n < limit && inside(data[n]!)) n++
      if (count === starts.length) {
        starts = enlarge(starts)
        ends = enlarge(ends)
      }
      starts[count] = start
      ends[count++] = n
    }
  }
  firstOfRow[nz * ny] = count
  return { starts: starts.slice(0, count), ends: ends.slice(0, count), firstOfRow }
}

function enlarge(array: Int32Array): Int32Array<ArrayBuffer> {
  const out = new Int32Array(2 * array.length)
  out.set(array)
  return out
}
