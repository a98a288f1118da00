import type { Random } from '../random.js'
import { clamp } from './fields.js'
import { pleuraReach, type NoduleShape } from './nodules.js'
import { boundsOf, largestPart, traceOutline, type PixelMask } from './outline.js'
import type { Workspace } from './scene.js'
import type { PhantomTruth } from './truth.js'

/** The nine ratings of LIDC, each 1 to 5 (calcification to 6, internalStructure to 4). */
export interface PhantomRatings {
  subtlety: number
  internalStructure: number
  calcification: number
  sphericity: number
  margin: number
  lobulation: number
  spiculation: number
  texture: number
  malignancy: number
}

/** What a reader wrote down; pixel indices as in LIDC's XML (column x, row y). */
export type ReaderMark =
  | {
      kind: 'nodule'
      id: string
      ratings: PhantomRatings
      contours: { k: number; points: { x: number; y: number }[] }[]
    }
  | { kind: 'small' | 'nonNodule'; id: string; k: number; x: number; y: number }

interface Hand {
  shape: NoduleShape
  mark: ReaderMark
  /** How much larger (mm) this reader draws it, and where. */
  grow: number
  dx: number
  dy: number
}

interface PointHand {
  center: readonly [number, number, number]
  mark: ReaderMark
  placed: boolean
}

export interface Reader {
  hands: Hand[]
  points: PointHand[]
  marks: ReaderMark[]
}

/** Four readers who miss what is faint or small now and then, and who draw and rate a little differently. */
export function drawReaders(
  random: Random,
  nodules: readonly NoduleShape[],
  dots: readonly NoduleShape[],
  nonNodules: readonly (readonly [number, number, number])[],
  pixel: number,
): Reader[] {
  const readers = Array.from({ length: 4 }, (): Reader => ({ hands: [], points: [], marks: [] }))
  for (const shape of nodules) {
    // At least two see each: one mark alone would be no ground truth to train on.
    const sure = random.integer(4)
    for (const [r, reader] of readers.entries()) {
      const seen = random.uniform() < visibility(shape) || r === sure || r === (sure + 1) % 4
      const grow = 0.12 * pixel + 0.03 * shape.radius * random.normal() + 0.2 * pixel * random.normal()
      const hand = {
        shape,
        mark: { kind: 'nodule', id: shape.id, ratings: rate(random, shape), contours: [] } as ReaderMark,
        grow: clamp(grow, -0.2 * shape.radius, 0.25 * shape.radius),
        dx: 0.3 * pixel * random.normal(),
        dy: 0.3 * pixel * random.normal(),
      }
      if (seen) reader.hands.push(hand)
    }
  }
  for (const dot of dots)
    for (const reader of readers)
      if (random.uniform() < 0.65)
        reader.points.push({
          center: dot.center,
          placed: false,
          mark: { kind: 'small', id: dot.id, k: -1, x: 0, y: 0 },
        })
  for (const [n, center] of nonNodules.entries())
    for (const reader of readers)
      if (random.uniform() < 0.45)
        reader.points.push({
          center,
          placed: false,
          mark: { kind: 'nonNodule', id: `Non-nodule ${n + 1}`, k: -1, x: 0, y: 0 },
        })
  return readers
}

/** Chance that a reader sees a nodule. */
function visibility(shape: NoduleShape): number {
  const size = shape.radius < 2.5 ? 0.8 : shape.radius < 3.5 ? 0.92 : 0.98
  return shape.type === 'ground-glass' ? size * (shape.hu < -620 ? 0.7 : 0.88) : size
}

