import { open, readFile } from 'node:fs/promises'
import sharp from 'sharp'
import { NoduleError, describeError, fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { MAX_IMAGE_SIDE, bmpSize, decodeBmp } from './bmp.js'
import type { RgbImage } from './bmp.js'

/**
 * Reads a PNG, JPEG or BMP as RGB; gray images become three equal channels, 16-bit ones are scaled to 8 bits,
 * transparency is laid on black. Throws NoduleError (FILE, FORMAT, UNSUPPORTED).
 */
export async function readImage(path: string): Promise<RgbImage> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    throw fileError(path, 'read image', error)
  }
  if (bytes[0] === 0x42 && bytes[1] === 0x4d) return decodeBmp(bytes, path)
  try {
    // From bytes, not from the path: libvips caches files by name, even when they change.
    const { data, info } = await sharp(bytes, { limitInputPixels: MAX_IMAGE_SIDE ** 2, failOn: 'truncated' })
      .flatten({ background: '#000' })
      .toColorspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    return { width: info.width, height: info.height, data: toRgb(data, info.channels) }
  } catch (error) {
    throw new NoduleError('FORMAT', 'not an image that can be read', {
      path,
      expected: 'PNG, JPEG or BMP',
      actual: describeError(error).split('\n')[0],
      cause: error,
    })
  }
}

function toRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.length)
  const pixels = data.length / channels
  const rgb = new Uint8Array(pixels * 3)
  for (let i = 0; i < pixels; i++)
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = data[i * channels + (channels < 3 ? 0 : c)]!
  return rgb
}

/** Width and height of an image file from its header. Throws NoduleError (FILE, FORMAT). */
export async function readImageSize(path: string): Promise<{ width: number; height: number }> {
  const head = Buffer.alloc(26)
  try {
    const file = await open(path)
    try {
      await file.read(head, 0, head.length, 0)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw fileError(path, 'read image', error)
  }
  const bmp = bmpSize(head)
  if (bmp !== undefined) return bmp
  if (head.readUInt32BE(0) === 0x89504e47)
    return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) }
  try {
    const { width, height } = await sharp(await readFile(path)).metadata()
    return { width, height }
  } catch (error) {
    throw new NoduleError('FORMAT', 'not an image that can be read', {
      path,
      expected: 'PNG, JPEG or BMP',
      actual: describeError(error).split('\n')[0],
      cause: error,
    })
  }
}

/** An 8-bit RGB image as PNG bytes. Level 6 without filters: the fastest that is not larger than the default. */
export async function encodePng(image: RgbImage): Promise<Buffer> {
  return sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .png({ compressionLevel: 6, adaptiveFiltering: false })
    .toBuffer()
}

/** Writes an RGB image as PNG, whole or not at all. */
export async function writePng(path: string, image: RgbImage): Promise<void> {
  await writeFileAtomic(path, await encodePng(image))
}
