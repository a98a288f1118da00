import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { hypesWindow, renderPlane } from '../dataset/index.js'
import type { Hypes } from '../config/hypes.js'
import { fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import type { HuVolume } from '../volume/index.js'
import type { DetectedBox, DetectedSlice } from './detections.js'

/** The longer side of a picture is at least this many pixels: whole multiples of the image's. */
const PICTURE_SIDE = 1024

/** Boxes of listed nodules, and boxes that no listed nodule took. */
const COLORS = { nodule: '#ffd21f', other: '#4fc3f7' }

/**
 * Draws each slice that has boxes: the whole slice in the model's window, each box with its nodule and score
 * ("#1 0.93"). Files are called k0042.png, after the slice index.
 * @returns the paths written
 */
export async function writeOverlays(
  folder: string,
  volume: HuVolume,
  slices: readonly DetectedSlice[],
  hypes: Hypes,
): Promise<string[]> {
  const paths: string[] = []
  for (const slice of slices) {
    if (slice.boxes.length === 0) continue
    const path = join(folder, `k${String(slice.k).padStart(4, '0')}.png`)
    await writeFileAtomic(path, await overlayPng(volume, slice, hypes))
    paths.push(path)
  }
  return paths
}

/** Removes the pictures that an earlier run drew: they show other boxes than the new result. */
export async function removeOverlays(folder: string): Promise<void> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch {
    // There are none.
    return
  }
  for (const name of names) {
    if (!/^k\d{4,}\.png$/.test(name)) continue
    await rm(join(folder, name), { force: true }).catch((error: unknown) => {
      throw fileError(join(folder, name), 'remove', error)
    })
  }
}

/** One slice with its boxes as PNG. */
export async function overlayPng(volume: HuVolume, slice: DetectedSlice, hypes: Hypes): Promise<Buffer> {
  const [, rows, columns] = volume.shape
  const scale = Math.max(1, Math.round(PICTURE_SIDE / Math.max(rows, columns)))
  const [width, height] = [columns * scale, rows * scale]
  const whole = { originX: 0, originY: 0, scale: 1, frameWidth: columns, frameHeight: rows }
  const gray = renderPlane(volume, slice.k, whole, hypesWindow(hypes))
  // Weak boxes first, so that the strong ones and their labels lie on top.
  const shapes = [...slice.boxes].reverse().map((box) => boxShape(box, scale, width, height))
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" fill="none">${shapes.join('')}</svg>`
  return sharp(gray, { raw: { width: columns, height: rows, channels: 1 } })
    .resize(width, height, { kernel: 'cubic' })
    .toColorspace('srgb')
    .composite([{ input: Buffer.from(svg) }])
    .png({ compressionLevel: 6 })
    .toBuffer()
}

function boxShape(box: DetectedBox, scale: number, width: number, height: number): string {
  const color = box.nodule === undefined ? COLORS.other : COLORS.nodule
  // The line lies outside the box, so that it does not hide a small nodule.
  const [x1, y1] = [box.x1 * scale - 1.5, box.y1 * scale - 1.5]
  const [x2, y2] = [box.x2 * scale + 1.5, box.y2 * scale + 1.5]
  const label = `${box.nodule === undefined ? '' : `#${box.nodule} `}${box.score.toFixed(2)}`
  const size = 16
  const length = labelWidth(label, size)
  const left = Math.min(Math.max(x1, 2), width - length - 2)
  const above = y1 - size - 4
  const top = above >= 2 ? above : Math.min(y2 + 4, height - size - 2)
  const path = labelPath(label, left, top, size)
  return (
    `<rect x="${x1}" y="${y1}" width="${x2 - x1}" height="${y2 - y1}" stroke="${color}" stroke-width="2"/>` +
    `<path d="${path}" stroke="#000" stroke-width="5" stroke-linecap="round" stroke-linejoin="round"/>` +
    `<path d="${path}" stroke="${color}" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/>`
  )
}

/**
 * Strokes of the few characters that labels need, on a grid 4 wide and 6 high: text in an SVG would need a font, which
 * a server or a container often lacks.
 */
const STROKES: Readonly<Record<string, string>> = {
  '0': '0,0 4,0 4,6 0,6 0,0',
  '1': '1,1 2,0 2,6',
  '2': '0,0 4,0 4,3 0,3 0,6 4,6',
  '3': '0,0 4,0 4,6 0,6|1,3 4,3',
  '4': '0,0 0,3 4,3|4,0 4,6',
  '5': '4,0 0,0 0,3 4,3 4,6 0,6',
  '6': '4,0 0,0 0,6 4,6 4,3 0,3',
  '7': '0,0 4,0 2,6',
  '8': '0,0 4,0 4,6 0,6 0,0|0,3 4,3',
  '9': '4,3 0,3 0,0 4,0 4,6 0,6',
  '.': '2,6 2,6.1',
  '#': '1,1 1,5|3,1 3,5|0,2 4,2|0,4 4,4',
  ' ': '',
}
/** Grid columns from one character to the next. */
const ADVANCE = 5.6

function labelWidth(text: string, size: number): number {
  return (text.length * ADVANCE * size) / 6
}

function labelPath(text: string, left: number, top: number, size: number): string {
  const unit = size / 6
  return Array.from(text)
    .flatMap((character, index) =>
      (STROKES[character] ?? '')
        .split('|')
        .filter((line) => line !== '')
        .map((line) => {
          const points = line.split(' ').map((point) => {
            const [x, y] = point.split(',').map(Number) as [number, number]
            return `${(left + (index * ADVANCE + x) * unit).toFixed(1)} ${(top + y * unit).toFixed(1)}`
          })
          return `M${points.join('L')}`
        }),
    )
    .join('')
}