function rate(random: Random, shape: NoduleShape): PhantomRatings {
  const about = (value: number): number =>
    clamp(Math.round(value + (random.uniform() < 0.35 ? random.integer(3) - 1 : 0)), 1, 5)
  const { radius, type } = shape
  const glass = type === 'ground-glass'
  const texture = glass ? 1 : type === 'part-solid' ? 3 : 5
  return {
    subtlety: about(glass ? 2 + radius / 8 : 3 + radius / 5),
    internalStructure: 1,
    calcification: { none: 6, solid: 3, central: 5, popcorn: 1 }[shape.calcification],
    sphericity: about(shape.lobulated || shape.spiculated ? 3 : 4),
    margin: about(glass ? 2 : shape.spiculated ? 2.6 : 4.6),
    lobulation: about(shape.lobulated ? 3.6 : 1),
    spiculation: about(shape.spiculated ? 4.2 : 1),
    texture: type === 'part-solid' ? about(3) : texture,
    malignancy:
      shape.calcification !== 'none'
        ? 1
        : about(1.6 + radius / 5 + (shape.spiculated ? 1.3 : 0) + (type === 'part-solid' ? 0.6 : 0)),
  }
}

/** Draws every reader's contours on one slice, and the true boxes; called for each slice in turn while it is painted. */
export function outlineSlice(
  readers: readonly Reader[],
  nodules: readonly NoduleShape[],
  truth: PhantomTruth,
  work: Workspace,
  k: number,
  z: number,
  spacing: number,
): void {
  for (const [n, shape] of nodules.entries()) {
    const mask = largestPart(noduleMask(work, shape, z, 0, 0, 0))
    if (mask === undefined) continue
    const box = boundsOf(mask)
    truth.nodules[n]!.slices.push({
      k,
      sopInstanceUid: truth.sopInstanceUids[k]!,
      z: truth.origin[2] + k * spacing,
      box,
    })
  }
  for (const reader of readers) {
    for (const { shape, mark, grow, dx, dy } of reader.hands) {
      if (mark.kind !== 'nodule') continue
      const mask = largestPart(noduleMask(work, shape, z, grow, dx, dy))
      if (mask === undefined) continue
      if (mark.contours.length === 0) reader.marks.push(mark)
      mark.contours.push({ k, points: traceOutline(mask) })
    }
    for (const point of reader.points) {
      const [x, y, height] = point.center
      if (point.placed || Math.abs(z - height) > spacing / 2 || point.mark.kind === 'nodule') continue
      const { canvas } = work
      point.placed = true
      point.mark.k = k
      point.mark.x = clamp(Math.round((x - canvas.x0) / canvas.pixel), 0, canvas.size - 1)
      point.mark.y = clamp(Math.round((y - canvas.y0) / canvas.pixel), 0, canvas.size - 1)
      reader.marks.push(point.mark)
    }
  }
}

/** Pixels whose centers lie in a nodule (grown and moved, mm) on the slice at hand; at the pleura, in the lung too. */
function noduleMask(
  work: Workspace,
  shape: NoduleShape,
  z: number,
  grow: number,
  moveX: number,
  moveY: number,
): PixelMask | undefined {
  const { canvas, lung } = work
  const { size, pixel, x0, y0 } = canvas
  const [cx, cy, cz] = shape.center
  const reach = shape.reach + Math.max(0, grow)
  if (Math.abs(z - cz) > reach) return undefined
  const i1 = clamp(Math.floor((cx + moveX - reach - x0) / pixel), 0, size - 1)
  const i2 = clamp(Math.ceil((cx + moveX + reach - x0) / pixel), 0, size - 1)
  const j1 = clamp(Math.floor((cy + moveY - reach - y0) / pixel), 0, size - 1)
  const j2 = clamp(Math.ceil((cy + moveY + reach - y0) / pixel), 0, size - 1)
  const width = i2 - i1 + 1
  const height = j2 - j1 + 1
  const pixels = new Uint8Array(width * height)
  for (let j = j1; j <= j2; j++)
    for (let i = i1; i <= i2; i++) {
      if (shape.attachment === 'pleura' && lung[j * size + i]! < -pleuraReach) continue
      const depth = shape.field(x0 + i * pixel - cx - moveX, y0 + j * pixel - cy - moveY, z - cz)
      if (depth + grow > 0) pixels[(j - j1) * width + i - i1] = 1
    }
  return { x: i1, y: j1, width, height, pixels }
}
