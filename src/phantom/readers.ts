import type { Random } from '../random.js'
import { clamp } from './fields.js'
import type { NoduleShape } from './nodules.js'
import { traceOutline } from './outline.js'
import { commonEye, type Eye, type NoduleSights } from './visibility.js'

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
  mark: Extract<ReaderMark, { kind: 'nodule' }>
  eye: Eye
}

interface PointHand {
  center: readonly [number, number, number]
  mark: Extract<ReaderMark, { kind: 'small' | 'nonNodule' }>
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
    // Two look at least as well as the eye of the truth: one mark alone would be no ground truth to train on.
    const sure = random.integer(4)
    const sharedEnd = commonEye.end + 0.06 * random.normal()
    for (const [r, reader] of readers.entries()) {
      const must = r === sure || r === (sure + 1) % 4
      const attentive = random.uniform() < attention(shape) || must
      const grow = 0.12 * pixel + 0.03 * shape.radius * random.normal() + 0.2 * pixel * random.normal()
      const [needs, end] = [Math.exp(0.15 * random.normal()), sharedEnd + 0.1 * random.normal()]
      const eye = {
        needs: must ? Math.min(1, needs) : needs,
        end: must ? Math.min(commonEye.end, end) : end,
        grow: clamp(grow, -0.2 * shape.radius, 0.25 * shape.radius),
        dx: 0.3 * random.normal(),
        dy: 0.3 * random.normal(),
      }
      const ratings = rate(random, shape)
      if (attentive)
        reader.hands.push({ shape, eye, mark: { kind: 'nodule', id: shape.id, ratings, contours: [] } })
    }
  }
  for (const dot of dots)
    for (const reader of readers)
      if (random.uniform() < 0.65)
        reader.points.push({
          center: dot.center,
          mark: { kind: 'small', id: dot.id, k: -1, x: 0, y: 0 },
        })
  for (const [n, center] of nonNodules.entries())
    for (const reader of readers)
      if (random.uniform() < 0.45)
        reader.points.push({
          center,
          mark: { kind: 'nonNodule', id: `Non-nodule ${n + 1}`, k: -1, x: 0, y: 0 },
        })
  return readers
}

/** Chance that a reader does not miss a nodule that can be seen. */
function attention(shape: NoduleShape): number {
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

/** How pixels and slices lie in the patient's millimeters: of the first, its center; pixel size; distance of slices. */
interface Grid {
  x0: number
  y0: number
  z0: number
  pixel: number
  spacing: number
  size: number
  slices: number
}

/** Writes down what every reader sees of the nodules, and points at the rest. */
export function readScan(readers: readonly Reader[], sights: NoduleSights, grid: Grid): void {
  const index = (at: number, first: number, step: number, count: number): number =>
    clamp(Math.round((at - first) / step), 0, count - 1)
  for (const reader of readers) {
    for (const { shape, mark, eye } of reader.hands) {
      for (const { k, mask } of sights.seen(shape, eye)) mark.contours.push({ k, points: traceOutline(mask) })
      if (mark.contours.length > 0) reader.marks.push(mark)
    }
    for (const { center, mark } of reader.points) {
      const [x, y, z] = center
      mark.k = index(z, grid.z0, grid.spacing, grid.slices)
      mark.x = index(x, grid.x0, grid.pixel, grid.size)
      mark.y = index(y, grid.y0, grid.pixel, grid.size)
      reader.marks.push(mark)
    }
  }
}
