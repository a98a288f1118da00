import { expect, it } from 'vitest'
import { evenMask, evenSlices } from '../../src/scans/even_slices.js'
import { volumeOf } from '../patches/volumes.js'

it('a mask of an uneven stack lies on the voxels that convert makes of it', () => {
  // 4.2 mm, then 7.4 mm apart.
  const positions = [0, 4.2, 8.4, 12.6, 20, 27.4, 34.8]
  const volume = volumeOf([7, 2, 3], positions, [1, 1], (k) => (k < 4 ? 100 : -900))
  const mask = Uint8Array.from({ length: 7 * 6 }, (_, at) => (at < 4 * 6 ? 1 : 0))
  const hu = evenSlices(volume).volume
  const even = evenMask(mask, volume)
  expect(even.shape).toEqual(hu.shape)
  expect(even.geometry).toEqual(hu.geometry)
  expect(even.note).toMatch(/^the mask of 7 slices, up to \d+\.\d mm from even places, is written on \d+ at /)
  // On whichever side of the middle between both neighbors a voxel lies, both say so.
  for (const [at, value] of even.mask.entries()) expect(value).toBe(hu.data[at]! > -400 ? 1 : 0)
  const same = volumeOf([3, 2, 3], [0, 2, 4], [1, 1], () => 0)
  const kept = evenMask(mask.subarray(0, 18), same)
  expect([kept.shape, kept.note]).toEqual([same.shape, undefined])
})
