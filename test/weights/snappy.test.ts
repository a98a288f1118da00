/**
 * Blocks that the snappy library made (cramjam.snappy.compress_raw of cramjam 2.14.0, Python), as LevelDB and TensorFlow's
 * checkpoints hold them.
 */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { ByteReader } from '../../src/weights/bytes.js'
import { snappyDecode } from '../../src/weights/snappy.js'

const reader = (bytes: Uint8Array): ByteReader =>
  new ByteReader(Buffer.from(bytes), { path: 'a.index', format: 'index', offset: 0 })

/** Nothing in it repeats: 320 bytes. */
const NOISE = Buffer.concat(
  Array.from({ length: 10 }, (_, n) => createHash('sha256').update(Uint8Array.of(n)).digest()),
)
const BLOCKS: readonly [string, string, Buffer][] = [
  [
    'short pieces, copies of near ones',
    'sgVYZGV0ZWN0b3IvbHN0bS8wL2tlcm5lbCA2FwAAMVYXAAAyVhcAADNWFwAANFYXAAA1VhcAADZWFwD+oQD+oQD+oQD+oQD+oQD+' +
      'oQD+oQDuoQANoQ==',
    Buffer.from(Array.from({ length: 30 }, (_, n) => `detector/lstm/${n % 7}/kernel `).join('')),
  ],
  [
    'pieces of more than 256 bytes, copies over themselves and of far ones',
    'uBz0UwFuNAuc/7N6mJylROa7eAoseJAdP7M3OHaFEaMGF6+gHUv1Ei80RVTFO94uu4zSt+PRYArWMcOFpdfM4jx3hUWa28G0yQD/' +
      '5I1XW12lxjgEASX2XbD+PiRJS3bqmGRX2YYIT+0IuXivTX0ZanRGqGtYAJ5ja2EdsWIRtlqarf8pxeUtnFCMUCNHNE2MB62Ry9YG' +
      'ivx1/2KS8GKgnKOByJ5x53uamunjCw29tvUQomTvneeBUB17a5KuiesFnFq3Q9tnWG6Y+tJ9oLmWi8A5oe80yTm5uOUjqL74nUeG' +
      'CMXs9so1h1j20n5s9FJyk3l3p0j9iDkdtnnO2n3Hvx8AXuh5vurXeZTPVzNB7Be1i79+s00nEcmTwdl2sSizGI3BgporTDQvVDPr' +
      '5ZGh2nfgE9G3JHVWLUhXjcqLhLrGZRw8uQAAAAAAAAAAAAAAAAAAAAAAAAAA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA' +
      '/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA' +
      '/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsA/gsAjgsA/vgM/vgM/vgM/vgM/vgM',
    Buffer.concat([NOISE, Buffer.alloc(3000), NOISE]),
  ],
  ['nothing', 'AA==', Buffer.alloc(0)],
  ['one byte', 'AQBh', Buffer.from('a')],
]

describe('snappyDecode', () => {
  it.each(BLOCKS)('%s', (_, packed, expected) => {
    expect(snappyDecode(reader(Buffer.from(packed, 'base64'))).equals(expected)).toBe(true)
  })

  it.each<[string, number[], RegExp]>([
    ['a copy from before the start', [5, 0, 0x61, 0x01, 9], /distance of 1 to 1/],
    ['more than was announced', [1, 4, 0x61, 0x62], /at most 1 bytes more/],
    ['less than was announced', [9, 0, 0x61], /expected 9 bytes but received 1/],
    ['a length that no block can have', [0xff, 0xff, 0xff, 0xff, 0x07, 0, 0x61], /at most \d+ bytes/],
  ])('%s is an error', (_, bytes, message) => {
    const decode = (): Buffer => snappyDecode(reader(Uint8Array.from(bytes)))
    expect(decode).toThrow(NoduleError)
    expect(decode).toThrow(message)
  })
})
