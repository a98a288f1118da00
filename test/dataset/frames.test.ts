import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import {
  channelSlices,
  lungFrame,
  renderPlane,
  renderPlaneHu,
  renderSliceFrames,
  tilesOf,
} from '../../src/dataset/index.js'
import { frameToImage, imageToFrame } from '../../src/geometry/frame.js'
import type { FrameMapping } from '../../src/geometry/frame.js'
import { createRandom } from '../../src/random.js'

interface Golden {
  rows: number
  columns: number
  input: number[]
  cases: { width: number; height: number; box: [number, number, number, number]; hu: number[] }[]
}

const golden = JSON.parse(
  readFileSync(new URL('../fixtures/dataset/resample.json', import.meta.url), 'utf8'),
) as Golden

function volumeOf(data: Int16Array | Float32Array, rows: number, columns: number) {
  return { data, shape: [data.length / (rows * columns), rows, columns] as const }
}

const WINDOW = { low: -1000, high: 400 }

describe('renderPlane', () => {
  it.each(golden.cases)('equals Pillow: $width x $height of $box', ({ width, height, box, hu }) => {
    const volume = volumeOf(Int16Array.from(golden.input), golden.rows, golden.columns)
    const mapping: FrameMapping = {
      originX: box[0],
      originY: box[1],
      scale: width / (box[2] - box[0]),
      frameWidth: width,
      frameHeight: height,
    }
    const ours = renderPlaneHu(volume, 0, mapping)
    expect(ours.length).toBe(hu.length)
    for (const [i, value] of hu.entries()) expect(Math.abs(ours[i]! - value)).toBeLessThan(2e-3)
    const gray = renderPlane(volume, 0, mapping, WINDOW)
    for (const [i, value] of ours.entries())
      expect(gray[i]).toBe(Math.min(255, Math.max(0, Math.floor(((value + 1000) / 1400) * 255 + 0.5))))
  })

  it('keeps constants, and is air outside of the image', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.2, max: 3, noNaN: true }),
        fc.double({ min: -30, max: 30, noNaN: true }),
        fc.integer({ min: -1000, max: 400 }),
        (scale, origin, hu) => {
          const volume = volumeOf(new Int16Array(24 * 20).fill(hu), 20, 24)
          const mapping = { originX: origin, originY: 1, scale, frameWidth: 16, frameHeight: 8 }
          const plane = renderPlaneHu(volume, 0, mapping)
          for (let v = 0; v < 8; v++) {
            for (let u = 0; u < 16; u++) {
              const x = origin + (u + 0.5) / scale
              const y = 1 + (v + 0.5) / scale
              const inside = x >= 0 && x < 24 && y < 20
              expect(Math.abs(plane[v * 16 + u]! - (inside ? hu : -1000))).toBeLessThan(1e-3)
            }
          }
        },
      ),
    )
  })

  it('moves by whole pixels with its origin, and takes the slice asked for', () => {
    const values = Int16Array.from({ length: 2 * 30 * 40 }, (_, i) => ((i * 7919) % 1400) - 1000)
    const volume = volumeOf(values, 30, 40)
    const mapping = { originX: 5, originY: 4, scale: 1, frameWidth: 16, frameHeight: 8 }
    const plane = Float32Array.from(renderPlaneHu(volume, 1, mapping))
    for (let v = 0; v < 8; v++)
      for (let u = 0; u < 16; u++) expect(plane[v * 16 + u]).toBe(values[1200 + (v + 4) * 40 + u + 5])
    const moved = renderPlaneHu(volume, 1, { ...mapping, originX: 6 })
    for (let v = 0; v < 8; v++)
      for (let u = 0; u < 15; u++) expect(moved[v * 16 + u]).toBe(plane[v * 16 + u + 1])
  })

  it('refuses what cannot be', () => {
    const volume = volumeOf(new Int16Array(16), 4, 4)
    const mapping = { originX: 0, originY: 0, scale: 1, frameWidth: 4, frameHeight: 4 }
    expect(() => renderPlane(volume, 1, mapping, WINDOW)).toThrow(/Expected integer between 0 and 0 for k/)
    expect(() => renderPlane(volume, 0, mapping, { low: 5, high: 5 })).toThrow(/number above 5 for high/)
    expect(() => renderPlane(volume, 0, mapping, WINDOW, new Uint8Array(3))).toThrow(/16 elements/)
  })
})

