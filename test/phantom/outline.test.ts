import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundsOf, largestPart, traceOutline, type PixelMask } from '../../src/phantom/outline.js'

const masks = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
  .chain(([width, height]) =>
    fc
      .uint8Array({ minLength: width * height, maxLength: width * height, max: 1 })
      .map((pixels): PixelMask => ({ x: 20, y: 30, width, height, pixels })),
  )

/** Whether a pixel center lies inside a closed polygon of pixel centers, its line excluded (even-odd rule). */
function inside(points: readonly { x: number; y: number }[], x: number, y: number): boolean {
  let odd = false
  for (let n = 0; n + 1 < points.length; n++) {
    const a = points[n]!
    const b = points[n + 1]!
    if (a.x === x && a.y === y) return false
    if (a.y > y !== b.y > y && x < a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x)) odd = !odd
  }
  return odd
}

describe('traceOutline', () => {
  it('goes around the mask on the first pixels outside, step by step, and closes', () => {
    fc.assert(
      fc.property(masks, (raw) => {
        const mask = largestPart(raw)
        if (mask === undefined) return
        const points = traceOutline(mask)
        expect(points[0]).toEqual(points.at(-1))
        const at = (x: number, y: number): boolean => {
          const i = x - mask.x
          const j = y - mask.y
          return (
            i >= 0 && j >= 0 && i < mask.width && j < mask.height && mask.pixels[j * mask.width + i] === 1
          )
        }
        for (const [n, p] of points.entries()) {
          expect(at(p.x, p.y)).toBe(false)
          expect(at(p.x - 1, p.y) || at(p.x + 1, p.y) || at(p.x, p.y - 1) || at(p.x, p.y + 1)).toBe(true)
          if (n > 0)
            expect(Math.max(Math.abs(p.x - points[n - 1]!.x), Math.abs(p.y - points[n - 1]!.y))).toBe(1)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('encloses exactly the mask where the mask has no bays of one pixel', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 0, max: 10 }),
        (a, b, shift) => {
          // Discs and ellipses of half-pixel axes.
          const width = a + 2
          const height = b + 2
          const pixels = new Uint8Array(width * height)
          for (let j = 0; j < height; j++)
            for (let i = 0; i < width; i++)
              if (((i - width / 2 + 0.5) / (a / 2)) ** 2 + ((j - height / 2 + 0.5) / (b / 2)) ** 2 <= 1)
                pixels[j * width + i] = 1
          const mask = largestPart({ x: shift, y: shift, width, height, pixels })!
          const points = traceOutline(mask)
          for (let j = 0; j < mask.height; j++)
            for (let i = 0; i < mask.width; i++)
              expect(inside(points, mask.x + i, mask.y + j)).toBe(mask.pixels[j * mask.width + i] === 1)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('finds the box of a mask', () => {
    const pixels = Uint8Array.from([0, 1, 0, 0, 1, 1, 0, 0, 0])
    expect(boundsOf({ x: 10, y: 5, width: 3, height: 3, pixels })).toEqual({ x1: 11, y1: 5, x2: 13, y2: 7 })
  })
})
