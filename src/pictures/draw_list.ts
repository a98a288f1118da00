import { join } from 'node:path'
import sharp from 'sharp'
import type { Sharp } from 'sharp'
import { checkInteger } from '../check.js'
import { writeFileAtomic } from '../files.js'
import type { EdgeBox } from '../geometry/box.js'
import { readPlanes } from '../formats/images.js'
import type { RgbImage } from '../formats/bmp.js'
import { imageFile } from '../dataset/list.js'
import type { FrameList, ListEntry } from '../dataset/list.js'
import type { Window } from '../dataset/frames.js'
import { frameFormat } from '../dataset/read_frame.js'
import { escapeXml } from '../clean.js'
import { greatest } from '../lists.js'

const COLUMNS = 3
const ROWS = 4
/** Enlargement of the frames. */
const ZOOM = 2

/**
 * Draws frames of a list with their boxes (green; excluded findings: orange, dashed) on sheets of 3 x 4, to be looked
 * at: OUTPUT/sheet-01.png ... Frames with boxes come first, evenly chosen from the whole list. The picture shows the
 * middle channel, which is the slice itself.
 * @param count frames to draw
 * @param window for frames of HU
 * @returns the files written
 */
export async function drawList(
  list: FrameList,
  output: string,
  count: number,
  window: Window,
): Promise<string[]> {
  checkInteger('count', count, 1, 10000)
  const withBoxes = list.entries.filter((entry) => entry.rects.length > 0)
  const without = list.entries.filter((entry) => entry.rects.length === 0)
  const chosen = [...evenly(withBoxes, count), ...evenly(without, count - Math.min(count, withBoxes.length))]
  const written: string[] = []
  for (let first = 0; first < chosen.length; first += COLUMNS * ROWS) {
    const tiles = await Promise.all(
      chosen.slice(first, first + COLUMNS * ROWS).map((entry) => drawFrame(list, entry, window)),
    )
    const path = join(output, `sheet-${String(written.length + 1).padStart(2, '0')}.png`)
    await writeFileAtomic(path, await sheet(tiles))
    written.push(path)
  }
  return written
}

/** At most `count` items, spread over the whole. */
function evenly<T>(items: readonly T[], count: number): T[] {
  const taken = Math.min(count, items.length)
  return Array.from({ length: taken }, (_, n) => items[Math.floor(((n + 0.5) * items.length) / taken)]!)
}

interface Tile {
  png: Buffer
  width: number
  height: number
}

async function drawFrame(list: FrameList, entry: ListEntry, window: Window): Promise<Tile> {
  const { channels, encoding } = frameFormat(entry)
  const image = await readPlanes(imageFile(list, entry), channels, encoding, window)
  const width = image.width * ZOOM
  const height = image.height * ZOOM
  const png = await middleSlice(image, channels)
    .resize(width, height, { kernel: 'linear' })
    .composite([{ input: Buffer.from(overlay(entry, width, height)) }])
    .png()
    .toBuffer()
  return { png, width, height }
}

/** The middle channel, which is the slice itself, as a gray picture. */
function middleSlice(image: RgbImage, channels: number): Sharp {
  const gray = new Uint8Array(image.width * image.height)
  for (let i = 0; i < gray.length; i++) gray[i] = image.data[i * channels + (channels - 1) / 2]!
  return sharp(gray, { raw: { width: image.width, height: image.height, channels: 1 } }).toColorspace('srgb')
}

function overlay(entry: ListEntry, width: number, height: number): string {
  const rect = (box: EdgeBox, style: string): string =>
    `<rect x="${box.x1 * ZOOM}" y="${box.y1 * ZOOM}" width="${(box.x2 - box.x1) * ZOOM}" height="${(box.y2 - box.y1) * ZOOM}" fill="none" stroke-width="1" ${style}/>`
  const source = entry.nodule
  // Two lines: frames of stacks are narrow.
  const lines =
    source === undefined
      ? [entry.image_path]
      : [source.patientId, `k=${source.k} nodules: ${source.nodules.join(', ') || '-'}`]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">`,
    ...entry.rects.map((box) => rect(box, 'stroke="#3f3"')),
    ...(source?.excluded ?? []).map((box) => rect(box, 'stroke="#f92" stroke-dasharray="4 2"')),
    ...lines.map(
      (line, n) =>
        `<text x="6" y="${16 + 16 * n}" font-family="sans-serif" font-size="13" fill="#ff6">${escapeXml(line)}</text>`,
    ),
    '</svg>',
  ].join('')
}

async function sheet(tiles: readonly Tile[]): Promise<Buffer> {
  const width = greatest(tiles.map((tile) => tile.width))
  const height = greatest(tiles.map((tile) => tile.height))
  const columns = Math.min(COLUMNS, tiles.length)
  const rows = Math.ceil(tiles.length / columns)
  return sharp({ create: { width: width * columns, height: height * rows, channels: 3, background: '#000' } })
    .composite(
      tiles.map((tile, n) => ({
        input: tile.png,
        left: (n % columns) * width,
        top: Math.floor(n / columns) * height,
      })),
    )
    .png()
    .toBuffer()
}