describe('lungFrame', () => {
  it('shows the lungs with the margin, as large as fits, and maps back exactly', () => {
    const hypes = parseHypes({})
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 1, max: 500 }),
        fc.double({ min: 0.4, max: 1, noNaN: true }),
        fc.double({ min: -50, max: 600, noNaN: true }),
        (x, w, y, h, spacing, at) => {
          const lungs = { box: { x: [x, x + w] as const, y: [y, y + h] as const } }
          const mapping = lungFrame({ geometry: { spacing: [2.5, spacing, spacing] } }, lungs, hypes)
          const shown = frameToImage(mapping, { x1: 0, y1: 0, x2: 352, y2: 256 })
          const margin = 10 / spacing
          expect(shown.x1).toBeLessThanOrEqual(x - margin + 1e-6)
          expect(shown.x2).toBeGreaterThanOrEqual(x + w + margin - 1e-6)
          expect(shown.y1).toBeLessThanOrEqual(y - margin + 1e-6)
          expect(shown.y2).toBeGreaterThanOrEqual(y + h + margin - 1e-6)
          const fit = Math.min(352 / (w + 2 * margin), 256 / (h + 2 * margin))
          expect(mapping.scale).toBeCloseTo(fit, 9)
          const box = { x1: at, y1: at / 2, x2: at + 7.5, y2: at + 3 }
          const back = frameToImage(mapping, imageToFrame(mapping, box))
          for (const key of ['x1', 'y1', 'x2', 'y2'] as const)
            expect(Math.abs(back[key] - box[key])).toBeLessThan(1e-9)
        },
      ),
    )
  })
})

describe('pixels that are not square', () => {
  const lungs = { box: { x: [20, 100] as const, y: [10, 60] as const } }
  // Rows 1.2 mm apart, columns 0.6: a ball of 12 mm is 20 pixels wide and 10 high.
  const geometry = { spacing: [2.5, 1.2, 0.6] as const }
  const ball = { x1: 50, y1: 30, x2: 70, y2: 40 }
  const hypes = parseHypes({})
  const sized = (mmPerPixel: number): FrameMapping =>
    lungFrame({ geometry: { spacing: [...geometry.spacing] } }, lungs, {
      ...hypes,
      data: { ...hypes.data, mm_per_pixel: mmPerPixel },
    })

  it('are so in frames: what is round stays round', () => {
    for (const mmPerPixel of [0, 0.5]) {
      const mapping = sized(mmPerPixel)
      const seen = imageToFrame(mapping, ball)
      expect(seen.x2 - seen.x1).toBeCloseTo(seen.y2 - seen.y1, 9)
      if (mmPerPixel > 0) expect(seen.x2 - seen.x1).toBeCloseTo(12 / mmPerPixel, 9)
      const back = frameToImage(mapping, seen)
      for (const key of ['x1', 'y1', 'x2', 'y2'] as const) expect(back[key]).toBeCloseTo(ball[key], 9)
    }
  })

  it('in tiles too, and in what is rendered', () => {
    const canvas = sized(0.5)
    const tiles = tilesOf(canvas, {
      image_width: 64,
      image_height: 64,
      data: { mm_per_pixel: 0.5, tile_overlap_mm: 8 },
    })
    expect(tiles.length).toBeGreaterThan(2)
    for (const { mapping, area } of tiles) {
      const { x1, y1 } = frameToImage(canvas, area)
      expect([x1, y1]).toEqual([
        expect.closeTo(mapping.originX, 9) as number,
        expect.closeTo(mapping.originY, 9) as number,
      ])
      expect(mapping.scaleY).toBe(canvas.scaleY)
    }
    const data = new Int16Array(80 * 120).fill(-1000)
    for (let y = ball.y1; y < ball.y2; y++) data.fill(0, y * 120 + ball.x1, y * 120 + ball.x2)
    const plane = renderPlaneHu(volumeOf(data, 80, 120), 0, canvas)
    const inside = [...plane.keys()].filter((at) => plane[at]! > -500)
    const columns = new Set(inside.map((at) => at % canvas.frameWidth)).size
    expect(columns).toBe(24)
    expect(inside.length / columns).toBe(24)
  })

  it('square ones have one scale, as ever', () => {
    const mapping = lungFrame({ geometry: { spacing: [2.5, 0.6, 0.6] } }, lungs, hypes)
    expect(mapping).not.toHaveProperty('scaleY')
  })
})

