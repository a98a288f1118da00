import { expect, it } from 'vitest'
import { isSet } from '../../../src/dicom/read/segmentation.js'

it('bits are counted beyond 2^31, as in a segmentation of more than 256 MB', () => {
  const byte = 0b0000_0100
  for (const at of [0, 5, 2 ** 28 - 1, 2 ** 28, 2 ** 29, 2 ** 30 + 7]) {
    const bytes: ArrayLike<number> = { length: at + 1, [at]: byte }
    expect([0, 1, 2, 3, 7].map((bit) => isSet(bytes, 8 * at + bit))).toEqual([
      false,
      false,
      true,
      false,
      false,
    ])
  }
})
