import type { Hypes } from '../config/hypes.js'
import type { Tile } from '../dataset/index.js'
import type { EdgeBox } from '../geometry/box.js'
import { imageToFrame } from '../geometry/frame.js'
import type { FrameMapping } from '../geometry/frame.js'
import type { HuVolume, Lungs } from '../volume/index.js'

/** Neighboring slices that share a frame, so that their planes are rendered once and a GPU sees them in one run. */
const SHARED = 8
/**
 * What a frame shows around the place to be examined, pixels: the network decides by what surrounds a cell. With 80
 * the marks on two patients' scans are the same (confidences within 0.02).
 */
const RIM_PX = 16
/** A frame with a longer side would take too much memory; so large a place gets several tiles. */
const MAX_SIDE_PX = 1024

/**
 * One frame for every few slices of those given: the lungs there, `data.lung_margin_mm` and RIM_PX around them. On a
 * scan of a chest that is less than half of what tiles of one size cover.
 * @returns undefined where a frame would be too large
 */
export function lungTiles(
  { shape, geometry }: Pick<HuVolume, 'shape' | 'geometry'>,
  lungs: Pick<Lungs, 'mask' | 'box'>,
  slices: readonly number[],
  canvas: FrameMapping,
  hypes: Hypes,
): ((k: number) => readonly Tile[]) | undefined {
  const margin = hypes.data.lung_margin_mm
  const [, rowMm, columnMm] = geometry.spacing
  const tilesOfSlice = new Map<number, readonly Tile[]>()
  for (let start = 0; start < slices.length; start += SHARED) {
    const those = slices.slice(start, start + SHARED)
    const box = maskBox(lungs, shape, those)
    if (box === undefined) continue
    const place = imageToFrame(canvas, {
      x1: box.x1 - margin / columnMm,
      y1: box.y1 - margin / rowMm,
      x2: box.x2 + margin / columnMm,
      y2: box.y2 + margin / rowMm,
    })
    const tiles = wholeTile(canvas, place, hypes)
    if (tiles === undefined) return undefined
    for (const k of those) tilesOfSlice.set(k, tiles)
  }
  return (k) => tilesOfSlice.get(k) ?? []
}

/**
 * The one frame that shows a place with RIM_PX around it, in whole cells; beyond the canvas too.
 * @param place canvas pixels
 * @returns one tile; undefined where it would be too large
 */
export function wholeTile(
  canvas: FrameMapping,
  place: EdgeBox,
  { region_size: cell }: Pick<Hypes, 'region_size'>,
): [Tile] | undefined {
  const [x1, x2] = inCells(place.x1, place.x2, cell)
  const [y1, y2] = inCells(place.y1, place.y2, cell)
  const [frameWidth, frameHeight] = [x2 - x1, y2 - y1]
  if (Math.max(frameWidth, frameHeight) > MAX_SIDE_PX) return undefined
  const area = { x1, y1, x2, y2 }
  const mapping = {
    ...canvas,
    originX: canvas.originX + x1 / canvas.scale,
    originY: canvas.originY + y1 / (canvas.scaleY ?? canvas.scale),
    frameWidth,
    frameHeight,
  }
  const inner = {
    left: x1 > 0,
    top: y1 > 0,
    right: x2 < canvas.frameWidth,
    bottom: y2 < canvas.frameHeight,
  }
  return [{ mapping, area, core: area, inner }]
}

/** The range with RIM_PX on both sides, in whole pixels and cells. */
function inCells(low: number, high: number, cell: number): [number, number] {
  const length = Math.ceil((high - low + 2 * RIM_PX) / cell) * cell
  const start = Math.round((low + high - length) / 2)
  return [start, start + length]
}

/** Where the lungs lie in some slices: image pixels at the edges. undefined: nowhere. */
function maskBox(
  { mask, box: { x, y } }: Pick<Lungs, 'mask' | 'box'>,
  [, rows, columns]: readonly [number, number, number],
  slices: readonly number[],
): EdgeBox | undefined {
  const box = { x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity }
  for (const k of slices)
    for (let row = y[0]; row < y[1]; row++) {
      const start = (k * rows + row) * columns
      const line = mask.subarray(start + x[0], start + x[1])
      const first = line.indexOf(1)
      if (first < 0) continue
      box.x1 = Math.min(box.x1, x[0] + first)
      box.x2 = Math.max(box.x2, x[0] + line.lastIndexOf(1) + 1)
      box.y1 = Math.min(box.y1, row)
      box.y2 = Math.max(box.y2, row + 1)
    }
  return box.x2 > box.x1 ? box : undefined
}
