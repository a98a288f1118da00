import type { Hypes } from '../config/hypes.js'
import { boxArea, clipBox } from '../geometry/box.js'
import type { EdgeBox } from '../geometry/box.js'
import { boxAround, shapeOf, withHull } from '../geometry/hull.js'
import type { HullBox } from '../geometry/hull.js'
import { greatest } from '../lists.js'
import { createRandom } from '../random.js'
import type { Random } from '../random.js'

/** A frame of any size that training crops are cut from. */
export interface Canvas {
  /** Gray levels, [height, width, channels]. */
  data: Uint8Array
  width: number
  height: number
  channels: number
  /** Nodules; places that are neither right nor wrong; false marks of an earlier model. Canvas pixels. */
  boxes: readonly HullBox[]
  excluded: readonly EdgeBox[]
  hard: readonly EdgeBox[]
}

/** How a crop lies on its canvas and how its gray levels change. */
export interface Crop {
  /** Canvas pixels (edge coordinates) of the crop's center. */
  centerX: number
  centerY: number
  /** Radians by which the canvas is turned. */
  angle: number
  /** Crop pixels per canvas pixel. */
  scale: number
  mirrorX: boolean
  mirrorY: boolean
  /** The channels in reverse: the patient upside down. */
  mirrorZ: boolean
  /** gray = (gray - 128) * contrast + 128 + shift + noise * normal, clamped to 0..255. */
  contrast: number
  shift: number
  noise: number
}

/** Rim that a nodule keeps from the border of a crop that is placed around it, crop pixels. */
const RIM = 2

/** Draws a crop by the `augment` keys. */
export function drawCrop(
  canvas: Omit<Canvas, 'data'>,
  augment: Hypes['augment'],
  width: number,
  height: number,
  random: Random,
): Crop {
  const symmetric = (limit: number): number => (random.uniform() * 2 - 1) * limit
  const scale = 1 + symmetric(augment.scale)
  const angle = augment.rotate ? random.uniform() * 2 * Math.PI : 0
  const [mirrorX, mirrorY, mirrorZ] = [0, 1, 2].map(() => augment.mirror && random.uniform() < 0.5)
  const choice = random.uniform()
  const around = choice < augment.positive_share ? canvas.boxes : canvas.hard
  const wanted = choice < augment.positive_share + augment.hard_share && around.length > 0
  const placed = { angle, scale, mirrorX: mirrorX!, mirrorY: mirrorY!, mirrorZ: mirrorZ! }
  let center: readonly [number, number]
  if (wanted) {
    const box = around[random.integer(around.length)]!
    const half = reachOf(box) * scale + RIM
    // Along the crop's own axes: along those of the canvas the corner of a turned crop would miss the box.
    const shift = (size: number): number => symmetric(Math.max(0, size / 2 - half))
    const [a, b] = [shift(width), shift(height)]
    const { xx, xy, yx, yy } = steps(placed)
    center = [(box.x1 + box.x2) / 2 + a * xx + b * yx, (box.y1 + box.y2) / 2 + a * xy + b * yy]
  } else {
    // Anywhere, as far inside the canvas as the crop's size allows.
    const place = (length: number, size: number): number =>
      length / 2 + symmetric(Math.max(0, length - size / scale) / 2)
    center = [place(canvas.width, width), place(canvas.height, height)]
  }
  return {
    centerX: center[0],
    centerY: center[1],
    ...placed,
    contrast: 1 + symmetric(augment.gray_scale),
    shift: symmetric(augment.gray_shift) * 255,
    noise: random.uniform() * augment.noise * 255,
  }
}

