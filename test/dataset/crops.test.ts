import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { cropBoxes, cutCrop, drawCrop } from '../../src/dataset/crops.js'
import type { Crop } from '../../src/dataset/crops.js'
import { iou } from '../../src/geometry/box.js'
import type { EdgeBox } from '../../src/geometry/box.js'
import { pixelHull } from '../../src/geometry/hull.js'
import type { HullBox } from '../../src/geometry/hull.js'
import { createRandom } from '../../src/random.js'
import { DIAGONAL, STILL as still, boxOfPixels, exactBox } from './turned_masks.js'

const AUGMENT = parseHypes({}).augment
const [WIDTH, HEIGHT, CHANNELS] = [48, 40, 5]

/** A canvas of one bright disk; in channel c it is 40 + 40 * c gray. */
function diskCanvas(x: number, y: number, radius: number): Parameters<typeof cutCrop>[0] {
  const [width, height] = [120, 100]
  const data = new Uint8Array(width * height * CHANNELS)
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      if (Math.hypot(column + 0.5 - x, row + 0.5 - y) < radius)
        for (let c = 0; c < CHANNELS; c++) data[(row * width + column) * CHANNELS + c] = 40 + 40 * c
  return { data, width, height, channels: CHANNELS }
}

/** The middle channel's center of mass and extent. */
function measure(crop: Float32Array): { x: number; y: number; width: number } {
  let [sum, sx, sy, x1, x2] = [0, 0, 0, Infinity, -Infinity]
  for (let row = 0; row < HEIGHT; row++)
    for (let column = 0; column < WIDTH; column++) {
      const value = crop[(row * WIDTH + column) * CHANNELS + 2]!
      sum += value
      sx += value * (column + 0.5)
      sy += value * (row + 0.5)
      if (value > 60) [x1, x2] = [Math.min(x1, column), Math.max(x2, column + 1)]
    }
  return { x: sx / sum, y: sy / sum, width: x2 - x1 }
}

