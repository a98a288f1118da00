import sharp from 'sharp'
import type { HuVolume } from '../volume/hu_volume.js'
import type { Lungs } from '../volume/lungs/types.js'
import { lungWindow, windowToGray } from '../volume/window.js'
import { escapeXml } from '../clean.js'
import { greatest } from '../lists.js'

/** Side of one panel of a montage, pixels. */
const panel = 256

/** Evenly spaced slices of the lungs, from their base to their tip. */
export function lungSlices(box: Lungs['box'], count: number): number[] {
  const [low, high] = box.z
  return Array.from({ length: Math.min(count, high - low) }, (_, n, all = Math.min(count, high - low)) =>
    Math.floor(low + ((n + 0.5) / all) * (high - low)),
  )
}

/** Color of a voxel as [red, green, blue]. */
export type Painter = (hu: number, index: number) => readonly [number, number, number]

/** One slice through a painter, scaled to a panel; an RGB PNG. */
export async function slicePanel(volume: HuVolume, k: number, paint: Painter): Promise<Buffer> {
  const [, rows, columns] = volume.shape
  const [, dy, dx] = volume.geometry.spacing
  const first = k * rows * columns
  return planePanel({ width: columns, height: rows, dx, dy }, (x, y) => {
    const index = first + y * columns + x
    return paint(volume.data[index]!, index)
  })
}

/** Columns, rows and the size of a pixel in mm. */
export interface Plane {
  width: number
  height: number
  dx: number
  dy: number
}

/** Any plane, pixel by pixel, scaled to fit a panel of `side` pixels; an RGB PNG. */
export async function planePanel(
  { width, height, dx, dy }: Plane,
  color: (x: number, y: number) => readonly [number, number, number],
  side = panel,
): Promise<Buffer> {
  const rgb = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) rgb.set(color(x, y), 3 * (y * width + x))
  const scale = side / Math.max(dx * width, dy * height)
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .resize(Math.max(1, Math.round(dx * width * scale)), Math.max(1, Math.round(dy * height * scale)), {
      fit: 'fill',
    })
    .png()
    .toBuffer()
}

/** Puts panels of `side` pixels side by side, row by row, with a label (lines) in each; a PNG. */
export async function tilePanels(
  rows: readonly (readonly { image: Buffer; label?: string }[])[],
  title?: string,
  side = panel,
): Promise<Buffer> {
  const columns = greatest(
    rows.map((row) => row.length),
    1,
  )
  const head = title === undefined ? 0 : 24
  const width = columns * side
  const height = rows.length * side + head
  const labels = rows.flatMap((row, y) =>
    row.map(({ label }, x) =>
      label === undefined
        ? ''
        : label
            .split('\n')
            .map((line, n) =>
              textAt(x * side + 5, y * side + head + 15 + 14 * n, line, side < panel ? 11 : 13),
            )
            .join(''),
    ),
  )
  if (title !== undefined) labels.push(textAt(6, 17, title, 15))
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${labels.join('')}</svg>`
  return sharp({ create: { width, height, channels: 3, background: '#000' } })
    .composite([
      ...rows.flatMap((row, y) =>
        row.map(({ image }, x) => ({ input: image, left: x * side, top: y * side + head })),
      ),
      { input: Buffer.from(svg), left: 0, top: 0 },
    ])
    .png()
    .toBuffer()
}

function textAt(x: number, y: number, text: string, size: number): string {
  return `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}" fill="#fff" stroke="#000" stroke-width="3" paint-order="stroke">${escapeXml(text)}</text>`
}

/** The lungs on evenly spaced slices: the slice, the mask, the slice within the mask; a PNG. */
export async function lungMontage(volume: HuVolume, lungs: Lungs, title: string, count = 8): Promise<Buffer> {
  const gray = (hu: number): readonly [number, number, number] => {
    const level = windowToGray(hu, ...lungWindow)
    return [level, level, level]
  }
  const painters: readonly Painter[] = [
    gray,
    (_, index) => (lungs.mask[index] === 1 ? [255, 255, 255] : [0, 0, 0]),
    (hu, index) => (lungs.mask[index] === 1 ? gray(hu) : [0, 0, 0]),
  ]
  const slices = lungSlices(lungs.box, count)
  const rows = []
  for (const [r, paint] of painters.entries()) {
    const row = []
    for (const k of slices)
      row.push({ image: await slicePanel(volume, k, paint), ...(r === 0 ? { label: `slice ${k}` } : {}) })
    rows.push(row)
  }
  return tilePanels(rows, title)
}
