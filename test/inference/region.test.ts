import { describe, expect, test } from 'vitest'
import { examinedRegion } from '../../src/inference/region.js'
import { tileHypes } from './tile_hypes.js'
import { ballVolume, chestVolume } from './volumes.js'

describe('what is examined', () => {
  test('slices about slice_step_mm apart are examined, the nearest to that', () => {
    const chosen = (spacingMm: number, count: number): number[] => {
      const volume = ballVolume(1, [count, 64, 64])
      const slicePositions = Array.from({ length: count }, (_, k) => spacingMm * k)
      const moved = { ...volume, geometry: { ...volume.geometry, slicePositions } }
      return examinedRegion(moved, 'all', tileHypes({ slice_step_mm: 2 }), false).slices
    }
    expect(chosen(1.8, 4)).toEqual([0, 1, 2, 3])
    expect(chosen(1.25, 6)).toEqual([0, 2, 4, 5])
    expect(chosen(0.625, 8)).toEqual([0, 3, 6])
    expect(chosen(2.5, 3)).toEqual([0, 1, 2])
  })

  test('lungs at the end of a long scan of the abdomen are enough', () => {
    const chest = chestVolume([24, 200, 240])
    const many = 240
    const data = new Int16Array(many * 200 * 240).fill(40)
    data.set(chest.data.subarray(0, 5 * 200 * 240))
    const spacing = chest.geometry.spacing[0]
    const slicePositions = Array.from({ length: many }, (_, k) => spacing * k)
    const region = examinedRegion(
      {
        ...chest,
        shape: [many, 200, 240],
        data,
        sopInstanceUids: slicePositions.map((_, k) => `1.2.${k}`),
        geometry: { ...chest.geometry, slicePositions },
      },
      'lungs',
      tileHypes({ mm_per_pixel: 1.5, tile_overlap_mm: 60 }),
      false,
    )
    expect(region.warnings.join()).not.toContain('no lungs found')
    expect(region.slices.at(-1)).toBeLessThan(5)
  })
})
