import type { HuVolume } from './hu_volume.js'

/** Lumen of trachea and main bronchi is darker than this, HU; their walls are brighter. */
const lumenHu = -780

interface Spot {
  /** Indices of its pixels within the slice. */
  pixels: number[]
  x: number
  y: number
  /** Largest side of its box over the smallest. */
  long: number
  /** Share of its box that it fills. */
  fill: number
}

/**
 * Follows the trachea from the upper end of the scan down to where it joins the lungs, slice by slice: a dark, round spot
 * of 40 to 900 mm2 near the middle, and below the carina its two branches.
 *
 * @param inside box around all air inside the body, pixels
 * @returns voxel indices (z * rows * columns + ...) of the lumen, empty where no trachea is found
 */
export function findTrachea(
  volume: HuVolume,
  inside: { x1: number; y1: number; x2: number; y2: number },
): Int32Array {
  const { data, shape, geometry } = volume
  const [nz, ny, nx] = shape
  const pixelArea = geometry.spacing[1] * geometry.spacing[2]
  const slices = [...Array(nz).keys()]
  // z grows along sliceDirection: down from the head's side.
  if (geometry.sliceDirection[2] >= 0) slices.reverse()
  const centerX = (inside.x1 + inside.x2) / 2
  const near = 0.2 * (inside.x2 - inside.x1)
  const found: number[] = []
  const mark = new Uint8Array(ny * nx)
  const minimum = 40 / pixelArea
  const maximum = 900 / pixelArea
  // A start must hold on over 12 mm.
  const hold = Math.max(2, Math.round(12 / geometry.spacing[0]))
  const spotsIn = (k: number): Spot[] =>
    darkSpots(data.subarray(k * ny * nx, (k + 1) * ny * nx), ny, nx, mark, {
      x1: Math.max(1, Math.floor(centerX - near)),
      x2: Math.min(nx - 1, Math.ceil(centerX + near)),
      y1: Math.max(1, Math.floor(inside.y1 - 0.15 * (inside.y2 - inside.y1))),
      y2: Math.min(ny - 1, Math.ceil(inside.y1 + 0.8 * (inside.y2 - inside.y1))),
    }).filter((s) => s.pixels.length >= minimum && s.pixels.length <= maximum && s.long < 2.6 && s.fill > 0.5)
  for (let start = 0; start < Math.min(nz, Math.ceil(0.6 * nz)); start++) {
    for (const spot of spotsIn(slices[start]!)) {
      let last = spot
      let length = 1
      for (; length < hold && start + length < nz; length++) {
        const next = spotsIn(slices[start + length]!).find(
          (s) => Math.hypot(s.x - last.x, s.y - last.y) * geometry.spacing[2] < 6 + geometry.spacing[0],
        )
        if (next === undefined) break
        last = next
      }
      if (length < hold) continue
      followDown(volume, slices, start, spot, found)
      return Int32Array.from(found)
    }
  }
  return new Int32Array(0)
}

/** Takes the spot, then on each slice below the dark parts that overlap what was taken above, until they open out. */
function followDown(volume: HuVolume, slices: number[], start: number, spot: Spot, found: number[]): void {
  const { data, shape, geometry } = volume
  const [, ny, nx] = shape
  const pixelArea = geometry.spacing[1] * geometry.spacing[2]
  let pixels = spot.pixels
  const first = Math.max(pixels.length, 120 / pixelArea)
  const mark = new Uint8Array(ny * nx)
  for (let at = start; at < slices.length; at++) {
    const k = slices[at]!
    const slice = data.subarray(k * ny * nx, (k + 1) * ny * nx)
    if (at > start) {
      mark.fill(0)
      const parts: number[][] = []
      for (const seed of pixels)
        if (mark[seed] === 0 && slice[seed]! < lumenHu) parts.push(grow(slice, ny, nx, seed, mark, 4 * first))
      const small = parts.filter((part) => part.length <= 2.6 * first)
      // One branch may already have opened into the lung: the other is still followed.
      pixels = small.flat()
      if (pixels.length * pixelArea < 12) return
    }
    for (const n of pixels) found.push(k * ny * nx + n)
  }
}

/** 4-connected dark pixels around a seed, at most `limit` + 1 of them. */
function grow(
  slice: Int16Array,
  ny: number,
  nx: number,
  seed: number,
  mark: Uint8Array,
  limit: number,
): number[] {
  const out = [seed]
  mark[seed] = 1
  for (let n = 0; n < out.length && out.length <= limit; n++) {
    const at = out[n]!
    const x = at % nx
    const next = [x > 0 ? at - 1 : -1, x < nx - 1 ? at + 1 : -1, at - nx, at + nx]
    for (const p of next) {
      if (p < 0 || p >= ny * nx || mark[p] === 1 || slice[p]! >= lumenHu) continue
      mark[p] = 1
      out.push(p)
    }
  }
  return out
}

function darkSpots(
  slice: Int16Array,
  ny: number,
  nx: number,
  mark: Uint8Array,
  box: { x1: number; y1: number; x2: number; y2: number },
): Spot[] {
  mark.fill(0)
  const spots: Spot[] = []
  for (let y = box.y1; y < box.y2; y++)
    for (let x = box.x1; x < box.x2; x++) {
      const seed = y * nx + x
      if (mark[seed] === 1 || slice[seed]! >= lumenHu) continue
      const pixels = grow(slice, ny, nx, seed, mark, ny * nx)
      let [x1, y1, x2, y2, sumX, sumY] = [nx, ny, -1, -1, 0, 0]
      for (const n of pixels) {
        const px = n % nx
        const py = (n - px) / nx
        sumX += px
        sumY += py
        if (px < x1) x1 = px
        if (px > x2) x2 = px
        if (py < y1) y1 = py
        if (py > y2) y2 = py
      }
      const w = x2 - x1 + 1
      const h = y2 - y1 + 1
      spots.push({
        pixels,
        x: sumX / pixels.length,
        y: sumY / pixels.length,
        long: Math.max(w, h) / Math.min(w, h),
        fill: pixels.length / (w * h),
      })
    }
  return spots
}
