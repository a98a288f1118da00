import { dilateMask, type Grid } from './grid.js'

/** Area of the largest island that is filled: a lesion 45 mm across. */
const largestMm2 = 1600

/** What joins an island to the tissue outside may be this wide, mm: a lesion that touches the wall. */
const neckMm = 14
/** Thinner ones are crevices, not islands, mm. */
const thickMm = 9

/**
 * Fills islands: what the lung surrounds within an axial slice, but for a narrow neck, such as a lesion too large for
 * closing and not free in 3-D because vessels or the pleura lead to it. The tip of the diaphragm is surrounded, too, but
 * goes on below: an island is left alone where more than half of it lies on open tissue in a neighboring slice, or on
 * another island that is left. Needs free voxels around the mask in each slice, neckMm / 2 and more.
 */
export function fillIslands(mask: Grid): void {
  const { data } = mask
  const labels = labelIslands(mask)
  const sizes = [0]
  for (const label of labels) if (label > 0) sizes[label] = (sizes[label] ?? 0) + 1
  if (sizes.length === 1) return
  const plane = mask.shape[1] * mask.shape[2]
  const left = leaves(labels, plane, sizes, largestMm2 / (mask.spacing[1] * mask.spacing[2]))
  for (let n = 0; n < data.length; n++) if (labels[n]! > 0 && !left[labels[n]!]) data[n] = 1
}

/** -1 open to the outside, 0 lung or crevice, else the number of the island. */
function labelIslands(mask: Grid): Int32Array {
  const { data, shape } = mask
  const [nz, ny, nx] = shape
  const plane = ny * nx
  // In-plane only: the next slice is out of reach.
  const flat: Grid = { ...mask, spacing: [1e6, mask.spacing[1], mask.spacing[2]] }
  const near = dilateMask(flat, neckMm / 2).data
  const thin = dilateMask(flat, thickMm / 2).data
  const queue = new Int32Array(plane)
  /** Labels the free pixels connected to one of a slice that begins at `first`; they are then in the queue. */
  const flood = (
    labels: Int32Array,
    label: number,
    first: number,
    start: number,
    free: (n: number) => boolean,
  ) => {
    let tail = 0
    const visit = (at: number): void => {
      if (labels[first + at] !== 0 || !free(first + at)) return
      labels[first + at] = label
      queue[tail++] = at
    }
    visit(start)
    for (let head = 0; head < tail; head++) {
      const at = queue[head]!
      const x = at % nx
      if (x > 0) visit(at - 1)
      if (x < nx - 1) visit(at + 1)
      if (at >= nx) visit(at - nx)
      if (at < plane - nx) visit(at + nx)
    }
    return queue.subarray(0, tail)
  }
  const core = new Int32Array(data.length)
  for (let z = 0; z < nz; z++) flood(core, 1, z * plane, 0, (n) => near[n] === 0)
  const cores: Grid = { ...flat, data: Uint8Array.from(core) }
  // Half a voxel more: what was eaten from both sides comes back whole.
  const open = dilateMask(cores, neckMm / 2 + 0.5 * Math.max(mask.spacing[1], mask.spacing[2])).data
  const labels = new Int32Array(data.length)
  for (let n = 0; n < data.length; n++) if (data[n] === 0 && open[n] === 1) labels[n] = -1
  let count = 0
  const crevice = -2
  for (let n = 0; n < data.length; n++) {
    if (data[n] === 1 || labels[n] !== 0) continue
    const first = n - (n % plane)
    const pixels = flood(labels, count + 1, first, n - first, (m) => data[m] === 0)
    if (pixels.some((at) => thin[first + at] === 0)) count++
    else for (const at of pixels) labels[first + at] = crevice
  }
  for (let n = 0; n < labels.length; n++) if (labels[n] === crevice) labels[n] = 0
  return labels
}

/** For each island, whether it is left alone. */
function leaves(labels: Int32Array, plane: number, sizes: number[], largest: number): boolean[] {
  const open = [new Int32Array(sizes.length), new Int32Array(sizes.length)]
  const shared = new Map<number, Map<number, number>>()
  for (let n = 0; n < labels.length; n++) {
    const label = labels[n]!
    if (label <= 0) continue
    for (const side of [0, 1]) {
      const other = n + (side === 0 ? -plane : plane)
      if (other < 0 || other >= labels.length) continue
      const beside = labels[other]!
      if (beside < 0) open[side]![label]!++
      else if (beside > 0) {
        const counts = shared.get(label) ?? new Map<number, number>()
        counts.set(beside, (counts.get(beside) ?? 0) + 1)
        shared.set(label, counts)
      }
    }
  }
  const left = sizes.map(
    (size, label) => size > largest || open[0]![label]! > size / 2 || open[1]![label]! > size / 2,
  )
  for (let changed = true; changed;) {
    changed = false
    for (const [label, counts] of shared) {
      if (left[label]) continue
      for (const [beside, count] of counts)
        if (left[beside] && count > sizes[label]! / 2) {
          left[label] = true
          changed = true
        }
    }
  }
  return left
}
