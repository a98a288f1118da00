import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { openBatches } from '../../src/dataset/batches.js'
import { cropBoxes } from '../../src/dataset/crops.js'
import { checkImages, prepareDataset, readList, writeList } from '../../src/dataset/index.js'
import type { ListEntry, PrepareOptions } from '../../src/dataset/index.js'
import { readLists } from '../../src/dataset/list.js'
import { ownNodule } from '../../src/dataset/stacks/own_nodule.js'
import { readStackIndex } from '../../src/dataset/stacks/read_index.js'
import { STACK_SIDE, readStack } from '../../src/dataset/stacks/read_stack.js'
import { writePng } from '../../src/formats/index.js'
import { iou } from '../../src/geometry/box.js'
import type { EdgeBox } from '../../src/geometry/box.js'
import { frameToImage } from '../../src/geometry/frame.js'
import { isHullOf, pixelHull } from '../../src/geometry/hull.js'
import { createRandom } from '../../src/random.js'
import { realData } from '../real_data.js'
import { writeScan } from './scan_files.js'
import { writeStacks } from './stack_files.js'
import { DIAGONAL, STILL, boxOfPixels, exactBox, finePlaces } from './turned_masks.js'
import { caught } from '../caught.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-hulls-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const SIDES = ['x1', 'y1', 'x2', 'y2'] as const
const box = { x1: 10, y1: 20, x2: 16, y2: 24 }
const hull: [number, number][] = [
  [10.5, 20.5],
  [15.5, 21.5],
  [12.5, 23.5],
]

describe('hulls in lists', () => {
  const written = (name: string, rects: unknown): string => {
    const path = join(folder, name)
    // Python's words for what JSON has no number for.
    writeFileSync(path, JSON.stringify([{ image_path: 'a.png', rects }]).replaceAll('"NaN"', 'NaN'))
    return path
  }

  it('are kept, alone and in lists read as one, and written', async () => {
    const path = written('good.json', [{ ...box, hull }, box, { ...box, hull: null }])
    for (const list of [readList(path), readLists([path, path])]) {
      expect(list.warnings).toEqual([])
      expect(list.entries[0]!.rects).toEqual([{ ...box, hull }, box, box])
    }
    const copy = join(folder, 'copy.json')
    await writeList(copy, readList(path).entries)
    expect(readList(copy).entries).toEqual(readList(path).entries)
  })

  it('of boxes that were changed since are dropped with a count, and not written', async () => {
    const moved = { ...box, x2: 20, hull }
    const list = readList(written('moved.json', [moved, { ...box, hull }, { ...box, y1: 22, hull }]))
    expect(list.entries[0]!.rects).toEqual([
      { ...box, x2: 20 },
      { ...box, hull },
      { ...box, y1: 22 },
    ])
    expect(list.warnings).toEqual([
      expect.stringMatching(/moved\.json: 2 hulls not in the middle of their boxes were dropped$/),
    ])
    await expect(writeList(join(folder, 'no.json'), [{ image_path: 'a', rects: [moved] }])).rejects.toThrow(
      /no\.json: \/0\/rects\/0\/hull: .*corners around the middle of the box/,
    )
  })

  it.each<[string, unknown, string, string]>([
    ['a text', 'round', '', '1 to 1000 corners'],
    ['none', [], '', '1 to 1000 corners'],
    ['thousands', Array.from({ length: 200_000 }, () => [13, 22]), '', '1 to 1000 corners'],
    ['flat', [10.5, 20.5], '/0', 'list of 2'],
    ['three numbers', [[10.5, 20.5, 1]], '/0', 'list of 2'],
    [
      'no number',
      [
        [13, 22],
        [13, 'NaN'],
      ],
      '/1/1',
      'finite number',
    ],
    ['a list of lists', [[13, [22]]], '/0/1', 'finite number'],
  ])('refuses %s', (_, bad, place, expected) => {
    const path = written('bad.json', [box, { ...box, hull: bad }])
    const error = caught(() => readList(path))
    expect(error).toMatchObject({ code: 'FORMAT', path, place: `/0/rects/1/hull${place}` })
    expect(error.message).toContain(expected)
    expect(error.message.length).toBeLessThan(400)
  })
})

/** The list of an image with DIAGONAL in white, all of it `factor` times as large as the frame. */
async function diagonalList(name: string, factor: number, withHull: boolean): Promise<string> {
  const [width, height] = [128 * factor, 96 * factor]
  const data = new Uint8Array(width * height * 3)
  const pixels = DIAGONAL.flatMap(([x, y]) =>
    Array.from({ length: factor * factor }, (_, n): [number, number] => [
      x * factor + (n % factor),
      y * factor + Math.floor(n / factor),
    ]),
  )
  for (const [x, y] of pixels) data.fill(255, (y * width + x) * 3, (y * width + x) * 3 + 3)
  await writePng(join(folder, `${name}.png`), { width, height, data })
  const own = withHull ? { hull: pixelHull(pixels) } : {}
  const path = join(folder, `${name}.json`)
  const rect = { ...boxOfPixels(pixels), ...own }
  await writeList(path, [{ image_path: `${name}.png`, rects: [rect] }])
  return path
}

