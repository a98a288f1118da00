import { parseHypes } from '../../src/config/hypes.js'
import type { Hypes } from '../../src/config/hypes.js'

/** Tiles of 96 x 64 pixels of 0.7 mm that share 40 pixels. */
export const TILE = { width: 96, height: 64, mm: 0.7, overlap: 40 }

/** Hypes of such tiles, or of tiles of another size. */
export function tileHypes(
  data: Record<string, unknown> = {},
  width = TILE.width,
  height = TILE.height,
): Hypes {
  return parseHypes({
    image_width: width,
    image_height: height,
    grid_width: width / 32,
    grid_height: height / 32,
    data: { mm_per_pixel: TILE.mm, tile_overlap_mm: TILE.overlap * TILE.mm, ...data },
  })
}
