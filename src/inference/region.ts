import { lungFrame, tilesOf } from '../dataset/index.js'
import type { Tile } from '../dataset/index.js'
import { lungTiles, wholeTile } from './lung_tiles.js'
import type { Hypes } from '../config/hypes.js'
import type { EdgeBox } from '../geometry/box.js'
import { frameToImage } from '../geometry/frame.js'
import type { FrameMapping } from '../geometry/frame.js'
import { segmentLungs } from '../volume/index.js'
import type { HuVolume } from '../volume/index.js'
import { append } from '../lists.js'

/** What of a volume is examined: the lungs and their surroundings, or all of it, which may be a crop. */
export const REGIONS = ['lungs', 'all'] as const
export type Region = (typeof REGIONS)[number]

/** A field of view narrower than this cannot hold both lungs: the volume is a crop, mm. */
const CHEST_MM = 150
/** Less lung than this on the average slice is no slice of a chest: mm2. */
const LUNG_MM2 = 1000
/** As much lung is lung, however long the scan goes on below it: ml. */
const LUNG_ML = 100

/** What of a volume is examined, and how. */
export interface Examined {
  /** One mapping for all slices. */
  canvas: FrameMapping
  /** Ascending. */
  slices: number[]
  /** The frames of a slice. Slices share them. */
  tilesOfSlice: (k: number) => readonly Tile[]
  /** Whether a box (image pixels) of a slice lies far enough in the lungs, by `data.min_lung_share`. */
  inLungs: (k: number, box: EdgeBox) => boolean
  /** Distance of the slices that are examined, mm. */
  stepMm: number
  warnings: string[]
}

/**
 * Chooses slices and frames. With 'lungs', where the volume shows no lungs or only a part of a chest, all of it is
 * examined, with a warning. With `data.mm_per_pixel` a slice's tiles are those in whose core lies lung of that slice, or
 * lung less than `data.lung_margin_mm` away: what is centered there and no larger than the overlap is whole in them.
 * @param anyFrame the model takes frames of any size: each slice gets one that is just large enough (`lungTiles`)
 */
export function examinedRegion(volume: HuVolume, region: Region, hypes: Hypes, anyFrame: boolean): Examined {
  const [count, rows, columns] = volume.shape
  const { spacing } = volume.geometry
  const warnings: string[] = []
  const all = (): Examined => {
    const box = { y: [0, rows] as const, x: [0, columns] as const }
    const canvas = lungFrame(volume, { box }, { ...hypes, data: { ...hypes.data, lung_margin_mm: 0 } })
    const whole = { x1: 0, y1: 0, x2: canvas.frameWidth, y2: canvas.frameHeight }
    const tiles = (anyFrame ? wholeTile(canvas, whole, hypes) : undefined) ?? tilesOf(canvas, hypes)
    const everywhere = { tilesOfSlice: () => tiles, inLungs: () => true }
    return { canvas, ...everywhere, ...steps(volume, 0, count, hypes), warnings }
  }
  if (region === 'all') return all()
  if (Math.min(rows * spacing[1], columns * spacing[2]) < CHEST_MM) {
    warnings.push(`only a part of a chest (${fieldOfView(volume)}): all of it is examined`)
    return all()
  }
  const lungs = segmentLungs(volume)
  append(warnings, lungs.warnings)
  const [first, end] = lungs.box.z
  const usual = (slices: number): number => (LUNG_MM2 * slices * spacing[0]) / 1000
  if (lungs.volumeMl.total < Math.max(usual(end - first), Math.min(LUNG_ML, usual(count)))) {
    warnings.push('no lungs found: all of the volume is examined')
    return all()
  }
  const canvas = lungFrame(volume, lungs, hypes)
  const examined = steps(volume, first, end, hypes)
  return {
    canvas,
    tilesOfSlice:
      (anyFrame ? lungTiles(volume, lungs, examined.slices, canvas, hypes) : undefined) ??
      tilesWithLung(volume, lungs.mask, canvas, hypes),
    inLungs: (k, box) => lungShare(volume, lungs.mask, k, box) >= hypes.data.min_lung_share,
    ...examined,
    warnings,
  }
}

/** The part of a box's pixels, those that it covers in part included, that lies in the lungs. */
function lungShare(volume: HuVolume, mask: Uint8Array, k: number, box: EdgeBox): number {
  const [, rows, columns] = volume.shape
  const [x1, x2] = [Math.max(0, Math.floor(box.x1)), Math.min(columns, Math.ceil(box.x2))]
  const [y1, y2] = [Math.max(0, Math.floor(box.y1)), Math.min(rows, Math.ceil(box.y2))]
  let inside = 0
  for (let y = y1; y < y2; y++)
    for (let x = x1, at = (k * rows + y) * columns + x1; x < x2; x++, at++) inside += mask[at]!
  const pixels = Math.max(0, x2 - x1) * Math.max(0, y2 - y1)
  return pixels > 0 ? inside / pixels : 0
}

function fieldOfView({ shape: [, rows, columns], geometry: { spacing } }: HuVolume): string {
  return `${Math.round(columns * spacing[2])} x ${Math.round(rows * spacing[1])} mm`
}

/** Slices of [first, end) about `data.slice_step_mm` apart, each the nearest to that from the last, and their usual distance. */
function steps(
  { geometry }: HuVolume,
  first: number,
  end: number,
  hypes: Hypes,
): Pick<Examined, 'slices' | 'stepMm'> {
  const positions = geometry.slicePositions
  const step = hypes.data.slice_step_mm
  const slices: number[] = []
  for (let k = first; k < end;) {
    slices.push(k)
    const away = (other: number): number => positions[other]! - positions[k]!
    const off = (other: number): number => Math.abs(away(other) - step)
    let next = k + 1
    while (next + 1 < end && off(next + 1) < off(next)) next++
    // What is left at the end and nearer than that shows nothing new.
    if (next < end && away(next) < step / 2) break
    k = next
  }
  const distances = slices.slice(1).map((k, n) => positions[k]! - positions[slices[n]!]!)
  distances.sort((a, b) => a - b)
  return { slices, stepMm: distances[distances.length >> 1] ?? geometry.spacing[0] }
}

/** The tiles of the model's own size that a slice needs. */
function tilesWithLung(
  volume: HuVolume,
  mask: Uint8Array,
  canvas: FrameMapping,
  hypes: Hypes,
): Examined['tilesOfSlice'] {
  const tiles = tilesOf(canvas, hypes)
  return hypes.data.mm_per_pixel === 0
    ? () => tiles
    : (k) => tiles.filter((tile) => holdsLung(tile, canvas, k, volume, mask, hypes))
}

function holdsLung(
  tile: Tile,
  canvas: FrameMapping,
  k: number,
  volume: HuVolume,
  mask: Uint8Array,
  hypes: Hypes,
): boolean {
  const [, rows, columns] = volume.shape
  const [, spacingY, spacingX] = volume.geometry.spacing
  const area = frameToImage(canvas, tile.core)
  const margin = hypes.data.lung_margin_mm
  const x1 = Math.max(0, Math.floor(area.x1 - margin / spacingX))
  const x2 = Math.min(columns, Math.ceil(area.x2 + margin / spacingX))
  const y1 = Math.max(0, Math.floor(area.y1 - margin / spacingY))
  const y2 = Math.min(rows, Math.ceil(area.y2 + margin / spacingY))
  for (let y = y1; y < y2; y++) {
    const row = (k * rows + y) * columns
    const at = mask.subarray(row + x1, row + Math.max(x1, x2)).indexOf(1)
    if (at >= 0) return true
  }
  return false
}
