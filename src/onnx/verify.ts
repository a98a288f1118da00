import * as tf from '@tensorflow/tfjs'
import * as ort from 'onnxruntime-node'
import type { Hypes } from '../config/hypes.js'
import { NoduleError } from '../errors.js'
import { createDetector } from '../model/detector.js'
import { createRandom } from '../random.js'
import { takesAnyFrame, withFrame } from './frame_size.js'
import { restoreVariables } from '../checkpoints/checkpoint.js'
import { toPlanes } from './planes.js'

/** Largest difference that a verified export may show, relative to the output's scale. */
export const EXPORT_TOLERANCE = 1e-4

export interface Verification {
  /** Largest absolute difference of the boxes, frame pixels, and how far the farthest edge is from its cell's center. */
  boxes: { difference: number; scale: number }
  /** The same for the confidences; see `confidenceScale`. */
  confidences: { difference: number; scale: number }
  /** Frames that were compared. */
  frames: number
  /** The tfjs backend that gave the reference. */
  engine: string
}

/**
 * Runs the exported bytes in onnxruntime and the checkpoint in tfjs on the same frames: noise, a smooth pattern, and
 * those that are given; a model that takes any frame also on noise and a pattern of another size.
 *
 * @param tensors of the checkpoint, `model/...`
 * @param frames gray levels [n, height, width, channels], e.g. frames of a data set
 * @throws NoduleError (NUMERIC) where an output differs by more than EXPORT_TOLERANCE of its scale, or is no number
 */
export async function verifyExport(
  bytes: Uint8Array,
  hypes: Hypes,
  tensors: Parameters<typeof restoreVariables>[1],
  path: string,
  frames: readonly Uint8Array[] = [],
): Promise<Verification> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 })
  const result: Verification = {
    boxes: { difference: 0, scale: 0 },
    confidences: { difference: 0, scale: 1 },
    frames: 0,
    engine: tf.getBackend(),
  }
  const other = { width: OTHER_CELLS.x * hypes.region_size, height: OTHER_CELLS.y * hypes.region_size }
  try {
    await compareFrames(session, hypes, tensors, path, frames, result)
    if (takesAnyFrame(hypes)) await compareFrames(session, withFrame(hypes, other), tensors, path, [], result)
  } finally {
    await session.release()
  }
  return result
}

/** Cells of the other frame: small and of another form than any in use. */
const OTHER_CELLS = { x: 5, y: 7 }

/** Compares frames of the size that the hypes say, and adds to the result. */
async function compareFrames(
  session: ort.InferenceSession,
  hypes: Hypes,
  tensors: Parameters<typeof restoreVariables>[1],
  path: string,
  frames: readonly Uint8Array[],
  result: Verification,
): Promise<void> {
  const detector = createDetector(hypes, 0, { draw: false })
  // Adding the cell's center costs a box the low bits that it has beside it: not an error of the export.
  const rounding = 2 ** -21 * Math.max(hypes.image_width, hypes.image_height)
  const compare = (name: 'boxes' | 'confidences', expected: Float32Array, actual: Float32Array): void => {
    const part = result[name]
    part.difference = Math.max(part.difference, largestDifference(expected, actual))
    if (name === 'boxes') part.scale = Math.max(part.scale, farthestEdge(expected, hypes))
    const tolerance = EXPORT_TOLERANCE * part.scale + (name === 'boxes' ? rounding : 0)
    if (expected.length === actual.length && part.difference <= tolerance) return
    throw new NoduleError('NUMERIC', `the exported model computes other ${name} than the checkpoint`, {
      path,
      expected: `difference up to ${tolerance.toExponential(1)} (tfjs backend ${result.engine})`,
      actual: String(part.difference),
    })
  }
  try {
    restoreVariables(detector.weights, tensors, 'model/', path)
    const { image_height: height, image_width: width } = hypes
    const { channels } = hypes.data
    for (const frame of [...syntheticFrames(height, width, channels), ...frames]) {
      const expected = tf.tidy(() => {
        const input = tf.tensor4d(Float32Array.from(frame), [1, height, width, channels])
        const outputs = detector.forward(input, { training: false })
        const { boxes, confidences } = detector.decode(outputs)
        const logits = (outputs.rezoomLogits ?? outputs.logits).dataSync() as Float32Array
        result.confidences.scale = Math.max(result.confidences.scale, confidenceScale(logits))
        return {
          boxes: boxes.dataSync() as Float32Array,
          confidences: confidences.dataSync() as Float32Array,
        }
      })
      const input = new ort.Tensor('uint8', toPlanes(frame, channels), [1, channels, height, width])
      const actual = await runVerified(session, { frames: input }, path)
      compare('boxes', expected.boxes, actual['boxes']!.data as Float32Array)
      compare('confidences', expected.confidences, actual['confidences']!.data as Float32Array)
      result.frames++
    }
  } finally {
    detector.dispose()
  }
}