/** The box around what is brighter than half. */
function brightBox(frame: Float32Array, width: number): EdgeBox {
  const pixels: [number, number][] = []
  for (let n = 0; n < frame.length; n += 3)
    if (frame[n]! >= 127.5) pixels.push([(n / 3) % width, Math.floor(n / 3 / width)])
  return boxOfPixels(pixels)
}

describe('hulls in training', () => {
  const still = { scale: 0, shift_px: 0, mirror: false }
  const frame = { image_width: 128, image_height: 96, grid_width: 4, grid_height: 3, batch_size: 3 }
  const made = async (path: string, change: object, workers = 0) => {
    const hypes = parseHypes({ ...frame, jitter: still, ...change })
    const source = await openBatches(readList(path), hypes, { jitter: true, seed: 3, workers })
    const taken = await Promise.all([0, 1].map(async (n) => source.batch(n)))
    await source.close()
    return taken
  }
  const changes = {
    turned: { jitter: { ...still, rotate_deg: 90 } },
    'turned and deformed': { jitter: { ...still, rotate_deg: 60 }, augment: { elastic: 5 } },
    'moved and deformed': {
      jitter: { scale: 0.1, shift_px: 8, mirror: true },
      augment: { elastic: 5 },
    },
    'cropped, turned, scaled, mirrored, deformed': {
      data: { mm_per_pixel: 1 },
      augment: { elastic: 4, positive_share: 1, crops_per_frame: 3 },
    },
  }

  it.each(Object.entries(changes))('follow their pixels: %s', async (name, change) => {
    // A canvas keeps its size; other images are brought to that of the frame, their hulls with them.
    const path = await diagonalList('diagonal', name.startsWith('cropped') ? 1 : 2, true)
    let sum = 0
    const taken = await made(path, change)
    for (const { frames, boxes } of taken) {
      const size = frames.length / boxes.length
      for (const [n, own] of boxes.entries()) {
        expect(Object.keys(own[0]!).sort()).toEqual([...SIDES].sort())
        const bright = brightBox(frames.subarray(n * size, (n + 1) * size), frame.image_width)
        for (const side of SIDES) expect(Math.abs(own[0]![side] - bright[side])).toBeLessThan(1.6)
        sum += iou(own[0]!, bright)
      }
    }
    const boxes = taken.flatMap((batch) => batch.boxes)
    expect(sum / boxes.length).toBeGreaterThan(0.8)
    // Ellipses do not.
    const without = await made(await diagonalList('plain', name.startsWith('cropped') ? 1 : 2, false), change)
    expect(without.flatMap((batch) => batch.boxes)).not.toEqual(boxes)
  })

  it('are known to threads too', async () => {
    const path = await diagonalList('threads', 2, true)
    const change = changes['turned and deformed']
    expect(await made(path, change, 2)).toEqual(await made(path, change))
  }, 60_000)

  it.each([null, 'round', [[0, 0]]])(
    'of excluded places and false marks, which no list checks, are passed over: %j',
    async (other) => {
      const path = await diagonalList(`other-${JSON.stringify(other).length}`, 1, true)
      const entries = JSON.parse(readFileSync(path, 'utf8')) as ListEntry[]
      const boxes = async (own: object): Promise<unknown> => {
        const nodule = { excluded: [{ ...box, ...own }], hard: [{ ...box, ...own }] }
        writeFileSync(path, JSON.stringify(entries.map((entry) => ({ ...entry, nodule }))))
        return (await made(path, { jitter: { ...still, rotate_deg: 60 } })).map(({ excluded }) => excluded)
      }
      expect(await boxes({ hull: other })).toEqual(await boxes({}))
    },
  )

  it('of boxes that were clipped to their image are dropped', async () => {
    await writePng(join(folder, 'a.png'), { width: 15, height: 40, data: new Uint8Array(15 * 40 * 3) })
    const path = join(folder, 'clipped.json')
    await writeList(path, [{ image_path: 'a.png', rects: [{ ...box, hull }] }])
    const { images } = await checkImages(readList(path))
    expect(images[0]!.rects).toEqual([{ ...box, x2: 15 }])
  })
})

