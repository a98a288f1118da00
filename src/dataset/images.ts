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
  const { data, width, height, channels } = await decode(path, 'uchar')
  return { width, height, data: toRgb(data, channels) }
}

async function decode(
  path: string,
  depth: 'uchar' | 'ushort',
): Promise<{ data: Uint8Array; width: number; height: number; channels: number }> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    throw fileError(path, 'read image', error)
  }
  if (depth === 'uchar' && bytes[0] === 0x42 && bytes[1] === 0x4d)
    return { ...decodeBmp(bytes, path), channels: 3 }
  // In the header of a PNG, bytes 24 and 25 are the bit depth and the color type.
  const isHu = isPng(bytes) && bytes[24] === 16 && bytes[25] === 2
  if (depth === 'ushort' && !isHu)
    throw new NoduleError('FORMAT', 'not a frame of HU', { path, expected: '16-bit RGB PNG' })
  try {
    // From bytes, not from the path: libvips caches files by name, even when they change.
    const image = sharp(bytes, { limitInputPixels: MAX_IMAGE_SIDE ** 2, failOn: 'truncated' })
    const { data, info } = await image
      .flatten({ background: '#000' })
      .toColorspace(depth === 'uchar' ? 'srgb' : 'rgb16')
      .raw({ depth })
      .toBuffer({ resolveWithObject: true })
    return { data, width: info.width, height: info.height, channels: info.channels }
  } catch (error) {
    throw new NoduleError('FORMAT', 'not an image that can be read', {
      path,
      expected: 'PNG, JPEG or BMP',
      actual: describeError(error).split('\n')[0],
      cause: error,
    })
  }
}

function isPng(bytes: Buffer): boolean {
  return bytes.length >= 26 && bytes.readUInt32BE(0) === 0x89504e47
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
  if (isPng(head)) return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) }
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

/** An 8-bit RGB image as PNG bytes. Level 3 with filters: 20 % smaller than level 6 without, and as fast. */
export async function encodePng(image: RgbImage): Promise<Buffer> {
  return sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .png({ compressionLevel: 3, adaptiveFiltering: true })
    .toBuffer()
}

/** Added to HU in 16-bit frames, so that every int16 HU fits. */
const HU_OFFSET = 32768

/** Planes of HU [height, width], one a channel, as a 16-bit RGB PNG of HU + 32768, rounded. */
export async function encodeHuPng(
  width: number,
  height: number,
  planes: readonly Float32Array[],
): Promise<Buffer> {
  const channels = planes.length
  const values = new Uint16Array(width * height * channels)
  for (const [c, plane] of planes.entries())
    for (let i = 0; i < plane.length; i++)
      values[i * channels + c] = Math.min(65535, Math.max(0, Math.floor(plane[i]! + HU_OFFSET + 0.5)))
  return sharp(values, { raw: { width, height, channels: 3 } })
    .toColorspace('rgb16')
    .png({ compressionLevel: 3, adaptiveFiltering: true })
    .toBuffer()
}

/** Reads a frame that `encodeHuPng` made as gray levels of a window. Throws NoduleError (FILE, FORMAT). */
export async function readHuImage(path: string, window: { low: number; high: number }): Promise<RgbImage> {
  const { data, width, height } = await decode(path, 'ushort')
  const values = new Uint16Array(data.buffer, data.byteOffset, data.length / 2)
  const levels = 255 / (window.high - window.low)
  const gray = Uint8Array.from(values, (value) =>
    Math.min(255, Math.max(0, (value - HU_OFFSET - window.low) * levels + 0.5)),
  )
  return { width, height, data: gray }
}

/** Writes an RGB image as PNG, whole or not at all. */
export async function writePng(path: string, image: RgbImage): Promise<void> {
  await writeFileAtomic(path, await encodePng(image))
}
