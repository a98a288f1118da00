import type { CompressedFamily } from '../read/transfer_syntax.js'

/** What the header of a compressed image says of its size. */
export interface CodestreamSize {
  width: number
  height: number
  components: number
  /** Bits per sample. */
  bits: number
  /** JPEG 2000 only. */
  tiles?: number
  /** JPEG 2000 only: two's complement. */
  signed?: boolean
}

/**
 * The codec that a codestream asks for: its first bytes decide, whatever the transfer syntax names; that one only where
 * they do not tell.
 */
export function codestreamFamily(
  bytes: Uint8Array,
  named: CompressedFamily | undefined,
): CompressedFamily | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    const size = jpegSize(bytes)
    return size === undefined ? named : size.isLs ? 'jpegls' : 'jpeg'
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = codestreamStart(view)
  if (start !== undefined && start + 4 <= bytes.length && view.getUint32(start) === 0xff4fff51)
    return hasCapabilities(view, start + 2) ? 'htj2k' : 'jpeg2000'
  // An RLE header: 1 to 15 segments, the first behind the header.
  const isRle =
    bytes.length >= 64 && [1, 2].includes(view.getUint32(0, true)) && view.getUint32(4, true) === 64
  return isRle ? 'rle' : named
}

/** A CAP marker in the main header of a JPEG 2000 codestream: Part 15, high throughput. */
function hasCapabilities(view: DataView, from: number): boolean {
  for (let at = from; at + 4 <= view.byteLength;) {
    const marker = view.getUint16(at)
    if (marker === 0xff50) return true
    // SOT: the tiles begin.
    if (marker < 0xff00 || marker === 0xff90) return false
    at += 2 + view.getUint16(at + 2)
  }
  return false
}

/**
 * Size of a JPEG or JPEG-LS image from its frame header (SOFn), so that nothing is decoded that is not what the DICOM
 * header announces. undefined where there is none.
 */
export function jpegSize(bytes: Uint8Array): (CodestreamSize & { isLs: boolean }) | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + 4 <= bytes.length;) {
    if (bytes[at] !== 0xff) {
      at++
      continue
    }
    const marker = bytes[at + 1]!
    const standalone = marker === 0xff || marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd8)
    if (standalone) {
      at += marker === 0xff ? 1 : 2
      continue
    }
    // SOF0 to SOF15 without DHT, JPG and DAC; SOF55 is JPEG-LS's.
    const isFrame =
      (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) || marker === 0xf7
    if (isFrame && at + 10 <= bytes.length) {
      return {
        bits: bytes[at + 4]!,
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        components: bytes[at + 9]!,
        isLs: marker === 0xf7,
      }
    }
    if (marker === 0xd9 || marker === 0xda) return undefined
    at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

/** Size of a JPEG 2000 or HTJ2K image from its SIZ marker, bare or in a JP2 file; undefined where there is none. */
export function jpeg2000Size(bytes: Uint8Array): CodestreamSize | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = codestreamStart(view)
  // SOC and SIZ stand side by side.
  if (start === undefined || start + 43 > bytes.length || view.getUint32(start) !== 0xff4fff51)
    return undefined
  const at = (offset: number): number => view.getUint32(start + offset)
  const tileWidth = at(24)
  const tileHeight = at(28)
  const width = at(8) - at(16)
  const height = at(12) - at(20)
  if (tileWidth === 0 || tileHeight === 0) return undefined
  return {
    width,
    height,
    components: view.getUint16(start + 40),
    bits: (bytes[start + 42]! & 0x7f) + 1,
    signed: bytes[start + 42]! >= 0x80,
    tiles: Math.ceil(width / tileWidth) * Math.ceil(height / tileHeight),
  }
}

/**
 * Where the tile-parts of a JPEG 2000 codestream end by what they say of themselves (Psot), if no end marker stands there;
 * undefined where it does, or where that cannot be told.
 */
export function jpeg2000End(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // Behind SOC: segments up to the first tile-part.
  let at = (codestreamStart(view) ?? bytes.length) + 2
  while (at + 4 <= bytes.length && view.getUint16(at) !== 0xff90) {
    if (bytes[at] !== 0xff) return undefined
    at += 2 + view.getUint16(at + 2)
  }
  let parts = 0
  while (at + 12 <= bytes.length && view.getUint16(at) === 0xff90) {
    const length = view.getUint32(at + 6)
    // 0: up to the end marker. 14: the shortest there is.
    if (length < 14) return undefined
    at += length
    parts++
  }
  if (parts === 0 || at > bytes.length) return undefined
  return bytes[at] === 0xff && bytes[at + 1] === 0xd9 ? undefined : at
}

/**
 * Where the decoder will find the codestream: at the start, or in the first jp2c box of a JP2 file (ISO 15444-1 Annex I).
 * Searching for its first bytes would find what another box pretends.
 */
export function codestreamStart(view: DataView): number | undefined {
  const isJp2 = view.byteLength >= 12 && view.getUint32(0) === 12 && view.getUint32(4) === 0x6a502020
  if (!isJp2) return view.byteLength >= 4 ? 0 : undefined
  for (let at = 12; at + 8 <= view.byteLength;) {
    let length = view.getUint32(at)
    let head = 8
    if (length === 1) {
      if (at + 16 > view.byteLength || view.getUint32(at + 8) !== 0) return undefined
      length = view.getUint32(at + 12)
      head = 16
    }
    if (view.getUint32(at + 4) === 0x6a703263) return at + head
    // 0: to the end of the file.
    if (length < head) return undefined
    at += length
  }
  return undefined
}
