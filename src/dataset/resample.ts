import { checkInteger } from '../check.js'
import type { FrameMapping } from '../geometry/frame.js'

/**
 * The resampling of the package: bilinear, antialiased when shrinking, which is a triangle filter whose support grows
 * with the shrinkage. Equal to Pillow's `resize(BILINEAR)` and to TensorFlow's `resize(antialias=True)`.
 */

/** For each output position the input positions and weights that make it; the weights of an output sum to 1. */
export interface Taps {
  /** First input position of each output; -1 where the output's center lies outside the input. */
  first: Int32Array
  /** Number of weights of each output. */
  count: Int32Array
  /** Weights, `width` per output. */
  weights: Float64Array
  width: number
  /** Half-open range of input positions that any output uses. */
  range: readonly [number, number]
}

/**
 * Weights of one axis. The center of output u is at input position (u + 0.5) / scale + origin (edge coordinates).
 * Near the border the weights that fall outside are dropped and the rest sums to 1.
 * @param inputSize pixels of the input
 * @param outputSize pixels of the output
 * @param scale output pixels per input pixel
 * @param origin input position of the output's first edge
 */
export function triangleTaps(inputSize: number, outputSize: number, scale: number, origin: number): Taps {
  const support = Math.max(1, 1 / scale)
  const width = Math.ceil(support) * 2 + 1
  const first = new Int32Array(outputSize).fill(-1)
  const count = new Int32Array(outputSize)
  const weights = new Float64Array(outputSize * width)
  let low = inputSize
  let high = 0
  for (let u = 0; u < outputSize; u++) {
    const center = origin + (u + 0.5) / scale
    if (!(center >= 0 && center < inputSize)) continue
    const start = Math.max(0, Math.trunc(center - support + 0.5))
    const end = Math.min(inputSize, Math.trunc(center + support + 0.5))
    let sum = 0
    for (let i = start; i < end; i++) {
      const weight = Math.max(0, 1 - Math.abs((i - center + 0.5) / support))
      weights[u * width + i - start] = weight
      sum += weight
    }
    for (let n = 0; n < end - start; n++) weights[u * width + n] = weights[u * width + n]! / sum
    first[u] = start
    count[u] = end - start
    low = Math.min(low, start)
    high = Math.max(high, end)
  }
  return { first, count, weights, width, range: [Math.min(low, high), high] }
}

/** The weights of both axes that put images of one size into their frame. */
export function frameTaps(mapping: FrameMapping, rows: number, columns: number): { x: Taps; y: Taps } {
  checkInteger('rows', rows, 0, 2 ** 20)
  checkInteger('columns', columns, 0, 2 ** 20)
  const { originX, originY, scale, scaleY = scale, frameWidth, frameHeight } = mapping
  return {
    x: triangleTaps(columns, frameWidth, scale, originX),
    y: triangleTaps(rows, frameHeight, scaleY, originY),
  }
}

/**
 * Resamples interleaved pixels along x, then along y; sums in float64, the plane between as float32.
 * @param input pixels of [height, width, channels], from `inputOffset` on
 * @param out [outputs of y, outputs of x, channels]; outputs whose center lies outside get `outside`
 */
export function resample(
  input: Int16Array | Uint8Array | Float32Array,
  inputOffset: number,
  inputWidth: number,
  channels: number,
  x: Taps,
  y: Taps,
  out: Float32Array,
  outside: number,
  scratch?: Float32Array,
): void {
  const outWidth = x.first.length
  const rowLength = outWidth * channels
  const [y0, y1] = y.range
  const between = scratch ?? new Float32Array((y1 - y0) * rowLength)
  const { first, count, weights, width } = x
  for (let row = y0; row < y1; row++) {
    const from = inputOffset + row * inputWidth * channels
    const to = (row - y0) * rowLength
    for (let u = 0; u < outWidth; u++) {
      const start = first[u]!
      if (start < 0) continue
      const taps = count[u]!
      for (let c = 0; c < channels; c++) {
        let sum = 0
        let at = from + start * channels + c
        for (let n = 0, w = u * width; n < taps; n++, w++, at += channels) sum += input[at]! * weights[w]!
        between[to + u * channels + c] = sum
      }
    }
  }
  const sums = new Float64Array(rowLength)
  for (let v = 0; v < y.first.length; v++) {
    const target = v * rowLength
    const source = (y.first[v]! - y0) * rowLength
    const taps = y.count[v]!
    const w = v * y.width
    if (y.first[v]! < 0) {
      out.fill(outside, target, target + rowLength)
      continue
    }
    if (taps <= 4) {
      // The usual case, down to half the size. Missing taps have weight 0.
      const [w0, w1, w2, w3] = [0, 1, 2, 3].map((n) => (n < taps ? y.weights[w + n]! : 0)) as Four
      const [s0, s1, s2, s3] = [0, 1, 2, 3].map((n) => source + (n < taps ? n * rowLength : 0)) as Four
      for (let i = 0; i < rowLength; i++) {
        out[target + i] =
          between[s0 + i]! * w0 + between[s1 + i]! * w1 + between[s2 + i]! * w2 + between[s3 + i]! * w3
      }
    } else {
      // Row after row, so that memory is read in order.
      sums.fill(0)
      for (let n = 0; n < taps; n++) {
        const weight = y.weights[w + n]!
        const row = source + n * rowLength
        for (let i = 0; i < rowLength; i++) sums[i] = sums[i]! + between[row + i]! * weight
      }
      out.set(sums, target)
    }
    for (let u = 0; u < outWidth; u++)
      if (first[u]! < 0) out.fill(outside, target + u * channels, target + (u + 1) * channels)
  }
}

type Four = [number, number, number, number]

/** Resizes an interleaved 8-bit image to another size (x and y may scale differently), rounded. */
export function resizeImage(
  data: Uint8Array,
  width: number,
  height: number,
  channels: number,
  outWidth: number,
  outHeight: number,
): Uint8Array {
  const x = triangleTaps(width, outWidth, outWidth / width, 0)
  const y = triangleTaps(height, outHeight, outHeight / height, 0)
  const values = new Float32Array(outWidth * outHeight * channels)
  resample(data, 0, width, channels, x, y, values, 0)
  return Uint8Array.from(values, (value) => Math.min(255, Math.floor(value + 0.5)))
}