describe('cutCrop', () => {
  it('copies the canvas where nothing is turned, scaled or changed; outside is black', () => {
    const canvas = diskCanvas(60, 50, 10)
    const out = new Float32Array(WIDTH * HEIGHT * CHANNELS)
    const corner = { ...still, centerX: 0, centerY: 0 }
    const bright = { ...canvas, data: canvas.data.map(() => 200) }
    cutCrop(bright, corner, WIDTH, HEIGHT, 0, createRandom(1), out)
    for (const [row, column, value] of [
      [0, 0, 0],
      [HEIGHT / 2, WIDTH / 2, 200],
      [HEIGHT - 1, WIDTH - 1, 200],
      [HEIGHT / 2, WIDTH / 2 - 1, 0],
    ] as const)
      expect(out[(row * WIDTH + column) * CHANNELS]).toBe(value)
    cutCrop(canvas, still, WIDTH, HEIGHT, 0, createRandom(1), out)
    for (let row = 0; row < HEIGHT; row++)
      for (let column = 0; column < WIDTH; column++)
        for (let c = 0; c < CHANNELS; c++)
          expect(out[(row * WIDTH + column) * CHANNELS + c]).toBe(
            canvas.data[((row + 30) * canvas.width + column + 36) * CHANNELS + c],
          )
  })

  it('moves pixels and boxes alike, whatever the angle, scale and mirrors', () => {
    const out = new Float32Array(WIDTH * HEIGHT * CHANNELS)
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 7, noNaN: true }),
        fc.double({ min: 0.8, max: 1.2, noNaN: true }),
        fc.boolean(),
        fc.boolean(),
        fc.double({ min: -6, max: 6, noNaN: true }),
        fc.double({ min: -5, max: 5, noNaN: true }),
        (angle, scale, mirrorX, mirrorY, dx, dy) => {
          const [x, y, radius] = [60 + dx, 50 + dy, 6]
          const crop = { ...still, angle, scale, mirrorX, mirrorY }
          cutCrop(diskCanvas(x, y, radius), crop, WIDTH, HEIGHT, 0, createRandom(1), out)
          const box = { x1: x - radius, y1: y - radius, x2: x + radius, y2: y + radius }
          const [moved] = cropBoxes([box], crop, WIDTH, HEIGHT).boxes
          const seen = measure(out)
          expect(seen.x).toBeCloseTo((moved!.x1 + moved!.x2) / 2, 0)
          expect(seen.y).toBeCloseTo((moved!.y1 + moved!.y2) / 2, 0)
          expect(Math.abs(seen.width - (moved!.x2 - moved!.x1))).toBeLessThan(2.1)
        },
      ),
    )
  })

  it('shows what is outside as it is asked for, blended at the border as pixels are', () => {
    const out = new Float32Array(WIDTH * HEIGHT * CHANNELS)
    const even = { ...diskCanvas(60, 50, 10), data: new Uint8Array(120 * 100 * CHANNELS).fill(60) }
    for (const [centerX, centerY, angle] of [
      [0, 0, 0],
      [119.7, 99.2, 0.7],
      [-200, 50, 2],
    ] as const) {
      cutCrop(even, { ...still, centerX, centerY, angle }, WIDTH, HEIGHT, 60, createRandom(1), out)
      expect(Math.max(...out.map((value) => Math.abs(value - 60)))).toBeLessThan(1e-4)
    }
    // Half a pixel off: the border is half of both.
    const corner = { ...still, centerX: 0.5, centerY: 0, contrast: 2, shift: 100 }
    cutCrop(even, corner, WIDTH, HEIGHT, 20, createRandom(1), out)
    const row = (HEIGHT - 1) * WIDTH
    const at = (column: number): number => out[(row + WIDTH / 2 + column) * CHANNELS]!
    // Twice as far from 128 as 20, 40 and 60, and 100 above.
    expect([at(-2), at(-1), at(0)]).toEqual([12, 52, 92])
  })

  it('reverses the channels with mirrorZ, and changes gray levels as the crop says, within 0 to 255', () => {
    const out = new Float32Array(WIDTH * HEIGHT * CHANNELS)
    const middle = ((HEIGHT / 2) * WIDTH + WIDTH / 2) * CHANNELS
    const canvas = diskCanvas(60, 50, 10)
    cutCrop(canvas, { ...still, mirrorZ: true }, WIDTH, HEIGHT, 0, createRandom(1), out)
    expect([...out.subarray(middle, middle + CHANNELS)]).toEqual([200, 160, 120, 80, 40])
    cutCrop(canvas, { ...still, contrast: 2, shift: 10 }, WIDTH, HEIGHT, 0, createRandom(1), out)
    expect([...out.subarray(middle, middle + CHANNELS)]).toEqual([0, 42, 122, 202, 255])
    cutCrop(canvas, { ...still, noise: 5 }, WIDTH, HEIGHT, 0, createRandom(1), out)
    const noise = [...out.subarray(middle, middle + CHANNELS)].map((value, c) => value - 40 * (c + 1))
    expect(noise.every((value) => value !== 0 && Math.abs(value) < 30)).toBe(true)
  })
})

describe('cropBoxes', () => {
  it('keeps boxes whose center and half are seen, and gives the rest as cut', () => {
    const at = (x: number): { x1: number; y1: number; x2: number; y2: number } => ({
      x1: x - 5,
      y1: 45,
      x2: x + 5,
      y2: 55,
    })
    // The crop shows x 36 to 84.
    const { boxes, cut } = cropBoxes([at(60), at(37), at(34), at(20)], still, WIDTH, HEIGHT)
    expect(boxes.map(({ x1, x2 }) => [x1, x2])).toEqual([
      [19, 29],
      [0, 6],
    ])
    expect(cut.map(({ x1, x2 }) => [x1, x2])).toEqual([[0, 3]])
  })
})

