import type { EdgeBox } from '../geometry/box.js'
import { clipBox } from '../geometry/box.js'
import type { Random } from '../random.js'

/** How a frame is moved: x' = (x - width/2) * scale * (mirror ? -1 : 1) + width/2 + shiftX, and y' without mirror. */
export interface Jitter {
  scale: number
  /** Frame pixels. */
  shiftX: number
  shiftY: number
  mirror: boolean
}

/** TensorBox's: scale 0.9 to 1.1, shift up to 16 px, mirrored half of the time. */
export function drawJitter(random: Random): Jitter {
  return {
    scale: 0.9 + 0.2 * random.uniform(),
    shiftX: 16 * (2 * random.uniform() - 1),
    shiftY: 16 * (2 * random.uniform() - 1),
    mirror: random.uniform() < 0.5,
  }
}

/**
 * Moves a frame: bilinear, black where nothing comes from.
 * @param frame gray levels [height, width, 3]
 * @param out same shape, gray levels, not rounded
 */
export function jitterFrame(
  frame: Uint8Array,
  width: number,
  height: number,
  jitter: Jitter,
  out: Float32Array,
): void {
  const step = (jitter.mirror ? -1 : 1) / jitter.scale
  for (let v = 0; v < height; v++) {
    // Indices of pixel centers: the center of pixel i lies at edge coordinate i + 0.5.
    const y = (v + 0.5 - height / 2 - jitter.shiftY) / jitter.scale + height / 2 - 0.5
    const top = Math.floor(y)
    const down = y - top
    for (let u = 0; u < width; u++) {
      const x = (u + 0.5 - width / 2 - jitter.shiftX) * step + width / 2 - 0.5
      const left = Math.floor(x)
      const right = x - left
      const target = (v * width + u) * 3
      for (let c = 0; c < 3; c++) {
        let sum = 0
        for (let dy = 0; dy < 2; dy++) {
          const row = top + dy
          if (row < 0 || row >= height) continue
          const weight = dy === 0 ? 1 - down : down
          if (left >= 0 && left < width) sum += weight * (1 - right) * frame[(row * width + left) * 3 + c]!
          if (left >= -1 && left < width - 1) sum += weight * right * frame[(row * width + left + 1) * 3 + c]!
        }
        out[target + c] = sum
      }
    }
  }
}

/** Moves the boxes of a frame with it, clipped; a box whose center leaves the frame goes. */
export function jitterBoxes(
  boxes: readonly EdgeBox[],
  width: number,
  height: number,
  jitter: Jitter,
): EdgeBox[] {
  const moved: EdgeBox[] = []
  for (const box of boxes) {
    const sign = jitter.mirror ? -1 : 1
    const a = (box.x1 - width / 2) * jitter.scale * sign + width / 2 + jitter.shiftX
    const b = (box.x2 - width / 2) * jitter.scale * sign + width / 2 + jitter.shiftX
    const y1 = (box.y1 - height / 2) * jitter.scale + height / 2 + jitter.shiftY
    const y2 = (box.y2 - height / 2) * jitter.scale + height / 2 + jitter.shiftY
    const centerX = (a + b) / 2
    const centerY = (y1 + y2) / 2
    if (centerX < 0 || centerX > width || centerY < 0 || centerY > height) continue
    moved.push(clipBox({ x1: Math.min(a, b), y1, x2: Math.max(a, b), y2 }, width, height))
  }
  return moved
}
