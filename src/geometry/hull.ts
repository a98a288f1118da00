import { greatest, least } from '../lists.js'
import type { EdgeBox } from './box.js'

/** Corners of a convex hull, x and y, in any order. */
export type Hull = readonly (readonly [x: number, y: number])[]

/**
 * A box and the hull of what it was put around, in the same pixels: of the centers of a mask's pixels, beyond which the
 * box reaches by half a pixel of the mask, left and right alike, and above and below.
 */
export interface HullBox extends EdgeBox {
  hull?: Hull
}

/** Corners of a hull at most; of the nodules of LIDC hardly one has as many. */
const MOST_CORNERS = 32

/**
 * The hull of the centers of pixels, with as few corners as there are, at most 32: of more those that reach furthest
 * along x, y and directions between, of a disk to within a hundredth of its radius.
 * @param pixels whole x and y; for the hull of a mask the first and the last one of each row are enough
 */
export function pixelHull(pixels: readonly (readonly [x: number, y: number])[]): Hull {
  const corners = thinned(convexHull(pixels))
  return corners.map(([x, y]) => [x + 0.5, y + 0.5])
}

type Point = readonly [number, number]

/** Twice the area of a triangle, above 0 where it turns to the left. */
const turn = (a: Point, b: Point, c: Point): number =>
  (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

/** Andrew's monotone chain, without points on the sides. */
function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1])
  const chain = (along: readonly Point[]): Point[] => {
    const corners: Point[] = []
    for (const point of along) {
      while (corners.length > 1 && turn(corners.at(-2)!, corners.at(-1)!, point) <= 0) corners.pop()
      corners.push(point)
    }
    return corners
  }
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first?.[0] === last?.[0] && first?.[1] === last?.[1]) return sorted.slice(0, 1)
  const [lower, upper] = [chain(sorted), chain(sorted.reverse())]
  return [...lower.slice(0, -1), ...upper.slice(0, -1)]
}

function thinned(corners: readonly Point[]): readonly Point[] {
  if (corners.length <= MOST_CORNERS) return corners
  const furthest = Array.from({ length: MOST_CORNERS }, (_, n) => {
    const angle = (n / MOST_CORNERS) * 2 * Math.PI
    const reach = corners.map(([x, y]) => x * Math.cos(angle) + y * Math.sin(angle))
    return reach.indexOf(greatest(reach))
  })
  return [...new Set(furthest)].map((n) => corners[n]!)
}

function extents(hull: Hull): EdgeBox {
  const [xs, ys] = [hull.map(([x]) => x), hull.map(([, y]) => y)]
  return { x1: least(xs), y1: least(ys), x2: greatest(xs), y2: greatest(ys) }
}

/** The box around the pixels of a mask, of whose centers `pixelHull` made the hull. */
export function pixelBox(hull: Hull): EdgeBox {
  return boxAround({ points: hull, radiusX: 0.5, radiusY: 0.5 })
}

/** Files round hulls. */
const ROUNDED_PX = 0.02

/** Whether a hull lies in the middle of a box: otherwise it is that of another box, or the box was cut off. */
export function isHullOf(hull: Hull, box: EdgeBox): boolean {
  const { x1, y1, x2, y2 } = extents(hull)
  const isMiddle = (low: number, high: number, from: number, to: number): boolean =>
    Math.abs(low - from - (to - high)) <= ROUNDED_PX && high - low <= to - from + ROUNDED_PX
  return isMiddle(x1, x2, box.x1, box.x2) && isMiddle(y1, y2, box.y1, box.y2)
}

/** A box without its hull, and whatever else it has. */
export function sidesOf({ x1, y1, x2, y2 }: EdgeBox): EdgeBox {
  return { x1, y1, x2, y2 }
}

/** A box with a hull, where that is its own. */
export function withHull(sides: EdgeBox, hull: Hull | undefined): HullBox {
  const box = sidesOf(sides)
  return hull !== undefined && isHullOf(hull, box) ? { ...box, hull } : box
}

/** What a box holds, as far as it is known: ellipses of one size around points. */
export interface BoxShape {
  /** The hull, exactly in the middle of the box; without one the middle itself, so that it is the ellipse in the box. */
  points: Hull
  /** Half widths of the ellipses along x and y. */
  radiusX: number
  radiusY: number
}

export function shapeOf(box: HullBox): BoxShape {
  const [x, y] = [(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2]
  if (box.hull === undefined)
    return { points: [[x, y]], radiusX: (box.x2 - box.x1) / 2, radiusY: (box.y2 - box.y1) / 2 }
  const { x1, y1, x2, y2 } = extents(box.hull)
  const [dx, dy] = [x - (x1 + x2) / 2, y - (y1 + y2) / 2]
  return {
    points: box.hull.map(([a, b]) => [a + dx, b + dy]),
    radiusX: Math.max(0, box.x2 - box.x1 - (x2 - x1)) / 2,
    radiusY: Math.max(0, box.y2 - box.y1 - (y2 - y1)) / 2,
  }
}

/** The box around ellipses. */
export function boxAround({ points, radiusX, radiusY }: BoxShape): EdgeBox {
  const { x1, y1, x2, y2 } = extents(points)
  return { x1: x1 - radiusX, y1: y1 - radiusY, x2: x2 + radiusX, y2: y2 + radiusY }
}
