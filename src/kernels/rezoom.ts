import { invalidParameter } from '../check.js'
import { type Device, chooseDevice } from './addon.js'
import { checkArray, checked, toFloats } from './arrays.js'
import { MAX_ELEMENTS, MAX_SIZE, checkFeatureMap, outputArray, runOn, runOnSync } from './feature_map.js'
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

/** `out` is what the kernel writes and returns; without it new arrays. It must share no bytes with the inputs. */
export interface RezoomOptions<Out = Float32Array> {
  /** Default 'auto'. */
  device?: Device | undefined
  out?: Out | undefined
}

export interface RezoomGradients {
  /** Like the features. */
  features: Float32Array
  /** [n, b, 4], for cx, cy, w, h. */
  boxes: Float32Array
}

function prepare(input: RezoomInput): RezoomWork & { outputLength: number } {
  const { length, ...map } = checkFeatureMap(input)
  const { n, channels } = map
  const features = checkArray('features', input.features, [Float32Array], length)
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
    ...map,
    boxesPerImage,
    offsetsX,
    offsetsY,
    stride: input.stride,
    outputLength,
  }
}

function prepareForward(input: RezoomInput, options: RezoomOptions) {
  const work = prepare(input)
  const output = outputArray('out', options.out, work.outputLength, [work.features, work.boxes])
  return { ...work, output, device: chooseDevice(options.device) }
}

function prepareGradient(
  input: RezoomInput,
  gradient: Float32Array,
  { out, device }: RezoomOptions<RezoomGradients>,
) {
  const work = prepare(input)
  const { features, boxes, outputLength } = work
  checkArray('gradient', gradient, [Float32Array], outputLength)
  const inputs = [features, boxes, gradient]
  const gradientFeatures = outputArray('out.features', out?.features, features.length, inputs)
  const others = [...inputs, gradientFeatures]
  const gradientBoxes = outputArray('out.boxes', out?.boxes, boxes.length, others)
  return { ...work, gradient, gradientFeatures, gradientBoxes, device: chooseDevice(device) }
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
  return (
    await runOn(
      'rezoomForward',
      rezoomForwardReference,
      checked('input', input, () => prepareForward(input, options)),
    )
  ).output
}

/** `rezoomForward` on the calling thread. */
export function rezoomForwardSync(input: RezoomInput, options: RezoomOptions = {}): Float32Array {
  return runOnSync(
    'rezoomForward',
    rezoomForwardReference,
    checked('input', input, () => prepareForward(input, options)),
  ).output
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
  options: RezoomOptions<RezoomGradients> = {},
): Promise<RezoomGradients> {
  const work = checked('input', input, () => prepareGradient(input, gradient, options))
  await runOn('rezoomGradient', rezoomGradientReference, work)
  return { features: work.gradientFeatures, boxes: work.gradientBoxes }
}

/** `rezoomGradient` on the calling thread. */
export function rezoomGradientSync(
  input: RezoomInput,
  gradient: Float32Array,
  options: RezoomOptions<RezoomGradients> = {},
): RezoomGradients {
  const work = runOnSync(
    'rezoomGradient',
    rezoomGradientReference,
    checked('input', input, () => prepareGradient(input, gradient, options)),
  )
  return { features: work.gradientFeatures, boxes: work.gradientBoxes }
}
