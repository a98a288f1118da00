import sharp from 'sharp'
import { checkInteger, invalidParameter } from '../check.js'
import { NoduleError, describeBriefly } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { memoryLimit } from '../limits.js'
import { MAX_IMAGE_SIDE, bmpSize, decodeBmp } from './bmp.js'
import type { RgbImage } from './bmp.js'
import { readRegular, readStart } from '../read_files.js'

/** A file of more bytes is no frame. */
const MAX_IMAGE_BYTES = 2 ** 30

/**
 * Reads a PNG, JPEG or BMP as RGB; gray images become three equal channels, 16-bit ones are scaled to 8 bits,
 * transparency is laid on black. Throws NoduleError (FILE, FORMAT, UNSUPPORTED).
 */
export async function readImage(path: string): Promise<RgbImage> {
  const { data, width, height, channels } = await decode(path, 'uchar')
  return { width, height, data: toRgb(data, channels) }
}

/** What libvips decodes into. */
type Space = 'b-w' | 'srgb' | 'grey16' | 'rgb16'

/** 8-bit files of any kind as RGB, gray PNGs as they are where `gray` allows; 16-bit ones must be PNGs of `encodeHuPng`. */
function spaceOf(bytes: Buffer, path: string, depth: 'uchar' | 'ushort', gray: boolean): Space {
  const header = isPng(bytes) ? pngHeader(bytes) : undefined
  if (depth === 'uchar') return gray && header?.bits === 8 && header.color === GRAY ? 'b-w' : 'srgb'
  if (header?.bits === 16 && header.color === RGB) return 'rgb16'
  if (header?.bits === 16 && header.color === GRAY) return 'grey16'
  throw new NoduleError('FORMAT', 'not a frame of HU', { path, expected: '16-bit RGB PNG' })
}

async function decode(
  path: string,
  depth: 'uchar' | 'ushort',
  gray = false,
): Promise<{ data: Uint8Array; width: number; height: number; channels: number }> {
  const bytes = await readRegular(path, { action: 'read image', limit: MAX_IMAGE_BYTES })
  if (depth === 'uchar' && bytes[0] === 0x42 && bytes[1] === 0x4d)
    return { ...decodeBmp(bytes, path), channels: 3 }
  const space = spaceOf(bytes, path, depth, gray)
  try {
    const { width, height } = isPng(bytes) ? pngHeader(bytes) : await sharp(bytes).metadata()
    checkCost(path, bytes, width, height, depth)
    // From bytes, not from the path: libvips caches files by name, even when they change.
    // Gray levels are measurements: a color profile must not change them.
    const image = sharp(bytes, {
      limitInputPixels: MAX_IMAGE_SIDE ** 2,
      failOn: 'truncated',
      ignoreIcc: true,
    })
    const { data, info } = await image
      .flatten({ background: '#000' })
      .toColorspace(space)
      .raw({ depth })
      .toBuffer({ resolveWithObject: true })
    return { data, width: info.width, height: info.height, channels: info.channels }
  } catch (error) {
    if (error instanceof NoduleError) throw error
    throw new NoduleError('FORMAT', 'not an image that can be read', {
      path,
      expected: 'PNG, JPEG or BMP',
      actual: describeBriefly(error),
      cause: error,
    })
  }
}

/** Throws NoduleError FORMAT where the decoded image takes more memory than its file may cost: a bomb. */
function checkCost(
  path: string,
  file: Buffer,
  width: number,
  height: number,
  depth: 'uchar' | 'ushort',
): void {
  const cost = width * height * 3 * (depth === 'uchar' ? 1 : 2)
  if (cost <= memoryLimit(file.length)) return
  throw new NoduleError('FORMAT', 'image too large for its file', {
    path,
    expected: `at most ${memoryLimit(file.length)} bytes of pixels`,
    actual: `${width} x ${height}`,
  })
}

function isPng(bytes: Buffer): boolean {
  return bytes.length >= 26 && bytes.readUInt32BE(0) === 0x89504e47
}

/** Color types of a PNG (ISO/IEC 15948, 11.2.2). */
const [GRAY, RGB] = [0, 2]

