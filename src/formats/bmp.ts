import { NoduleError } from '../errors.js'
import { memoryLimit } from '../limits.js'

export interface RgbImage {
  width: number
  height: number
  /** [height, width, 3], 0..255. */
  data: Uint8Array
}

/** Largest side of an image that is read: more is a damaged header. */
export const MAX_IMAGE_SIDE = 16384

/** Width and height of a BMP from its first 26 bytes, or undefined where it is no BMP. */
export function bmpSize(bytes: Uint8Array): { width: number; height: number } | undefined {
  if (bytes.length < 26 || bytes[0] !== 0x42 || bytes[1] !== 0x4d) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const core = view.getUint32(14, true) === 12
  return core
    ? { width: view.getUint16(18, true), height: view.getUint16(20, true) }
    : { width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) }
}

/**
 * Decodes an uncompressed Windows bitmap of 1, 4, 8 (palette), 24 or 32 bits a pixel, bottom-up or top-down, as the
 * reference's frames are (libvips reads none). Source: Microsoft, "Bitmap Storage" (BITMAPINFOHEADER).
 * Throws NoduleError (FORMAT, UNSUPPORTED).
 */
export function decodeBmp(bytes: Uint8Array, path: string): RgbImage {
  const damaged = (expected: string, actual: string | number): NoduleError =>
    new NoduleError('FORMAT', 'damaged BMP', { path, expected, actual: String(actual) })
  const size = bmpSize(bytes)
  if (size === undefined) throw damaged('BMP header', `${bytes.length} bytes`)
  const { width, height } = size
  if (width < 1 || height < 1 || width > MAX_IMAGE_SIDE || height > MAX_IMAGE_SIDE)
    throw damaged(`sides from 1 to ${MAX_IMAGE_SIDE}`, `${width} x ${height}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headerSize = view.getUint32(14, true)
  const core = headerSize === 12
  if (!core && (headerSize < 40 || bytes.length < 54))
    throw damaged('info header of 40 bytes or more', headerSize)
  const bits = view.getUint16(core ? 24 : 28, true)
  const compression = core ? 0 : view.getUint32(30, true)
  // 3 = bit fields: with 32 bits these are the usual blue, green, red in practice.
  if ((compression !== 0 && !(compression === 3 && bits === 32)) || ![1, 4, 8, 24, 32].includes(bits)) {
    throw new NoduleError('UNSUPPORTED', 'this kind of BMP is not read', {
      path,
      expected: 'uncompressed, 1, 4, 8, 24 or 32 bits a pixel',
      actual: `compression ${compression}, ${bits} bits`,
    })
  }
  const rowBytes = Math.ceil((width * bits) / 32) * 4
  const start = view.getUint32(10, true)
  if (start + rowBytes * height > bytes.length)
    throw damaged(`${start + rowBytes * height} bytes`, bytes.length)
  if (width * height * 3 > memoryLimit(bytes.length))
    throw new NoduleError('FORMAT', 'image too large for its file', {
      path,
      expected: `at most ${memoryLimit(bytes.length)} bytes of pixels`,
      actual: `${width} x ${height}`,
    })
  const bottomUp = core || view.getInt32(22, true) > 0
  const palette = bits <= 8 ? readPalette(bytes, view, headerSize, bits, start) : new Uint8Array(0)
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    const row = start + rowBytes * (bottomUp ? height - 1 - y : y)
    for (let x = 0; x < width; x++) {
      const out = (y * width + x) * 3
      if (bits <= 8) {
        const byte = bytes[row + ((x * bits) >> 3)]!
        const shift = 8 - bits - ((x * bits) & 7)
        const color = ((byte >> shift) & ((1 << bits) - 1)) * 3
        data[out] = palette[color]!
        data[out + 1] = palette[color + 1]!
        data[out + 2] = palette[color + 2]!
      } else {
        const at = row + x * (bits >> 3)
        data[out] = bytes[at + 2]!
        data[out + 1] = bytes[at + 1]!
        data[out + 2] = bytes[at]!
      }
    }
  }
  return { width, height, data }
}

/** The palette as RGB triples, black where the file has fewer colors than the bits allow. */
function readPalette(
  bytes: Uint8Array,
  view: DataView,
  headerSize: number,
  bits: number,
  pixels: number,
): Uint8Array {
  const entry = headerSize === 12 ? 3 : 4
  const stated = headerSize === 12 ? 0 : view.getUint32(46, true)
  const colors = Math.min(stated === 0 ? 1 << bits : stated, 1 << bits)
  const palette = new Uint8Array((1 << bits) * 3)
  for (let color = 0; color < colors; color++) {
    const at = 14 + headerSize + color * entry
    if (at + 3 > Math.min(pixels, bytes.length)) break
    palette[color * 3] = bytes[at + 2]!
    palette[color * 3 + 1] = bytes[at + 1]!
    palette[color * 3 + 2] = bytes[at]!
  }
  return palette
}