describe('cropBoxes with hulls', () => {
  const pixel = fc.tuple(fc.integer({ min: 48, max: 70 }), fc.integer({ min: 40, max: 60 }))
  const masks = fc.array(pixel, { minLength: 1, maxLength: 40 })
  const boxOf = (mask: readonly (readonly [number, number])[]): HullBox => ({
    ...boxOfPixels(mask),
    hull: pixelHull(mask),
  })
  const expectSame = (a: EdgeBox | undefined, b: EdgeBox | undefined): void => {
    for (const side of ['x1', 'y1', 'x2', 'y2'] as const) expect(a![side]).toBeCloseTo(b![side], 9)
  }

  it('by quarter turns and mirrored, at any scale, gives the box moved, exactly', () => {
    fc.assert(
      fc.property(
        masks,
        fc.integer({ min: 0, max: 7 }),
        fc.double({ min: 0.8, max: 1.2, noNaN: true }),
        fc.boolean(),
        fc.boolean(),
        (mask, quarters, scale, mirrorX, mirrorY) => {
          const crop = { ...still, angle: (quarters * Math.PI) / 2, scale, mirrorX, mirrorY }
          const box = boxOf(mask)
          const [moved] = cropBoxes([box], crop, 400, 400).boxes
          // Corner by corner, in whole turns.
          const corners = [box.x1, box.x2].flatMap((x) =>
            [box.y1, box.y2].map((y) => {
              let [dx, dy] = [(x - 60) * scale, (y - 50) * scale]
              for (let n = 0; n < quarters; n++) [dx, dy] = [dy, -dx]
              return [200 + (mirrorX ? -dx : dx), 200 + (mirrorY ? -dy : dy)] as const
            }),
          )
          expectSame(moved, {
            x1: Math.min(...corners.map(([x]) => x)),
            y1: Math.min(...corners.map(([, y]) => y)),
            x2: Math.max(...corners.map(([x]) => x)),
            y2: Math.max(...corners.map(([, y]) => y)),
          })
        },
      ),
    )
  })

  it('turned in two steps is turned in one: the hull goes along, but for boxes that the crop cuts', () => {
    fc.assert(
      fc.property(
        masks,
        fc.double({ min: 0, max: 7, noNaN: true }),
        fc.double({ min: 0, max: 7, noNaN: true }),
        fc.boolean(),
        (mask, first, second, mirrorX) => {
          const turned = (boxes: readonly HullBox[], crop: Crop): HullBox[] =>
            cropBoxes(boxes, crop, 400, 400).boxes
          const middle = { ...still, centerX: 200, centerY: 200 }
          const twice = turned(turned([boxOf(mask)], { ...still, angle: first }), {
            ...middle,
            angle: second,
            mirrorX,
          })
          expectSame(twice[0], turned([boxOf(mask)], { ...still, angle: first + second, mirrorX })[0])
        },
      ),
    )
    const cut = { ...still, centerX: 80 }
    const [seen] = cropBoxes([boxOf(DIAGONAL)], cut, WIDTH, HEIGHT).boxes
    expect(seen).toMatchObject({ x1: 0 })
    expect(seen).not.toHaveProperty('hull')
  })

  it('a diagonal nodule is long and narrow when it is turned by 45 degrees, where its box was square', () => {
    const crop = { ...still, angle: Math.PI / 4 }
    const { hull, ...box } = boxOf(DIAGONAL)
    const want = exactBox(DIAGONAL, crop, WIDTH, HEIGHT)
    const [turned] = cropBoxes([{ ...box, hull: hull! }], crop, WIDTH, HEIGHT).boxes
    expect(iou(turned!, want)).toBeGreaterThan(0.9)
    expect((turned!.x2 - turned!.x1) / (turned!.y2 - turned!.y1)).toBeGreaterThan(3)
    const [ellipse] = cropBoxes([box], crop, WIDTH, HEIGHT).boxes
    expect(iou(ellipse!, want)).toBeLessThan(0.5)
  })
})

