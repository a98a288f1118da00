const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0)
  return value
})

/** CRC-32C (Castagnoli), reflected polynomial 0x82F63B78. */
export function crc32c(bytes: Uint8Array): number {
  let value = 0xffffffff
  // Indexed: twice as fast as an iterator over the hundred megabytes that a checkpoint has.
  // oxlint-disable-next-line typescript/prefer-for-of
  for (let i = 0; i < bytes.length; i++) value = (value >>> 8) ^ TABLE[(value ^ bytes[i]!) & 255]!
  return ~value >>> 0
}

const DELTA = 0xa282ead8

/** The checksum as TensorFlow and LevelDB store it, so that a checksum of checksums stays one. */
export function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + DELTA) >>> 0
}

/** The checksum that a masked one, as TensorFlow and LevelDB store it, was made of. */
export function unmask(masked: number): number {
  const rotated = (masked - DELTA) >>> 0
  return ((rotated >>> 17) | (rotated << 15)) >>> 0
}
