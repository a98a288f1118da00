import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutTile, tilesOf } from '../../src/dataset/index.js'
import type { EdgeBox, ScoredBox } from '../../src/geometry/box.js'
import { clipBox, iou } from '../../src/geometry/box.js'
import { DETECT_DEFAULTS, detectVolume } from '../../src/inference/index.js'
import { examinedRegion } from '../../src/inference/region.js'
import { stitchTiles } from '../../src/inference/stitch_tiles.js'
import { createRandom } from '../../src/random.js'
import { diskSession } from './disk_session.js'
import { TILE, tileHypes } from './tile_hypes.js'
import { ballVolume, chestVolume } from './volumes.js'

const canvasOf = (frameWidth: number, frameHeight: number) => ({
  originX: 0,
  originY: 0,
  scale: 1,
  frameWidth,
  frameHeight,
})

/** What a perfect detector sees of an object in a tile: the part within, tile pixels. */
function seen(box: EdgeBox, { x1, y1, x2, y2 }: EdgeBox, score: number): ScoredBox[] {
  const inside = clipBox(
    { x1: box.x1 - x1, y1: box.y1 - y1, x2: box.x2 - x1, y2: box.y2 - y1 },
    x2 - x1,
    y2 - y1,
  )
  return inside.x2 > inside.x1 && inside.y2 > inside.y1 ? [{ ...inside, score }] : []
}

describe('stitchTiles', () => {
  test('each disk comes out exactly once and whole, whatever the tiles say about its parts', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 420 }),
        fc.integer({ min: 20, max: 420 }),
        fc.array(fc.tuple(unit, unit, unit), { maxLength: 12 }),
        fc.integer({ min: 0, max: 2 ** 31 }),
        (width, height, places, seed) => {
          const random = createRandom(seed)
          const disks: EdgeBox[] = []
          for (const [px, py, ps] of places) {
            const side = Math.min(2 + ps * (TILE.overlap - 4), width, height)
            const x1 = px * (width - side)
            const y1 = py * (height - side)
            const disk = { x1, y1, x2: x1 + side, y2: y1 + side }
            if (disks.every((other) => iou(disk, other) === 0)) disks.push(disk)
          }
          const tiles = tilesOf(canvasOf(width, height), tileHypes())
          const parts = tiles.map((tile) => ({
            tile,
            boxes: disks.flatMap((disk) => seen(disk, tile.area, 0.2 + 0.8 * random.uniform())),
          }))
          const found = stitchTiles(parts, 0.3)
          expect(found).toHaveLength(disks.length)
          for (const disk of disks)
            expect(Math.max(...found.map((box) => iou(box, disk)))).toBeGreaterThan(0.999)
          const scores = found.map(({ score }) => score)
          expect(scores).toEqual([...scores].sort((a, b) => b - a))
        },
      ),
      { numRuns: 300 },
    )
  })

  test('tiles that see an object a few pixels apart do not leave it to each other', () => {
    const unit = fc.double({ min: -1, max: 1, noNaN: true })
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 380, noNaN: true }),
        fc.double({ min: 3, max: 30, noNaN: true }),
        fc.array(fc.tuple(unit, unit), { minLength: 30, maxLength: 30 }),
        (x, side, shifts) => {
          const tiles = tilesOf(canvasOf(420, 60), tileHypes())
          const parts = tiles.map((tile, n) => {
            const [dx, dy] = shifts[n]!
            // No more than a quarter of its side, within 3 pixels.
            const [ex, ey] = [dx * Math.min(3, side / 4), dy * Math.min(3, side / 4)]
            const box = { x1: x + ex, y1: 20 + ey, x2: x + side + ex, y2: 20 + side + ey }
            return { tile, boxes: seen(box, tile.area, 0.5 + 0.1 * dx) }
          })
          expect(stitchTiles(parts, 0.3)).toHaveLength(1)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('what only a rim shows does not count where the neighbor shows it well inside', () => {
    const [left, right] = tilesOf(canvasOf(150, 64), tileHypes())
    // A vessel cut off at the right side of the left tile looks like a nodule there.
    const cut = { x1: 85, y1: 30, x2: 96, y2: 40, score: 0.9 }
    expect(right!.area.x1).toBeLessThan(60)
    expect(
      stitchTiles(
        [
          { tile: left!, boxes: [cut] },
          { tile: right!, boxes: [] },
        ],
        0.3,
      ),
    ).toEqual([])
    // Where the neighbor is not examined, it is all there is.
    expect(stitchTiles([{ tile: left!, boxes: [cut] }], 0.3)).toEqual([cut])
  })

  test('boxes of one tile that overlap stay: its own rule has let them', () => {
    const [tile] = tilesOf(canvasOf(96, 64), tileHypes())
    const boxes = [
      { x1: 20, y1: 20, x2: 40, y2: 40, score: 0.9 },
      { x1: 22, y1: 20, x2: 42, y2: 40, score: 0.8 },
    ]
    expect(stitchTiles([{ tile: tile!, boxes }], 0.3)).toEqual(boxes)
  })
})

