import type { Capsule } from './fields.js'

/** One axial slice while it is painted: HU as float, and how pixels lie in the patient's millimeters. */
export interface Canvas {
  /** Rows = columns. */
  size: number
  /** Pixel size, mm. */
  pixel: number
  /** x and y of the center of pixel (0, 0). */
  x0: number
  y0: number
  hu: Float32Array
  /** Width in mm over which an edge fades: the blur of scanner and pixel. */
  edge: number
}

/** A field sampled on a grid of every `step`-th pixel; [side, side]. */
export interface CoarseField {
  step: number
  side: number
  values: Float32Array
}

export function coarseField(size: number, step: number): CoarseField {
  const side = Math.ceil((size - 1) / step) + 1
  return { step, side, values: new Float32Array(side * side) }
}

/** Visits the pixels of a coarse field that lie above `low`, with the interpolated value. */
export function forEachInside(
  size: number,
  field: CoarseField,
  low: number,
  visit: (index: number, value: number, row: number, column: number) => void,
): void {
  const { step, side, values } = field
  for (let gy = 0; gy + 1 < side; gy++) {
    const rows = Math.min(step, size - gy * step)
    for (let gx = 0; gx + 1 < side; gx++) {
      const a = values[gy * side + gx]!
      const b = values[gy * side + gx + 1]!
      const c = values[(gy + 1) * side + gx]!
      const d = values[(gy + 1) * side + gx + 1]!
      if (a <= low && b <= low && c <= low && d <= low) continue
      const columns = Math.min(step, size - gx * step)
      for (let y = 0; y < rows; y++) {
        const ty = y / step
        const left = a + (c - a) * ty
        const right = b + (d - b) * ty
        const row = gy * step + y
        const base = row * size + gx * step
        for (let x = 0; x < columns; x++) {
          const value = left + ((right - left) * x) / step
          if (value > low) visit(base + x, value, row, gx * step + x)
        }
      }
    }
  }
}

/** Paints a shape over the slice with partial-volume edges; `hu` may depend on the depth below the surface (mm). */
export function paintField(
  canvas: Canvas,
  field: CoarseField,
  hu: number | ((depth: number) => number),
): void {
  const { edge } = canvas
  const target = canvas.hu
  const constant = typeof hu === 'number'
  forEachInside(canvas.size, field, -edge / 2, (index, value) => {
    const cover = Math.min(1, value / edge + 0.5)
    const color = constant ? hu : hu(value)
    target[index] = target[index]! + (color - target[index]!) * cover
  })
}

/** Paints a shape given by a function over a box in mm. */
export function paintShape(
  canvas: Canvas,
  box: { x1: number; y1: number; x2: number; y2: number },
  shape: (x: number, y: number) => number,
  hu: number | ((depth: number) => number),
): void {
  const { size, pixel, x0, y0, edge } = canvas
  const i1 = Math.max(0, Math.floor((box.x1 - x0) / pixel))
  const i2 = Math.min(size - 1, Math.ceil((box.x2 - x0) / pixel))
  const j1 = Math.max(0, Math.floor((box.y1 - y0) / pixel))
  const j2 = Math.min(size - 1, Math.ceil((box.y2 - y0) / pixel))
  for (let j = j1; j <= j2; j++) {
    for (let i = i1; i <= i2; i++) {
      const depth = shape(x0 + i * pixel, y0 + j * pixel)
      const cover = depth / edge + 0.5
      if (cover <= 0) continue
      const index = j * size + i
      const color = typeof hu === 'number' ? hu : hu(depth)
      canvas.hu[index] = canvas.hu[index]! + (color - canvas.hu[index]!) * Math.min(1, cover)
    }
  }
}

/**
 * Writes the share of each pixel that tubes cover in the plane at height z into `cover` (the larger value stays).
 *
 * @param grow mm added to each radius
 * @returns the rows [low, high) that may have been written
 */
export function coverTubes(
  canvas: Canvas,
  capsules: readonly Capsule[],
  z: number,
  cover: Float32Array,
  grow = 0,
): { low: number; high: number } {
  const { size, pixel, x0, y0, edge } = canvas
  const rows = { low: size, high: 0 }
  for (const c of capsules) {
    const thick = Math.max(c.ra, c.rb) + grow
    const reach = thick + edge / 2
    const bz = c.bz - c.az
    if (z < Math.min(c.az, c.bz) - reach || z > Math.max(c.az, c.bz) + reach) continue
    // The part of the axis that is within reach of the plane.
    let t1 = 0
    let t2 = 1
    if (Math.abs(bz) > 1e-6) {
      const near = (z - reach - c.az) / bz
      const far = (z + reach - c.az) / bz
      t1 = Math.max(0, Math.min(near, far))
      t2 = Math.min(1, Math.max(near, far))
    }
    const bx = c.bx - c.ax
    const by = c.by - c.ay
    const xa = c.ax + bx * t1
    const xb = c.ax + bx * t2
    const ya = c.ay + by * t1
    const yb = c.ay + by * t2
    const i1 = Math.max(0, Math.ceil((Math.min(xa, xb) - reach - x0) / pixel))
    const i2 = Math.min(size - 1, Math.floor((Math.max(xa, xb) + reach - x0) / pixel))
    const j1 = Math.max(0, Math.ceil((Math.min(ya, yb) - reach - y0) / pixel))
    const j2 = Math.min(size - 1, Math.floor((Math.max(ya, yb) + reach - y0) / pixel))
    if (i1 > i2 || j1 > j2) continue
    rows.low = Math.min(rows.low, j1)
    rows.high = Math.max(rows.high, j2 + 1)
    const length2 = bx * bx + by * by + bz * bz
    const inverse = length2 > 0 ? 1 / length2 : 0
    const pz = z - c.az
    // The peak of a thin tube after the scanner's blur, a Gaussian of deviation edge / 2.
    const thin = 1 - Math.exp(-2 * (thick / edge) ** 2)
    for (let j = j1; j <= j2; j++) {
      const py = y0 + j * pixel - c.ay
      for (let i = i1; i <= i2; i++) {
        const px = x0 + i * pixel - c.ax
        let t = (px * bx + py * by + pz * bz) * inverse
        t = t < 0 ? 0 : t > 1 ? 1 : t
        const dx = px - t * bx
        const dy = py - t * by
        const dz = pz - t * bz
        const d2 = dx * dx + dy * dy + dz * dz
        if (d2 > reach * reach) continue
        const share = (c.ra + (c.rb - c.ra) * t + grow - Math.sqrt(d2)) / edge + 0.5
        if (share <= 0) continue
        const value = thin * (share < 1 ? share : 1)
        const index = j * size + i
        if (value > cover[index]!) cover[index] = value
      }
    }
  }
  return rows
}
