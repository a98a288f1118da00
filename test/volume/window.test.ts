import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { windowToGray } from '../../src/volume/index.js'

describe('windowToGray', () => {
  it('maps the window to 0..255, rounds, and clamps beyond', () => {
    expect(windowToGray(-1350, -1350, 150)).toBe(0)
    expect(windowToGray(150, -1350, 150)).toBe(255)
    expect(windowToGray(-600, -1350, 150)).toBe(128)
    expect(windowToGray(-3024, -1350, 150)).toBe(0)
    expect(windowToGray(3000, -1350, 150)).toBe(255)
  })

  it('treats arrays as single values, never falls, and fills a given buffer', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -3024, max: 3071 }), { maxLength: 50 }),
        fc.integer({ min: -2000, max: 0 }),
        fc.integer({ min: 1, max: 3000 }),
        (hu, low, width) => {
          hu.sort((a, b) => a - b)
          const out = new Uint8Array(hu.length)
          const gray = windowToGray(Int16Array.from(hu), low, low + width, out)
          expect(gray).toBe(out)
          for (const [n, value] of hu.entries()) {
            expect(gray[n]).toBe(windowToGray(value, low, low + width))
            if (n > 0) expect(gray[n]).toBeGreaterThanOrEqual(gray[n - 1]!)
          }
        },
      ),
    )
  })

  it('refuses an empty window and a buffer of another size', () => {
    expect(() => windowToGray(0, 100, 100)).toThrow(NoduleError)
    expect(() => windowToGray([1, 2], 0, 1, new Uint8Array(3))).toThrow('array of 2 elements')
    expect(() => windowToGray(0, Number.NaN, 100)).toThrow('for low')
  })
})
