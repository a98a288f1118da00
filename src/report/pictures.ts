import sharp from 'sharp'
import { readHuImage, readImage } from '../formats/images.js'
import { imageFile } from '../dataset/list.js'
import type { FrameList, ListEntry } from '../dataset/list.js'

/** A picture that the page holds: a JPEG as data URI and its size in pixels. */
export interface Picture {
  width: number
  height: number
  src: string
}

/** The gray levels of the page's pictures, HU: lung and soft tissue at once. */
export const PICTURE_WINDOW = { low: -1000, high: 400 } as const

/**
 * Reads an entry's image for the page. Of nodule's own 2.5-D frames (channels: slice before, slice, slice after)
 * only the slice itself is shown. Throws NoduleError as `readImage` does.
 */
export async function framePicture(list: FrameList, entry: ListEntry): Promise<Picture> {
  const path = imageFile(list, entry)
  const hu = entry.nodule?.encoding === 'hu16'
  const { width, height, data } = hu ? await readHuImage(path, PICTURE_WINDOW) : await readImage(path)
  if (entry.nodule === undefined) return encode(data, width, height, 3)
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
