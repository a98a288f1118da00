import { checkInteger, invalidParameter } from '../check.js'
import { type Device, chooseDevice } from './addon.js'
import { checkArray, checkIntegers, checked } from './arrays.js'
import { MAX_ELEMENTS, checkFeatureMap, outputArray, runOn, runOnSync } from './feature_map.js'
import {
  type RoiAlignWork,
  roiAlignForwardReference,
  roiAlignGradientReference,
} from './reference/roi_align.js'

export interface RoiAlignInput {
  /** [n, h, w, c] or, for layout 'NCHW', [n, c, h, w]. Not read by the gradient: may then be empty. */
  features: Float32Array
  /** The sizes n, h, w, c, in this order for both layouts. */
  shape: readonly [n: number, h: number, w: number, c: number]
  /** [boxes, 4]: x1, y1, x2, y2 in frame pixels (edge coordinates), up to 1e6. */
  boxes: Float32Array
  /** [boxes]: which image each box is of. Default: all of image 0. */
  images?: Int32Array | undefined
  /** Bins of a box: [along y, along x], each 1 to 1024. */
  bins: readonly [y: number, x: number]
  /** Samples along each axis of a bin; 0 (default): as many as it has feature pixels, rounded up (at most 256). */
  samplingRatio?: number | undefined
  /** Frame pixels per feature pixel. */
  stride: number
  /** Default true: feature pixel centers are half a pixel from its edges. False: as before torchvision 0.6. */
  aligned?: boolean | undefined
  /** Default 'NHWC'. */
  layout?: 'NHWC' | 'NCHW' | undefined
}

export interface RoiAlignOptions {
  /** Default 'auto'. */
  device?: Device | undefined
  /** Written and returned when given; must share no bytes with the inputs. */
  out?: Float32Array | undefined
}

const MAX_GRID = 256

function prepare(input: RoiAlignInput): RoiAlignWork & { outputLength: number; featureLength: number } {
  const { length: featureLength, ...map } = checkFeatureMap(input)
  const { n, channels } = map
  const [binsY, binsX] = input.bins
  checkInteger('bins[0]', binsY, 1, 1024)
  checkInteger('bins[1]', binsX, 1, 1024)
  const samplingRatio = checkInteger('samplingRatio', input.samplingRatio ?? 0, 0, MAX_GRID)
  const boxes = checkArray('boxes', input.boxes, [Float32Array])
  const count = boxes.length / 4
  if (!Number.isInteger(count)) throw invalidParameter('boxes', 'Float32Array of length boxes * 4', boxes)
  const images = checkArray('images', input.images ?? new Int32Array(count), [Int32Array], count)
  const scale = 1 / input.stride
  checkIntegers('images', images, 0, n - 1)
  for (let i = 0; i < boxes.length; i++) {
    const value = boxes[i] as number
    if (!(Math.abs(value) <= 1e6)) throw invalidParameter(`boxes[${i}]`, 'number between -1e6 and 1e6', value)
    // x2 and y2: how large a bin is, in feature pixels.
    if (samplingRatio > 0 || i % 4 < 2) continue
    const size = (Math.abs(value - (boxes[i - 2] as number)) * scale) / (i % 4 === 2 ? binsX : binsY)
    if (size > MAX_GRID - 1)
      throw invalidParameter(`boxes[${i}]`, `bins of at most ${MAX_GRID - 1} feature pixels`, size)
  }
  const outputLength = count * binsY * binsX * channels
  if (outputLength > MAX_ELEMENTS)
    throw invalidParameter('boxes', 'at most 2^31 elements in the output', outputLength)
  return {
    features: input.features,
    boxes,
    images,
    ...map,
    binsX,
    binsY,
    samplingRatio,
    scale,
    aligned: input.aligned ?? true,
    outputLength,
    featureLength,
  }
}

function prepareForward(input: RoiAlignInput, options: RoiAlignOptions) {
  const work = prepare(input)
  checkArray('features', input.features, [Float32Array], work.featureLength)
  const { features, boxes, images, outputLength } = work
  const output = outputArray('out', options.out, outputLength, [features, boxes, images])
  return { ...work, output, device: chooseDevice(options.device) }
}

function prepareGradient(input: RoiAlignInput, gradient: Float32Array, options: RoiAlignOptions) {
  const work = prepare(input)
  checkArray('gradient', gradient, [Float32Array], work.outputLength)
  const { boxes, images, featureLength } = work
  const gradientFeatures = outputArray('out', options.out, featureLength, [gradient, boxes, images])
  return { ...work, gradient, gradientFeatures, device: chooseDevice(options.device) }
}

/**
 * ROI align as torchvision computes it: each box is cut into bins, each the mean of bilinear samples; samples more
 * than a pixel outside the image count as 0. Devices agree within 1e-5 of the largest magnitude. Runs off the event
 * loop.
 *
 * @returns [boxes, binsY, binsX, c] or, for 'NCHW', [boxes, c, binsY, binsX].
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export async function roiAlignForward(
  input: RoiAlignInput,
  options: RoiAlignOptions = {},
): Promise<Float32Array> {
  return (
    await runOn(
      'roiAlignForward',
      roiAlignForwardReference,
      checked('input', input, () => prepareForward(input, options)),
    )
  ).output
}

/** `roiAlignForward` on the calling thread. */
export function roiAlignForwardSync(input: RoiAlignInput, options: RoiAlignOptions = {}): Float32Array {
  return runOnSync(
    'roiAlignForward',
    roiAlignForwardReference,
    checked('input', input, () => prepareForward(input, options)),
  ).output
}

/**
 * The gradient of sum(gradient * roiAlignForward(input)) for the features. `gradient` is like the output. Runs off the
 * event loop.
 *
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export async function roiAlignGradient(
  input: RoiAlignInput,
  gradient: Float32Array,
  options: RoiAlignOptions = {},
): Promise<Float32Array> {
  const work = checked('input', input, () => prepareGradient(input, gradient, options))
  await runOn('roiAlignGradient', roiAlignGradientReference, work)
  return work.gradientFeatures
}

/** `roiAlignGradient` on the calling thread. */
export function roiAlignGradientSync(
  input: RoiAlignInput,
  gradient: Float32Array,
  options: RoiAlignOptions = {},
): Float32Array {
  const work = checked('input', input, () => prepareGradient(input, gradient, options))
  return runOnSync('roiAlignGradient', roiAlignGradientReference, work).gradientFeatures
}