describe('channelSlices', () => {
  const neighbors = (
    geometry: Parameters<typeof channelSlices>[0],
    k: number,
    millimeters: number,
  ): number[] => channelSlices(geometry, k, millimeters, 3)

  const at = (slicePositions: number[], spacing: number) => ({
    slicePositions,
    spacing: [spacing, 1, 1] as const,
  })

  it('goes by distance', () => {
    const thin = at(
      Array.from({ length: 20 }, (_, k) => k * 0.625),
      0.625,
    )
    expect(neighbors(thin, 10, 2.5)).toEqual([6, 10, 14])
    expect(neighbors(thin, 2, 2.5)).toEqual([0, 2, 6])
    expect(neighbors(thin, 0, 2.5)).toEqual([0, 0, 4])
    expect(neighbors(thin, 19, 2.5)).toEqual([15, 19, 19])
    expect(neighbors(thin, 10, 0)).toEqual([10, 10, 10])
    const thick = at([0, 5, 10], 5)
    expect(neighbors(thick, 1, 2.5)).toEqual([0, 1, 2])
  })

  it('does not look over a gap, and takes the nearer of two', () => {
    expect(neighbors(at([0, 2.5, 30, 32.5], 2.5), 1, 2.5)).toEqual([0, 1, 1])
    expect(neighbors(at([0, 1, 2, 3, 4, 5], 1), 3, 2.5)).toEqual([1, 3, 5])
    expect(neighbors(at([7], 1), 0, 2.5)).toEqual([0, 0, 0])
  })
})

/** Planes as channels: [pixels, planes]. */
function interleave(planes: readonly Uint8Array[]): number[] {
  return [...planes[0]!].flatMap((_, pixel) => planes.map((plane) => plane[pixel]!))
}

describe('renderSliceFrames', () => {
  it('equals planes, neighbors and assembling, but for single pixels by one level', async () => {
    const random = createRandom(3)
    const data = Int16Array.from({ length: 7 * 40 * 50 }, () => -1100 + random.integer(1600))
    const slicePositions = [0, 1, 2, 3, 4, 20, 21]
    const volume = {
      data,
      shape: [7, 40, 50] as const,
      geometry: { slicePositions, spacing: [1, 1, 1] as const },
    }
    const mapping = { originX: -3.3, originY: 2.1, scale: 0.7, frameWidth: 40, frameHeight: 24 }
    const slices = [0, 3, 4, 6]
    for (const layout of ['NHWC', 'NCHW'] as const) {
      const style = { mapping, window: WINDOW, neighborMm: 2, channels: 3, layout }
      const frames = await renderSliceFrames(volume, slices, style)
      const planes = slicePositions.map((_, k) => renderPlane(volume, k, mapping, WINDOW))
      let different = 0
      for (const [n, k] of slices.entries()) {
        const three = channelSlices(volume.geometry, k, 2, 3).map((slice) => planes[slice]!)
        const expected = layout === 'NCHW' ? three.flatMap((plane) => [...plane]) : interleave(three)
        for (const [i, level] of expected.entries()) {
          const ours = frames[n * expected.length + i]!
          expect(Math.abs(ours - level)).toBeLessThanOrEqual(1)
          if (ours !== level) different++
        }
      }
      expect(different).toBeLessThan(10)
    }
    await expect(
      renderSliceFrames(volume, [7], { mapping, window: WINDOW, neighborMm: 2, channels: 3, layout: 'NCHW' }),
    ).rejects.toThrow(/for slice/)
  })
})
