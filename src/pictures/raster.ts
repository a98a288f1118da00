/** An RGB picture in memory, [height, width, 3]. */
export interface Raster {
  width: number
  height: number
  data: Uint8Array
}

export type Color = readonly [number, number, number]

const BLACK: Color = [0, 0, 0]

export function rasterOfGray(gray: Uint8Array, width: number, height: number): Raster {
  const data = new Uint8Array(gray.length * 3)
  for (let i = 0, o = 0; i < gray.length; i++, o += 3) data[o] = data[o + 1] = data[o + 2] = gray[i]!
  return { width, height, data }
}

/** Fills pixels [x1, x2) x [y1, y2), rounded; what lies outside is left out. */
function fill(
  { width, height, data }: Raster,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  color: Color,
): void {
  const [left, right] = [Math.max(0, Math.round(x1)), Math.min(width, Math.round(x2))]
  for (let y = Math.max(0, Math.round(y1)); y < Math.min(height, Math.round(y2)); y++)
    for (let o = (y * width + left) * 3; o < (y * width + right) * 3; o += 3)
      [data[o], data[o + 1], data[o + 2]] = color
}

/** The outline of a box, `thick` pixels wide. It lies outside of the box, so that it does not hide a small nodule. */
export function drawFrame(
  raster: Raster,
  { x1, y1, x2, y2 }: { x1: number; y1: number; x2: number; y2: number },
  color: Color,
  thick = 2,
): void {
  const [left, top, right, bottom] = [x1 - thick, y1 - thick, x2 + thick, y2 + thick]
  fill(raster, left, top, right, y1, color)
  fill(raster, left, y2, right, bottom, color)
  fill(raster, left, y1, x1, y2, color)
  fill(raster, x2, y1, right, y2, color)
}

/**
 * Strokes of the few characters that labels need, on a grid 4 wide and 6 high: text would need a font, which a server
 * or a container often lacks.
 */
const STROKES: Readonly<Record<string, string>> = {
  '0': '0,0 4,0 4,6 0,6 0,0',
  '1': '1,1 2,0 2,6',
  '2': '0,0 4,0 4,3 0,3 0,6 4,6',
  '3': '0,0 4,0 4,6 0,6|1,3 4,3',
  '4': '0,0 0,3 4,3|4,0 4,6',
  '5': '4,0 0,0 0,3 4,3 4,6 0,6',
  '6': '4,0 0,0 0,6 4,6 4,3 0,3',
  '7': '0,0 4,0 2,6',
  '8': '0,0 4,0 4,6 0,6 0,0|0,3 4,3',
  '9': '4,3 0,3 0,0 4,0 4,6 0,6',
  '.': '2,6 2,6',
  '#': '1,1 1,5|3,1 3,5|0,2 4,2|0,4 4,4',
  ' ': '',
}
/** Grid columns from one character to the next. */
const ADVANCE = 6
/** Pixels of a grid step. */
const UNIT = 1.5

export const LABEL_HEIGHT = 6 * UNIT + 2

export function labelWidth(text: string): number {
  return (text.length * ADVANCE - 2) * UNIT + 2
}

/** Digits, "#" and "." with their upper left corner at (left, top), in black edges. */
export function drawLabel(raster: Raster, text: string, left: number, top: number, color: Color): void {
  const dots: [number, number][] = []
  for (const [index, character] of Array.from(text).entries())
    for (const line of (STROKES[character] ?? '').split('|').filter((part) => part !== '')) {
      const points = line.split(' ').map((point) => {
        const [x, y] = point.split(',').map(Number) as [number, number]
        return [left + (index * ADVANCE + x) * UNIT, top + y * UNIT] as const
      })
      for (const [n, [x, y]] of points.slice(1).entries()) {
        const [fromX, fromY] = points[n]!
        const steps = Math.max(1, Math.ceil(Math.max(Math.abs(x - fromX), Math.abs(y - fromY))))
        for (let step = 0; step <= steps; step++)
          dots.push([fromX + ((x - fromX) * step) / steps, fromY + ((y - fromY) * step) / steps])
      }
    }
  for (const [x, y] of dots) fill(raster, x - 1, y - 1, x + 2, y + 2, BLACK)
  for (const [x, y] of dots) fill(raster, x, y, x + 1, y + 1, color)
}
