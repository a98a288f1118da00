import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import type { EdgeBox } from './box.js'

/**
 * How an image lies in the network frame: circles of the patient are circles there, so that there are two scales where
 * the image's pixels are not square.
 * frame = (image - origin) * scale, in edge coordinates; exactly invertible.
 */
export interface FrameMapping {
  /** Image x and y (edge coordinates, pixels) of the frame's upper left corner; may be negative. */
  originX: number
  originY: number
  /** Frame pixels per image pixel along x and, without `scaleY`, along y. */
  scale: number
  scaleY?: number
  /** Size of the frame in pixels. */
  frameWidth: number
  frameHeight: number
}

/**
 * Fits a region of the image into the frame, centered, with `margin` image pixels around it.
 * @param region what must be visible, image pixels
 * @param aspect height of an image pixel / its width
 */
export function fitFrame(
  region: EdgeBox,
  frameWidth: number,
  frameHeight: number,
  margin = 0,
  aspect = 1,
): FrameMapping {
  checkNumber('aspect', aspect, 1e-6, 1e6)
  checkInteger('frameWidth', frameWidth, 1, 65536)
  checkInteger('frameHeight', frameHeight, 1, 65536)
  checkNumber('margin', margin, 0, 1e6)
  const width = region.x2 - region.x1 + 2 * margin
  const height = region.y2 - region.y1 + 2 * margin
  if (!(width > 0) || !(height > 0)) throw invalidParameter('region', 'box with an area', region)
  const scale = Math.min(frameWidth / width, frameHeight / (height * aspect))
  const scaleY = scale * aspect
  return {
    originX: (region.x1 + region.x2) / 2 - frameWidth / scale / 2,
    originY: (region.y1 + region.y2) / 2 - frameHeight / scaleY / 2,
    ...scales(scale, scaleY),
    frameWidth,
    frameHeight,
  }
}

/** As `FrameMapping` has them. */
function scales(scale: number, scaleY: number): Pick<FrameMapping, 'scale' | 'scaleY'> {
  return scaleY === scale ? { scale } : { scale, scaleY }
}

export function imageToFrame(mapping: FrameMapping, box: EdgeBox): EdgeBox {
  const { originX, originY, scale, scaleY = scale } = mapping
  return {
    x1: (box.x1 - originX) * scale,
    y1: (box.y1 - originY) * scaleY,
    x2: (box.x2 - originX) * scale,
    y2: (box.y2 - originY) * scaleY,
  }
}

export function frameToImage(mapping: FrameMapping, box: EdgeBox): EdgeBox {
  const { originX, originY, scale, scaleY = scale } = mapping
  return {
    x1: box.x1 / scale + originX,
    y1: box.y1 / scaleY + originY,
    x2: box.x2 / scale + originX,
    y2: box.y2 / scaleY + originY,
  }
}

/**
 * A canvas of a fixed scale: covers the region, centered, whole pixels. Tiles of the network's size lie on it
 * (`tileFrames`), and training crops are cut from it.
 * @param region what must be covered, image pixels
 * @param scale canvas pixels per image pixel along x
 * @param scaleY the same along y
 */
export function canvasFrame(region: EdgeBox, scale: number, scaleY = scale): FrameMapping {
  checkNumber('scale', scale, 1e-6, 1e6)
  checkNumber('scaleY', scaleY, 1e-6, 1e6)
  const width = region.x2 - region.x1
  const height = region.y2 - region.y1
  if (!(width > 0) || !(height > 0)) throw invalidParameter('region', 'box with an area', region)
  // A rounding error must not add a pixel.
  const frameWidth = checkNumber('canvas width', Math.ceil(width * scale - 1e-6), 1, 65536)
  const frameHeight = checkNumber('canvas height', Math.ceil(height * scaleY - 1e-6), 1, 65536)
  return {
    originX: (region.x1 + region.x2) / 2 - frameWidth / scale / 2,
    originY: (region.y1 + region.y2) / 2 - frameHeight / scaleY / 2,
    ...scales(scale, scaleY),
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
  checkInteger('tileWidth', tileWidth, 1, 65536)
  checkInteger('tileHeight', tileHeight, 1, 65536)
  const starts = (length: number, tile: number): number[] => {
    if (typeof overlap !== 'number' || !(overlap >= 0 && overlap < tile))
      throw invalidParameter('overlap', `0 to below ${tile} pixels`, overlap)
    if (length <= tile) return [Math.round((length - tile) / 2)]
    const count = Math.ceil((length - overlap) / (tile - overlap))
    return Array.from({ length: count }, (_, n) => Math.round((n * (length - tile)) / (count - 1)))
  }
  const columns = starts(canvas.frameWidth, tileWidth)
  const { scale, scaleY = scale } = canvas
  return starts(canvas.frameHeight, tileHeight).flatMap((y) =>
    columns.map((x) => ({
      originX: canvas.originX + x / scale,
      originY: canvas.originY + y / scaleY,
      ...scales(scale, scaleY),
      frameWidth: tileWidth,
      frameHeight: tileHeight,
    })),
  )
}