describe('drawCrop', () => {
  const canvas = {
    width: 300,
    height: 200,
    channels: CHANNELS,
    boxes: [{ x1: 10, y1: 20, x2: 22, y2: 30 }],
    excluded: [],
    hard: [{ x1: 250, y1: 150, x2: 256, y2: 156 }],
  }

  it('places the asked shares around boxes and false marks, whole and inside; the same for a seed', () => {
    const random = createRandom(7)
    const augment = { ...AUGMENT, positive_share: 0.5, hard_share: 0.3 }
    let [positive, hard] = [0, 0]
    for (let n = 0; n < 1000; n++) {
      const crop = drawCrop(canvas, augment, WIDTH, HEIGHT, random)
      positive += cropBoxes(canvas.boxes, crop, WIDTH, HEIGHT).boxes.length
      hard += cropBoxes(canvas.hard, crop, WIDTH, HEIGHT).boxes.length
    }
    // Random places show few of either besides.
    expect(positive).toBeGreaterThan(460)
    expect(positive).toBeLessThan(560)
    expect(hard).toBeGreaterThan(260)
    expect(hard).toBeLessThan(380)
    const draw = (): Crop => drawCrop(canvas, augment, WIDTH, HEIGHT, createRandom(3))
    expect(draw()).toEqual(draw())
  })

  it('keeps what it is placed around whole, however it is turned, scaled and mirrored', () => {
    // What the crop draws: scale, angle, mirrors, what to place it around, which of them, shifts, gray levels.
    const draws = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
      ...{ minLength: 11, maxLength: 11 },
    })
    const side = fc.integer({ min: 2, max: 30 })
    const augment = { ...AUGMENT, positive_share: 1, scale: 0.15 }
    fc.assert(
      fc.property(draws, side, side, (uniform, w, h) => {
        let drawn = 0
        const random = { ...createRandom(1), uniform: () => uniform[drawn++]!, integer: () => 0 }
        const boxes = [{ x1: 100, y1: 100, x2: 100 + w, y2: 100 + h }]
        const crop = drawCrop({ ...canvas, boxes }, augment, WIDTH, HEIGHT, random)
        expect(drawn).toBe(11)
        const [seen] = cropBoxes(boxes, crop, WIDTH, HEIGHT).boxes
        const { x1, y1, x2, y2 } = seen!
        // Two pixels of rim, less rounding errors.
        expect(Math.min(x1, y1, WIDTH - x2, HEIGHT - y2)).toBeGreaterThan(2 - 1e-6)
      }),
      { numRuns: 300 },
    )
    // A long nodule on the diagonal is longer than its box is wide.
    const long = [{ ...boxOfPixels(DIAGONAL), hull: pixelHull(DIAGONAL) }]
    fc.assert(
      fc.property(draws, (uniform) => {
        let drawn = 0
        const random = { ...createRandom(1), uniform: () => uniform[drawn++]!, integer: () => 0 }
        const crop = drawCrop({ ...canvas, boxes: long }, augment, WIDTH, HEIGHT, random)
        const [seen] = cropBoxes(long, crop, WIDTH, HEIGHT).boxes
        const { x1, y1, x2, y2 } = seen!
        expect(Math.min(x1, y1, WIDTH - x2, HEIGHT - y2)).toBeGreaterThan(2 - 1e-6)
      }),
      { numRuns: 300 },
    )
  })

  it('draws any place where there is nothing to place it around', () => {
    const crop = drawCrop({ ...canvas, boxes: [], hard: [] }, AUGMENT, WIDTH, HEIGHT, createRandom(5))
    expect(crop.centerX).toBeGreaterThan(15)
    expect(crop.centerX).toBeLessThan(285)
  })
})
