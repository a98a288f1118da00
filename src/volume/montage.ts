import sharp from 'sharp'
import type { HuVolume } from './hu_volume.js'
import type { Lungs } from './lungs.js'
import { lungWindow, windowToGray } from './window.js'

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
  const rgb = new Uint8Array(rows * columns * 3)
  const first = k * rows * columns
  for (let n = 0; n < rows * columns; n++) {
    const [r, g, b] = paint(volume.data[first + n]!, first + n)
    rgb[3 * n] = r
    rgb[3 * n + 1] = g
    rgb[3 * n + 2] = b
  }
  const [sy, sx] = [volume.geometry.spacing[1] * rows, volume.geometry.spacing[2] * columns]
  const scale = panel / Math.max(sx, sy)
  return sharp(rgb, { raw: { width: columns, height: rows, channels: 3 } })
    .resize(Math.max(1, Math.round(sx * scale)), Math.max(1, Math.round(sy * scale)), { fit: 'fill' })
    .extend({ background: '#000' })
    .png()
    .toBuffer()
}

/** Puts panels side by side, row by row, with a label in each; a PNG. */
export async function tilePanels(
  rows: readonly (readonly { image: Buffer; label?: string }[])[],
  title?: string,
): Promise<Buffer> {
  const columns = Math.max(1, ...rows.map((row) => row.length))
  const head = title === undefined ? 0 : 24
  const width = columns * panel
  const height = rows.length * panel + head
  const labels = rows.flatMap((row, y) =>
    row.map(({ label }, x) =>
      label === undefined ? '' : textAt(x * panel + 5, y * panel + head + 15, label, 13),
    ),
  )
  if (title !== undefined) labels.push(textAt(6, 17, title, 15))
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${labels.join('')}</svg>`
  return sharp({ create: { width, height, channels: 3, background: '#000' } })
    .composite([
      ...rows.flatMap((row, y) =>
        row.map(({ image }, x) => ({ input: image, left: x * panel, top: y * panel + head })),
      ),
      { input: Buffer.from(svg), left: 0, top: 0 },
    ])
    .png()
    .toBuffer()
}

function textAt(x: number, y: number, text: string, size: number): string {
  const safe = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}" fill="#fff" stroke="#000" stroke-width="3" paint-order="stroke">${safe}</text>`
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
