/** The specification of native/hu: stored values -> Hounsfield units. */

export type StoredArray = Int16Array | Uint16Array | Uint8Array

/** What a padding voxel becomes. */
export const AIR_HU = -1000

export interface HuWork {
  slices: readonly StoredArray[]
  slope: Float32Array
  intercept: Float32Array
  /** Stored values in [paddingLow, paddingHigh] are padding; low > high: none. */
  paddingLow: number
  paddingHigh: number
  clampLow: number
  clampHigh: number
  output: Int16Array | Float32Array
}

const { fround } = Math

/**
 * value = float32(float32(stored * slope) + intercept), air for padding, clamped; rounded for an Int16Array. `slope`
 * and `intercept` are float32, so stored * slope is exact before its one rounding, as in the kernels.
 */
export function huReference(work: HuWork): void {
  const { slices, slope, intercept, paddingLow, paddingHigh, output } = work
  const low = fround(work.clampLow)
  const high = fround(work.clampHigh)
  const whole = output instanceof Int16Array
  for (const [s, slice] of slices.entries()) {
    const a = slope[s] as number
    const b = intercept[s] as number
    const out = output.subarray(s * slice.length, (s + 1) * slice.length)
    for (let i = 0; i < slice.length; i++) {
      const stored = slice[i] as number
      let value = stored >= paddingLow && stored <= paddingHigh ? AIR_HU : fround(fround(stored * a) + b)
      if (value < low) value = low
      if (value > high) value = high
      // An Int16Array keeps the whole part of what is stored; of value +- 0.5 (float64: exact) that is the nearest,
      // half away from zero.
      out[i] = whole ? (value < 0 ? value - 0.5 : value + 0.5) : value
    }
  }
}