test('cutTile: the canvas where it is, air beyond it', () => {
  const data = Uint8Array.from({ length: 40 * 30 * 2 }, (_, n) => 1 + (n % 250))
  const [tile] = tilesOf(canvasOf(40, 30), tileHypes())
  const cut = cutTile({ data, width: 40, height: 30 }, tile!, 2, { low: -1200, high: 800 })
  const at = (x: number, y: number, c: number): number => cut[(y * TILE.width + x) * 2 + c]!
  expect([at(0, 0, 0), at(27, 17, 1), at(68, 17, 0), at(28, 47, 0)]).toEqual([26, 26, 26, 26])
  for (const [x, y] of [
    [0, 0],
    [39, 29],
    [7, 3],
  ] as const)
    expect(at(x + 28, y + 17, 1)).toBe(data[(y * 40 + x) * 2 + 1])
})

const parameters = { ...DETECT_DEFAULTS, region: 'all' as const }

describe('detectVolume with data.mm_per_pixel', () => {
  test('gives no half result once the signal is aborted', async () => {
    const stop = new AbortController()
    const told: number[] = []
    const onProgress = (done: number): void => {
      told.push(done)
      stop.abort()
    }
    const work = { parameters, batch: 1, signal: stop.signal, onProgress }
    const detected = detectVolume(ballVolume(1), diskSession(tileHypes()), work)
    await expect(detected).rejects.toMatchObject({ code: 'INTERRUPTED', message: 'stopped between slices' })
    expect(Math.max(...told)).toBeLessThan(6)
  })

  test.each([1, 7])('finds in tiles what one large frame shows, batch %d', async (batch) => {
    for (const seed of [1, 2, 3]) {
      const volume = ballVolume(seed)
      const whole = await detectVolume(volume, diskSession(tileHypes({}, 352, 256)), { parameters })
      const session = diskSession(tileHypes())
      const progress: number[] = []
      const tiled = await detectVolume(volume, session, {
        parameters,
        batch,
        onProgress: (done, total) => progress.push(done / total),
      })
      expect(whole.nodules.length).toBeGreaterThan(10)
      expect(tiled.slices.map(({ k }) => k)).toEqual([0, 1, 2, 3, 4, 5])
      const sorted = (boxes: readonly ScoredBox[]): ScoredBox[] =>
        [...boxes].sort((a, b) => a.x1 - b.x1 || a.y1 - b.y1)
      for (const [n, slice] of tiled.slices.entries()) {
        const expected = sorted(whole.slices[n]!.boxes)
        expect(slice.boxes).toHaveLength(expected.length)
        for (const [at, box] of sorted(slice.boxes).entries()) {
          for (const key of ['x1', 'y1', 'x2', 'y2', 'score'] as const)
            expect(box[key]).toBeCloseTo(expected[at]![key], 4)
        }
      }
      expect(tiled.nodules.length).toBe(whole.nodules.length)
      // The frame stays the mapping of the whole canvas.
      expect(tiled.frame).toEqual({ originX: 0, originY: 0, scale: 1, frameWidth: 330, frameHeight: 230 })
      expect(session.frames).toBe(6 * tilesOf(tiled.frame, session.hypes).length)
      expect(progress.at(-1)).toBe(1)
      // A model that takes any frame sees each slice whole, in one.
      const any = diskSession(tileHypes(), true)
      const free = await detectVolume(volume, any, { parameters, batch })
      expect(any).toMatchObject({ frames: 6, largestBatch: Math.min(batch, 6) })
      expect(free.frame).toEqual(tiled.frame)
      expect(free.nodules).toEqual(whole.nodules)
    }
  })

  test('slices are examined a step apart, and linking bridges what lies between', async () => {
    const volume = ballVolume(4, [13, 100, 120])

    const session = diskSession(tileHypes({ slice_step_mm: 4 }))
    const found = await detectVolume(volume, session, {
      parameters: { ...parameters, link: { ...parameters.link, maxGapMm: 1 } },
    })
    expect(found.slices.map(({ k }) => k)).toEqual([0, 4, 8, 12])
    expect(found.nodules.length).toBeGreaterThan(2)
    for (const { slices } of found.nodules) expect(slices).toEqual([0, 12])
    expect(new Set(found.slices.map(({ boxes }) => boxes.length))).toEqual(new Set([found.nodules.length]))
  })

  test('a second stage judges the linked nodules; they are ranked anew', async () => {
    const volume = ballVolume(5, [3, 100, 120])
    const found = await detectVolume(volume, diskSession(tileHypes()), {
      parameters: { ...parameters, link: { ...parameters.link, minConfidence: 0.1 } },
      rescore: async (nodules, scan) => {
        expect(scan).toBe(volume)
        expect(nodules.length).toBeGreaterThan(2)
        return Promise.resolve(
          nodules.map((nodule, n) => ({ ...nodule, confidence: n === 0 ? 0.05 : 0.1 + n / nodules.length })),
        )
      },
    })
    expect(found.nodules.map(({ id }) => id)).toEqual(found.nodules.map((_, n) => n + 1))
    const confidences = found.nodules.map(({ confidence }) => confidence)
    expect(confidences).toEqual([...confidences].sort((a, b) => b - a))
    expect(Math.min(...confidences)).toBeGreaterThanOrEqual(0.1)
    // Boxes bear the new numbers; those of the nodule that fell out bear none.
    const boxes = found.slices.flatMap((slice) => slice.boxes)
    expect(boxes.filter(({ nodule }) => nodule === undefined)).toHaveLength(3)
    expect(boxes.filter(({ nodule }) => nodule === 1)).toHaveLength(3)
  })

  test('the second stage judges what the first is unsure of too: only the list ends at the confidence asked for', async () => {
    const volume = ballVolume(5, [3, 100, 120])
    const run = async (minConfidence: number, rescored: boolean) =>
      detectVolume(volume, diskSession(tileHypes()), {
        parameters: { ...parameters, link: { ...parameters.link, minConfidence } },
        ...(rescored
          ? {
              rescore: async (nodules) =>
                Promise.resolve(nodules.map((nodule) => ({ ...nodule, confidence: 0.99 }))),
            }
          : {}),
      })
    const { nodules } = await run(0, false)
    const high = 0.98
    expect(Math.min(...nodules.map(({ confidence }) => confidence))).toBeLessThan(high)
    expect((await run(high, true)).nodules).toHaveLength(nodules.length)
    expect((await run(high, false)).nodules.length).toBeLessThan(nodules.length)
    for (const rescored of [true, false])
      await expect(run(60, rescored)).rejects.toMatchObject({ parameters: ['minConfidence'] })
  })
})

