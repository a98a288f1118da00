import sharp from 'sharp'
import { readPixels } from '../dicom/index.js'
import type { SliceHeader } from '../dicom/index.js'
import { writeFileAtomic } from '../files.js'
import type { AnnotatedSeries } from '../annotations/types.js'
import type { ConsensusNodule, PlacedMark } from '../annotations/types.js'

/** One color per reader: Okabe and Ito's, which color-blind people can tell apart. */
const COLORS = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#d55e00', '#cc79a7', '#0072b2', '#ffffff']
/** Wider than the lungs' usual window: what readers outline at the wall stays visible. */
const WIDE_WINDOW = { low: -1000, high: 400 }
/** Panels of a montage, at most. */
const MAX_PANELS = 12
const PANEL = 320
const COLUMNS = 4
const TEXT = 'font-family="sans-serif" font-size="13" stroke="#000000" stroke-width="3" paint-order="stroke"'

/**
 * Draws every consensus nodule: its slices around the nodule, with each reader's contour in a color of its own.
 *
 * @param stem path without `_nodule1.png`, of this series alone (`fileNames`)
 * @returns the paths written
 */
export async function drawNodules(
  { series, nodules }: Pick<AnnotatedSeries, 'series' | 'nodules'>,
  stem: string,
): Promise<string[]> {
  const paths: string[] = []
  for (const nodule of nodules) {
    const path = `${stem}_nodule${nodule.id}.png`
    await writeFileAtomic(path, await drawNodule(nodule, series.slices))
    paths.push(path)
  }
  return paths
}

async function drawNodule(nodule: ConsensusNodule, slices: readonly SliceHeader[]): Promise<Buffer> {
  const shown = pickSlices(nodule)
  const square = squareAround(nodule, slices[shown[0]!]!)
  const columns = Math.min(COLUMNS, shown.length)
  const rows = Math.ceil(shown.length / columns)
  const panels = await Promise.all(
    shown.map(async (k, index) => ({
      input: await drawPanel(nodule, slices[k]!, k, square, index === 0),
      left: (index % columns) * PANEL,
      top: Math.floor(index / columns) * PANEL,
    })),
  )
  return sharp({
    create: { width: columns * PANEL, height: rows * PANEL, channels: 3, background: '#000000' },
  })
    .composite(panels)
    .png()
    .toBuffer()
}

/** The slices with contours; evenly chosen where there are too many. */
function pickSlices(nodule: ConsensusNodule): number[] {
  const all = [...new Set(nodule.marks.flatMap((mark) => mark.contours.map((contour) => contour.k)))]
  all.sort((a, b) => a - b)
  if (all.length <= MAX_PANELS) return all
  return Array.from(
    { length: MAX_PANELS },
    (_, n) => all[Math.round((n * (all.length - 1)) / (MAX_PANELS - 1))]!,
  )
}

interface Square {
  left: number
  top: number
  size: number
}

/** A square of image pixels around all contours, with a rim. */
function squareAround({ mask }: ConsensusNodule, slice: SliceHeader): Square {
  const [, height, width] = mask.shape
  const size = Math.min(Math.max(48, Math.ceil(Math.max(width, height) * 1.8)), slice.columns, slice.rows)
  const place = (first: number, length: number, limit: number): number =>
    Math.round(Math.min(Math.max(0, first + length / 2 - size / 2), limit - size))
  return { left: place(mask.i0, width, slice.columns), top: place(mask.j0, height, slice.rows), size }
}

async function drawPanel(
  nodule: ConsensusNodule,
  slice: SliceHeader,
  k: number,
  square: Square,
  withLegend: boolean,
): Promise<Buffer> {
  const gray = await grayOf(slice)
  const image = sharp(gray, { raw: { width: slice.columns, height: slice.rows, channels: 1 } })
    .extract({ left: square.left, top: square.top, width: square.size, height: square.size })
    .resize(PANEL, PANEL, { kernel: 'cubic' })
  const scale = PANEL / square.size
  const lines = nodule.marks.flatMap((mark) => contourLines(mark, k, square, scale))
  const label = `slice ${k}  z ${slice.imagePosition[2].toFixed(1)} mm`
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${PANEL}" height="${PANEL}">${lines.join('')}${withLegend ? legend(nodule) : ''}
<text x="6" y="16" ${TEXT} fill="#ffffff">${label}</text>
<rect x="0.5" y="0.5" width="${PANEL - 1}" height="${PANEL - 1}" fill="none" stroke="#444444"/></svg>`
  return image
    .toColourspace('srgb')
    .composite([{ input: Buffer.from(svg) }])
    .png()
    .toBuffer()
}

/** "reader 1" in the color of reader 1, and so on. */
function legend(nodule: ConsensusNodule): string {
  const sessions = [...new Set(nodule.marks.map((mark) => mark.session))].sort((a, b) => a - b)
  return sessions
    .map((session, n) => {
      const y = PANEL - 8 - 16 * (sessions.length - 1 - n)
      const color = COLORS[session % COLORS.length]!
      return `<text x="6" y="${y}" ${TEXT} fill="${color}">reader ${session + 1}</text>`
    })
    .join('')
}

/** SVG polygons through the pixel centers of a reader's contours on slice k. */
function contourLines(mark: PlacedMark, k: number, square: Square, scale: number): string[] {
  const color = COLORS[mark.session % COLORS.length]!
  return mark.contours
    .filter((contour) => contour.k === k)
    .map(({ points, inclusion }) => {
      const path = points
        .map(
          ({ x, y }) =>
            `${((x + 0.5 - square.left) * scale).toFixed(1)},${((y + 0.5 - square.top) * scale).toFixed(1)}`,
        )
        .join(' ')
      const dash = inclusion ? '' : ' stroke-dasharray="4 3"'
      return `<polygon points="${path}" fill="none" stroke="${color}" stroke-width="1.6"${dash}/>`
    })
}

/** Gray levels of a slice in the lung window; padding is black. */
async function grayOf(slice: SliceHeader): Promise<Uint8Array> {
  const stored = await readPixels(slice)
  const gray = new Uint8Array(stored.length)
  const { low, high } = WIDE_WINDOW
  stored.forEach((value, at) => {
    const padded = slice.padding !== undefined && value >= slice.padding.low && value <= slice.padding.high
    const hu = padded ? low : value * slice.rescaleSlope + slice.rescaleIntercept
    gray[at] = Math.round((Math.min(Math.max(hu, low), high) - low) * (255 / (high - low)))
  })
  return gray
}
