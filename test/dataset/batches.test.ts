import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHypes, readHypes } from '../../src/config/hypes.js'
import { batches, hypesWindow, parseList, readList } from '../../src/dataset/index.js'
import { writePng } from '../../src/formats/index.js'
import type { Batch, BatchOptions, FrameList } from '../../src/dataset/index.js'
import { openBatches } from '../../src/dataset/batches.js'
import { airGray } from '../../src/dataset/frames.js'
import { drawJitter, jitterBoxes, jitterFrame } from '../../src/dataset/jitter.js'
import { changeKernel } from '../../src/dataset/vary.js'
import { NoduleError } from '../../src/errors.js'
import { createRandom } from '../../src/random.js'

const WIDTH = 96
const HEIGHT = 64
const hypes = parseHypes({
  image_width: WIDTH,
  image_height: HEIGHT,
  grid_width: 3,
  grid_height: 2,
  batch_size: 2,
  biggest_box_px: 60,
})
const BOX = { x1: 20, y1: 30, x2: 44, y2: 50 }

let folder: string
let list: FrameList
/** Five frames, black with a white rectangle where the box is, the last of twice the size. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-batches-'))
  const entries = []
  for (let n = 0; n < 5; n++) {
    const factor = n === 4 ? 2 : 1
    const box = { x1: BOX.x1 + n, y1: BOX.y1 - n, x2: BOX.x2 + n, y2: BOX.y2 - n }
    const width = WIDTH * factor
    const height = HEIGHT * factor
    const data = new Uint8Array(width * height * 3)
    for (let y = box.y1 * factor; y < box.y2 * factor; y++)
      data.fill(255, (y * width + box.x1 * factor) * 3, (y * width + box.x2 * factor) * 3)
    await writePng(join(folder, `${n}.png`), { width, height, data })
    const rect = { x1: box.x1 * factor, y1: box.y1 * factor, x2: box.x2 * factor, y2: box.y2 * factor }
    entries.push({ image_path: `${n}.png`, rects: [rect, { x1: 0, y1: 0, x2: 90 * factor, y2: 9 }] })
  }
  list = parseList(entries, join(folder, 'list.json'))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function take(count: number, options: BatchOptions, from = list): Promise<Batch[]> {
  const taken: Batch[] = []
  for await (const batch of batches(from, hypes, options)) {
    taken.push(batch)
    if (taken.length >= count) break
  }
  return taken
}

/** The smallest box around the pixels above half, and how bright it is inside and outside. */
function brightBox(frame: Float32Array): { x1: number; y1: number; x2: number; y2: number } {
  const box = { x1: WIDTH, y1: HEIGHT, x2: 0, y2: 0 }
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      if (frame[(y * WIDTH + x) * 3]! < 127.5) continue
      box.x1 = Math.min(box.x1, x)
      box.y1 = Math.min(box.y1, y)
      box.x2 = Math.max(box.x2, x + 1)
      box.y2 = Math.max(box.y2, y + 1)
    }
  }
  return box
}

