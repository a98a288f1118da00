import { checkObject } from '../../check.js'
import { type LungsOptions, shrinkVolume } from '../../kernels/lungs.js'
import { checkHuVolume } from '../hu_volume.js'
import type { HuVolume } from '../hu_volume.js'
import {
  closeMask,
  cropMask,
  dilateMask,
  erodeMask,
  extentOf,
  fillHoles,
  findParts,
  growSeeds,
  largestPart,
  partMask,
  pasteMask,
  type Extent,
  type Grid,
} from './grid.js'
import { checkClosing } from './types.js'
import type { Lungs, SegmentOptions } from './types.js'
import { fillIslands } from './islands.js'
import { refineMask } from './refine.js'
import { nameSides } from './sides.js'
import { type SliceBox, findTrachea } from './trachea.js'
import { least } from '../../lists.js'

/** Air and lung are darker than this, HU. */
const airHu = -400
/** Darker than this is open air, and no lung but for emphysema. */
const openAirHu = -930
/** Voxel size of the coarse grid on which shapes are worked out, mm. */
const coarseMm = 2.4

/**
 * Finds the lungs of a chest CT: dark voxels inside the body, without trachea and main bronchi and without gas in the
 * bowel; both lungs even where they touch; closed so that vessels and nodules at the pleura belong to them. Works on a
 * grid of about 2.4 mm and refines the surface at full resolution. Where no lung is found, the result is the body's box
 * with a warning.
 */
export function segmentLungs(volume: HuVolume, o: SegmentOptions = {}): Lungs {
  checkHuVolume(volume)
  checkObject('options', o)
  const warnings: string[] = []
  const { coarse, factors } = shrink(volume, o)
  let found = findLungs(volume, coarse, factors, airHu, o)
  if (found.lungs.length < 2) {
    // The air around the patient may have run into a lung that touches the edge of the image.
    const careful = findLungs(volume, coarse, factors, openAirHu, o)
    if (countVoxels(careful.lungs) > 1.2 * countVoxels(found.lungs)) {
      found = careful
      warnings.push('the lungs reach the edge of the image')
    }
  }
  const { lungs, trachea } = found
  if (trachea.length === 0) warnings.push('no trachea found: it may be counted with the lungs')
  if (lungs.length === 0) {
    warnings.push('no lung found: the body stands in for it')
    return bodyOnly(volume, bodyBox(coarse, factors, o), warnings)
  }
  const named = nameSides(lungs, () => largestTissue(coarse, o), volume, factors, warnings)
  const closing = checkClosing(o.closingMm ?? 9)
  const close = (lung: Grid | undefined): Grid | undefined =>
    lung === undefined ? undefined : closeLung(lung, closing, o)
  const air = [named.right, named.left] as const
  return refineMask(volume, factors, { closed: [close(air[0]), close(air[1])], air, trachea }, warnings, o)
}

/** One or two lungs on the coarse grid, and the trachea's voxels; air below `outsideHu` around the patient is left out. */
function findLungs(
  volume: HuVolume,
  coarse: Grid<Int16Array>,
  factors: readonly [number, number, number],
  outsideHu: number,
  o: LungsOptions,
): { lungs: Grid[]; trachea: Int32Array } {
  const air = thresholdInside(coarse, outsideHu, o)
  if (outsideHu !== airHu) keepBetweenTissue(air, largestTissue(coarse, o))
  const inside = extentOf(air)
  if (inside === undefined) return { lungs: [], trachea: new Int32Array(0) }
  const trachea = findTrachea(volume, scaleBox(inside, factors), o)
  removeTrachea(air, trachea, volume, factors, o)
  const parts = chooseLungs(air, coarse, o)
  return { lungs: parts.length === 1 ? splitTouching(parts[0]!, o) : parts, trachea }
}

function countVoxels(lungs: readonly Grid[]): number {
  return lungs.reduce((sum, lung) => sum + lung.data.reduce((count, value) => count + value, 0), 0)
}

/** The volume averaged over blocks of `factors` voxels: HU. */
function shrink(
  volume: HuVolume,
  o: LungsOptions,
): { coarse: Grid<Int16Array>; factors: [number, number, number] } {
  const { spacing } = volume.geometry
  const factor = (axis: number): number => Math.min(128, Math.max(1, Math.round(coarseMm / spacing[axis]!)))
  const factors: [number, number, number] = [factor(0), factor(1), factor(2)]
  const small = shrinkVolume(volume, factors, o)
  return {
    coarse: {
      ...small,
      spacing: [spacing[0] * factors[0], spacing[1] * factors[1], spacing[2] * factors[2]],
    },
    factors,
  }
}

