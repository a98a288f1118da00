import type { Random } from '../../random.js'

/** HU of lung tissue without vessels. */
const PARENCHYMA = [-980, -750] as const

/** Of the voxels that are looked at, so many must be lung tissue. */
const LEAST = 30

/** Level and noise of lung tissue. */
export interface Tissue {
  /** Median, HU. */
  level: number
  /** Standard deviation of white noise that differs as much between neighbors in a row, HU. */
  noise: number
}

/**
 * Level and noise of the lung tissue among some voxels; undefined where there is too little.
 * @param voxels indices whose neighbors in the row exist
 */
export function measureTissue(data: ArrayLike<number>, voxels: readonly number[]): Tissue | undefined {
  const levels: number[] = []
  const steps: number[] = []
  const isTissue = (hu: number): boolean => hu >= PARENCHYMA[0] && hu <= PARENCHYMA[1]
  for (const at of voxels) {
    const [left, own, right] = [data[at - 1]!, data[at]!, data[at + 1]!]
    if (!isTissue(own)) continue
    levels.push(own)
    if (isTissue(left) && isTissue(right)) steps.push(Math.abs(own - (left + right) / 2))
  }
  if (steps.length < LEAST) return undefined
  // The median of |x| is 0.6745 of a normal's deviation; that of the difference is sqrt(1.5) of the noise's.
  return { level: median(levels), noise: median(steps) / 0.6745 / Math.sqrt(1.5) }
}

/** Of numbers that float32 holds exactly; typed arrays sort by value without a call for each pair. */
function median(values: readonly number[]): number {
  return Float32Array.from(values).sort()[values.length >> 1]!
}

/** Weights of three neighbors: noise of CT is not white. */
const SMOOTH = [1 / 6, 4 / 6, 1 / 6] as const
/** Makes the smoothed noise differ between neighbors as white noise of deviation 1 does. */
const SMOOTH_GAIN = 3.06

/** A plane of noise that `measureTissue` finds 1 HU strong, [height, width]. */
export function noisePlane(width: number, height: number, random: Random): Float32Array {
  const white = Float32Array.from({ length: (width + 2) * (height + 2) }, () => random.normal())
  const plane = new Float32Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0
      for (const [b, wy] of SMOOTH.entries())
        for (const [a, wx] of SMOOTH.entries()) sum += wy * wx * white[(y + b) * (width + 2) + x + a]!
      plane[y * width + x] = sum * SMOOTH_GAIN
    }
  }
  return plane
}
