import type { Crop } from '../../src/dataset/crops.js'
import type { EdgeBox } from '../../src/geometry/box.js'
import { greatest, least } from '../../src/lists.js'

type Pixel = readonly [number, number]

/** A long nodule on the diagonal around the pixel (60, 50); its box is nearly square. */
export const DIAGONAL: readonly Pixel[] = Array.from({ length: 21 * 21 }, (_, n): Pixel => [
  (n % 21) - 10,
  Math.floor(n / 21) - 10,
]).flatMap(([x, y]): Pixel[] => (((x + y) / 14) ** 2 + ((x - y) / 4) ** 2 <= 1 ? [[60 + x, 50 + y]] : []))

/** The box around pixels, at the edges. */
export function boxOfPixels(pixels: readonly Pixel[]): EdgeBox {
  const [xs, ys] = [pixels.map(([x]) => x), pixels.map(([, y]) => y)]
  return { x1: least(xs), y1: least(ys), x2: greatest(xs) + 1, y2: greatest(ys) + 1 }
}

/** A crop that changes nothing. */
export const STILL: Crop = {
  centerX: 60,
  centerY: 50,
  angle: 0,
  scale: 1,
  mirrorX: false,
  mirrorY: false,
  mirrorZ: false,
  contrast: 1,
  shift: 0,
  noise: 0,
}

/** Places in a pixel along x and y. */
const FINE = 8

/**
 * Where a mask of pixels, seen as a picture, is at least one half: between the centers of pixels it is bilinear, so that it
 * ends at the edges of a straight side. Canvas coordinates, an eighth of a pixel apart; only the ends of each row.
 */
export function finePlaces(mask: readonly Pixel[]): [number, number][] {
  const inside = new Set(mask.map(([x, y]) => `${x} ${y}`))
  const at = (x: number, y: number): number => (inside.has(`${x} ${y}`) ? 1 : 0)
  const box = boxOfPixels(mask)
  const places: [number, number][] = []
  for (let v = (box.y1 - 1) * FINE; v <= (box.y2 + 1) * FINE; v++) {
    const row: [number, number][] = []
    for (let u = (box.x1 - 1) * FINE; u <= (box.x2 + 1) * FINE; u++) {
      const [x, y] = [u / FINE - 0.5, v / FINE - 0.5]
      const [i, j] = [Math.floor(x), Math.floor(y)]
      const [fx, fy] = [x - i, y - j]
      const upper = (1 - fx) * at(i, j) + fx * at(i + 1, j)
      const lower = (1 - fx) * at(i, j + 1) + fx * at(i + 1, j + 1)
      if ((1 - fy) * upper + fy * lower >= 0.5) row.push([u / FINE, v / FINE])
    }
    if (row.length > 0) places.push(row[0]!, row.at(-1)!)
  }
  return places
}

/** The box of a mask that was turned itself, in the crop. */
export function exactBox(
  mask: readonly Pixel[],
  crop: Crop,
  width: number,
  height: number,
  places = finePlaces(mask),
): EdgeBox {
  const [c, s] = [Math.cos(crop.angle) * crop.scale, Math.sin(crop.angle) * crop.scale]
  const box = { x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity }
  for (const [px, py] of places) {
    const [dx, dy] = [px - crop.centerX, py - crop.centerY]
    const x = width / 2 + (crop.mirrorX ? -1 : 1) * (dx * c + dy * s)
    const y = height / 2 + (crop.mirrorY ? -1 : 1) * (dy * c - dx * s)
    box.x1 = Math.min(box.x1, x)
    box.y1 = Math.min(box.y1, y)
    box.x2 = Math.max(box.x2, x)
    box.y2 = Math.max(box.y2, y)
  }
  return box
}
