import type { Tile } from '../dataset/index.js'
import type { EdgeBox, ScoredBox } from '../geometry/box.js'
import { STITCH_DEFAULTS, sameObject } from './stitch.js'
import type { StitchParameters } from './stitch.js'

/** The shared part from which boxes of two tiles are one object. TensorBox's tau is an IoU, and knows no tiles. */
export function tileOverlap({ stitch, overlap }: StitchParameters): number {
  return stitch === 'greedy' ? overlap : STITCH_DEFAULTS.overlap
}

/** What was found in a tile. */
export interface TileBoxes {
  tile: Tile
  /** Tile pixels. */
  boxes: readonly ScoredBox[]
}

/** A box nearer than this to a side at which the canvas goes on was seen without what surrounds it, pixels. */
const RIM_PX = 8
/** One nearer than this is cut off there. */
const CUT_PX = 1

interface Candidate {
  tile: Tile
  box: ScoredBox
  /** 0: seen with its surroundings, 1: near a side, 2: cut off. */
  rank: number
}

/**
 * Puts the boxes of the tiles of one slice together, each object once. A box at the rim of its tile is dropped where
 * another examined tile shows that place well inside: what that one says counts. Of the others that are the same object
 * the ones inside win against those at a rim, and these against those cut off, then the more confident; boxes of one
 * tile have been stitched already and do not touch each other.
 *
 * @param parts the tiles that were examined, those without boxes too
 * @param overlap as in `StitchOptions`
 * @returns canvas pixels, falling score
 */
export function stitchTiles(parts: readonly TileBoxes[], overlap: number): ScoredBox[] {
  const candidates: Candidate[] = []
  for (const { tile, boxes } of parts) {
    const { x1: left, y1: top } = tile.area
    for (const { x1, y1, x2, y2, score } of boxes) {
      const box = { x1: x1 + left, y1: y1 + top, x2: x2 + left, y2: y2 + top, score }
      const inside = depth(box, tile)
      // Twice the rim: tiles that see the object a few pixels apart must not both leave it to the other.
      if (
        inside < RIM_PX &&
        parts.some((other) => other.tile !== tile && depth(box, other.tile) >= 2 * RIM_PX)
      )
        continue
      candidates.push({ tile, box, rank: inside < CUT_PX ? 2 : inside < RIM_PX ? 1 : 0 })
    }
  }
  candidates.sort((a, b) => a.rank - b.rank || b.box.score - a.box.score)
  const accepted: Candidate[] = []
  for (const one of candidates) {
    const known = accepted.some((other) => other.tile !== one.tile && sameObject(one.box, other.box, overlap))
    if (!known) accepted.push(one)
  }
  return accepted.map(({ box }) => box).sort((a, b) => b.score - a.score)
}

/** Smallest distance of a box from the sides of a tile at which the canvas goes on; negative where it crosses one. */
function depth(box: EdgeBox, { area, inner }: Tile): number {
  return Math.min(
    inner.left ? box.x1 - area.x1 : Infinity,
    inner.top ? box.y1 - area.y1 : Infinity,
    inner.right ? area.x2 - box.x2 : Infinity,
    inner.bottom ? area.y2 - box.y2 : Infinity,
  )
}
