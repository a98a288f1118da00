/** The specification of native/frames: slices -> network input. */
import { type StoredArray, huReference } from './hu.js'

/**
 * How one axis is resampled: output u is the sum over n < count[u] of weights[u * width + n] * input[first[u] + n].
 * `first` does not fall; -1: the output's center lies outside the image.
 */
export interface FrameTaps {
  first: Int32Array
  count: Int32Array
  weights: Float64Array
  /** Room for weights of each output. */
  width: number
}

export interface FramesWork {
  slices: readonly StoredArray[]
  slope: Float32Array
  intercept: Float32Array
  paddingLow: number
  paddingHigh: number
  clampLow: number
  clampHigh: number
  rows: number
  columns: number
  x: FrameTaps
  y: FrameTaps
  /** [frames, channels]: which slice is which channel of which frame. */
  sources: Int32Array
  channels: number
  nchw: boolean
  /** HU of frame pixels whose center lies outside the image. */
  outside: number
  windowLow: number
  /** Gray levels per HU. */
  windowScale: number
  /** float32 output = gray * factor + offset. */
  factor: number
  offset: number
  output: Uint8Array | Float32Array
}

/** One slice, HU, in the frame: along x (kept as float32), then along y; sums in float64. */
function resample(
  hu: Int16Array,
  columns: number,
  x: FrameTaps,
  y: FrameTaps,
  outside: number,
): Float32Array {
  const width = x.first.length
  const out = new Float32Array(width * y.first.length).fill(outside)
  const between = new Map<number, Float32Array>()
  const line = (row: number): Float32Array => {
    const known = between.get(row)
    if (known !== undefined) return known
    const made = new Float32Array(width)
    for (let u = 0; u < width; u++) {
      let sum = 0
      for (let n = 0; n < (x.count[u] as number); n++)
        sum +=
          (x.weights[u * x.width + n] as number) * (hu[row * columns + (x.first[u] as number) + n] as number)
      made[u] = sum
    }
    between.set(row, made)
    return made
  }
  for (let v = 0; v < y.first.length; v++) {
    const first = y.first[v] as number
    if (first < 0) continue
    for (let u = 0; u < width; u++) {
      if ((x.first[u] as number) < 0) continue
      let sum = 0
      for (let n = 0; n < (y.count[v] as number); n++)
        sum += (y.weights[v * y.width + n] as number) * (line(first + n)[u] as number)
      out[v * width + u] = sum
    }
  }
  return out
}

/** Writes every frame; each slice is rendered once. */
export function framesReference(work: FramesWork): void {
  const { slices, slope, intercept, rows, columns, x, y, sources, channels, output, windowLow, windowScale } =
    work
  const pixels = x.first.length * y.first.length
  const hu = new Int16Array(rows * columns)
  for (const [s, slice] of slices.entries()) {
    if (!sources.includes(s)) continue
    const one = { slices: [slice], slope: slope.subarray(s), intercept: intercept.subarray(s), output: hu }
    huReference({ ...work, ...one })
    const plane = resample(hu, columns, x, y, work.outside)
    const gray = Uint8ClampedArray.from(plane, (value) => Math.floor((value - windowLow) * windowScale + 0.5))
    for (const [place, source] of sources.entries()) {
      if (source !== s) continue
      const frame = Math.floor(place / channels)
      for (let i = 0; i < pixels; i++) {
        const level = gray[i] as number
        const at = work.nchw ? place * pixels + i : (frame * pixels + i) * channels + (place % channels)
        output[at] = output instanceof Float32Array ? level * work.factor + work.offset : level
      }
    }
  }
}
