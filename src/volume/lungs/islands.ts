import type { LungsOptions } from '../../kernels/lungs.js'
import { dilateMask, findParts, type Grid } from './grid.js'

/** Area of the largest island that is filled: a lesion 45 mm across. */
const largestMm2 = 1600

/** What joins an island to the tissue outside may be this wide, mm: a lesion that touches the wall. */
const neckMm = 14
/** Thinner ones are crevices, not islands, mm. */
const thickMm = 9

/** Islands as runs along x, with the number of each run's island, from 1. */
interface Islands {
  runs: { start: number; end: number; island: number }[]
  /** Voxels of each; index 0 unused. */
  sizes: number[]
  /** 1 where the outside is: neither lung, nor island, nor crevice. */
  open: Uint8Array
}

/**
 * Fills islands: what the lung surrounds within an axial slice, but for a narrow neck, such as a lesion too large for
 * closing and not free in 3-D because vessels or the pleura lead to it. The tip of the diaphragm is surrounded, too, but
 * goes on below: an island is left alone where more than half of it lies on open tissue in a neighboring slice, or on
 * another island that is left. Needs free voxels around the mask in each slice, neckMm / 2 and more.
 */
export function fillIslands(mask: Grid, options: LungsOptions = {}): void {
  const islands = findIslands(mask, options)
  if (islands.runs.length === 0) return
  const left = leaves(islands, mask, largestMm2 / (mask.spacing[1] * mask.spacing[2]))
  for (const { start, end, island } of islands.runs) if (!left[island]) mask.data.fill(1, start, end)
}

function findIslands(mask: Grid, options: LungsOptions): Islands {
  const { data, shape } = mask
  const plane = shape[1] * shape[2]
  const planar = { ...options, planar: true }
  // In-plane only: the next slice is out of reach.
  const flat: Grid = { ...mask, spacing: [1e6, mask.spacing[1], mask.spacing[2]] }
  // What lies far from the lung and is connected to the corner of its slice is surely outside.
  const near = findParts(dilateMask(flat, neckMm / 2, options), { ...planar, below: 1 })
  const core: Grid = { ...flat, data: new Uint8Array(data.length) }
  let outside = 0
  for (let run = 0; run < near.labels.length; run++) {
    if (near.starts[run]! % plane === 0) outside = near.labels[run]!
    if (near.labels[run] === outside) core.data.fill(1, near.starts[run], near.ends[run])
  }
  // Half a voxel more: what was eaten from both sides comes back whole.
  const open = dilateMask(core, neckMm / 2 + 0.5 * Math.max(mask.spacing[1], mask.spacing[2]), options).data
  const closed = new Uint8Array(data.length)
  for (let n = 0; n < closed.length; n++) {
    open[n] = open[n]! & (data[n]! ^ 1)
    closed[n] = (data[n]! | open[n]!) ^ 1
  }
  const parts = findParts({ data: closed, shape }, planar)
  if (parts.labels.length === 0) return { runs: [], sizes: [0], open }
  const thin = dilateMask(flat, thickMm / 2, options).data
  const numbers = new Int32Array(parts.sizes.length)
  const sizes = [0]
  for (let run = 0; run < parts.labels.length; run++) {
    const label = parts.labels[run]!
    for (let n = parts.starts[run]!; n < parts.ends[run]! && numbers[label] === 0; n++)
      if (thin[n] === 0) numbers[label] = sizes.push(parts.sizes[label]!) - 1
  }
  const runs: Islands['runs'] = []
  for (let run = 0; run < parts.labels.length; run++) {
    const island = numbers[parts.labels[run]!]!
    if (island > 0) runs.push({ start: parts.starts[run]!, end: parts.ends[run]!, island })
  }
  return { runs, sizes, open }
}

/** For each island, whether it is left alone. */
function leaves({ runs, sizes, open }: Islands, mask: Grid, largest: number): boolean[] {
  const plane = mask.shape[1] * mask.shape[2]
  const islandOf = new Int32Array(mask.data.length)
  for (const { start, end, island } of runs) islandOf.fill(island, start, end)
  /** Of each island, its voxels that lie on open tissue in the slice before and in the one after. */
  const onOpen = [new Int32Array(sizes.length), new Int32Array(sizes.length)]
  const shared = new Map<number, Map<number, number>>()
  for (const { start, end, island } of runs)
    for (const side of [0, 1]) {
      const offset = side === 0 ? -plane : plane
      if (start + offset < 0 || start + offset >= islandOf.length) continue
      for (let n = start + offset; n < end + offset; n++) {
        const beside = islandOf[n]!
        if (open[n] === 1) onOpen[side]![island]!++
        else if (beside > 0) {
          const counts = shared.get(island) ?? new Map<number, number>()
          counts.set(beside, (counts.get(beside) ?? 0) + 1)
          shared.set(island, counts)
        }
      }
    }
  const left = sizes.map(
    (size, island) => size > largest || onOpen[0]![island]! > size / 2 || onOpen[1]![island]! > size / 2,
  )
  for (let changed = true; changed;) {
    changed = false
    for (const [island, counts] of shared) {
      if (left[island]) continue
      for (const [beside, count] of counts)
        if (left[beside] && count > sizes[island]! / 2) {
          left[island] = true
          changed = true
        }
    }
  }
  return left
}
