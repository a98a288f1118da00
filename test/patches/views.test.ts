import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VIEWS, cubeSpec, mirrorCubes } from '../../src/patches/index.js'
import { smallHypes } from './small_cubes.js'

const spec = { ...cubeSpec(smallHypes()), fine: { planes: 2, size: 2, planeMm: 2, pixelMm: 1 } }
const both = { ...spec, coarse: { planes: 3, size: 2, planeMm: 4, pixelMm: 2 } }
const { coarse: _, ...fineOnly } = both

describe('mirrorCubes', () => {
  it('gives the cubes back when it is applied twice', () => {
    fc.assert(
      fc.property(
        fc.record({ x: fc.boolean(), y: fc.boolean(), z: fc.boolean() }),
        fc.constantFrom(fineOnly, both),
        fc.array(fc.uint8Array({ minLength: 20, maxLength: 20 }), { minLength: 2, maxLength: 2 }),
        (mirror, of, parts) => {
          const bytes = of === both ? 20 : 8
          const cubes = Uint8Array.from(parts.flatMap((part) => [...part.subarray(0, bytes)]))
          const before = cubes.slice()
          expect(mirrorCubes(mirrorCubes(cubes, of, mirror), of, mirror)).toEqual(before)
          expect(cubes).toEqual(before)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('turns each axis, fine and coarse planes each for itself, cube by cube', () => {
    // The value tells cube, plane, row and column.
    const cubes = Uint8Array.from({ length: 40 }, (_, n) => n)
    const planes = (mirror: object): number[] => {
      const turned = mirrorCubes(cubes, both, { x: false, y: false, z: false, ...mirror })
      return [...turned]
    }
    expect(planes({ x: true }).slice(0, 8)).toEqual([1, 0, 3, 2, 5, 4, 7, 6])
    expect(planes({ y: true }).slice(0, 8)).toEqual([2, 3, 0, 1, 6, 7, 4, 5])
    const firsts = planes({ z: true }).filter((_, at) => at % 4 === 0)
    expect(firsts).toEqual([4, 0, 16, 12, 8, 24, 20, 36, 32, 28])
  })
})

describe('VIEWS', () => {
  it('starts with the cube as it is, and no view comes twice', () => {
    expect(VIEWS[0]).toEqual({ x: false, y: false, z: false })
    const cubes = Uint8Array.from({ length: 20 }, (_, n) => n)
    expect(mirrorCubes(cubes, both, VIEWS[0]!)).toBe(cubes)
    expect(new Set(VIEWS.map((view) => mirrorCubes(cubes, both, view).join())).size).toBe(VIEWS.length)
  })
})
