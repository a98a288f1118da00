/** The specification of native/roi_align: ROI align as torchvision computes it. */

export interface RoiAlignWork {
  features: Float32Array
  /** [boxes, 4]: x1, y1, x2, y2 in frame pixels. */
  boxes: Float32Array
  images: Int32Array
  n: number
  height: number
  width: number
  channels: number
  binsX: number
  binsY: number
  samplingRatio: number
  scale: number
  aligned: boolean
  nhwc: boolean
}

const { fround } = Math

interface Place {
  p0: number
  p1: number
  t: number
}

/** Positions are float32, step by step, so that every device samples the same places. Undefined: outside. */
function locate(position: number, size: number): Place | undefined {
  if (!(position >= -1 && position <= size)) return undefined
  if (!(position > 0)) return { p0: 0, p1: Math.min(1, size - 1), t: 0 }
  const p0 = Math.floor(position)
  if (p0 >= size - 1) return { p0: size - 1, p1: size - 1, t: 0 }
  return { p0, p1: p0 + 1, t: fround(position - p0) }
}

/** Samples along one axis of a box: places[bin][sample]. */
function axis(
  low: number,
  high: number,
  bins: number,
  size: number,
  work: RoiAlignWork,
): { places: (Place | undefined)[][]; grid: number } {
  const scale = fround(work.scale)
  const offset = work.aligned ? 0.5 : 0
  const start = fround(fround(low * scale) - offset)
  let length = fround(fround(fround(high * scale) - offset) - start)
  if (!work.aligned) length = Math.max(length, 1)
  const bin = fround(length / bins)
  const grid = work.samplingRatio > 0 ? work.samplingRatio : Math.ceil(bin)
  const places = Array.from({ length: bins }, (_, b) =>
    Array.from({ length: Math.max(0, grid) }, (_, i) => {
      const binStart = fround(start + fround(b * bin))
      return locate(fround(binStart + fround(fround((i + 0.5) * bin) / grid)), size)
    }),
  )
  return { places, grid }
}

/** Calls visit(output index, feature index, weight) for every corner of every sample and every channel. */
function forCorners(
  work: RoiAlignWork,
  visit: (output: number, feature: number, weight: number) => void,
): void {
  const { boxes, images, height, width, channels, binsX, binsY, nhwc } = work
  for (let box = 0; box < images.length; box++) {
    const [x1, y1, x2, y2] = boxes.subarray(box * 4, box * 4 + 4) as unknown as [
      number,
      number,
      number,
      number,
    ]
    const image = images[box] as number
    const xs = axis(x1, x2, binsX, width, work)
    const ys = axis(y1, y2, binsY, height, work)
    const count = Math.max(xs.grid * ys.grid, 1)
    for (const [by, rows] of ys.places.entries())
      for (const [bx, columns] of xs.places.entries())
        for (const y of rows)
          for (const x of columns) {
            if (x === undefined || y === undefined) continue
            const corners = [
              [y.p0, x.p0, (1 - y.t) * (1 - x.t)],
              [y.p0, x.p1, (1 - y.t) * x.t],
              [y.p1, x.p0, y.t * (1 - x.t)],
              [y.p1, x.p1, y.t * x.t],
            ] as const
            for (const [row, column, weight] of corners) {
              if (weight === 0) continue
              for (let c = 0; c < channels; c++) {
                const output = nhwc
                  ? ((box * binsY + by) * binsX + bx) * channels + c
                  : ((box * channels + c) * binsY + by) * binsX + bx
                const feature = nhwc
                  ? ((image * height + row) * width + column) * channels + c
                  : ((image * channels + c) * height + row) * width + column
                visit(output, feature, weight / count)
              }
            }
          }
  }
}

/** Writes output [boxes, binsY, binsX, c] or [boxes, c, binsY, binsX]. */
export function roiAlignForwardReference(work: RoiAlignWork & { output: Float32Array }): void {
  const sums = new Float64Array(work.output.length)
  forCorners(work, (output, feature, weight) => {
    sums[output] = (sums[output] as number) + weight * (work.features[feature] as number)
  })
  work.output.set(sums)
}

/** Writes the gradient of sum(gradient * output) for the features. */
export function roiAlignGradientReference(
  work: RoiAlignWork & { gradient: Float32Array; gradientFeatures: Float32Array },
): void {
  const sums = new Float64Array(work.gradientFeatures.length)
  forCorners(work, (output, feature, weight) => {
    sums[feature] = (sums[feature] as number) + weight * (work.gradient[output] as number)
  })
  work.gradientFeatures.set(sums)
}
