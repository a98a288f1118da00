import type { EdgeBox } from '../../geometry/box.js'
import { pixelBox, pixelHull } from '../../geometry/hull.js'
import type { Hull } from '../../geometry/hull.js'
import { STACK_SIDE } from './read_stack.js'
import type { NoduleStack } from './read_stack.js'

/** The nodule that a stack is cut around. */
export interface OwnNodule {
  /** Most readers at one voxel. */
  readers: number
  /** Readers that make the consensus: at least half of them. */
  agreement: number
  /** Greatest diameter of the consensus on one slice, outer edges, mm; of all outlines where there is none. */
  axialDiameterMm: number
  /** For each slice what the consensus holds, or, where it holds nothing, what any reader outlined. */
  boxes: { k: number; box: EdgeBox; hull: Hull; agreed: boolean }[]
}

export function ownNodule(stack: NoduleStack): OwnNodule {
  const { readers: counts, volume } = stack
  const readers = counts.reduce((a, b) => Math.max(a, b), 0)
  const agreement = Math.ceil(readers / 2)
  const own: OwnNodule = { readers, agreement, axialDiameterMm: 0, boxes: [] }
  let widest = 0
  for (let k = 0; k < volume.shape[0]; k++) {
    const agreed = extent(counts, k, agreement)
    const any = agreed ?? extent(counts, k, 1)
    if (any === undefined) continue
    const hull = pixelHull(any.ends)
    own.boxes.push({ k, box: pixelBox(hull), hull, agreed: agreed !== undefined })
    if (agreed !== undefined) widest = Math.max(widest, agreed.diameter)
  }
  own.axialDiameterMm = widest * volume.geometry.spacing[2]
  return own
}

/** The first and the last pixel in each row of those that at least `enough` readers outlined, and their greatest diameter, pixels. */
function extent(
  counts: Uint8Array,
  k: number,
  enough: number,
): { diameter: number; ends: [number, number][] } | undefined {
  // The ends of each row are enough for the diameter.
  const ends: [number, number][] = []
  for (let y = 0; y < STACK_SIDE; y++) {
    const row = counts.subarray((k * STACK_SIDE + y) * STACK_SIDE, (k * STACK_SIDE + y + 1) * STACK_SIDE)
    const first = row.findIndex((count) => count >= enough)
    if (first >= 0) ends.push([first, y], [row.findLastIndex((count) => count >= enough), y])
  }
  if (ends.length === 0) return undefined
  let squared = 0
  for (const a of ends)
    for (const b of ends) squared = Math.max(squared, (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)
  return { diameter: Math.sqrt(squared) + 1, ends }
}
