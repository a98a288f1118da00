import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fitFrame, frameToImage, imageToFrame } from '../../src/geometry/frame.js'

describe('fitFrame', () => {
  it('fits the longer side and centers the other', () => {
    const mapping = fitFrame({ x1: 100, y1: 50, x2: 276, y2: 114 }, 352, 256)
    expect(mapping.scale).toBe(2)
    expect(imageToFrame(mapping, { x1: 100, y1: 50, x2: 276, y2: 114 })).toEqual({
      x1: 0,
      y1: 64,
      x2: 352,
      y2: 192,
    })
  })

  it('is inverted exactly by frameToImage', () => {
    const number = fc.double({ min: -500, max: 900, noNaN: true })
    const side = fc.double({ min: 20, max: 512, noNaN: true })
    fc.assert(
      fc.property(number, number, side, side, number, number, (x, y, w, h, bx, by) => {
        const mapping = fitFrame({ x1: x, y1: y, x2: x + w, y2: y + h }, 352, 256, 7)
        const box = { x1: bx, y1: by, x2: bx + 10, y2: by + 12 }
        const back = frameToImage(mapping, imageToFrame(mapping, box))
        for (const key of ['x1', 'y1', 'x2', 'y2'] as const) expect(back[key]).toBeCloseTo(box[key], 8)
      }),
    )
  })

  it('refuses a region without area', () => {
    expect(() => fitFrame({ x1: 5, y1: 0, x2: 5, y2: 10 }, 352, 256)).toThrow(/box with an area for region/)
  })
})
