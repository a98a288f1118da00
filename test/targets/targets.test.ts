import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { cellToEdge, intersectionArea } from '../../src/geometry/box.js'
import { buildTargets } from '../../src/targets/targets.js'

const hypes = parseHypes({
  image_width: 96,
  image_height: 64,
  grid_width: 3,
  grid_height: 2,
  rnn_len: 2,
  focus_size: 1.8,
})

describe('buildTargets', () => {
  it('hands a box to the cells that it intersects, relative to their centers', () => {
    // Over the border of cells 0 and 1 in the upper row.
    const { boxes, counts } = buildTargets([[{ x1: 26, y1: 10, x2: 36, y2: 18 }]], hypes)
    expect([...counts]).toEqual([1, 1, 0, 0, 0, 0])
    expect([...boxes.subarray(0, 4)]).toEqual([15, -2, 10, 8])
    expect([...boxes.subarray(8, 12)]).toEqual([-17, -2, 10, 8])
    expect(boxes.subarray(12).every((value) => value === 0)).toBe(true)
  })

  it('ignores cells that touch an excluded place, unless they hold a box', () => {
    const box = { x1: 10, y1: 10, x2: 20, y2: 20 }
    const excluded = [{ x1: 20, y1: 5, x2: 40, y2: 12 }]
    expect([...buildTargets([[box]], hypes, [excluded]).ignored]).toEqual([0, 1, 0, 0, 0, 0])
    expect([...buildTargets([[]], hypes, [excluded]).ignored]).toEqual([1, 1, 0, 0, 0, 0])
    expect([...buildTargets([[box]], hypes).ignored]).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('keeps the nearest where a cell has too many', () => {
    const at = (x: number): { x1: number; y1: number; x2: number; y2: number } => ({
      x1: x - 2,
      y1: 14,
      x2: x + 2,
      y2: 18,
    })
    const { boxes, counts } = buildTargets([[at(28), at(6), at(17)]], hypes)
    expect(counts[0]).toBe(2)
    expect([boxes[0], boxes[4]]).toEqual([1, -10])
  })

  it('leaves out boxes that are far or big', () => {
    const narrow = { ...hypes, focus_size: 0.5 }
    const box = { x1: 26, y1: 10, x2: 36, y2: 18 }
    expect([...buildTargets([[box]], narrow).counts]).toEqual([1, 0, 0, 0, 0, 0])
    expect(buildTargets([[box]], { ...hypes, biggest_box_px: 10 }).counts.some((count) => count > 0)).toBe(
      false,
    )
    expect(buildTargets([], hypes).counts.length).toBe(0)
  })

  it('holds boxes of its frame only, which meet the cell, nearest first', () => {
    const coordinate = (limit: number): fc.Arbitrary<number> => fc.double({ min: 0, max: limit, noNaN: true })
    const box = fc.record({ x: coordinate(96), y: coordinate(64), w: coordinate(40), h: coordinate(40) })
    fc.assert(
      fc.property(fc.array(fc.array(box, { maxLength: 6 }), { maxLength: 3 }), (frames) => {
        const edges = frames.map((list) =>
          list.map(({ x, y, w, h }) => ({ x1: x, y1: y, x2: x + w + 1, y2: y + h + 1 })),
        )
        const { boxes, counts } = buildTargets(edges, hypes)
        counts.forEach((count, index) => {
          const cell = index % 6
          const [cx, cy] = [((cell % 3) + 0.5) * 32, (Math.floor(cell / 3) + 0.5) * 32]
          const region = { x1: cx - 16, y1: cy - 16, x2: cx + 16, y2: cy + 16 }
          let last = -1
          for (let slot = 0; slot < 2; slot++) {
            if (slot >= count) continue
            const [x, y, w, h] = boxes.subarray((index * 2 + slot) * 4, (index * 2 + slot) * 4 + 4)
            const edge = cellToEdge({ cx: x!, cy: y!, w: w!, h: h! }, cx, cy)
            expect(intersectionArea(edge, region)).toBeGreaterThan(-1e-3)
            expect(edges[Math.floor(index / 6)]!.some((e) => Math.abs(e.x1 - edge.x1) < 1e-3)).toBe(true)
            const distance = x! * x! + y! * y!
            expect(distance).toBeGreaterThanOrEqual(last - 1e-3)
            last = distance
          }
        })
      }),
      { numRuns: 50 },
    )
  })
})
