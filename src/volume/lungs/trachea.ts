import type { LungsOptions } from '../../kernels/lungs.js'
import { findParts, type Parts } from './grid.js'
import type { HuVolume } from '../hu_volume.js'

/** Lumen of trachea and main bronchi is darker than this, HU; their walls are brighter. */
const lumenHu = -780

/** Runs along x of a slice, in order. */
type Runs = Pick<Parts, 'starts' | 'ends'>

interface Spot {
  label: number
  /** Pixels, and the sums of their coordinates. */
  area: number
  sumX: number
  sumY: number
  x1: number
  y1: number
  x2: number
  y2: number
}

/** A box within the slices, pixels of the full resolution, [low, high). */
export interface SliceBox {
  x1: number
  y1: number
  x2: number
  y2: number
}

/**
 * Follows the trachea from the upper end of the scan down to where it joins the lungs, slice by slice: a dark, round spot
 * of 40 to 900 mm2 near the middle, and below the carina its two branches.
 *
 * @param inside box around all air inside the body, pixels
 * @returns voxel indices (z * rows * columns + ...) of the lumen, empty where no trachea is found
 */
export function findTrachea(volume: HuVolume, inside: SliceBox, options: LungsOptions = {}): Int32Array {
  const { shape, geometry } = volume
  const [nz, ny, nx] = shape
  const pixelArea = geometry.spacing[1] * geometry.spacing[2]
  const slices = [...Array(nz).keys()]
  // z grows along sliceDirection: down from the head's side.
  if (geometry.sliceDirection[2] >= 0) slices.reverse()
  const centerX = (inside.x1 + inside.x2) / 2
  const near = 0.2 * (inside.x2 - inside.x1)
  const box: SliceBox = {
    x1: Math.max(1, Math.floor(centerX - near)),
    x2: Math.min(nx - 1, Math.ceil(centerX + near)),
    y1: Math.max(1, Math.floor(inside.y1 - 0.15 * (inside.y2 - inside.y1))),
    y2: Math.min(ny - 1, Math.ceil(inside.y1 + 0.8 * (inside.y2 - inside.y1))),
  }
  // A start must hold on over 12 mm.
  const hold = Math.max(2, Math.round(12 / geometry.spacing[0]))
  const seen = new Map<number, { parts: Parts; spots: Spot[] }>()
  const look = (at: number): { parts: Parts; spots: Spot[] } => {
    let found = seen.get(at)
    if (found === undefined) {
      const parts = darkParts(volume, slices[at]!, options)
      found = { parts, spots: darkSpots(parts, nx, box).filter((spot) => isRound(spot, pixelArea)) }
      seen.set(at, found)
    }
    return found
  }
  for (let start = 0; start < Math.min(nz, Math.ceil(0.6 * nz)); start++) {
    const { parts, spots } = look(start)
    for (const spot of spots) {
      let last = spot
      let length = 1
      for (; length < hold && start + length < nz; length++) {
        const next = look(start + length).spots.find((other) => {
          const x = other.sumX / other.area - last.sumX / last.area
          const y = other.sumY / other.area - last.sumY / last.area
          return Math.hypot(x, y) * geometry.spacing[2] < 6 + geometry.spacing[0]
        })
        if (next === undefined) break
        last = next
      }
      if (length < hold) continue
      return followDown(
        volume,
        slices.slice(start),
        pick(parts, (label) => label === spot.label),
        options,
      )
    }
    seen.delete(start)
  }
  return new Int32Array(0)
}

/** The connected dark parts of a slice. */
function darkParts({ data, shape }: HuVolume, k: number, options: LungsOptions): Parts {
  const [, ny, nx] = shape
  const slice = data.subarray(k * ny * nx, (k + 1) * ny * nx)
  return findParts({ data: slice, shape: [1, ny, nx] }, { ...options, below: lumenHu })
}

/** The runs of the parts that are wanted. */
function pick({ starts, ends, labels }: Parts, wanted: (label: number) => boolean): Runs {
  return {
    starts: starts.filter((_, run) => wanted(labels[run]!)),
    ends: ends.filter((_, run) => wanted(labels[run]!)),
  }
}

function areaOf({ starts, ends }: Runs): number {
  return starts.reduce((sum, start, run) => sum + ends[run]! - start, 0)
}

/** Takes the first slice's runs, then on each below the dark parts that overlap what was taken above, until they open out. */
function followDown(volume: HuVolume, slices: number[], spot: Runs, options: LungsOptions): Int32Array {
  const { shape, geometry } = volume
  const [, ny, nx] = shape
  const pixelArea = geometry.spacing[1] * geometry.spacing[2]
  const first = Math.max(areaOf(spot), 120 / pixelArea)
  const found: number[] = []
  let runs = spot
  for (const [at, k] of slices.entries()) {
    if (at > 0) {
      const parts = darkParts(volume, k, options)
      const below = overlapping(parts, runs)
      // One branch may already have opened into the lung: the other is still followed.
      runs = pick(parts, (label) => below.has(label) && parts.sizes[label]! <= 2.6 * first)
      if (areaOf(runs) * pixelArea < 12) break
    }
    for (let run = 0; run < runs.starts.length; run++)
      for (let n = runs.starts[run]!; n < runs.ends[run]!; n++) found.push(k * ny * nx + n)
  }
  return Int32Array.from(found)
}

/** The parts with a pixel that the runs have, too. */
function overlapping(parts: Parts, runs: Runs): Set<number> {
  const found = new Set<number>()
  for (let a = 0, b = 0; a < parts.labels.length && b < runs.starts.length;) {
    if (parts.ends[a]! <= runs.starts[b]!) a++
    else if (runs.ends[b]! <= parts.starts[a]!) b++
    else found.add(parts.labels[a++]!)
  }
  return found
}

/** The parts that reach into the box, in the order in which its rows meet them. */
function darkSpots({ starts, ends, labels, sizes }: Parts, nx: number, box: SliceBox): Spot[] {
  const spots = new Map<number, Spot>()
  for (let run = 0; run < labels.length; run++) {
    const y = Math.floor(starts[run]! / nx)
    const [x1, x2] = [starts[run]! - y * nx, ends[run]! - y * nx]
    const label = labels[run]!
    if (y < box.y1 || y >= box.y2 || x1 >= box.x2 || x2 <= box.x1 || spots.has(label)) continue
    spots.set(label, { label, area: sizes[label]!, sumX: 0, sumY: 0, x1: nx, y1: y, x2: 0, y2: y })
  }
  for (let run = 0; run < labels.length; run++) {
    const spot = spots.get(labels[run]!)
    if (spot === undefined) continue
    const y = Math.floor(starts[run]! / nx)
    const [x1, x2] = [starts[run]! - y * nx, ends[run]! - y * nx]
    spot.sumX += ((x1 + x2 - 1) * (x2 - x1)) / 2
    spot.sumY += y * (x2 - x1)
    spot.x1 = Math.min(spot.x1, x1)
    spot.x2 = Math.max(spot.x2, x2)
    spot.y1 = Math.min(spot.y1, y)
    spot.y2 = Math.max(spot.y2, y + 1)
  }
  return [...spots.values()]
}

/** A spot of a trachea's size that is not long and fills most of its box. */
function isRound({ area, x1, y1, x2, y2 }: Spot, pixelArea: number): boolean {
  const [w, h] = [x2 - x1, y2 - y1]
  return (
    area >= 40 / pixelArea &&
    area <= 900 / pixelArea &&
    Math.max(w, h) / Math.min(w, h) < 2.6 &&
    area / (w * h) > 0.5
  )
}
