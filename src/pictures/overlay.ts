import { readdir, rm } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import sharp from 'sharp'
import { hypesWindow } from '../dataset/index.js'
import type { Window } from '../dataset/index.js'
import type { Hypes } from '../config/hypes.js'
import { eachAtOnce } from '../each.js'
import { fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import type { EdgeBox, ScoredBox } from '../geometry/box.js'
import { windowToGray } from '../volume/index.js'
import type { HuVolume } from '../volume/index.js'
import { placeLabels } from './labels.js'
import { drawFrame, drawLabel, rasterOfGray } from './raster.js'
import type { Color } from './raster.js'

/** The longer side of a picture, pixels. */
const PICTURE_SIDE = 512
/** Pictures in the making at a time: the threads that libuv has. */
const AT_ONCE = 4

/** Boxes of listed nodules, boxes that no listed nodule took, and true boxes. */
const NODULE: Color = [255, 210, 31]
const OTHER: Color = [79, 195, 247]
const TRUE: Color = [80, 255, 80]

/** A detected box and the listed nodule that it belongs to. */
interface OverlayBox extends ScoredBox {
  nodule?: number
}

/** What a picture is made from; it holds nothing of the volume, whose memory is used again. */
export interface Overlay {
  /** File name. */
  name: string
  /** Gray levels, [height, width]. */
  gray: Uint8Array
  width: number
  height: number
  /** Boxes in pixels of the image, the strongest first. */
  boxes: readonly OverlayBox[]
  truth?: readonly EdgeBox[]
}

/** The slices that have boxes, whole and in the model's window; files are called k0042.webp, after the slice index. */
export function scanOverlays(
  volume: HuVolume,
  slices: readonly { k: number; boxes: readonly OverlayBox[] }[],
  hypes: Hypes,
): Overlay[] {
  const [, height, width] = volume.shape
  const gray = grayLevels(hypesWindow(hypes))
  return slices
    .filter(({ boxes }) => boxes.length > 0)
    .map(({ k, boxes }) => {
      const pixels = volume.data.subarray(k * height * width, (k + 1) * height * width)
      return { name: overlayName(k), gray: gray(pixels), width, height, boxes }
    })
}

/** The file of a slice's picture, after the slice index: k0042.webp. */
export function overlayName(k: number): string {
  return `k${String(k).padStart(4, '0')}.webp`
}

/** Windows stored HU by a table. */
function grayLevels({ low, high }: Window): (hu: Int16Array) => Uint8Array {
  const table = windowToGray(
    Float32Array.from({ length: 65_536 }, (_, n) => n - 32_768),
    low,
    high,
  )
  return (hu) => {
    // A loop: several times as fast as Uint8Array.from.
    const gray = new Uint8Array(hu.length)
    for (let n = 0; n < hu.length; n++) gray[n] = table[hu[n]! + 32_768]!
    return gray
  }
}

/** The picture's name of an entry of a list: its place, from 1, and the image's own name, if need be cut: 0007-k0042.webp. */
export function listOverlayName(index: number, imagePath: string): string {
  const stem = basename(imagePath, extname(imagePath))
    .replace(/[^\w.-]/g, '_')
    .slice(0, MAX_STEM)
  return `${String(index + 1).padStart(4, '0')}-${stem}.webp`
}

/** File systems take names of 255 bytes. */
const MAX_STEM = 240

/** Draws and writes, some at a time and off this thread but for the lines. Throws NoduleError (FILE). */
export async function writeOverlays(folder: string, overlays: readonly Overlay[]): Promise<void> {
  await eachAtOnce(overlays, AT_ONCE, async (overlay) =>
    writeFileAtomic(join(folder, overlay.name), await overlayPicture(overlay)),
  )
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
    // PNG: what earlier versions drew.
    if (!/^(k\d{4,}\.(webp|png)|\d{4,}-[\w.-]*\.webp)$/.test(name)) continue
    await rm(join(folder, name), { force: true }).catch((error: unknown) => {
      throw fileError(join(folder, name), 'remove', error)
    })
  }
}

/**
 * An image with its boxes, with nodule and score ("#1 0.93"), as WebP whose longer side is 512 pixels. In a crowd only the
 * stronger boxes, and all listed nodules, have a label.
 */
export async function overlayPicture({ gray, width, height, boxes, truth = [] }: Overlay): Promise<Buffer> {
  const scale = PICTURE_SIDE / Math.max(width, height)
  const [columns, rows] = [width, height].map((side) => Math.max(1, Math.round(side * scale))) as [
    number,
    number,
  ]
  const image = { raw: { width, height, channels: 1 as const } }
  const sized =
    scale === 1
      ? gray
      : await sharp(gray, image).resize(columns, rows, { fit: 'fill' }).toColorspace('b-w').raw().toBuffer()
  const raster = rasterOfGray(sized, columns, rows)
  const onPicture = (box: EdgeBox): EdgeBox => ({
    x1: box.x1 * scale,
    y1: box.y1 * scale,
    x2: box.x2 * scale,
    y2: box.y2 * scale,
  })
  for (const box of truth) drawFrame(raster, onPicture(box), TRUE, 1)
  const placed = boxes.map((box) => ({ ...box, ...onPicture(box) }))
  const listed = placed.filter((box) => box.nodule !== undefined)
  const others = placed.filter((box) => box.nodule === undefined)
  // Weak boxes first, so that the strong ones lie on top, and listed nodules on all.
  for (const box of [...others.reverse(), ...listed.reverse()]) drawFrame(raster, box, colorOf(box))
  const labels = placeLabels(
    placed.map((box) => ({ ...box, text: labelOf(box), important: box.nodule !== undefined })),
    columns,
    rows,
  )
  for (const { box, text, left, top } of labels.reverse())
    drawLabel(raster, text, left, top, colorOf(placed[box]!))
  return sharp(raster.data, { raw: { width: columns, height: rows, channels: 3 } })
    .webp({ quality: 80, effort: 0 })
    .toBuffer()
}

function colorOf({ nodule }: OverlayBox): Color {
  return nodule === undefined ? OTHER : NODULE
}

function labelOf({ nodule, score }: OverlayBox): string {
  return `${nodule === undefined ? '' : `#${nodule} `}${score.toFixed(2)}`
}
