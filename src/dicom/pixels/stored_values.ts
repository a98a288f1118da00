import { LITTLE_ENDIAN_MACHINE } from '../../endian.js'

/** Stored values of one image, [rows, columns], in the sign of Pixel Representation. */
export type StoredPixels = Int16Array | Uint16Array | Int8Array | Uint8Array

/** Bytes as values of a depth and sign, a copy only where the byte order or the alignment asks for it. */
export function viewValues(
  bytes: Uint8Array,
  bitsAllocated: number,
  signed: boolean,
  bigEndian: boolean,
): StoredPixels {
  const { length } = bytes
  if (bitsAllocated === 8) return signed ? new Int8Array(bytes.buffer, bytes.byteOffset, length) : bytes
  const swap = bigEndian === LITTLE_ENDIAN_MACHINE
  const aligned = bytes.byteOffset % 2 === 0 && !swap ? bytes : new Uint8Array(bytes)
  if (swap) Buffer.from(aligned.buffer as ArrayBuffer, aligned.byteOffset, length).swap16()
  return signed
    ? new Int16Array(aligned.buffer, aligned.byteOffset, length / 2)
    : new Uint16Array(aligned.buffer, aligned.byteOffset, length / 2)
}

/**
 * Drops what stands above Bits Stored (overlay planes, rubbish), which is no part of a value (PS3.5 8.1.1), and spreads
 * the sign. Padding beyond the values' range is kept: it is stored with all its bits.
 */
export function cleanHighBits(
  values: StoredPixels,
  bitsStored: number,
  signed: boolean,
  padding: { low: number; high: number } | undefined,
): void {
  const range = 2 ** bitsStored
  const sign = signed ? range / 2 : range
  const lowest = sign - range
  if (!signed && !hasAbove(values, range)) return
  const beyond = padding !== undefined && (padding.low < lowest || padding.high >= sign) ? padding : undefined
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value >= lowest && value < sign) continue
    if (beyond !== undefined && value >= beyond.low && value <= beyond.high) continue
    const low = value & (range - 1)
    values[i] = low >= sign ? low - range : low
  }
}

function hasAbove(values: StoredPixels, range: number): boolean {
  let all = 0
  for (let i = 0; i < values.length; i++) all |= values[i]!
  return all >= range
}
