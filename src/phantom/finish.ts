import { smoothStep } from './fields.js'
import { deviationOfMeans, tileSize } from './noise.js'
import { huRange } from './scanner.js'
import type { Scene, Workspace } from './scene.js'

/** How much of each of the two tiles is in the noise, besides the streaks of the shoulders, which are of the second. */
const [fineShare, otherShare] = [0.8, 0.6]

/** How strong the noise that is drawn out sideways is at a height, compared with the other. */
function streaksAt(scene: Scene, z: number): number {
  return 1.1 * smoothStep(195, 240, z / scene.anatomy.scale[2])
}

/**
 * The noise in the body that is left when an eye averages over `side` x `side` pixels.
 *
 * @returns its standard deviation in HU at a height
 */
export function noiseOfMeans(scene: Scene, side: number): (z: number) => number {
  const [fine, other] = scene.noise
  const even = Math.hypot(
    fineShare * deviationOfMeans(fine, side, side),
    otherShare * deviationOfMeans(other, side, side),
  )
  // A streak is eight pixels long.
  const streak = deviationOfMeans(other, 1, side)
  return (z) => scene.sigma * Math.hypot(even, streaksAt(scene, z) * streak)
}

/**
 * Adds noise and writes stored-as-HU whole numbers, clipped to what the scanner's files hold. Noise is weaker in air
 * around the patient; at the shoulders it is stronger and drawn out sideways.
 *
 * @param shifts three whole numbers that choose the part of the noise tiles
 */
export function finishSlice(
  scene: Scene,
  work: Workspace,
  z: number,
  shifts: readonly [number, number, number],
  out: Int16Array,
): void {
  const { size, pixel, x0, y0, hu } = work.canvas
  const [fine, other] = scene.noise
  const [low, high] = huRange(scene.scanner)
  const outside = scene.scanner.padding === undefined ? low : -1000
  const mask = tileSize - 1
  const streak = streaksAt(scene, z)
  const limit = scene.radius * scene.radius
  const centerX = x0 + ((size - 1) / 2) * pixel
  const centerY = y0 + ((size - 1) / 2) * pixel
  for (let j = 0; j < size; j++) {
    const rowA = ((j + shifts[0]) & mask) * tileSize
    const rowB = ((size - j + shifts[1]) & mask) * tileSize
    const rowC = ((j + shifts[2]) & mask) * tileSize
    const dy = y0 + j * pixel - centerY
    for (let i = 0; i < size; i++) {
      const p = j * size + i
      const dx = x0 + i * pixel - centerX
      if (dx * dx + dy * dy > limit) {
        out[p] = outside
        continue
      }
      const inside = work.inside[p]!
      let noise =
        fineShare * fine[rowA + ((i + shifts[1]) & mask)]! +
        otherShare * other[rowB + ((i + shifts[2]) & mask)]!
      if (streak > 0) noise += streak * inside * other[rowC + (((i >> 3) + shifts[0]) & mask)]!
      const value = Math.round(hu[p]! + scene.sigma * (0.4 + 0.6 * inside) * noise)
      out[p] = value < low ? low : value > high ? high : value
    }
  }
}
