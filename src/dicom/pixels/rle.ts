import { NoduleError } from '../../errors.js'

const HEADER = 64

/**
 * Decodes a frame in RLE Lossless (PS3.5 Annex G): one run-length coded segment per byte of a pixel, the most
 * significant first.
 *
 * @param pixels pixels of the frame; one sample each
 * @param bytesPerPixel 1 or 2
 * @returns little-endian stored values
 * @throws NoduleError FORMAT
 */
export function decodeRle(
  bytes: Uint8Array,
  pixels: number,
  bytesPerPixel: number,
  path: string,
): Uint8Array {
  const wrong = (expected: string, actual: string): NoduleError =>
    new NoduleError('FORMAT', 'damaged RLE data', { path, place: '(7FE0,0010)', expected, actual })
  if (bytes.length < HEADER) throw wrong(`a header of ${HEADER} bytes`, `${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const segments = view.getUint32(0, true)
  if (segments !== bytesPerPixel) throw wrong(`${bytesPerPixel} segments`, String(segments))
  const decoded = new Uint8Array(pixels * bytesPerPixel)
  for (let segment = 0; segment < segments; segment++) {
    const start = view.getUint32(4 + 4 * segment, true)
    const end = segment + 1 < segments ? view.getUint32(8 + 4 * segment, true) : bytes.length
    if (start < HEADER || end > bytes.length || start > end) {
      throw wrong(`segment ${segment} inside of ${bytes.length} bytes`, `${start} to ${end}`)
    }
    const filled = unpack(bytes.subarray(start, end), decoded, bytesPerPixel - 1 - segment, bytesPerPixel)
    if (filled < pixels) throw wrong(`${pixels} pixels in segment ${segment}`, String(filled))
  }
  return decoded
}

/** Unpacks a PackBits segment into every `step`th byte from `offset` on; returns how many it wrote. */
function unpack(packed: Uint8Array, out: Uint8Array, offset: number, step: number): number {
  let at = offset
  for (let n = 0; n + 1 < packed.length && at < out.length;) {
    const code = packed[n]!
    n++
    if (code === 128) continue
    const literal = code < 128
    const count = literal ? code + 1 : 257 - code
    for (let i = 0; i < count && at < out.length && n < packed.length; i++) {
      out[at] = packed[n]!
      at += step
      if (literal) n++
    }
    if (!literal) n++
  }
  return (at - offset) / step
}
