import type { EdgeBox } from '../geometry/box.js'

const LINE = 2

/** A frame in color, as the network sees it: of more channels than three the ones in the middle. */
export function colors(frame: ArrayLike<number>, width: number, height: number): Uint8Array {
  const channels = frame.length / (width * height)
  const first = channels < 3 ? 0 : (channels - 3) / 2
  return Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    const channel = channels < 3 ? 0 : first + (at % 3)
    return Math.round(frame[Math.floor(at / 3) * channels + channel]!)
  })
}

/** Draws a box's outline, two pixels wide and centered on its edges, into [height, width, 3]. */
export function outline(
  picture: Uint8Array,
  width: number,
  height: number,
  { x1, y1, x2, y2 }: EdgeBox,
  color: readonly [number, number, number],
): void {
  const [left, top, right, bottom] = [x1, y1, x2, y2].map(Math.round) as [number, number, number, number]
  const fill = (fromX: number, fromY: number, toX: number, toY: number): void => {
    for (let y = Math.max(0, fromY); y < Math.min(height, toY); y++)
      for (let x = Math.max(0, fromX); x < Math.min(width, toX); x++) picture.set(color, (y * width + x) * 3)
  }
  const half = LINE / 2
  fill(left - half, top - half, right + half, top + half)
  fill(left - half, bottom - half, right + half, bottom + half)
  fill(left - half, top - half, left + half, bottom + half)
  fill(right - half, top - half, right + half, bottom + half)
}
