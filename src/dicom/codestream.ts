/** What the header of a compressed image says of its size. */
export interface CodestreamSize {
  width: number
  height: number
  components: number
  /** Bits per sample. */
  bits: number
}

/**
 * Size of a JPEG or JPEG-LS image from its frame header (SOFn), so that nothing is decoded that is not what the DICOM
 * header announces. undefined where there is none.
 */
export function jpegSize(bytes: Uint8Array): CodestreamSize | undefined {
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
      }
    }
    if (marker === 0xd9 || marker === 0xda) return undefined
    at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

/** Size of a JPEG 2000 or HTJ2K image from its SIZ marker; a JP2 wrapper is looked through. */
export function jpeg2000Size(bytes: Uint8Array): CodestreamSize | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // SOC and SIZ stand side by side.
  const start = findMarker(bytes, [0xff, 0x4f, 0xff, 0x51])
  if (start === undefined || start + 43 > bytes.length) return undefined
  const at = (offset: number): number => view.getUint32(start + offset)
  const tileWidth = at(24)
  const tileHeight = at(28)
  const width = at(8) - at(16)
  const height = at(12) - at(20)
  // Millions of tiles in a small image are an attack, not a picture.
  if (
    tileWidth === 0 ||
    tileHeight === 0 ||
    Math.ceil(width / tileWidth) * Math.ceil(height / tileHeight) > 65535
  )
    return undefined
  return { width, height, components: view.getUint16(start + 40), bits: (bytes[start + 42]! & 0x7f) + 1 }
}

function findMarker(bytes: Uint8Array, marker: readonly number[]): number | undefined {
  const limit = Math.min(bytes.length - marker.length, 4096)
  for (let at = 0; at <= limit; at++) {
    if (marker.every((value, n) => bytes[at + n] === value)) return at
  }
  return undefined
}