/** One run. Throws NoduleError (NUMERIC) where it fails, as with weights that make what is no number of a place. */
export async function runVerified(
  session: ort.InferenceSession,
  inputs: Record<string, ort.Tensor>,
  path: string,
): Promise<ort.InferenceSession.OnnxValueMapType> {
  try {
    return await session.run(inputs)
  } catch (error) {
    throw new NoduleError('NUMERIC', 'the exported model cannot be run', {
      path,
      actual: error instanceof Error ? error.message : String(error),
      cause: error,
    })
  }
}

/**
 * A logit carries rounding errors of up to this part of itself: 4e-6 were measured behind ResNet-101. They are rounding,
 * not another graph: the exported ResNet-101 of overfeat_resnet_rezoom with batch norms that amplify every error, computed
 * in float64 (onnx.reference), lies 3e-3 of a confidence from onnxruntime and 9e-3 from tfjs, which are 8e-3 apart.
 */
const LOGIT_ERROR = 1e-5
/** So that no tolerance exceeds 0.01. */
const MAX_SCALE = 100

/**
 * The scale of confidences: 1, or more where the logits are large, as those of deep backbones are. A confidence moves by
 * at most a quarter of what the difference of its two logits does, and that is known up to LOGIT_ERROR of itself.
 * @param logits [..., 2]
 */
export function confidenceScale(logits: Float32Array): number {
  let largest = 0
  for (let i = 0; i + 1 < logits.length; i += 2)
    largest = Math.max(largest, Math.abs(logits[i + 1]! - logits[i]!))
  return Math.min(MAX_SCALE, Math.max(1, (largest * LOGIT_ERROR) / 4 / EXPORT_TOLERANCE))
}

/** NaN in either counts as an infinite difference. */
function largestDifference(expected: Float32Array, actual: Float32Array): number {
  let difference = 0
  expected.forEach((value, index) => {
    const apart = Math.abs(value - actual[index]!)
    difference = Math.max(difference, Number.isNaN(apart) ? Infinity : apart)
  })
  return difference
}

/** The largest distance of an edge from the center of its box's cell: the scale of what the network says. */
function farthestEdge(boxes: Float32Array, hypes: Hypes): number {
  const { grid_width: width, rnn_len: slots, region_size: size } = hypes
  return boxes.reduce((farthest, value, index) => {
    const cell = Math.floor(index / (4 * slots)) % (width * hypes.grid_height)
    const center = ((index % 2 === 0 ? cell % width : Math.floor(cell / width)) + 0.5) * size
    return Math.max(farthest, Math.abs(value - center))
  }, 0)
}

/** Noise, and a smooth pattern: [height, width, channels] each. */
export function syntheticFrames(height: number, width: number, channels: number): Uint8Array[] {
  const random = createRandom(20170)
  const noise = Uint8Array.from({ length: height * width * channels }, () => random.integer(256))
  const smooth = Uint8Array.from({ length: height * width * channels }, (_, index) => {
    const x = Math.floor(index / channels) % width
    const y = Math.floor(index / channels / width)
    return 128 + 60 * Math.sin(x / 17 + (index % channels)) + 60 * Math.cos(y / 11)
  })
  return [noise, smooth]
}
