import type { Hypes } from '../config/hypes.js'
import { tileFrames } from '../geometry/frame.js'
import type { EdgeBox } from '../geometry/box.js'
import type { FrameMapping } from '../geometry/frame.js'
import { airGray } from './frames.js'
import type { Window } from './frames.js'

/** A frame of the model that lies on a canvas. */
export interface Tile {
  mapping: FrameMapping
  /** Where it lies: canvas pixels, whole; it may reach beyond the canvas. */
  area: EdgeBox
  /** What lies deeper in this tile than in any other: up to the middle of what it shares. Canvas pixels. */
  core: EdgeBox
  /** The sides at which the canvas goes on. */
  inner: { left: boolean; top: boolean; right: boolean; bottom: boolean }
}

/**
 * The frames that the model sees of a canvas, row by row: with `data.mm_per_pixel` tiles that share at least
 * `data.tile_overlap_mm`, so that whatever is no larger lies whole in one of them; without it the canvas, which is a
 * frame then.
 */
export function tilesOf(
  canvas: FrameMapping,
  hypes: Pick<Hypes, 'image_width' | 'image_height'> & {
    data: Pick<Hypes['data'], 'mm_per_pixel' | 'tile_overlap_mm'>
  },
): Tile[] {
  const { mm_per_pixel: mmPerPixel, tile_overlap_mm: overlapMm } = hypes.data
  const mappings =
    mmPerPixel > 0
      ? // Whole pixels, less the rounding error of the quotient.
        tileFrames(canvas, hypes.image_width, hypes.image_height, Math.ceil(overlapMm / mmPerPixel - 1e-6))
      : [canvas]
  const areas = mappings.map((mapping) => {
    const x1 = Math.round((mapping.originX - canvas.originX) * canvas.scale)
    const y1 = Math.round((mapping.originY - canvas.originY) * (canvas.scaleY ?? canvas.scale))
    return { x1, y1, x2: x1 + mapping.frameWidth, y2: y1 + mapping.frameHeight }
  })
  const columns = coresOf(areas.map(({ x1, x2 }) => [x1, x2]))
  const rows = coresOf(areas.map(({ y1, y2 }) => [y1, y2]))
  return mappings.map((mapping, n) => {
    const area = areas[n]!
    const [x1, x2] = columns.get(area.x1)!
    const [y1, y2] = rows.get(area.y1)!
    return {
      mapping,
      area,
      core: { x1, y1, x2, y2 },
      inner: {
        left: area.x1 > 0,
        top: area.y1 > 0,
        right: area.x2 < canvas.frameWidth,
        bottom: area.y2 < canvas.frameHeight,
      },
    }
  })
}

/** Along one axis: the ranges, cut in the middle of what neighbors share, by their starts. */
function coresOf(ranges: readonly (readonly [number, number])[]): Map<number, readonly [number, number]> {
  const sorted = [...new Map(ranges).entries()].sort(([a], [b]) => a - b)
  return new Map(
    sorted.map(([start, end], n) => {
      const [before, after] = [sorted[n - 1], sorted[n + 1]]
      const low = before === undefined ? start : (start + before[1]) / 2
      return [start, [low, after === undefined ? end : (after[0] + end) / 2]] as const
    }),
  )
}

/** An image as a canvas that tiles lie on: its own pixels. */
export function imageCanvas({ width, height }: { width: number; height: number }): FrameMapping {
  return { originX: 0, originY: 0, scale: 1, frameWidth: width, frameHeight: height }
}

/**
 * The part of an image that a tile shows, air beyond the image.
 * @param image gray levels [height, width, channels], the canvas itself
 * @returns [tile height, tile width, channels]
 */
export function cutTile(
  image: { data: Uint8Array; width: number; height: number },
  { area }: Pick<Tile, 'area'>,
  channels: number,
  window: Window,
): Uint8Array {
  const width = area.x2 - area.x1
  const height = area.y2 - area.y1
  const tile = new Uint8Array(width * height * channels).fill(airGray(window))
  const [x1, x2] = [Math.max(0, area.x1), Math.min(image.width, area.x2)]
  const [y1, y2] = [Math.max(0, area.y1), Math.min(image.height, area.y2)]
  if (x1 >= x2) return tile
  for (let y = y1; y < y2; y++) {
    const from = (y * image.width + x1) * channels
    tile.set(
      image.data.subarray(from, from + (x2 - x1) * channels),
      ((y - area.y1) * width + x1 - area.x1) * channels,
    )
  }
  return tile
}
