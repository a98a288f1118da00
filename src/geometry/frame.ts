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