/** How far from the middle of a box lies what it holds, at most. */
function reachOf(box: HullBox): number {
  const { points, radiusX, radiusY } = shapeOf(box)
  const [x, y] = [(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2]
  return greatest(points.map(([a, b]) => Math.hypot(a - x, b - y))) + Math.max(radiusX, radiusY)
}

/** The canvas direction of the crop's x and y axes: canvas = center + (crop - middle) * step. */
function steps(crop: Pick<Crop, 'angle' | 'scale' | 'mirrorX' | 'mirrorY'>): {
  xx: number
  xy: number
  yx: number
  yy: number
} {
  const [cos, sin] = [Math.cos(crop.angle) / crop.scale, Math.sin(crop.angle) / crop.scale]
  const [sx, sy] = [crop.mirrorX ? -1 : 1, crop.mirrorY ? -1 : 1]
  return { xx: cos * sx, xy: sin * sx, yx: -sin * sy, yy: cos * sy }
}

/**
 * Cuts the crop out: bilinear.
 * @param outside gray level of what lies outside the canvas
 * @param out gray levels [height, width, channels], not rounded
 */
export function cutCrop(
  canvas: Pick<Canvas, 'data' | 'width' | 'height' | 'channels'>,
  crop: Crop,
  width: number,
  height: number,
  outside: number,
  random: Random,
  out: Float32Array,
): void {
  const { data, width: columns, height: rows, channels } = canvas
  const { xx, xy, yx, yy } = steps(crop)
  const { contrast, noise } = crop
  const offset = 128 - 128 * contrast + crop.shift
  // Normal numbers are drawn once and read from a random place on: one a pixel would cost more than the crop.
  const normals = noise > 0 ? normalNumbers() : undefined
  let drawn = random.integer(NORMALS)
  let at = 0
  for (let v = 0; v < height; v++) {
    const fromX = crop.centerX - 0.5 + (v + 0.5 - height / 2) * yx
    const fromY = crop.centerY - 0.5 + (v + 0.5 - height / 2) * yy
    for (let u = 0; u < width; u++, at += channels) {
      const along = u + 0.5 - width / 2
      const x = fromX + along * xx
      const y = fromY + along * xy
      const left = Math.floor(x)
      const top = Math.floor(y)
      const [fx, fy] = [x - left, y - top]
      const inLeft = left >= 0 && left < columns
      const inRight = left >= -1 && left < columns - 1
      const inTop = top >= 0 && top < rows
      const inBelow = top >= -1 && top < rows - 1
      const a = inLeft && inTop ? (1 - fx) * (1 - fy) : 0
      const b = inRight && inTop ? fx * (1 - fy) : 0
      const c = inLeft && inBelow ? (1 - fx) * fy : 0
      const d = inRight && inBelow ? fx * fy : 0
      // Exactly 0 inside, whatever the weights are rounded to.
      const rest = inLeft && inRight && inTop && inBelow ? 0 : outside * (1 - a - b - c - d)
      const first = (top * columns + left) * channels
      const below = first + columns * channels
      for (let channel = 0; channel < channels; channel++) {
        let value = rest
        if (a > 0) value += a * data[first + channel]!
        if (b > 0) value += b * data[first + channels + channel]!
        if (c > 0) value += c * data[below + channel]!
        if (d > 0) value += d * data[below + channels + channel]!
        value = value * contrast + offset
        if (normals !== undefined) value += noise * normals[drawn++ & (NORMALS - 1)]!
        out[at + (crop.mirrorZ ? channels - 1 - channel : channel)] =
          value < 0 ? 0 : value > 255 ? 255 : value
      }
    }
  }
}

const NORMALS = 2 ** 16
let normals: Float32Array | undefined

function normalNumbers(): Float32Array {
  if (normals === undefined) {
    const random = createRandom(0)
    normals = Float32Array.from({ length: NORMALS }, () => random.normal())
  }
  return normals
}

/**
 * Boxes of the canvas in the crop. A turned box is the one around what the box held, turned: its hull with as much
 * around it as the box has, or, where none is known, the ellipse in the box.
 * @returns `boxes`: those of which at least half and the center lie in the crop, clipped; `cut`: the rest of those that
 * the crop shows a part of, which is neither right nor wrong there
 */
export function cropBoxes(
  boxes: readonly HullBox[],
  crop: Crop,
  width: number,
  height: number,
): { boxes: HullBox[]; cut: EdgeBox[] } {
  const [cos, sin] = [Math.cos(crop.angle) * crop.scale, Math.sin(crop.angle) * crop.scale]
  const place = ([px, py]: readonly [number, number]): [number, number] => {
    const [dx, dy] = [px - crop.centerX, py - crop.centerY]
    return [
      width / 2 + (crop.mirrorX ? -1 : 1) * (dx * cos + dy * sin),
      height / 2 + (crop.mirrorY ? -1 : 1) * (dy * cos - dx * sin),
    ]
  }
  const result: { boxes: HullBox[]; cut: EdgeBox[] } = { boxes: [], cut: [] }
  for (const box of boxes) {
    const { points, radiusX: a, radiusY: b } = shapeOf(box)
    const placed = points.map(place)
    const whole = boxAround({
      points: placed,
      radiusX: Math.hypot(a * cos, b * sin),
      radiusY: Math.hypot(a * sin, b * cos),
    })
    const [x, y] = [(whole.x1 + whole.x2) / 2, (whole.y1 + whole.y2) / 2]
    const seen = clipBox(whole, width, height)
    const inside = x >= 0 && x < width && y >= 0 && y < height
    if (inside && boxArea(seen) >= 0.5 * boxArea(whole)) result.boxes.push(withHull(seen, box.hull && placed))
    else if (boxArea(seen) > 0) result.cut.push(seen)
  }
  return result
}
