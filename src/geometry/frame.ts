import { checkNumber, invalidParameter } from '../check.js'
import type { EdgeBox } from './box.js'

/**
 * How an image lies in the network frame: one scale for x and y, so that circles stay circles.
 * frame = (image - origin) * scale, in edge coordinates; exactly invertible.
 */
export interface FrameMapping {
  /** Image x and y (edge coordinates, pixels) of the frame's upper left corner; may be negative. */
  originX: number
  originY: number
  /** Frame pixels per image pixel. */
  scale: number
  /** Size of the frame in pixels. */
  frameWidth: number
  frameHeight: number
}

/**
 * Fits a region of the image into the frame, centered, with `margin` image pixels around it.
 * @param region what must be visible, image pixels
 */
export function fitFrame(region: EdgeBox, frameWidth: number, frameHeight: number, margin = 0): FrameMapping {
  checkNumber('frameWidth', frameWidth, 1, 65536)
  checkNumber('frameHeight', frameHeight, 1, 65536)
  const width = region.x2 - region.x1 + 2 * margin
  const height = region.y2 - region.y1 + 2 * margin
  if (!(width > 0) || !(height > 0)) throw invalidParameter('region', 'box with an area', region)
  const scale = Math.min(frameWidth / width, frameHeight / height)
  return {
    originX: (region.x1 + region.x2) / 2 - frameWidth / scale / 2,
    originY: (region.y1 + region.y2) / 2 - frameHeight / scale / 2,
    scale,
    frameWidth,
    frameHeight,
  }
}

export function imageToFrame(mapping: FrameMapping, box: EdgeBox): EdgeBox {
  const { originX, originY, scale } = mapping
  return {
    x1: (box.x1 - originX) * scale,
    y1: (box.y1 - originY) * scale,
    x2: (box.x2 - originX) * scale,
    y2: (box.y2 - originY) * scale,
  }
}

export function frameToImage(mapping: FrameMapping, box: EdgeBox): EdgeBox {
  const { originX, originY, scale } = mapping
  return {
    x1: box.x1 / scale + originX,
    y1: box.y1 / scale + originY,
    x2: box.x2 / scale + originX,
    y2: box.y2 / scale + originY,
  }
}

/**
 * A canvas of a fixed scale: covers the region, centered, whole pixels. Tiles of the network's size lie on it
 * (`tileFrames`), and training crops are cut from it.
 * @param region what must be covered, image pixels
 * @param scale canvas pixels per image pixel
 */
export function canvasFrame(region: EdgeBox, scale: number): FrameMapping {
  checkNumber('scale', scale, 1e-6, 1e6)
  const width = region.x2 - region.x1
  const height = region.y2 - region.y1
  if (!(width > 0) || !(height > 0)) throw invalidParameter('region', 'box with an area', region)
  // A rounding error must not add a pixel.
  const frameWidth = checkNumber('canvas width', Math.ceil(width * scale - 1e-6), 1, 65536)
  const frameHeight = checkNumber('canvas height', Math.ceil(height * scale - 1e-6), 1, 65536)
  return {
    originX: (region.x1 + region.x2) / 2 - frameWidth / scale / 2,
    originY: (region.y1 + region.y2) / 2 - frameHeight / scale / 2,
    scale,
    frameWidth,
    frameHeight,
  }
}

/**
 * As few tiles of one size as cover the canvas, neighbors sharing at least `overlap` pixels, spread evenly at whole
 * pixels; a canvas smaller than a tile lies in the middle of one.
 * @param overlap canvas pixels, less than the tile's sides
 * @returns row by row
 */
export function tileFrames(
  canvas: FrameMapping,
  tileWidth: number,
  tileHeight: number,
  overlap: number,
): FrameMapping[] {
  const starts = (length: number, tile: number): number[] => {
    if (!(overlap >= 0 && overlap < tile))
      throw invalidParameter('overlap', `0 to below ${tile} pixels`, overlap)
    if (length <= tile) return [Math.round((length - tile) / 2)]
    const count = Math.ceil((length - overlap) / (tile - overlap))
    return Array.from({ length: count }, (_, n) => Math.round((n * (length - tile)) / (count - 1)))
  }
  const columns = starts(canvas.frameWidth, tileWidth)
  return starts(canvas.frameHeight, tileHeight).flatMap((y) =>
    columns.map((x) => ({
      originX: canvas.originX + x / canvas.scale,
      originY: canvas.originY + y / canvas.scale,
      scale: canvas.scale,
      frameWidth: tileWidth,
      frameHeight: tileHeight,
    })),
  )
}
