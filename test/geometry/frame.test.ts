import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canvasFrame, fitFrame, frameToImage, imageToFrame, tileFrames } from '../../src/geometry/frame.js'

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

describe('tileFrames', () => {
  const length = fc.integer({ min: 1, max: 900 })
  const unit = fc.double({ min: 0, max: 1, noNaN: true })

  it('cover the canvas; a box no larger than the overlap lies whole in at least one tile', () => {
    const tile = fc.tuple(fc.integer({ min: 32, max: 320 }), fc.integer({ min: 32, max: 320 }))
    fc.assert(
      fc.property(
        fc.tuple(length, length),
        tile,
        unit,
        unit,
        unit,
        unit,
        unit,
        ([width, height], [tileWidth, tileHeight], share, px, py, pw, ph) => {
          const overlap = Math.floor(share * (Math.min(tileWidth, tileHeight) - 1))
          const canvas = canvasFrame({ x1: -3.5, y1: 7, x2: -3.5 + width, y2: 7 + height }, 1)
          const tiles = tileFrames(canvas, tileWidth, tileHeight, overlap)
          const [w, h] = [Math.min(pw * overlap, width), Math.min(ph * overlap, height)]
          const x = canvas.originX + px * (width - w)
          const y = canvas.originY + py * (height - h)
          const holds = tiles.some(
            (t) =>
              x >= t.originX - 1e-9 &&
              y >= t.originY - 1e-9 &&
              x + w <= t.originX + tileWidth + 1e-9 &&
              y + h <= t.originY + tileHeight + 1e-9,
          )
          expect(holds).toBe(true)
          // A single tile lies around a smaller canvas; of several none reaches beyond.
          for (const t of tiles) {
            if (width >= tileWidth) {
              expect(t.originX).toBeGreaterThanOrEqual(canvas.originX - 1e-9)
              expect(t.originX + tileWidth).toBeLessThanOrEqual(canvas.originX + width + 1e-9)
            } else expect(t.originX).toBeLessThanOrEqual(canvas.originX)
          }
        },
      ),
    )
  })

  it('refuses tiles that would not get on', () => {
    const canvas = canvasFrame({ x1: 0, y1: 0, x2: 100, y2: 100 }, 1)
    expect(() => tileFrames(canvas, 64, 32, 32)).toThrow(/0 to below 32 pixels for overlap/)
  })
})