describe('examinedRegion', () => {
  test('only tiles that hold lung of the slice or lie near it; the apex needs fewer', () => {
    const [slices, rows, columns] = [24, 200, 240] as const
    const volume = chestVolume([slices, rows, columns])
    const { data } = volume
    const hypes = tileHypes({ mm_per_pixel: 1.5, tile_overlap_mm: 30, lung_margin_mm: 6 })
    const found = examinedRegion(volume, 'lungs', hypes, false)
    const counts = found.slices.map((k) => found.tilesOfSlice(k).length)
    const most = Math.max(...counts)
    expect(most).toBe(tilesOf(found.canvas, hypes).length)
    expect(counts[0]).toBeLessThan(most)
    expect(counts.at(-1)).toBeLessThan(most)
    expect(Math.min(...counts)).toBeGreaterThan(0)
    // A nodule around any voxel of lung, as wide as tiles overlap, lies whole in a tile of its slice or meets the canvas's side.
    const { canvas } = found
    for (const k of found.slices) {
      const tiles = found.tilesOfSlice(k)
      for (let n = 0; n < rows * columns; n++) {
        if (data[k * rows * columns + n] !== -850) continue
        const x = ((n % columns) + 0.5 - canvas.originX) * canvas.scale
        const y = (Math.floor(n / columns) + 0.5 - canvas.originY) * canvas.scale
        const whole = tiles.some(
          ({ area, inner }) =>
            (x - 10 >= area.x1 || !inner.left) &&
            (x + 10 <= area.x2 || !inner.right) &&
            (y - 10 >= area.y1 || !inner.top) &&
            (y + 10 <= area.y2 || !inner.bottom),
        )
        if (!whole) expect.fail(`what lies around voxel ${n} of slice ${k} is in no tile`)
      }
    }
  })

  test('a model that takes any frame sees the lungs of some slices, and a rim, in one frame', () => {
    const [slices, rows, columns] = [24, 200, 240] as const
    const volume = chestVolume([slices, rows, columns])
    const cells = { region_size: 8, grid_width: 12, grid_height: 8 }
    const hypes = {
      ...tileHypes({ mm_per_pixel: 1.5, tile_overlap_mm: 30, lung_margin_mm: 6 }),
      ...cells,
    }
    const found = examinedRegion(volume, 'lungs', hypes, true)
    const tiled = examinedRegion(volume, 'lungs', hypes, false)
    expect(found.slices).toEqual(tiled.slices)
    expect(found.canvas).toEqual(tiled.canvas)
    const areas: number[] = []
    for (const k of found.slices) {
      const [tile, ...others] = found.tilesOfSlice(k)
      expect(others).toEqual([])
      const { mapping, area } = tile!
      // Whole cells; pixels of the canvas, so that tiles and frames show the same grid.
      expect([mapping.frameWidth % 8, mapping.frameHeight % 8]).toEqual([0, 0])
      expect(area).toEqual({
        x1: Math.round((mapping.originX - found.canvas.originX) * found.canvas.scale),
        y1: Math.round((mapping.originY - found.canvas.originY) * found.canvas.scale),
        x2: area.x1 + mapping.frameWidth,
        y2: area.y1 + mapping.frameHeight,
      })
      areas.push(mapping.frameWidth * mapping.frameHeight)
      // 6 mm and 16 pixels around each voxel of lung, but for rounding.
      const reach = 6 / 1.5 + 16 - 1
      for (let n = 0; n < rows * columns; n++) {
        if (volume.data[k * rows * columns + n] !== -850) continue
        const x = (n % columns) + 0.5 - mapping.originX
        const y = Math.floor(n / columns) + 0.5 - mapping.originY
        if (Math.min(x, y, mapping.frameWidth - x, mapping.frameHeight - y) < reach)
          expect.fail(`voxel ${n} of slice ${k} is too near to the side of its frame`)
      }
    }
    // Eight slices share a frame; the apex needs less.
    expect(new Set(found.slices.slice(0, 8).map((k) => found.tilesOfSlice(k))).size).toBe(1)
    expect(new Set(areas).size).toBeGreaterThan(1)
    const pixels = areas.reduce((sum, area) => sum + area, 0)
    const tilePixels = found.slices.reduce((sum, k) => sum + tiled.tilesOfSlice(k).length, 0) * 96 * 64
    expect(pixels).toBeLessThan(tilePixels)
  })

  test('a place too large for one frame gets tiles of the model', () => {
    const volume = ballVolume(1, [2, 1100, 300])
    const hypes = tileHypes()
    const found = examinedRegion(volume, 'all', hypes, true)
    expect(found.tilesOfSlice(0)).toEqual(tilesOf(found.canvas, hypes))
    const narrow = examinedRegion(ballVolume(1, [2, 900, 300]), 'all', hypes, true)
    expect(narrow.tilesOfSlice(1).map(({ mapping }) => mapping)).toEqual([
      { originX: -26, originY: -30, scale: 1, frameWidth: 352, frameHeight: 960 },
    ])
  })

  test('a box counts if enough of it lies in the lungs, by data.min_lung_share', () => {
    const volume = chestVolume([24, 200, 240])
    const inLungs = (share: number) =>
      examinedRegion(volume, 'lungs', tileHypes({ mm_per_pixel: 1.5, min_lung_share: share }), false).inLungs
    // The middle of a lung; the body between its side and the skin; across that side, a quarter within; out of the image.
    const within = { x1: 65, y1: 95, x2: 75, y2: 105 }
    const outside = { x1: 112, y1: 20, x2: 122, y2: 30 }
    const touching = { x1: 107, y1: 98, x2: 119, y2: 102 }
    const beyond = { x1: 300, y1: 95, x2: 310, y2: 105 }
    const judged = (share: number): boolean[] =>
      [within, touching, outside, beyond].map((box) => inLungs(share)(12, box))
    expect(judged(0)).toEqual([true, true, true, true])
    expect(judged(0.1)).toEqual([true, true, false, false])
    expect(judged(0.5)).toEqual([true, false, false, false])
  })

  test('detection drops what lies outside of the lungs, but nothing where all of a volume is examined', async () => {
    const volume = chestVolume([24, 200, 240])
    const ball = (x: number, y: number): void => {
      for (let k = 11; k < 14; k++)
        for (let j = -3; j <= 3; j++)
          for (let i = -3; i <= 3; i++) volume.data[(k * 200 + y + j) * 240 + x + i] = 1000
    }
    ball(70, 100)
    // Between the lungs.
    ball(120, 100)
    const places = async (region: 'all' | 'lungs', share: number): Promise<number[]> => {
      // Bone only: with this window, flesh is dark.
      const window = { window_low_hu: 400, window_high_hu: 800 }
      const data = { mm_per_pixel: 1.5, tile_overlap_mm: 60, min_lung_share: share, ...window }
      const found = await detectVolume(volume, diskSession(tileHypes(data)), {
        parameters: { ...parameters, region },
      })
      return found.nodules.map(({ centerVoxel }) => Math.round(centerVoxel[2])).sort((a, b) => a - b)
    }
    expect(await places('lungs', 0)).toEqual([70, 120])
    expect(await places('lungs', 0.1)).toEqual([70])
    expect(await places('all', 0.1)).toEqual([70, 120])
  })

  test('a crop, and a volume without lungs, are examined whole, with a warning', () => {
    const crop = examinedRegion(ballVolume(1, [3, 128, 128]), 'lungs', tileHypes(), false)
    expect(crop.warnings).toEqual(['only a part of a chest (90 x 90 mm): all of it is examined'])
    expect(crop.inLungs(0, { x1: 1, y1: 1, x2: 2, y2: 2 })).toBe(true)
    expect(crop.canvas).toMatchObject({ originX: 0, originY: 0, frameWidth: 128, frameHeight: 128 })
    const phantom = ballVolume(1, [4, 240, 240])
    phantom.data.fill(40)
    const none = examinedRegion(phantom, 'lungs', tileHypes(), false)
    expect(none.warnings.at(-1)).toBe('no lungs found: all of the volume is examined')
    expect(none.slices).toEqual([0, 1, 2, 3])
    expect(none.tilesOfSlice(2)).toEqual(tilesOf(none.canvas, tileHypes()))
    expect(examinedRegion(phantom, 'all', tileHypes(), false).warnings).toEqual([])
  })
})
