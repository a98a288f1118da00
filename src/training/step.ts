import * as tf from '@tensorflow/tfjs'
import type { EdgeBox } from '../geometry/box.js'
import type { RawFrame } from '../inference/raw_frame.js'
import { computeLoss, matchedAccuracy } from '../loss/loss.js'
import type { Loss } from '../loss/loss.js'
import { confidencesOf } from '../model/detector.js'
import type { Detector } from '../model/detector.js'
import { buildTargets } from '../targets/targets.js'
import { gradientStep } from './gradient_step.js'
import type { Observe, StepPlace } from './gradient_step.js'
import type { Optimizer } from './optimizer.js'

/** Frames with their true boxes, as dataset/batches yields them. */
export interface Examples {
  /** Gray levels 0..255, [n, image_height, image_width, data.channels]. */
  frames: Float32Array
  /** True boxes of each frame, frame pixels. */
  boxes: readonly (readonly EdgeBox[])[]
  /** Places of each frame that are neither right nor wrong. */
  excluded?: readonly (readonly EdgeBox[])[]
}

/** The loss and its weighted parts as numbers; see loss/index.ts. */
export interface LossParts {
  loss: number
  confidence: number
  box: number
  rezoomConfidence?: number
  delta?: number
}

export interface StepResult extends LossParts {
  /** Share of the slots that agree with the matching, in [0, 1]. */
  accuracy: number
  /** Global norm of the gradients before the clipping. */
  gradientNorm: number
}

/**
 * One training step: forward, matching, loss, backward, clipping, weights and averages moved; see `gradientStep`.
 * Throws NoduleError (NUMERIC) where loss or gradients are not finite; the weights are then unchanged.
 * @param examples one batch, or several whose gradients are averaged
 */
export function trainStep(
  detector: Detector,
  optimizer: Optimizer,
  examples: Examples | readonly Examples[],
  place: StepPlace,
): StepResult {
  const { hypes } = detector
  const deltas: Float32Array[] = []
  const result = gradientStep(detector, optimizer, [examples].flat(), place, (batch, step) => {
    const frames = frameTensor(detector, batch)
    const { statistics, ...outputs } = detector.forward(frames, { training: true, step })
    const targets = buildTargets(batch.boxes, hypes, batch.excluded)
    const loss = computeLoss({ ...outputs, statistics }, targets, hypes)
    const confidences = tf.tidy(() => confidencesOf(outputs).dataSync())
    if (place.observe !== undefined && outputs.deltas !== undefined) deltas.push(firstDeltas(outputs.deltas))
    const accuracy = matchedAccuracy(confidences, loss.matched)
    return { loss: loss.total, statistics, numbers: { ...readParts(loss), accuracy } }
  })
  if (place.observe !== undefined) observeDeltas(place.observe, 'train', deltas)
  return result
}

/** The corrections of the first slots, px: x, y, w, h of each cell. */
function firstDeltas(deltas: tf.Tensor4D): Float32Array {
  const slots = deltas.shape[2]
  const values = deltas.dataSync()
  return Float32Array.from(
    { length: values.length / slots },
    (_, n) => values[Math.floor(n / 4) * slots * 4 + (n % 4)]!,
  )
}

/** TensorBox's histograms of them, of all batches of a step together. */
function observeDeltas(observe: Observe, phase: 'train' | 'test', deltas: readonly Float32Array[]): void {
  if (deltas.length === 0) return
  for (const [axis, name] of ['x', 'y', 'w', 'h'].entries())
    observe(
      `${phase}/delta_hist0_${name}`,
      deltas.flatMap((values) => Array.from({ length: values.length / 4 }, (_, n) => values[4 * n + axis]!)),
    )
}

export interface TestResult extends LossParts {
  /** Share of the slots that agree with the matching, in [0, 1]. */
  accuracy: number
  /** What the model says about the frames, before the stitching. */
  raw: RawFrame
}

/** Loss and accuracy of the model as it is used: moving averages, no dropout. */
export function testStep(detector: Detector, examples: Examples, observe?: Observe): TestResult {
  return tf.tidy(() => {
    const outputs = detector.forward(frameTensor(detector, examples), { training: false })
    const targets = buildTargets(examples.boxes, detector.hypes, examples.excluded)
    const loss = computeLoss(outputs, targets, detector.hypes)
    const decoded = detector.decode(outputs)
    if (observe !== undefined && outputs.deltas !== undefined)
      observeDeltas(observe, 'test', [firstDeltas(outputs.deltas)])
    const boxes = decoded.boxes.dataSync() as Float32Array
    const confidences = decoded.confidences.dataSync() as Float32Array
    return {
      ...readParts(loss),
      accuracy: matchedAccuracy(confidences, loss.matched),
      raw: { boxes, confidences },
    }
  })
}

function frameTensor({ hypes }: Detector, { frames, boxes }: Examples): tf.Tensor4D {
  return tf.tensor4d(frames, [boxes.length, hypes.image_height, hypes.image_width, hypes.data.channels])
}

function readParts(loss: Loss): LossParts {
  const read = (scalar: tf.Scalar): number => scalar.dataSync()[0]!
  return {
    loss: read(loss.total),
    confidence: read(loss.confidence),
    box: read(loss.box),
    ...(loss.rezoomConfidence === undefined ? {} : { rezoomConfidence: read(loss.rezoomConfidence) }),
    ...(loss.delta === undefined ? {} : { delta: read(loss.delta) }),
  }
}