/** The first fields of a PNG's IHDR chunk. */
function pngHeader(bytes: Buffer): { width: number; height: number; bits: number; color: number } {
  return {
    width: bytes.readUInt32BE(16),
    height: bytes.readUInt32BE(20),
    bits: bytes[24]!,
    color: bytes[25]!,
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
  const head = await readStart(path, 26, 'read image')
  const bmp = bmpSize(head)
  if (bmp !== undefined) return bmp
  if (isPng(head)) {
    const { width, height } = pngHeader(head)
    return { width, height }
  }
  try {
    const bytes = await readRegular(path, { action: 'read image', limit: MAX_IMAGE_BYTES })
    const { width, height } = await sharp(bytes).metadata()
    return { width, height }
  } catch (error) {
    throw new NoduleError('FORMAT', 'not an image that can be read', {
      path,
      expected: 'PNG, JPEG or BMP',
      actual: describeBriefly(error),
      cause: error,
    })
  }
}

/** Throws NoduleError INVALID_PARAMETER where the values are not those of an image of this size. */
function checkPixels(
  name: string,
  data: ArrayLike<number>,
  { width, height }: { width: number; height: number },
  channels: number,
): void {
  checkInteger('width', width, 1, 0x7fffffff)
  checkInteger('height', height, 1, 0x7fffffff)
  const count = width * height * channels
  if (data.length !== count) throw invalidParameter(name, `${count} values`, data)
}

/**
 * An 8-bit RGB image as PNG bytes. Level 3 with filters: 20 % smaller than level 6 without, and as fast.
 * Throws NoduleError (INVALID_PARAMETER).
 */
export async function encodePng(image: RgbImage): Promise<Buffer> {
  checkPixels('data', image.data, image, 3)
  return sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .png({ compressionLevel: 3, adaptiveFiltering: true })
    .toBuffer()
}

/**
 * A frame as PNG bytes: three channels (NHWC) as RGB, any other number of planes (NCHW) one below the other in gray.
 */
export async function encodeFrame(frame: {
  width: number
  height: number
  channels: number
  data: Uint8Array
}): Promise<Buffer> {
  const { width, height, channels, data } = frame
  if (channels === 3) return encodePng({ width, height, data: data as Uint8Array<ArrayBuffer> })
  return (
    sharp(data, { raw: { width, height: height * channels, channels: 1 } })
      // Unless told, it would write three equal channels.
      .toColorspace('b-w')
      .png({ compressionLevel: 3, adaptiveFiltering: true })
      .toBuffer()
  )
}

/**
 * Reads a frame of any number of channels that `encodeFrame` or `encodeHuPng` wrote, as gray levels
 * [height, width, channels]. Throws NoduleError (FILE, FORMAT).
 * @param window of the gray levels, where the frame holds HU
 */
export async function readPlanes(
  path: string,
  channels: number,
  encoding: 'gray8' | 'hu16',
  window: { low: number; high: number },
): Promise<RgbImage> {
  if (channels === 3) return encoding === 'hu16' ? readHuImage(path, window) : readImage(path)
  const {
    data,
    width,
    height,
    channels: stored,
  } = await decode(path, encoding === 'hu16' ? 'ushort' : 'uchar', true)
  if (height % channels !== 0) {
    throw new NoduleError('FORMAT', 'not a frame of this many channels', {
      path,
      expected: `${channels} planes, one below the other`,
      actual: `${height} rows`,
    })
  }
  const values = encoding === 'hu16' ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2) : data
  const gray = encoding === 'hu16' ? grayOfHu(values as Uint16Array, window) : data
  const rows = height / channels
  const pixels = rows * width
  const frame = new Uint8Array(pixels * channels)
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < pixels; i++) frame[i * channels + c] = gray[(c * pixels + i) * stored]!
  return { width, height: rows, data: frame }
}

/** Added to HU in 16-bit frames, so that every int16 HU fits. */
const HU_OFFSET = 32768

/**
 * Planes of HU [height, width], one a channel, as a 16-bit PNG of HU + 32768, rounded: three as RGB, any other number
 * one below the other in gray. Throws NoduleError (INVALID_PARAMETER).
 */
export async function encodeHuPng(
  width: number,
  height: number,
  planes: readonly Float32Array[],
): Promise<Buffer> {
  for (const [n, plane] of planes.entries()) checkPixels(`planes[${n}]`, plane, { width, height }, 1)
  const channels = planes.length
  const values = new Uint16Array(width * height * channels)
  const isRgb = channels === 3
  const pixels = width * height
  for (const [c, plane] of planes.entries())
    for (let i = 0; i < plane.length; i++)
      values[isRgb ? i * 3 + c : c * pixels + i] = Math.min(
        65535,
        Math.max(0, Math.floor(plane[i]! + HU_OFFSET + 0.5)),
      )
  const raw = isRgb
    ? { width, height, channels: 3 as const }
    : { width, height: height * channels, channels: 1 as const }
  return sharp(values, { raw })
    .toColorspace(isRgb ? 'rgb16' : 'grey16')
    .png({ compressionLevel: 3, adaptiveFiltering: true })
    .toBuffer()
}

/** Reads a frame that `encodeHuPng` made as gray levels of a window. Throws NoduleError (FILE, FORMAT). */
export async function readHuImage(path: string, window: { low: number; high: number }): Promise<RgbImage> {
  const { data, width, height } = await decode(path, 'ushort')
  const values = new Uint16Array(data.buffer, data.byteOffset, data.length / 2)
  return { width, height, data: grayOfHu(values, window) }
}

function grayOfHu(values: Uint16Array, window: { low: number; high: number }): Uint8Array<ArrayBuffer> {
  const levels = 255 / (window.high - window.low)
  return Uint8Array.from(values, (value) =>
    Math.min(255, Math.max(0, (value - HU_OFFSET - window.low) * levels + 0.5)),
  )
}

/** Writes an RGB image as PNG, whole or not at all. */
export async function writePng(path: string, image: RgbImage): Promise<void> {
  await writeFileAtomic(path, await encodePng(image))
}
