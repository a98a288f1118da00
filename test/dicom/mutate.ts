import type { Random } from '../../src/random.js'

/** A damaged copy: bytes flipped, cut off, lengths changed, pieces repeated or taken out. */
export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let mutant: Uint8Array = Uint8Array.from(bytes)
  const rounds = 1 + random.integer(4)
  for (let round = 0; round < rounds && mutant.length > 8; round++) {
    const at = place(mutant, random)
    switch (random.integer(6)) {
      case 0:
        mutant[at] = random.integer(256)
        break
      case 1:
        mutant[at] = mutant[at]! ^ (1 << random.integer(8))
        break
      case 2:
        mutant = mutant.subarray(0, at)
        break
      case 3: {
        const view = new DataView(mutant.buffer, mutant.byteOffset, mutant.byteLength)
        const lengths = [
          0,
          1,
          0xffff,
          0x7fffffff,
          0xfffffffe,
          0xffffffff,
          mutant.length,
          random.integer(1 << 16),
        ]
        if (at + 4 <= mutant.length) view.setUint32(at, lengths[random.integer(lengths.length)]!, true)
        break
      }
      case 4:
        mutant = concat(
          mutant.subarray(0, at),
          mutant.subarray(Math.min(mutant.length, at + random.integer(64))),
        )
        break
      default:
        mutant = concat(mutant.subarray(0, at), mutant.subarray(Math.max(0, at - random.integer(64))))
    }
  }
  return mutant
}

/** Most of a file is pixels: look for trouble in the header, mostly, or where a codestream begins. */
function place(bytes: Uint8Array, random: Random): number {
  const kind = random.uniform()
  if (kind < 0.6) return random.integer(Math.min(bytes.length, 2048))
  const pixels = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(PIXEL_DATA)
  if (kind < 0.8 && pixels >= 0) return pixels + random.integer(Math.min(bytes.length - pixels, 256))
  return random.integer(bytes.length)
}

/** The tag of Pixel Data, little endian. */
const PIXEL_DATA = Buffer.from('e07f1000', 'hex')

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}
