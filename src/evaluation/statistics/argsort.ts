import { LITTLE_ENDIAN_MACHINE } from '../../endian.js'

/**
 * The order that sorts numbers upwards; equal ones keep their order. Radix sort of the bits, 16 at a time: several
 * times faster than a comparison sort of indices. NaN must not occur.
 */
export function argsort(values: ArrayLike<number>): Uint32Array {
  const n = values.length
  const floats = new Float64Array(n)
  // + 0 turns -0 into 0, which compares as equal but has other bits.
  for (let i = 0; i < n; i++) floats[i] = values[i]! + 0
  const words = new Uint16Array(floats.buffer)
  let order = Uint32Array.from({ length: n }, (_, i) => i)
  let other = new Uint32Array(n)
  const counts = new Uint32Array(65536)
  const top = LITTLE_ENDIAN_MACHINE ? 3 : 0
  for (let pass = 0; pass < 4; pass++) {
    const word = LITTLE_ENDIAN_MACHINE ? pass : 3 - pass
    // Negative numbers sort by falling bits, positive ones above them: flip all bits, or the sign only.
    const key = (item: number): number => {
      const bits = words[4 * item + word]!
      const negative = words[4 * item + top]! >= 0x8000
      return negative ? bits ^ 0xffff : word === top ? bits ^ 0x8000 : bits
    }
    counts.fill(0)
    for (let i = 0; i < n; i++) counts[key(i)]!++
    let sum = 0
    for (let k = 0; k < 65536; k++) {
      const count = counts[k]!
      counts[k] = sum
      sum += count
    }
    for (let i = 0; i < n; i++) {
      const item = order[i]!
      other[counts[key(item)]!++] = item
    }
    ;[order, other] = [other, order]
  }
  return order
}
