import sharp from 'sharp'
import { expect, it } from 'vitest'
import { placeLabels, type Label } from '../../src/pictures/labels.js'
import { overlayPicture } from '../../src/pictures/overlay.js'
import { LABEL_HEIGHT, labelWidth } from '../../src/pictures/raster.js'

const SIDE = 512
const box = (x: number, y: number, size: number) => ({ x1: x, y1: y, x2: x + size, y2: y + size })

/** Pixels of a picture that are as yellow as a listed nodule. */
async function yellow(boxes: Parameters<typeof overlayPicture>[0]['boxes']): Promise<number> {
  const gray = new Uint8Array(SIDE * SIDE)
  const picture = await overlayPicture({ name: 'k0000.webp', gray, width: SIDE, height: SIDE, boxes })
  const { data } = await sharp(picture).raw().toBuffer({ resolveWithObject: true })
  let count = 0
  for (let n = 0; n < data.length; n += 3)
    if (data[n]! > 150 && data[n + 1]! > 110 && data[n + 2]! < 100) count++
  return count
}

it('a listed nodule and its label lie on top of stronger boxes that no nodule took', async () => {
  const nodule = { ...box(200, 200, 12), score: 0.26, nodule: 1 }
  const others = [
    { ...box(193, 187, 12), score: 0.9 },
    { ...box(206, 204, 14), score: 0.8 },
    { ...box(204, 196, 3), score: 0.7 },
  ]
  const alone = await yellow([nodule])
  expect(alone).toBeGreaterThan(100)
  expect(Math.abs((await yellow([...others, nodule])) - alone)).toBeLessThan(alone * 0.1)
})

it('labels do not lie on each other; of those without a place the weak ones are left out', () => {
  const crowd = Array.from({ length: 40 }, (_, n) => ({
    ...box(200 + (n % 8) * 9, 200 + Math.floor(n / 8) * 9, 8),
    text: '0.25',
    important: n === 39,
  }))
  const apart = { ...box(40, 3, 8), text: '0.10', important: false }
  const labels = placeLabels([...crowd, apart], SIDE, SIDE)
  expect(labels[0]).toMatchObject({ box: 39, text: '0.25' })
  // No place above: below the box.
  expect(labels.find((label) => label.box === 40)).toMatchObject({ left: 38, top: 16 })
  expect(labels.some((label) => label.box === 0)).toBe(true)
  expect(labels.length).toBeLessThan(30)
  expect(overlaps(labels)).toBe(0)
})

/** Pairs of labels that lie on each other. */
const overlaps = (labels: readonly Label[]): number =>
  labels.flatMap((a, n) =>
    labels
      .slice(n + 1)
      .filter(
        (b) => Math.abs(a.left - b.left) < labelWidth(a.text) && Math.abs(a.top - b.top) < LABEL_HEIGHT,
      ),
  ).length

it('labels of listed nodules side by side are all there, and none on another', () => {
  const crowd = Array.from({ length: 6 }, (_, n) => ({
    ...box(200 + (n % 3) * 8, 200 + Math.floor(n / 3) * 8, 7),
    text: `#1${n} 0.34`,
    important: true,
  }))
  const labels = placeLabels(crowd, SIDE, SIDE)
  expect(labels.map((label) => label.box)).toEqual([0, 1, 2, 3, 4, 5])
  expect(overlaps(labels)).toBe(0)
})

it('labels stay inside of the picture, whatever the box', () => {
  const boxes = [box(0, 0, SIDE), box(500, 500, 12), box(-4, -4, 8), box(505, -3, 20)]
  const labels = placeLabels(
    boxes.map((one) => ({ ...one, text: '#12 0.93', important: true })),
    SIDE,
    SIDE,
  )
  expect(labels).toHaveLength(4)
  for (const { left, top, text } of labels) {
    expect(Math.min(left, top)).toBeGreaterThanOrEqual(2)
    expect(left + labelWidth(text)).toBeLessThanOrEqual(SIDE - 2)
    expect(top + LABEL_HEIGHT).toBeLessThanOrEqual(SIDE - 2)
  }
})
