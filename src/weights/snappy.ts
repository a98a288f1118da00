import type { ByteReader } from './bytes.js'

/** An element of 3 bytes copies at most 64 bytes: more cannot come out of a compressed block. */
const MAX_RATIO = 22

/** Decompresses a block. Source: github.com/google/snappy, format_description.txt. Throws NoduleError (FORMAT). */
export function snappyDecode(reader: ByteReader): Buffer {
  const length = reader.size()
  if (length > reader.left * MAX_RATIO + 64)
    throw reader.error(`at most ${reader.left * MAX_RATIO + 64} bytes`, `${length}`, 0)
  const out = Buffer.alloc(length)
  let at = 0
  const room = (count: number): void => {
    if (count > length - at) throw reader.error(`at most ${length - at} bytes more`, `${count}`)
  }
  while (reader.left > 0) {
    const tag = reader.u8()
    const kind = tag & 3
    if (kind === 0) {
      let count = tag >> 2
      if (count >= 60) count = reader.take(count - 59).reduceRight((sum, byte) => sum * 256 + byte, 0)
      room(count + 1)
      at += reader.take(count + 1).copy(out, at)
      continue
    }
    const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const back = kind === 1 ? ((tag >> 5) << 8) | reader.u8() : kind === 2 ? reader.u16() : reader.u32()
    room(count)
    if (back === 0 || back > at) throw reader.error(`distance of 1 to ${at}`, `${back}`)
    // Byte by byte: what is copied may be what has just been written.
    for (let i = 0; i < count; i++, at++) out[at] = out[at - back]!
  }
  if (at !== length) throw reader.error(`${length} bytes`, `${at}`)
  return out
}
