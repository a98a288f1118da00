import { clipBox } from '../geometry/box.js'
import type { EdgeBox } from '../geometry/box.js'
import { boxAround, shapeOf } from '../geometry/hull.js'
import type { HullBox } from '../geometry/hull.js'
import type { Random } from '../random.js'

/** How the kernel of a frame's reconstruction seems to change: blurred (above 0) or sharpened, pixels. */
export function drawKernel(limit: number, random: Random): number {
  return (random.uniform() * 2 - 1) * limit
}

/**
 * Changes the sharpness of a frame in place: a Gaussian blur of the standard deviation `change`, or, below 0, twice the
 * frame less its blur; the border is repeated.
 * @param frame gray levels [height, width, channels]
 */
export function changeKernel(frame: Float32Array, width: number, height: number, change: number): void {
  const sigma = Math.abs(change)
  if (sigma < 0.05) return
  const channels = frame.length / (width * height)
  const radius = Math.ceil(3 * sigma)
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, n) =>
    Math.exp(-((n - radius) ** 2) / (2 * sigma * sigma)),
  )
  const sum = weights.reduce((a, b) => a + b, 0)
  const along = (
    from: Float32Array,
    length: number,
    step: number,
    lines: (n: number) => number,
    count: number,
  ) => {
    const to = new Float32Array(from.length)
    for (let line = 0; line < count; line++) {
      const start = lines(line)
      for (let at = 0; at < length; at++) {
        let value = 0
        for (let n = -radius; n <= radius; n++)
          value += weights[n + radius]! * from[start + Math.min(length - 1, Math.max(0, at + n)) * step]!
        to[start + at * step] = value / sum
      }
    }
    return to
  }
  const row = width * channels
  const byRow = along(
    frame,
    width,
    channels,
    (n) => Math.floor(n / channels) * row + (n % channels),
    height * channels,
  )
  const blurred = along(byRow, height, row, (n) => n, row)
  for (let n = 0; n < frame.length; n++) {
    const value = change > 0 ? blurred[n]! : 2 * frame[n]! - blurred[n]!
    frame[n] = value < 0 ? 0 : value > 255 ? 255 : value
  }
}

/** Distance of the points whose displacements are drawn, pixels. */
const ELASTIC_GRID = 32

/** Displacements between points of a grid, which are drawn: smooth in between. */
export interface Elastic {
  columns: number
  /** x, y of each point, pixels. */
  points: Float32Array
}

export function drawElastic(limit: number, width: number, height: number, random: Random): Elastic {
  const columns = Math.ceil(width / ELASTIC_GRID) + 1
  const rows = Math.ceil(height / ELASTIC_GRID) + 1
  return {
    columns,
    points: Float32Array.from({ length: columns * rows * 2 }, () => (random.uniform() * 2 - 1) * limit),
  }
}

/** Where the place (x, y) of the deformed frame shows the frame from: (x, y) + displacement. */
function displacement({ columns, points }: Elastic, x: number, y: number): [number, number] {
  const rows = points.length / 2 / columns
  const u = Math.min(columns - 1.001, Math.max(0, x / ELASTIC_GRID))
  const v = Math.min(rows - 1.001, Math.max(0, y / ELASTIC_GRID))
  const [left, top] = [Math.floor(u), Math.floor(v)]
  // Smooth steps: no edges where the cells of the grid meet.
  const ease = (t: number): number => t * t * (3 - 2 * t)
  const [fx, fy] = [ease(u - left), ease(v - top)]
  const at = (top * columns + left) * 2
  const value = (axis: number): number =>
    (1 - fy) * ((1 - fx) * points[at + axis]! + fx * points[at + 2 + axis]!) +
    fy * ((1 - fx) * points[at + 2 * columns + axis]! + fx * points[at + 2 * columns + 2 + axis]!)
  return [value(0), value(1)]
}

/** Deforms a frame in place, bilinear; the border is repeated. `frame` as in `changeKernel`. */
export function deform(frame: Float32Array, width: number, height: number, elastic: Elastic): void {
  const channels = frame.length / (width * height)
  const source = frame.slice()
  for (let v = 0, at = 0; v < height; v++) {
    for (let u = 0; u < width; u++, at += channels) {
      const [dx, dy] = displacement(elastic, u + 0.5, v + 0.5)
      const x = Math.min(width - 1, Math.max(0, u + dx))
      const y = Math.min(height - 1, Math.max(0, v + dy))
      const left = Math.min(width - 2, Math.floor(x))
      const top = Math.min(height - 2, Math.floor(y))
      const [fx, fy] = [x - left, y - top]
      const a = (top * width + left) * channels
      const b = a + width * channels
      for (let c = 0; c < channels; c++)
        frame[at + c] =
          (1 - fy) * ((1 - fx) * source[a + c]! + fx * source[a + channels + c]!) +
          fy * ((1 - fx) * source[b + c]! + fx * source[b + channels + c]!)
    }
  }
}

/**
 * Moves boxes with the frame that `deform` changes: the corners of their hulls, or without one the middles of their
 * sides, go where these are shown.
 */
export function deformBoxes(
  boxes: readonly HullBox[],
  width: number,
  height: number,
  elastic: Elastic,
): EdgeBox[] {
  // The place that shows (x, y): found by stepping back, since the displacements are smooth.
  const shown = (x: number, y: number): [number, number] => {
    let [px, py] = [x, y]
    for (let n = 0; n < 4; n++) {
      const [dx, dy] = displacement(elastic, px, py)
      ;[px, py] = [x - dx, y - dy]
    }
    return [px, py]
  }
  return boxes
    .map((box) => {
      if (box.hull !== undefined) {
        const { points, ...radii } = shapeOf(box)
        return clipBox(boxAround({ points: points.map(([x, y]) => shown(x, y)), ...radii }), width, height)
      }
      const { x1, y1, x2, y2 } = box
      const [cx, cy] = [(x1 + x2) / 2, (y1 + y2) / 2]
      const [a, b] = [shown(x1, cy)[0], shown(x2, cy)[0]]
      const [c, d] = [shown(cx, y1)[1], shown(cx, y2)[1]]
      return clipBox(
        { x1: Math.min(a, b), y1: Math.min(c, d), x2: Math.max(a, b), y2: Math.max(c, d) },
        width,
        height,
      )
    })
    .filter((box) => box.x2 > box.x1 && box.y2 > box.y1)
}