/** 1 where the coarse volume is air that is not connected, in 3-D and through air below `outsideHu`, to the image's sides. */
function thresholdInside(coarse: Grid<Int16Array>, outsideHu: number, o: LungsOptions): Grid {
  const [, ny, nx] = coarse.shape
  const data = new Uint8Array(coarse.data.length)
  for (let n = 0; n < data.length; n++) data[n] = coarse.data[n]! < airHu ? 1 : 0
  const { starts, ends, labels, sizes } = findParts(coarse, { ...o, below: outsideHu })
  const outside = new Uint8Array(sizes.length)
  for (let run = 0; run < labels.length; run++) {
    const [start, end] = [starts[run]!, ends[run]!]
    const y = Math.floor(start / nx) % ny
    if (y === 0 || y === ny - 1 || start % nx === 0 || end % nx === 0) outside[labels[run]!] = 1
  }
  const air: Grid = { ...coarse, data }
  // Where the threshold is lower, there lies a film of voxels between open air and skin that are half of each.
  const open: Grid | undefined =
    outsideHu === airHu ? undefined : { ...air, data: new Uint8Array(data.length) }
  for (let run = 0; run < labels.length; run++) {
    if (outside[labels[run]!] === 0) continue
    data.fill(0, starts[run], ends[run])
    open?.data.fill(1, starts[run], ends[run])
  }
  if (open === undefined) return air
  const film = dilateMask(open, 1.5 * Math.max(air.spacing[1], air.spacing[2]), o)
  for (let n = 0; n < data.length; n++) if (film.data[n] === 1) data[n] = 0
  return air
}

/** The largest part that is not air: the body. */
function largestTissue(coarse: Grid<Int16Array>, o: LungsOptions): Grid {
  const tissue: Grid = { ...coarse, data: new Uint8Array(coarse.data.length) }
  for (let n = 0; n < tissue.data.length; n++) tissue.data[n] = coarse.data[n]! > -250 ? 1 : 0
  const parts = findParts(tissue, o)
  return partMask(tissue, parts, largestPart(parts))
}

/** Keeps the voxels with tissue on both sides in their row or in their column: a lung cut by the image, but no table. */
function keepBetweenTissue(air: Grid, tissue: Grid): void {
  const [nz, ny, nx] = air.shape
  const keep = new Uint8Array(ny * nx)
  for (let z = 0; z < nz; z++) {
    const first = z * ny * nx
    keep.fill(0)
    const between = (start: number, step: number, count: number): void => {
      let low = -1
      let high = -1
      for (let n = 0; n < count; n++)
        if (tissue.data[first + start + n * step] === 1) {
          if (low < 0) low = n
          high = n
        }
      for (let n = low + 1; n < high; n++) keep[start + n * step] = 1
    }
    for (let y = 0; y < ny; y++) between(y * nx, 1, nx)
    for (let x = 0; x < nx; x++) between(x, nx, ny)
    for (let n = 0; n < keep.length; n++) if (keep[n] === 0) air.data[first + n] = 0
  }
}

/** The body in pixels of the full resolution; the whole image where there is none. */
function bodyBox(
  coarse: Grid<Int16Array>,
  factors: readonly [number, number, number],
  o: LungsOptions,
): SliceBox {
  const extent = extentOf(largestTissue(coarse, o))
  return scaleBox(extent ?? (coarse.shape.map((n) => [0, n]) as unknown as Extent), factors)
}

function scaleBox(extent: Extent, factors: readonly [number, number, number]): SliceBox {
  return {
    x1: extent[2][0] * factors[2],
    x2: extent[2][1] * factors[2],
    y1: extent[1][0] * factors[1],
    y2: extent[1][1] * factors[1],
  }
}

