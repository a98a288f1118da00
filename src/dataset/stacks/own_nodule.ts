import type { EdgeBox } from '../../geometry/box.js'
import { STACK_SIDE } from './read_stack.js'
import type { NoduleStack } from './read_stack.js'
import { greatest, least } from '../../lists.js'

/** The nodule that a stack is cut around. */
export interface OwnNodule {
  /** Most readers at one voxel. */
  readers: number
  /** Readers that make the consensus: at least half of them. */
  agreement: number
  /** Greatest diameter of the consensus on one slice, outer edges, mm; of all outlines where there is none. */
  axialDiameterMm: number
  /** For each slice what the consensus holds, or, where it holds nothing, what any reader outlined. */
  boxes: { k: number; box: EdgeBox; agreed: boolean }[]
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
    own.boxes.push({ k, box: any.box, agreed: agreed !== undefined })
    if (agreed !== undefined) widest = Math.max(widest, agreed.diameter)
  }
  own.axialDiameterMm = widest * volume.geometry.spacing[2]
  return own
}

/** Box (pixel edges) and greatest diameter (pixels) of the pixels that at enough `enough` readers outlined. */
function extent(
  counts: Uint8Array,
  k: number,
  enough: number,
): { box: EdgeBox; diameter: number } | undefined {
  // The ends of each row are enough for the diameter.
  const ends: { x: number; y: number }[] = []
  for (let y = 0; y < STACK_SIDE; y++) {
    const row = counts.subarray((k * STACK_SIDE + y) * STACK_SIDE, (k * STACK_SIDE + y + 1) * STACK_SIDE)
    const first = row.findIndex((count) => count >= enough)
    if (first >= 0) ends.push({ x: first, y }, { x: row.findLastIndex((count) => count >= enough), y })
  }
  if (ends.length === 0) return undefined
  let squared = 0
  for (const a of ends) for (const b of ends) squared = Math.max(squared, (a.x - b.x) ** 2 + (a.y - b.y) ** 2)
  return {
    box: {
      x1: least(ends.map((end) => end.x)),
      y1: ends[0]!.y,
      x2: greatest(ends.map((end) => end.x)) + 1,
      y2: ends.at(-1)!.y + 1,
    },
    diameter: Math.sqrt(squared) + 1,
  }
}
