import type { EdgeBox } from '../geometry/box.js'

/** Pixels of a slice: those of a window at column x and row y, [height, width]. */
export interface PixelMask {
  x: number
  y: number
  width: number
  height: number
  pixels: Uint8Array
}

/** The largest 4-connected part with its holes filled, in a window with a free rim of one pixel; undefined if empty. */
export function largestPart(mask: PixelMask | undefined): PixelMask | undefined {
  if (mask === undefined) return undefined
  const width = mask.width + 2
  const height = mask.height + 2
  const source = new Uint8Array(width * height)
  for (let y = 0; y < mask.height; y++)
    source.set(mask.pixels.subarray(y * mask.width, (y + 1) * mask.width), (y + 1) * width + 1)
  const labels = new Int32Array(source.length)
  let best = 0
  let bestCount = 0
  let label = 0
  for (let start = 0; start < source.length; start++) {
    if (source[start] === 0 || labels[start] !== 0) continue
    const count = flood(source, labels, width, start, 1, ++label)
    if (count > bestCount) {
      best = label
      bestCount = count
    }
  }
  if (best === 0) return undefined
  const pixels = new Uint8Array(source.length)
  for (let n = 0; n < pixels.length; n++) pixels[n] = labels[n] === best ? 1 : 0
  // What the outside cannot reach is a hole.
  const outside = new Int32Array(source.length)
  flood(pixels, outside, width, 0, 0, 1)
  for (let n = 0; n < pixels.length; n++) pixels[n] = outside[n] === 0 ? 1 : 0
  return { x: mask.x - 1, y: mask.y - 1, width, height, pixels }
}

/** Labels the 4-connected pixels of `value` around `start`; returns their number. */
function flood(
  source: Uint8Array,
  labels: Int32Array,
  width: number,
  start: number,
  value: 0 | 1,
  label: number,
): number {
  const stack = [start]
  labels[start] = label
  let count = 0
  while (stack.length > 0) {
    const at = stack.pop()!
    count++
    const column = at % width
    const next = [column > 0 ? at - 1 : -1, column < width - 1 ? at + 1 : -1, at - width, at + width]
    for (const n of next) {
      if (n < 0 || n >= source.length || source[n] !== value || labels[n] !== 0) continue
      labels[n] = label
      stack.push(n)
    }
  }
  return count
}

/** Box around the pixels of a mask, image pixels at the edges. */
export function boundsOf(mask: PixelMask): EdgeBox {
  let [x1, y1, x2, y2] = [mask.width, mask.height, 0, 0]
  for (let y = 0; y < mask.height; y++)
    for (let x = 0; x < mask.width; x++) {
      if (mask.pixels[y * mask.width + x] === 0) continue
      x1 = Math.min(x1, x)
      x2 = Math.max(x2, x + 1)
      y1 = Math.min(y1, y)
      y2 = Math.max(y2, y + 1)
    }
  return { x1: mask.x + x1, y1: mask.y + y1, x2: mask.x + x2, y2: mask.y + y2 }
}

/** Neighbors clockwise from the left (rows grow downwards). */
const around = [
  [-1, 0],
  [-1, -1],
  [0, -1],
  [1, -1],
  [1, 0],
  [1, 1],
  [0, 1],
  [-1, 1],
] as const

/**
 * The contour as LIDC draws it: the first pixels outside of the mask, in order, each touching the next (Moore's
 * tracing around the mask grown by its 4-neighbors). The mask is one part with a free rim of at least one pixel.
 */
export function traceOutline(mask: PixelMask): { x: number; y: number }[] {
  const { width, height, pixels } = mask
  const grown = new Uint8Array(width * height)
  for (let n = 0; n < grown.length; n++) {
    if (pixels[n] === 0) continue
    for (const at of [n, n - 1, n + 1, n - width, n + width]) grown[at] = 1
  }
  const filled = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < width && y < height && grown[y * width + x] === 1
  const start = grown.indexOf(1)
  const startX = start % width
  const startY = Math.floor(start / width)
  const points = [{ x: mask.x + startX, y: mask.y + startY }]
  let x = startX
  let y = startY
  // The start is the first in row order, so nothing lies to its left.
  let from = 0
  for (let guard = 0; guard < 4 * grown.length; guard++) {
    let found = -1
    for (let turn = 1; turn <= 8; turn++) {
      const way = (from + turn) % 8
      if (filled(x + around[way]![0], y + around[way]![1])) {
        found = way
        break
      }
    }
    if (found < 0) break
    x += around[found]![0]
    y += around[found]![1]
    if (x === startX && y === startY) break
    points.push({ x: mask.x + x, y: mask.y + y })
    // Look on from the free neighbor that was seen last.
    from = (found + (found % 2 === 0 ? 6 : 5)) % 8
  }
  points.push({ ...points[0]! })
  return points
}
