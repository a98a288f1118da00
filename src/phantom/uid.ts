import type { Random } from '../random.js'

/** A unique identifier below 2.25 (a random 128-bit number; PS3.5 B.2), from the stream of random numbers. */
export function makeUid(random: Random): string {
  let value = 0n
  for (let n = 0; n < 4; n++) value = (value << 32n) | BigInt(random.integer(0x100000000))
  return `2.25.${value}`
}
