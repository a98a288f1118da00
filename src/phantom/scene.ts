import type { Anatomy } from './anatomy.js'
import { coarseField, coverTubes, type Canvas, type CoarseField } from './canvas.js'
import type { Capsule } from './fields.js'
import type { NoduleShape } from './nodules.js'
import type { Pathology } from './pathology.js'
import type { Scanner } from './scanner.js'
import type { LungTrees } from './tree.js'

/** Everything that is in one patient's scan. */
export interface Scene {
  anatomy: Anatomy
  trees: LungTrees
  nodules: readonly NoduleShape[]
  pathology: Pathology
  scanner: Scanner
  /** Slice thickness, mm. */
  thickness: number
  noise: readonly [Float32Array, Float32Array]
  /** Standard deviation of the noise in the body, HU. */
  sigma: number
  /** Radius of the reconstructed circle, mm; the padding lies outside. */
  radius: number
}

const fieldNames = [
  'body',
  'muscle',
  'cavity',
  'abdomen',
  'lung',
  'heart',
  'vessels',
  'bowel',
  'texture',
  'emphysema',
  'oblique',
  'horizontal',
  'patch',
] as const

/** Memory of one slice, used again for the next. */
export interface Workspace {
  canvas: Canvas
  /** Lungs' field at each pixel, -99 where it was not evaluated. */
  lung: Float32Array
  cover: [Float32Array, Float32Array, Float32Array]
  /** Rows [low, high) of `cover` that are not 0. */
  used: { low: number; high: number }
  inside: Float32Array
  fields: Record<(typeof fieldNames)[number], CoarseField>
}

/** @param edge width over which the scanner's edges fade, mm */
export function makeWorkspace(size: number, pixel: number, x0: number, y0: number, edge: number): Workspace {
  const step = Math.max(1, Math.min(8, Math.round(2.4 / pixel)))
  const plane = (): Float32Array => new Float32Array(size * size)
  return {
    canvas: { size, pixel, x0, y0, hu: plane(), edge: Math.max(edge, 1.05 * pixel) },
    lung: plane(),
    cover: [plane(), plane(), plane()],
    used: { low: 0, high: 0 },
    inside: plane(),
    fields: Object.fromEntries(
      fieldNames.map((name) => [name, coarseField(size, step)]),
    ) as Workspace['fields'],
  }
}

/** Heights at which thin things are sampled within the thickness of the slice. */
export function subSlices(thickness: number, z: number): number[] {
  if (thickness < 1) return [z]
  return [z - thickness / 3, z, z + thickness / 3]
}

/** Rows [low, high) of the slice that something was painted into, and the share of each pixel that it covers. */
export interface Cover {
  share: Float32Array
  low: number
  high: number
}

/** Mean over sub-slices of the cover by tubes. What it returns is valid until the next call. */
export function meanCover(
  work: Workspace,
  capsules: readonly Capsule[],
  heights: readonly number[],
  grow = 0,
): Cover {
  const { canvas, cover, used } = work
  const { size } = canvas
  for (const plane of cover) plane.fill(0, used.low * size, used.high * size)
  used.low = size
  used.high = 0
  for (const [n, height] of heights.entries()) {
    const rows = coverTubes(canvas, capsules, height, cover[n]!, grow)
    used.low = Math.min(used.low, rows.low)
    used.high = Math.max(used.high, rows.high)
  }
  const [share, second, third] = cover
  if (heights.length === 3)
    for (let p = used.low * size; p < used.high * size; p++)
      share[p] = (share[p]! + second[p]! + third[p]!) / 3
  return { share, low: used.low * size, high: used.high * size }
}

export function blend(hu: Float32Array, { share, low, high }: Cover, value: number): void {
  for (let p = low; p < high; p++) if (share[p]! > 0) hu[p] = hu[p]! + (value - hu[p]!) * share[p]!
}