describe('prepareDataset', () => {
  const prepared = async (name: string, more: Partial<PrepareOptions>): Promise<ListEntry[]> => {
    const output = join(folder, `output-${name}`)
    await prepareDataset({
      ...{
        inputs: [],
        output,
        jobs: 1,
        split: { kind: 'fractions', fractions: { train: 1, val: 0, test: 0 } },
      },
      hypes: parseHypes({
        ...{ image_width: 96, image_height: 96, grid_width: 3, grid_height: 3 },
        data: { mm_per_pixel: 0.5 },
      }),
      ...more,
    })
    expect(readFileSync(join(output, 'train.json'), 'utf8')).not.toMatch(/"hull":\[[^"]*\.\d{4}/)
    const list = readList(join(output, 'train.json'))
    expect(list.warnings).toEqual([])
    return list.entries
  }

  it('writes the hull of each nodule, whatever it comes from', async () => {
    const [scans, stacks] = [join(folder, 'scans'), join(folder, 'stacks')]
    writeScan(join(scans, 'a'), {
      patientId: 'A',
      seriesUid: '1.2.1',
      ball: { x: 26, y: 50, z: 12, radiusMm: 15 },
    })
    await writeStacks(stacks, [
      { patient: 'P1', slices: 9 },
      { patient: 'P2', radius: 3, slices: 3 },
    ])
    const insertion = { stacks, count: 1, variants: 1 }
    const entries = [
      ...(await prepared('scans', { inputs: [scans], insertion })),
      ...(await prepared('stacks', { stacks, insertion })),
    ]
    const origins = new Set<string>()
    for (const { rects, nodule } of entries)
      for (const rect of rects) {
        origins.add(nodule!.origin!)
        expect(isHullOf(rect.hull!, rect)).toBe(true)
        // In the scan the corners are the centers of pixels, and the box reaches half a pixel beyond them.
        const corners = rect.hull!.map(([x, y]) => {
          const { x1, y1 } = frameToImage(nodule!.mapping, { x1: x, y1: y, x2: x, y2: y })
          for (const value of [x1, y1]) expect(Math.abs(value - Math.floor(value) - 0.5)).toBeLessThan(0.01)
          return [Math.floor(x1), Math.floor(y1)] as const
        })
        const own = frameToImage(nodule!.mapping, rect)
        for (const side of SIDES) expect(boxOfPixels(corners)[side]).toBeCloseTo(own[side], 6)
      }
    expect([...origins].sort()).toEqual(['insertion', 'scan', 'stack'])
  })
})

const stacks = realData('lidc-nodule-stacks')

describe.skipIf(stacks === undefined)('nodules of LIDC, turned by any angle', () => {
  it('have boxes to within a tenth of a pixel, where ellipses are wrong by half a pixel', async () => {
    const root = join(stacks!, 'lidc-nodule-stacks')
    const random = createRandom(7)
    const sums = { n: 0, hull: 0, ellipse: 0, hullIou: 0, ellipseIou: 0 }
    for (const entry of readStackIndex(root).stacks.filter((_, n) => n % 25 === 0)) {
      const stack = await readStack(root, entry)
      const { readers } = stack
      const own = ownNodule(stack)
      for (const { k, box: whole, hull: corners, agreed } of own.boxes) {
        if (!agreed) continue
        const mask: [number, number][] = []
        for (let n = 0; n < STACK_SIDE * STACK_SIDE; n++)
          if (readers[k * STACK_SIDE * STACK_SIDE + n]! >= own.agreement)
            mask.push([n % STACK_SIDE, Math.floor(n / STACK_SIDE)])
        const places = finePlaces(mask)
        for (let turn = 0; turn < 4; turn++) {
          const crop = { ...STILL, centerX: 64, centerY: 64, angle: random.uniform() * 2 * Math.PI }
          const want = exactBox(mask, crop, 256, 256, places)
          const error = (got: EdgeBox): number =>
            SIDES.reduce((sum, side) => sum + Math.abs(got[side] - want[side]) / 4, 0)
          const [turned] = cropBoxes([{ ...whole, hull: corners }], crop, 256, 256).boxes
          const [ellipse] = cropBoxes([whole], crop, 256, 256).boxes
          sums.n++
          sums.hull += error(turned!)
          sums.ellipse += error(ellipse!)
          sums.hullIou += iou(turned!, want)
          sums.ellipseIou += iou(ellipse!, want)
        }
      }
    }
    expect(sums.n).toBeGreaterThan(100)
    expect(sums.hull / sums.n).toBeLessThan(0.1)
    expect(sums.ellipse / sums.n).toBeGreaterThan(0.4)
    expect(sums.hullIou / sums.n).toBeGreaterThan(0.96)
    expect(sums.ellipseIou / sums.n).toBeLessThan(0.88)
  })
})
