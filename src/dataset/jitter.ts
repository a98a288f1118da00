import type { Hypes } from '../config/hypes.js'
import type { EdgeBox } from '../geometry/box.js'
import { boxArea, clipBox } from '../geometry/box.js'
import { withHull } from '../geometry/hull.js'
import type { HullBox } from '../geometry/hull.js'
import type { Random } from '../random.js'
import type { Crop } from './crops.js'

/** How a frame is moved: x' = (x - width/2) * scale * (mirror ? -1 : 1) + width/2 + shiftX, and y' without mirror. */
export interface Jitter {
  scale: number
  /** Frame pixels. */
  shiftX: number
  shiftY: number
  mirror: boolean
}

/** TensorBox's limits. */
const REFERENCE = { scale: 0.1, shift_px: 16, mirror: true }

/**
 * TensorBox's: scale 0.9 to 1.1, shift up to 16 px, mirrored half of the time. (It draws whole shifts, loses those to
 * the right and below, and shrinks no frame in which a box would fall below 20 px: most nodules are smaller, so that it
 * would only ever enlarge them.)
 */
export function drawJitter(random: Random, limits: typeof REFERENCE = REFERENCE): Jitter {
  return {
    scale: 1 - limits.scale + 2 * limits.scale * random.uniform(),
    shiftX: limits.shift_px * (2 * random.uniform() - 1),
    shiftY: limits.shift_px * (2 * random.uniform() - 1),
    mirror: random.uniform() < 0.5 && limits.mirror,
  }
}

/** A jitter that also turns a frame and changes its gray levels, as a crop of the whole frame. */
export function jitterCrop(
  { scale, shiftX, shiftY, mirror }: Jitter,
  limits: Hypes['jitter'],
  width: number,
  height: number,
  random: Random,
): Crop {
  const symmetric = (limit: number): number => (random.uniform() * 2 - 1) * limit
  return {
    centerX: width / 2 - (shiftX / scale) * (mirror ? -1 : 1),
    centerY: height / 2 - shiftY / scale,
    angle: (symmetric(limits.rotate_deg) * Math.PI) / 180,
    scale,
    ...{ mirrorX: mirror, mirrorY: false, mirrorZ: false },
    contrast: 1 + symmetric(limits.gray_scale),
    shift: symmetric(limits.gray_shift) * 255,
    noise: random.uniform() * limits.noise * 255,
  }
}

/** Whether a jitter only moves, scales and mirrors. */
export function isPlainJitter({
  rotate_deg: turn,
  gray_shift: shift,
  gray_scale: scale,
  noise,
}: Hypes['jitter']): boolean {
  return turn === 0 && shift === 0 && scale === 0 && noise === 0
}

/**
 * Moves a frame: bilinear.
 * @param frame gray levels [height, width, channels]
 * @param outside gray level of what lies outside the frame
 * @param out same shape, gray levels, not rounded
 */
export function jitterFrame(
  frame: Uint8Array,
  width: number,
  height: number,
  jitter: Jitter,
  outside: number,
  out: Float32Array,
): void {
  const channels = frame.length / (width * height)
  const step = (jitter.mirror ? -1 : 1) / jitter.scale
  // For each column the two source columns (as offsets in a row) and their weights; 0 for those outside.
  const columns = new Int32Array(width * 2)
  const weights = new Float64Array(width * 2)
  // What is shown of the frame itself; the rest comes from outside.
  const shown = new Float64Array(width)
  for (let u = 0; u < width; u++) {
    // Indices of pixel centers: the center of pixel i lies at edge coordinate i + 0.5.
    const x = (u + 0.5 - width / 2 - jitter.shiftX) * step + width / 2 - 0.5
    const left = Math.floor(x)
    for (const side of [0, 1]) {
      if (left + side < 0 || left + side >= width) continue
      columns[2 * u + side] = (left + side) * channels
      weights[2 * u + side] = side === 0 ? 1 - (x - left) : x - left
    }
    // 1 exactly where both sides lie inside, whatever the weights are rounded to.
    shown[u] = left >= 0 && left + 1 < width ? 1 : weights[2 * u]! + weights[2 * u + 1]!
  }
  for (let v = 0; v < height; v++) {
    const y = (v + 0.5 - height / 2 - jitter.shiftY) / jitter.scale + height / 2 - 0.5
    const top = Math.floor(y)
    const above = top >= 0 && top < height ? 1 - (y - top) : 0
    const below = top + 1 >= 0 && top + 1 < height ? y - top : 0
    const shownRow = top >= 0 && top + 1 < height ? 1 : above + below
    const upper = above > 0 ? top * width * channels : 0
    const lower = below > 0 ? (top + 1) * width * channels : 0
    for (let u = 0, target = v * width * channels; u < width; u++) {
      const a = upper + columns[2 * u]!
      const b = upper + columns[2 * u + 1]!
      const c = lower + columns[2 * u]!
      const d = lower + columns[2 * u + 1]!
      const wa = above * weights[2 * u]!
      const wb = above * weights[2 * u + 1]!
      const wc = below * weights[2 * u]!
      const wd = below * weights[2 * u + 1]!
      const rest = outside * (1 - shown[u]! * shownRow)
      for (let i = 0; i < channels; i++, target++)
        out[target] = rest + wa * frame[a + i]! + wb * frame[b + i]! + wc * frame[c + i]! + wd * frame[d + i]!
    }
  }
}

/**
 * Moves the boxes of a frame with it, clipped.
 * @returns `boxes`: those whose centers the frame still shows; `cut`: what it shows of the others, which is neither right
 * nor wrong there (TensorBox keeps it as a box)
 */
export function jitterBoxes(
  boxes: readonly HullBox[],
  width: number,
  height: number,
  jitter: Jitter,
): { boxes: HullBox[]; cut: EdgeBox[] } {
  const moved: { boxes: HullBox[]; cut: EdgeBox[] } = { boxes: [], cut: [] }
  const sign = jitter.mirror ? -1 : 1
  const placeX = (x: number): number => (x - width / 2) * jitter.scale * sign + width / 2 + jitter.shiftX
  const placeY = (y: number): number => (y - height / 2) * jitter.scale + height / 2 + jitter.shiftY
  for (const box of boxes) {
    const [a, b] = [placeX(box.x1), placeX(box.x2)]
    const [y1, y2] = [placeY(box.y1), placeY(box.y2)]
    const centerX = (a + b) / 2
    const centerY = (y1 + y2) / 2
    const seen = clipBox({ x1: Math.min(a, b), y1, x2: Math.max(a, b), y2 }, width, height)
    if (centerX >= 0 && centerX <= width && centerY >= 0 && centerY <= height)
      moved.boxes.push(
        withHull(
          seen,
          box.hull?.map(([x, y]) => [placeX(x), placeY(y)]),
        ),
      )
    else if (boxArea(seen) > 0) moved.cut.push(seen)
  }
  return moved
}
