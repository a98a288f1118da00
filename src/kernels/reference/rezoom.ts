/** The specification of native/rezoom: bilinear samples of a feature map at points that move with boxes. */

export interface RezoomWork {
  features: Float32Array
  boxes: Float32Array
  n: number
  height: number
  width: number
  channels: number
  boxesPerImage: number
  nhwc: boolean
  offsetsX: Float32Array
  offsetsY: Float32Array
  stride: number
}

const { fround } = Math

/** A position along one axis, clamped to the pixel centers [0, size - 1]; `inside`: it was not clamped. */
interface Place {
  p0: number
  p1: number
  t: number
  inside: boolean
}

/**
 * (center + offset * extent) / stride - 0.5, each step in float32, so that every device samples the same place.
 * A NaN position has pixel 0 and the fraction NaN: its value is NaN.
 */
function locate(center: number, extent: number, offset: number, stride: number, size: number): Place {
  const f = fround(fround(fround(center + fround(offset * extent)) / stride) - 0.5)
  if (!(f > 0)) return { p0: 0, p1: Math.min(1, size - 1), t: Number.isNaN(f) ? f : 0, inside: false }
  if (f >= size - 1) return { p0: size - 1, p1: size - 1, t: 0, inside: false }
  const p0 = Math.floor(f)
  return { p0, p1: p0 + 1, t: fround(f - p0), inside: true }
}

/** Calls visit(box, its image, sample, x place, y place, x offset, y offset) for every sample of every box. */
function forSamples(
  work: RezoomWork,
  visit: (box: number, image: number, sample: number, x: Place, y: Place, ox: number, oy: number) => void,
): void {
  const { boxes, n, height, width, boxesPerImage, offsetsX, offsetsY } = work
  const stride = fround(work.stride)
  for (let box = 0; box < n * boxesPerImage; box++) {
    const [cx, cy, w, h] = boxes.subarray(box * 4, box * 4 + 4) as unknown as [number, number, number, number]
    let sample = 0
    for (const oy of offsetsY) {
      const y = locate(cy, h, oy, stride, height)
      for (const ox of offsetsX) {
        const x = locate(cx, w, ox, stride, width)
        visit(box, Math.floor(box / boxesPerImage), sample++, x, y, ox, oy)
      }
    }
  }
}

/** The index of a feature in either layout. */
function indexer(work: RezoomWork): (image: number, y: number, x: number, c: number) => number {
  const { height, width, channels } = work
  return work.nhwc
    ? (image, y, x, c) => ((image * height + y) * width + x) * channels + c
    : (image, y, x, c) => ((image * channels + c) * height + y) * width + x
}

/** Writes output [n, boxes, samples, c]. */
export function rezoomForwardReference(work: RezoomWork & { output: Float32Array }): void {
  const { features, channels, output } = work
  const samples = work.offsetsX.length * work.offsetsY.length
  const at = indexer(work)
  forSamples(work, (box, image, sample, x, y) => {
    const start = (box * samples + sample) * channels
    for (let c = 0; c < channels; c++) {
      const v00 = features[at(image, y.p0, x.p0, c)] as number
      const v01 = features[at(image, y.p0, x.p1, c)] as number
      const v10 = features[at(image, y.p1, x.p0, c)] as number
      const v11 = features[at(image, y.p1, x.p1, c)] as number
      output[start + c] =
        (1 - y.t) * (1 - x.t) * v00 + (1 - y.t) * x.t * v01 + y.t * (1 - x.t) * v10 + y.t * x.t * v11
    }
  })
}

/**
 * Writes the gradients of sum(gradient * output): for the features (a corner of weight 0 receives nothing) and for
 * cx, cy, w, h of the boxes (a clamped coordinate gives nothing).
 */
export function rezoomGradientReference(
  work: RezoomWork & { gradient: Float32Array; gradientFeatures: Float32Array; gradientBoxes: Float32Array },
): void {
  const { features, channels, gradient, gradientFeatures, gradientBoxes } = work
  const samples = work.offsetsX.length * work.offsetsY.length
  const stride = fround(work.stride)
  const at = indexer(work)
  const featureSums = new Float64Array(gradientFeatures.length)
  const boxSums = new Float64Array(gradientBoxes.length)
  forSamples(work, (box, image, sample, x, y, ox, oy) => {
    const start = (box * samples + sample) * channels
    for (let c = 0; c < channels; c++) {
      const g = gradient[start + c] as number
      const corners = [
        [at(image, y.p0, x.p0, c), (1 - y.t) * (1 - x.t)],
        [at(image, y.p0, x.p1, c), (1 - y.t) * x.t],
        [at(image, y.p1, x.p0, c), y.t * (1 - x.t)],
        [at(image, y.p1, x.p1, c), y.t * x.t],
      ] as const
      for (const [i, weight] of corners)
        if (weight !== 0) featureSums[i] = (featureSums[i] as number) + weight * g
      const [v00, v01, v10, v11] = corners.map(([i]) => features[i]) as [number, number, number, number]
      if (x.inside) {
        const slope = g * ((1 - y.t) * (v01 - v00) + y.t * (v11 - v10))
        boxSums[box * 4] = (boxSums[box * 4] as number) + slope
        boxSums[box * 4 + 2] = (boxSums[box * 4 + 2] as number) + slope * ox
      }
      if (y.inside) {
        const slope = g * ((1 - x.t) * (v10 - v00) + x.t * (v11 - v01))
        boxSums[box * 4 + 1] = (boxSums[box * 4 + 1] as number) + slope
        boxSums[box * 4 + 3] = (boxSums[box * 4 + 3] as number) + slope * oy
      }
    }
  })
  gradientFeatures.set(featureSums)
  for (let i = 0; i < boxSums.length; i++) gradientBoxes[i] = (boxSums[i] as number) / stride
}