describe('batches', () => {
  it('cut augment.crops_per_frame crops from each frame in turn, each of its own', async () => {
    const crops = parseHypes({
      ...{ image_width: 64, image_height: 64, grid_width: 2, grid_height: 2, batch_size: 4 },
      ...{ data: { mm_per_pixel: 0.7 }, augment: { crops_per_frame: 3 } },
    })
    const taken: Batch[] = []
    for await (const batch of batches(list, crops, { jitter: true, passes: 1, workers: 1 })) taken.push(batch)
    const indices = taken.flatMap((batch) => batch.indices)
    expect(indices).toHaveLength(15)
    for (let n = 0; n < 15; n += 3) expect(new Set(indices.slice(n, n + 3)).size).toBe(1)
    expect(new Set(indices)).toEqual(new Set([0, 1, 2, 3, 4]))
    const size = 64 * 64 * 3
    const [first, second] = [0, 1].map((n) => taken[0]!.frames.slice(n * size, (n + 1) * size))
    expect(second).not.toEqual(first)
    // Without jitter, each frame once.
    const still: Batch[] = []
    for await (const batch of batches(list, crops, { passes: 1 })) still.push(batch)
    expect(still.flatMap((batch) => batch.indices)).toHaveLength(5)
  })

  it('are the same from any number of threads, made in whatever order, varied or not', async () => {
    for (const jitter of [false, true]) {
      const [here, ...others] = await Promise.all(
        [0, 1, 3].map(async (workers) => take(7, { workers, jitter, seed: 5, startStep: 2 })),
      )
      for (const other of others) expect(other).toEqual(here)
    }
  }, 180_000)

  it('tells of an image that a thread cannot read where its batch is asked for', async () => {
    const gone = join(folder, 'gone.png')
    writeFileSync(gone, readFileSync(join(folder, '1.png')))
    const entries = [0, 0, 0, 1].map((n) => ({ image_path: n === 1 ? gone : '0.png', rects: [] }))
    const source = await openBatches(parseList(entries, join(folder, 'list.json')), hypes, {
      ...{ workers: 1, shuffle: false, ahead: 1 },
    })
    rmSync(gone)
    await expect(source.batch(0)).resolves.toMatchObject({ indices: [0, 1] })
    await expect(source.batch(1)).rejects.toThrow(NoduleError)
    await expect(source.batch(1)).rejects.toThrow(/gone\.png/)
    await source.close()
  })

  it('yields each frame once a pass, resized to the frame, boxes with it, without the too large', async () => {
    const taken = await take(99, { shuffle: true, passes: 2, seed: 3 })
    expect(taken.map((batch) => batch.paths.length)).toEqual([2, 2, 2, 2, 2])
    const order = taken.flatMap((batch) => batch.indices)
    expect(order.slice(0, 5).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
    expect(order.slice(5).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
    for (const batch of taken) {
      for (const [i, index] of batch.indices.entries()) {
        const frame = batch.frames.subarray(i * WIDTH * HEIGHT * 3, (i + 1) * WIDTH * HEIGHT * 3)
        const box = { x1: BOX.x1 + index, y1: BOX.y1 - index, x2: BOX.x2 + index, y2: BOX.y2 - index }
        expect(batch.boxes[i]).toEqual([box])
        expect(brightBox(frame)).toEqual(box)
        expect(batch.paths[i]).toBe(join(folder, `${index}.png`))
      }
    }
  })

  it('ends with a shorter batch, and without shuffling keeps the order', async () => {
    const taken = await take(99, { shuffle: false, passes: 1 })
    expect(taken.map((batch) => batch.indices)).toEqual([[0, 1], [2, 3], [4]])
    expect(taken[2]!.frames.length).toBe(WIDTH * HEIGHT * 3)
    // 5 frames, of which the half of a pass ends within the third, and 0.9 of one within the fifth.
    const part = async (passes: number): Promise<number[][]> =>
      (await take(99, { shuffle: false, passes })).map((batch) => batch.indices)
    expect(await part(0.5)).toEqual([[0, 1], [2]])
    expect(await part(0.9)).toEqual([[0, 1], [2, 3], [4]])
  })

  it('depends on seed and step alone: resumed equals unbroken, with or without cache', async () => {
    const unbroken = await take(7, { jitter: true, seed: 5 })
    const resumed = await take(3, { jitter: true, seed: 5, startStep: 4, cacheBytes: 0, ahead: 0 })
    expect(resumed.map((batch) => batch.step)).toEqual([4, 5, 6])
    for (const [i, batch] of resumed.entries()) {
      expect(batch.indices).toEqual(unbroken[i + 4]!.indices)
      expect(batch.boxes).toEqual(unbroken[i + 4]!.boxes)
      expect(
        Buffer.compare(Buffer.from(batch.frames.buffer), Buffer.from(unbroken[i + 4]!.frames.buffer)),
      ).toBe(0)
    }
    const other = await take(7, { jitter: true, seed: 6 })
    expect(other.map((batch) => batch.boxes)).not.toEqual(unbroken.map((batch) => batch.boxes))
  })

  it('gives a frame that comes again another jitter', async () => {
    const one = { ...list, entries: list.entries.slice(0, 1) }
    const taken = await take(3, { jitter: true, seed: 5 }, one)
    const boxes = taken.flatMap((batch) => batch.boxes.map((item) => JSON.stringify(item)))
    expect(new Set(boxes).size).toBe(6)
  })

  it('refuses empty lists, missing images, wrong options', async () => {
    await expect(take(1, {}, { ...list, entries: [] })).rejects.toThrow(/list\.json: the list has no frames/)
    const missing = { ...list, entries: [{ image_path: 'none.png', rects: [] }] }
    await expect(take(1, {}, missing)).rejects.toThrow(/\/0\/image_path: 1 of 1 image cannot be used/)
    await expect(take(1, { seed: -1 })).rejects.toThrow(/for seed/)
    await expect(take(1, { startStep: 0.5 })).rejects.toThrow(/for startStep/)
    await expect(take(1, { passes: 0 })).rejects.toThrow(/for passes/)
    await expect(take(1, { passes: '1' as never })).rejects.toThrow(/for passes/)
  })

  it('takes the list of the reference as it is: gray BMP, absolute and relative paths, another size', async () => {
    const fixture = JSON.parse(
      readFileSync(new URL('../fixtures/dataset/bitmaps.json', import.meta.url), 'utf8'),
    ) as { cases: { mode: string; bmp: string }[] }
    const gray = fixture.cases.find((item) => item.mode === 'L')!
    writeFileSync(join(folder, 'gray.bmp'), Buffer.from(gray.bmp, 'base64'))
    const rects = [{ x1: 1, y1: 1, x2: 3, y2: 4 }]
    const path = join(folder, 'reference.json')
    const entries = ['gray.bmp', join(folder, 'gray.bmp')].map((image_path) => ({ image_path, rects }))
    writeFileSync(path, JSON.stringify(entries))
    const [batch] = await take(1, { shuffle: false }, readList(path))
    const [x, y] = [WIDTH / 7, HEIGHT / 5]
    expect(batch!.boxes[0]).toEqual([{ x1: x, y1: y, x2: 3 * x, y2: 4 * y }])
    expect(batch!.boxes[1]).toEqual(batch!.boxes[0])
    const values = batch!.frames.subarray(0, 3)
    expect(values[0]).toBe(values[1])
    expect(values[0]).toBe(values[2])
  })

  it('takes the first ten when data.truncate_data says so', async () => {
    const long = { ...list, entries: Array.from({ length: 25 }, () => list.entries[0]!) }
    const short = parseHypes({ ...hypes, data: { truncate_data: true } })
    const seen: number[] = []
    for await (const batch of batches(long, short, { passes: 1 })) seen.push(...batch.indices)
    expect(seen.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})

describe('jitter', () => {
  it('keeps boxes on their pixels', () => {
    fc.assert(
      fc.property(
        fc.nat(0xffffffff),
        fc.integer({ min: 0, max: WIDTH - 30 }),
        fc.integer({ min: 0, max: HEIGHT - 30 }),
        (seed, x, y) => {
          const jitter = drawJitter(createRandom(seed))
          expect(jitter.scale).toBeGreaterThanOrEqual(0.9)
          expect(jitter.scale).toBeLessThan(1.1)
          const box = { x1: x, y1: y, x2: x + 30, y2: y + 25 }
          const frame = new Uint8Array(WIDTH * HEIGHT * 3)
          for (let v = box.y1; v < box.y2; v++)
            frame.fill(255, (v * WIDTH + box.x1) * 3, (v * WIDTH + box.x2) * 3)
          const out = new Float32Array(frame.length)
          jitterFrame(frame, WIDTH, HEIGHT, jitter, 0, out)
          const [moved] = jitterBoxes([box], WIDTH, HEIGHT, jitter).boxes
          if (moved === undefined) return
          const bright = brightBox(out)
          for (const key of ['x1', 'y1', 'x2', 'y2'] as const)
            expect(Math.abs(bright[key] - moved[key])).toBeLessThanOrEqual(1)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('without motion changes nothing; mirrored twice neither', () => {
    const frame = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => (i * 31) % 256)
    const still = { scale: 1, shiftX: 0, shiftY: 0, mirror: false }
    const out = new Float32Array(frame.length)
    jitterFrame(frame, WIDTH, HEIGHT, still, 0, out)
    expect(Uint8Array.from(out)).toEqual(frame)
    jitterFrame(frame, WIDTH, HEIGHT, { ...still, mirror: true }, 0, out)
    const mirrored = Uint8Array.from(out)
    expect(mirrored.slice(0, 3)).toEqual(frame.slice((WIDTH - 1) * 3, WIDTH * 3))
    jitterFrame(mirrored, WIDTH, HEIGHT, { ...still, mirror: true }, 0, out)
    expect(Uint8Array.from(out)).toEqual(frame)
    expect(jitterBoxes([BOX], WIDTH, HEIGHT, { ...still, mirror: true })).toEqual({
      boxes: [{ x1: WIDTH - BOX.x2, y1: BOX.y1, x2: WIDTH - BOX.x1, y2: BOX.y2 }],
      cut: [],
    })
  })

  it('what a frame shows of boxes whose centers left it, and boxes that are too large, are neither right nor wrong', async () => {
    const still = { scale: 1, shiftX: 0, shiftY: 0, mirror: false }
    // Its center lies at x = 32.
    const moved = (shiftX: number): object => jitterBoxes([BOX], WIDTH, HEIGHT, { ...still, shiftX })
    expect(moved(-31)).toEqual({ boxes: [{ ...BOX, x1: 0, x2: 13 }], cut: [] })
    expect(moved(-33)).toEqual({ boxes: [], cut: [{ ...BOX, x1: 0, x2: 11 }] })
    expect(moved(-44)).toEqual({ boxes: [], cut: [] })

    const rim = { x1: 0, y1: 20, x2: 10, y2: 30 }
    const large = { x1: 20, y1: 2, x2: 81, y2: 60 }
    const one = parseList([{ image_path: list.entries[0]!.image_path, rects: [rim, large] }], list.path)
    for await (const { boxes, excluded } of batches(one, hypes, { passes: 1 })) {
      expect(boxes).toMatchObject([[rim]])
      expect(excluded).toMatchObject([[large]])
    }
    const jitter = { scale: 0, shift_px: 20, mirror: false }
    const varied = parseHypes({ ...hypes, biggest_box_px: 1000, jitter: { ...hypes.jitter, ...jitter } })
    let lost = 0
    for await (const { boxes, excluded } of batches(one, varied, { jitter: true, passes: 20 }))
      for (const [n, own] of boxes.entries()) {
        if (own.length === 2) continue
        lost++
        expect(excluded[n]!.every(({ x1, x2 }) => x1 === 0 && x2 < 5)).toBe(true)
      }
    expect(lost).toBeGreaterThan(2)
  })
})

describe('outside of a frame', () => {
  /** The darkest and the brightest gray of frames that hold `gray` alone, in each way that they are moved. */
  const extremes = async (gray: number, window: object): Promise<[number, number][]> => {
    const file = join(folder, `even-${gray}.png`)
    await writePng(file, {
      width: WIDTH,
      height: HEIGHT,
      data: new Uint8Array(WIDTH * HEIGHT * 3).fill(gray),
    })
    const even = parseList([{ image_path: file, rects: [BOX] }], join(folder, 'list.json'))
    const ways = [
      [{ data: window }, true],
      [{ data: window, jitter: { rotate_deg: 45 } }, true],
      [{ data: { ...window, mm_per_pixel: 0.7 } }, true],
      [{ data: { ...window, mm_per_pixel: 0.7 } }, false],
    ] as const
    return Promise.all(
      ways.map(async ([change, jitter]) => {
        // No gray levels but those of the frame and what is outside.
        const augment = { positive_share: 1, gray_shift: 0, gray_scale: 0, noise: 0 }
        const source = await openBatches(even, parseHypes({ ...hypes, augment, ...change }), { jitter })
        const values = (await Promise.all([0, 1, 2, 3].map(async (n) => source.batch(n)))).flatMap(
          ({ frames }) => [...frames],
        )
        return values.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [255, 0])
      }),
    )
  }

  it('is air, as where detection looks: gray 60 from -1350 HU on', async () => {
    const all = await extremes(60, { window_low_hu: -1350, window_high_hu: 150 })
    for (const value of all.flat()) expect(value).toBeCloseTo(60, 4)
  })

  it('is black with the window that the hypes have', async () => {
    for (const [low, high] of await extremes(200, {})) {
      expect(low).toBe(0)
      expect(high).toBeCloseTo(200, 4)
    }
    const folderOfHypes = new URL('../../hypes/', import.meta.url)
    for (const name of readdirSync(folderOfHypes).filter((file) => file !== 'lung_second.json'))
      expect(airGray(hypesWindow(readHypes(fileURLToPath(new URL(name, folderOfHypes)))))).toBe(0)
  })
})

describe('variations', () => {
  const still = { scale: 0, shift_px: 0, mirror: false }
  /** The first batches: eight frames. */
  const four = async (change: object): Promise<Batch[]> => {
    const source = await openBatches(list, parseHypes({ ...hypes, ...change }), { jitter: true, seed: 3 })
    return Promise.all([0, 1, 2, 3].map(async (n) => source.batch(n)))
  }

  it('are seeded, off by default, and each changes the frame', async () => {
    const plain = (await four({ jitter: still })).map(({ frames }) => frames.join())
    const changes = [
      { jitter: { ...still, rotate_deg: 20 } },
      { jitter: { ...still, gray_shift: 0.2 } },
      { jitter: { ...still, gray_scale: 0.5 } },
      { jitter: { ...still, noise: 0.2 } },
      { jitter: still, augment: { blur: 2 } },
      { jitter: still, augment: { elastic: 5 } },
    ]
    for (const change of changes) {
      const [a, b] = [await four(change), await four(change)]
      const frames = a.map((batch) => batch.frames.join())
      expect(frames, JSON.stringify(change)).toEqual(b.map((batch) => batch.frames.join()))
      expect(a.map(({ boxes }) => boxes)).toEqual(b.map(({ boxes }) => boxes))
      // A frame of black and white alone may not show it that the contrast rose.
      expect(frames, JSON.stringify(change)).not.toEqual(plain)
      expect(a.every((batch) => batch.frames.every((value) => value >= 0 && value <= 255))).toBe(true)
    }
  })

  it('move boxes with their pixels: turned, and deformed', async () => {
    const middle = (box: { x1: number; y1: number; x2: number; y2: number }): [number, number] => [
      (box.x1 + box.x2) / 2,
      (box.y1 + box.y2) / 2,
    ]
    for (const change of [
      { jitter: { ...still, rotate_deg: 90 } },
      { jitter: still, augment: { elastic: 6 } },
    ]) {
      let seen = 0
      for (const { frames, boxes } of await four(change)) {
        for (const [n, own] of boxes.entries()) {
          const bright = brightBox(frames.subarray(n * WIDTH * HEIGHT * 3, (n + 1) * WIDTH * HEIGHT * 3))
          const cut = bright.x1 === 0 || bright.y1 === 0 || bright.x2 === WIDTH || bright.y2 === HEIGHT
          if (cut || own.length === 0) continue
          // A turned box is the one around the ellipse that it held: its middle stays that of the rectangle.
          const [[x, y], [u, v]] = [middle(bright), middle(own[0]!)]
          expect(Math.hypot(x - u, y - v), JSON.stringify(change)).toBeLessThan(2.5)
          seen++
        }
      }
      expect(seen).toBeGreaterThan(2)
    }
  })

  it('blur keeps the mean and takes the edges away; its reverse sharpens', () => {
    const frame = Float32Array.from({ length: 32 * 16 }, (_, n) => (n % 32 < 16 ? 50 : 150))
    const [soft, sharp] = [frame.slice(), frame.slice()]
    changeKernel(soft, 32, 16, 2)
    changeKernel(sharp, 32, 16, -2)
    const step = (of: Float32Array): number => of[8 * 32 + 16]! - of[8 * 32 + 15]!
    expect(step(soft)).toBeLessThan(30)
    expect(step(sharp)).toBeGreaterThan(150)
    const mean = (of: Float32Array): number => of.reduce((sum, value) => sum + value, 0) / of.length
    expect(mean(soft)).toBeCloseTo(100, 3)
    const same = frame.slice()
    changeKernel(same, 32, 16, 0)
    expect(same).toEqual(frame)
  })
})