/** Takes the lumen and 2 mm of wall around it out of the air. */
function removeTrachea(
  air: Grid,
  trachea: Int32Array,
  volume: HuVolume,
  factors: readonly [number, number, number],
  o: LungsOptions,
): void {
  if (trachea.length === 0) return
  const [, ny, nx] = volume.shape
  const [, cy, cx] = air.shape
  const lumen: Grid = { ...air, data: new Uint8Array(air.data.length) }
  for (const at of trachea) {
    const i = at % nx
    const j = Math.floor(at / nx) % ny
    const k = Math.floor(at / (nx * ny))
    lumen.data[
      (Math.floor(k / factors[0]) * cy + Math.floor(j / factors[1])) * cx + Math.floor(i / factors[2])
    ] = 1
  }
  const extent = extentOf(lumen)!
  const rim = 2
  pasteMask(lumen, dilateMask(cropMask(lumen, extent, rim), 2.5, o), extent, rim)
  for (let n = 0; n < air.data.length; n++) if (lumen.data[n] === 1) air.data[n] = 0
}

/** The parts of the air that are lungs: the one or two largest that are not pure gas. */
function chooseLungs(air: Grid, coarse: Grid<Int16Array>, o: LungsOptions): Grid[] {
  const parts = findParts(air, o)
  const { labels, starts, ends, sizes } = parts
  const sums = new Float64Array(sizes.length)
  for (let run = 0; run < labels.length; run++) {
    let sum = 0
    for (let n = starts[run]!; n < ends[run]!; n++) sum += coarse.data[n]!
    sums[labels[run]!]! += sum
  }
  const voxelMl = (air.spacing[0] * air.spacing[1] * air.spacing[2]) / 1000
  const candidates = Array.from(sizes, (size, label) => ({
    label,
    ml: size * voxelMl,
    mean: sums[label]! / size,
  }))
    .filter((part) => part.label > 0 && part.ml > 60 && part.mean > -965)
    .sort((a, b) => b.ml - a.ml)
  const largest = candidates[0]
  if (largest === undefined) return []
  const second = candidates.slice(1).find((part) => part.ml > 0.12 * largest.ml)
  return [largest, ...(second === undefined ? [] : [second])].map(({ label }) => partMask(air, parts, label))
}

/** Two lungs that touch (in front of or behind the mediastinum) come apart when eroded; each voxel joins the nearer. */
function splitTouching(both: Grid, o: LungsOptions): Grid[] {
  const extent = extentOf(both)!
  const crop = cropMask(both, extent, 1)
  for (const radius of [2.5, 4, 6, 9]) {
    const parts = findParts(erodeMask(crop, radius, o), o)
    const order = Array.from(parts.sizes, (size, label) => ({ size, label })).slice(1)
    order.sort((a, b) => b.size - a.size)
    const [first, second] = order
    if (first === undefined) return [both]
    if (second === undefined || second.size < 0.25 * first.size) continue
    const labels = growSeeds(
      crop,
      [first, second].map(({ label }) => partMask(crop, parts, label)),
    )
    return [1, 2].map((label) => {
      const side: Grid = { ...crop, data: labels.map((value) => (value === label ? 1 : 0)) }
      const whole: Grid = { ...both, data: new Uint8Array(both.data.length) }
      pasteMask(whole, side, extent, 1)
      return whole
    })
  }
  return [both]
}

/** Fills vessels, holes and dents of one lung. */
function closeLung(lung: Grid, radius: number, o: LungsOptions): Grid {
  const extent = extentOf(lung)!
  const rim = Math.ceil(Math.max(radius + 2, 12) / least(lung.spacing)) + 1
  const crop = cropMask(lung, extent, rim)
  const closed = closeMask(crop, radius, o)
  fillHoles(closed, o)
  fillIslands(closed, o)
  const whole: Grid = { ...lung, data: new Uint8Array(lung.data.length) }
  pasteMask(whole, closed, extent, rim)
  return whole
}

function bodyOnly(volume: HuVolume, body: SliceBox, warnings: string[]): Lungs {
  const [nz, ny, nx] = volume.shape
  const mask = new Uint8Array(nz * ny * nx)
  const y: [number, number] = [Math.max(0, body.y1), Math.min(ny, body.y2)]
  const x: [number, number] = [Math.max(0, body.x1), Math.min(nx, body.x2)]
  for (let k = 0; k < nz; k++)
    for (let j = y[0]; j < y[1]; j++) mask.fill(1, (k * ny + j) * nx + x[0], (k * ny + j) * nx + x[1])
  return { mask, box: { z: [0, nz], y, x }, volumeMl: { left: 0, right: 0, total: 0 }, warnings }
}
