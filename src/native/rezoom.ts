import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import { type Device, chooseDevice, runKernel, runKernelSync } from './addon.js'
import { checkArray, toFloats } from './arrays.js'
import { type RezoomWork, rezoomForwardReference, rezoomGradientReference } from './reference/rezoom.js'

export interface RezoomInput {
  /** [n, h, w, c] or, for layout 'NCHW', [n, c, h, w]. */
  features: Float32Array
  /** The sizes n, h, w, c, in this order for both layouts. */
  shape: readonly [n: number, h: number, w: number, c: number]
  /** [n, b, 4]: cx, cy, w, h, absolute, in frame pixels. */
  boxes: Float32Array
  /** Samples are every pair (y outer, x inner), as fractions of w and h; 1 to 64 numbers; used as float32. */
  offsetsX: ArrayLike<number>
  offsetsY: ArrayLike<number>
  /** Frame pixels per feature pixel. */
  stride: number
  /** Default 'NHWC'. */
  layout?: 'NHWC' | 'NCHW' | undefined
}

export interface RezoomOptions {
  /** Default 'auto'. */
  device?: Device | undefined
}

export interface RezoomGradients {
  /** Like the features. */
  features: Float32Array
  /** [n, b, 4], for cx, cy, w, h. */
  boxes: Float32Array
}

const MAX_SIZE = 2 ** 20
const MAX_ELEMENTS = 2 ** 31

function prepare(input: RezoomInput): RezoomWork & { outputLength: number } {
  if (!Array.isArray(input.shape) || input.shape.length !== 4)
    throw invalidParameter('shape', 'four sizes [n, h, w, c]', input.shape)
  const [n, height, width, channels] = input.shape as [number, number, number, number]
  checkInteger('shape[0]', n, 0, MAX_SIZE)
  checkInteger('shape[1]', height, 1, MAX_SIZE)
  checkInteger('shape[2]', width, 1, MAX_SIZE)
  checkInteger('shape[3]', channels, 0, MAX_SIZE)
  const layout = input.layout ?? 'NHWC'
  if (layout !== 'NHWC' && layout !== 'NCHW') throw invalidParameter('layout', "'NHWC' or 'NCHW'", layout)
  checkNumber('stride', input.stride, 1e-6, 1e6)
  if (n * height * width * channels > MAX_ELEMENTS)
    throw invalidParameter('shape', 'at most 2^31 elements', input.shape)
  const features = checkArray('features', input.features, [Float32Array], n * height * width * channels)
  const boxes = checkArray('boxes', input.boxes, [Float32Array])
  const boxesPerImage = n === 0 ? 0 : boxes.length / 4 / n
  if (!Number.isInteger(boxesPerImage) || boxesPerImage > MAX_SIZE || (n === 0 && boxes.length > 0))
    throw invalidParameter('boxes', `Float32Array of length ${n} * boxes * 4`, boxes)
  const offsetsX = toFloats('offsetsX', input.offsetsX, 1, 64)
  const offsetsY = toFloats('offsetsY', input.offsetsY, 1, 64)
  const outputLength = n * boxesPerImage * offsetsX.length * offsetsY.length * channels
  if (outputLength > MAX_ELEMENTS)
    throw invalidParameter('boxes', 'at most 2^31 elements in the output', outputLength)
  return {
    features,
    boxes,
    n,
    height,
    width,
    channels,
    boxesPerImage,
    nhwc: layout === 'NHWC',
    offsetsX,
    offsetsY,
    stride: input.stride,
    outputLength,
  }
}

function prepareForward(input: RezoomInput, options: RezoomOptions) {
  const work = prepare(input)
  return { ...work, output: new Float32Array(work.outputLength), device: chooseDevice(options.device) }
}

function prepareGradient(input: RezoomInput, gradient: Float32Array, options: RezoomOptions) {
  const work = prepare(input)
  checkArray('gradient', gradient, [Float32Array], work.outputLength)
  return {
    ...work,
    gradient,
    gradientFeatures: new Float32Array(work.features.length),
    gradientBoxes: new Float32Array(work.boxes.length),
    device: chooseDevice(options.device),
  }
}

/**
 * Samples the feature map at offsets around each box. A sample's position in feature pixels, whose centers are whole
 * numbers, is fx = (cx + ox * w) / stride - 0.5, clamped to [0, W - 1] (fy likewise); its value is bilinear.
 * Devices agree within 1e-5 of the largest magnitude. Runs off the event loop.
 *
 * @returns [n, b, samples * c], samples outer, in both layouts.
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export async function rezoomForward(input: RezoomInput, options: RezoomOptions = {}): Promise<Float32Array> {
  const work = prepareForward(input, options)
  if (work.device === 'reference') rezoomForwardReference(work)
  else await runKernel('rezoomForward', work)
  return work.output
}

/** `rezoomForward` on the calling thread. */
export function rezoomForwardSync(input: RezoomInput, options: RezoomOptions = {}): Float32Array {
  const work = prepareForward(input, options)
  if (work.device === 'reference') rezoomForwardReference(work)
  else runKernelSync('rezoomForward', work)
  return work.output
}

/**
 * The gradients of sum(gradient * rezoomForward(input)) for the features and for cx, cy, w, h of the boxes. A clamped
 * coordinate gives no gradient to its box. `gradient`: [n, b, samples * c]. Runs off the event loop.
 *
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export async function rezoomGradient(
  input: RezoomInput,
  gradient: Float32Array,
  options: RezoomOptions = {},
): Promise<RezoomGradients> {
  const work = prepareGradient(input, gradient, options)
  if (work.device === 'reference') rezoomGradientReference(work)
  else await runKernel('rezoomGradient', work)
  return { features: work.gradientFeatures, boxes: work.gradientBoxes }
}

/** `rezoomGradient` on the calling thread. */
export function rezoomGradientSync(
  input: RezoomInput,
  gradient: Float32Array,
  options: RezoomOptions = {},
): RezoomGradients {
  const work = prepareGradient(input, gradient, options)
  if (work.device === 'reference') rezoomGradientReference(work)
  else runKernelSync('rezoomGradient', work)
  return { features: work.gradientFeatures, boxes: work.gradientBoxes }
}
