import sharp from 'sharp'
import { readImage } from '../dataset/images.js'

/** A picture that the page holds: a JPEG as data URI and its size in pixels. */
export interface Picture {
  width: number
  height: number
  src: string
}

/**
 * Reads an image for the page. Of a 2.5-D frame (channels: slice before, slice, slice after) only the slice itself
 * is shown. Throws NoduleError as `readImage` does.
 */
export async function framePicture(path: string, layers: boolean): Promise<Picture> {
  const { width, height, data } = await readImage(path)
  if (!layers) return encode(data, width, height, 3)
  const gray = new Uint8Array(width * height)
  for (let i = 0; i < gray.length; i++) gray[i] = data[3 * i + 1]!
  return encode(gray, width, height, 1)
}

/** A gray picture from levels 0 to 255, row by row. */
export async function grayPicture(gray: Uint8Array, width: number, height: number): Promise<Picture> {
  return encode(gray, width, height, 1)
}

async function encode(data: Uint8Array, width: number, height: number, channels: 1 | 3): Promise<Picture> {
  const jpeg = await sharp(data, { raw: { width, height, channels } }).jpeg({ quality: 82 }).toBuffer()
  return { width, height, src: `data:image/jpeg;base64,${jpeg.toString('base64')}` }
}
