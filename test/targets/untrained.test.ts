import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import type { EdgeBox } from '../../src/geometry/box.js'
import { buildTargets } from '../../src/targets/targets.js'
import { countUntrained, tellUntrained } from '../../src/targets/untrained.js'

const SIZE = { image_width: 96, image_height: 64, grid_width: 3, grid_height: 2 }
const hypes = parseHypes({ ...SIZE, rnn_len: 2, focus_size: 0.4, biggest_box_px: 40 })
const around = (x: number, y: number, size = 4): EdgeBox => ({
  x1: x - size / 2,
  y1: y - size / 2,
  x2: x + size / 2,
  y2: y + size / 2,
})

describe('countUntrained', () => {
  it('counts boxes without a slot, far from every cell, and too big, in pixels of the frame', () => {
    const image = { width: 96, height: 64 }
    const rects = [
      ...[around(16, 16), around(20, 16), around(10, 16)],
      // 16 px from the centers of cells 1 and 2.
      ...[around(64, 16), around(48, 45, 41)],
    ]
    const lost = { boxes: 5, big: 1, far: 1, crowded: 1 }
    expect(
      countUntrained(
        [
          { ...image, rects },
          { ...image, rects: [] },
        ],
        hypes,
      ),
    ).toEqual(lost)
    const doubled = rects.map(({ x1, y1, x2, y2 }) => ({ x1: 2 * x1, y1: 3 * y1, x2: 2 * x2, y2: 3 * y2 }))
    expect(countUntrained([{ width: 192, height: 192, rects: doubled }], hypes)).toEqual(lost)
  })

  it('with data.mm_per_pixel counts by the tiles that show the image', () => {
    const tiled = { ...hypes, data: { ...hypes.data, mm_per_pixel: 0.5, tile_overlap_mm: 16 } }
    // Tiles from x = 0, 52 and 104: their cells are 32 px wide.
    const image = { width: 200, height: 64 }
    const count = (...rects: EdgeBox[]): object => countUntrained([{ ...image, rects }], tiled)
    // 12 px off a center in the first tile, on one in the second.
    expect(count(around(68, 16))).toEqual({ boxes: 1, big: 0, far: 0, crowded: 0 })
    expect(count(around(32, 16))).toEqual({ boxes: 1, big: 0, far: 1, crowded: 0 })
    expect(count(around(10, 16), around(16, 16), around(20, 16))).toMatchObject({ crowded: 1 })
    // An overlap as large as a tile, which detection refuses, is no matter of the training.
    const wide = { ...tiled, data: { ...tiled.data, tile_overlap_mm: 500 } }
    expect(countUntrained([{ ...image, rects: [around(16, 16)] }], wide)).toMatchObject({ boxes: 1, far: 0 })
  })

  it('agrees with the targets', () => {
    const box = fc.record({
      x: fc.integer({ min: 0, max: 90 }),
      y: fc.integer({ min: 0, max: 60 }),
      w: fc.integer({ min: 1, max: 50 }),
    })
    const lists = fc.array(box, { maxLength: 9 })
    fc.assert(
      fc.property(lists, fc.double({ min: 0.1, max: 2, noNaN: true }), (list, focus) => {
        // Each box of a width of its own, by which it is found again.
        const rects = list.map(({ x, y, w }, n) => ({ x1: x, y1: y, x2: x + w + n / 16, y2: y + w }))
        const all = { ...hypes, focus_size: focus }
        const { boxes, counts } = buildTargets([rects], all)
        const held = new Set<number>()
        counts.forEach((count, cell) => {
          for (let slot = 0; slot < count; slot++) held.add(boxes[(cell * 2 + slot) * 4 + 2]!)
        })
        const trained = rects.filter(({ x1, x2 }) => held.has(x2 - x1)).length
        // Big ones take no slots: batches leave them out before.
        const small = rects.filter(({ x1, x2, y1, y2 }) => Math.max(x2 - x1, y2 - y1) < 40)
        const { big, far, crowded } = countUntrained([{ width: 96, height: 64, rects }], all)
        expect(big).toBe(rects.length - small.length)
        expect(rects.length - big - far - crowded).toBe(trained)
      }),
    )
  })

  it('is told in one line', () => {
    const warnings: string[] = []
    const tell = (rects: EdgeBox[]): void =>
      tellUntrained('a.json', [{ width: 96, height: 64, rects }], hypes, (warning) => warnings.push(warning))
    tell([around(16, 16)])
    tell([around(32, 16), around(64, 16), around(48, 45, 41)])
    expect(warnings).toEqual([
      'a.json: 3 of 3 boxes train nothing where frames are shown as they are: 2 beyond focus_size (0.4) of every cell, 1 of biggest_box_px (40) or more',
    ])
  })
})
