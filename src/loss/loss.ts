import * as tf from '@tensorflow/tfjs'
import type { Hypes } from '../config/hypes.js'
import { peek, softmaxCrossEntropy } from '../engine/fused.js'
import { NoduleError } from '../errors.js'
import type { Outputs } from '../model/detector.js'
import { hungarianMatchSync } from '../kernels/index.js'
import type { Targets } from '../targets/targets.js'
import { absolute, boundedSquare, residualLoss } from './residuals.js'

/** What each slot should say, after the matching. m cells of all frames, r slots. */
export interface Matched {
  /** 1 where a true box is matched to the slot, else 0: [m, r]. */
  classes: Float32Array
  /** The matched true box, cell-relative cx, cy, w, h; 0 where there is none: [m, r, 4]. */
  boxes: Float32Array
}

/** The parts of the loss and their sum, scalars, each divided by the number of cells and weighted. */
export interface Loss {
  total: tf.Scalar
  /** Cross entropy of the first-stage confidences. */
  confidence: tf.Scalar
  /** L1 distance of the first-stage boxes, px; with relative_box_px in shares of the true size, times that. */
  box: tf.Scalar
  /** Cross entropy of the second-stage confidences; with use_rezoom. */
  rezoomConfidence?: tf.Scalar
  /** Squared distance of the corrected boxes likewise, at most 100 px^2 a coordinate; with reregress. */
  delta?: tf.Scalar
}

/** A residual beyond this many pixels costs no more and has no gradient. */
const DELTA_LIMIT = 10
/** "center": the predicted center is right within this share of the true size. */
const CENTER_TOLERANCE = 0.2
/** "iou": the predicted box is right from this IoU on. */
const IOU_TOLERANCE = 0.5

/**
 * Matches the predicted boxes of each cell to its true boxes at the lowest total cost
 * i + sum|delta| / 2000 + 100 * [IoU < hungarian_iou] (prediction i): a prediction takes the earliest slot that is near.
 * No gradient runs through it. Throws NoduleError (NUMERIC) for predictions that are not numbers.
 * (TensorBox cuts the boxes to whole pixels before it takes their IoU, and makes predicted ones at least 1 px wide:
 * of little weight for people's heads, but not for nodules of 5 px.)
 * @param predictions [m, r, 4] cell-relative
 */
export function matchBoxes(predictions: Float32Array, targets: Targets, hypes: Hypes): Matched {
  const slots = hypes.rnn_len
  const bad = predictions.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) {
    throw new NoduleError(
      'NUMERIC',
      'a predicted box is not finite (a lower solver.learning_rate may help)',
      {
        expected: 'finite numbers',
        actual: String(predictions[bad]),
      },
    )
  }
  const { assignment } = hungarianMatchSync({
    predictions,
    truths: targets.boxes,
    counts: targets.counts,
    p: slots,
    t: slots,
    minIou: hypes.solver.hungarian_iou,
  })
  const matched: Matched = {
    classes: new Float32Array(assignment.length),
    boxes: new Float32Array(assignment.length * 4),
  }
  for (let slot = 0; slot < assignment.length; slot++) {
    if (assignment[slot]! < 0) continue
    const truth = Math.floor(slot / slots) * slots + assignment[slot]!
    matched.classes[slot] = 1
    matched.boxes.set(targets.boxes.subarray(truth * 4, truth * 4 + 4), slot * 4)
  }
  return matched
}

/**
 * Whether the second stage should call a slot a nodule, [m, r]: the slot is matched and its first-stage box is right
 * as rezoom_change_loss defines it.
 */
export function rezoomClasses(predictions: Float32Array, matched: Matched, hypes: Hypes): Float32Array {
  const mode = hypes.rezoom_change_loss
  if (mode === 'none') return matched.classes
  return matched.classes.map((flag, slot) => {
    if (flag === 0) return 0
    const [px, py, pw, ph] = predictions.subarray(slot * 4, slot * 4 + 4) as unknown as Quad
    const [tx, ty, tw, th] = matched.boxes.subarray(slot * 4, slot * 4 + 4) as unknown as Quad
    if (mode === 'center') {
      const dx = (tx - px) / Math.max(tw, 1)
      const dy = (ty - py) / Math.max(th, 1)
      return dx * dx + dy * dy < CENTER_TOLERANCE ** 2 ? 1 : 0
    }
    // As in TensorBox, both boxes are at least a pixel wide and high.
    const [w, h, trueW, trueH] = [pw, ph, tw, th].map((size) => Math.max(1, size)) as Quad
    const width = Math.max(0, Math.min(px + w / 2, tx + trueW / 2) - Math.max(px - w / 2, tx - trueW / 2))
    const height = Math.max(0, Math.min(py + h / 2, ty + trueH / 2) - Math.max(py - h / 2, ty - trueH / 2))
    const shared = width * height
    return shared / (w * h + trueW * trueH - shared) > IOU_TOLERANCE ? 1 : 0
  })
}
type Quad = [number, number, number, number]

/** The loss of a forward pass; differentiable. Throws NoduleError (NUMERIC) where the predictions are not numbers. */
export function computeLoss(outputs: Outputs, targets: Targets, hypes: Hypes): Loss & { matched: Matched } {
  const [n, g] = outputs.boxes.shape
  const m = n * g
  const [confidenceWeight, boxWeight] = hypes.solver.head_weights as [number, number]
  const [rezoomWeight, deltaWeight] = hypes.solver.rezoom_weights as [number, number]
  const predictions = outputs.boxes.dataSync() as Float32Array
  const matched = matchBoxes(predictions, targets, hypes)
  const goals = { truths: matched.boxes, weights: residualWeights(matched, hypes.solver.relative_box_px) }

  const entropy = (logits: tf.Tensor, classes: Float32Array, factor: number): tf.Scalar =>
    crossEntropy(logits, classes, slotWeights(logits, classes, targets, hypes), factor)
  const confidence = entropy(outputs.logits, matched.classes, confidenceWeight / m)
  const box = residualLoss(outputs.boxes, goals, absolute, boxWeight / m)
  const first = { confidence, box, matched }
  if (outputs.rezoomLogits === undefined) return { ...first, total: tf.add(confidence, box) }

  const right = rezoomClasses(predictions, matched, hypes)
  const rezoomConfidence = entropy(outputs.rezoomLogits, right, (confidenceWeight * rezoomWeight) / m)
  const second = { ...first, rezoomConfidence }
  if (outputs.deltas === undefined) return { ...second, total: tf.addN([confidence, box, rezoomConfidence]) }

  const corrected = tf.add(outputs.boxes, outputs.deltas)
  const delta = residualLoss(corrected, goals, boundedSquare(DELTA_LIMIT ** 2), (boxWeight * deltaWeight) / m)
  return { ...second, delta, total: tf.addN([confidence, box, rezoomConfidence, delta]) }
}

/**
 * What a residual of each coordinate counts, [m, r, 4]: 0 where no box is matched, else 1, or `relative` over the true
 * width (cx, w) or height (cy, h): IoU asks the same precision of a small box, in shares of its size, as of a large one.
 */
function residualWeights({ classes, boxes }: Matched, relative: number): Float32Array {
  const weights = new Float32Array(boxes.length)
  for (let at = 0; at < boxes.length; at++)
    if (classes[at >> 2] === 1) weights[at] = relative === 0 ? 1 : relative / Math.max(1, boxes[at | 2]!)
  return weights
}

/**
 * What the confidence of each slot weighs, [m * r]: 0 in ignored cells, else (1 - p of the right class) ^ focal_gamma
 * (Lin et al., arXiv 1708.02002; here a constant, through which no gradient runs). Undefined: all weigh 1.
 */
function slotWeights(
  logits: tf.Tensor,
  classes: Float32Array,
  targets: Targets,
  hypes: Hypes,
): Float32Array | undefined {
  const gamma = hypes.solver.focal_gamma
  if (gamma === 0 && !targets.ignored.includes(1)) return undefined
  const values = peek(logits)
  const count = logits.shape.at(-1)!
  return classes.map((right, slot) => {
    if (targets.ignored[Math.floor(slot / hypes.rnn_len)] === 1) return 0
    if (gamma === 0) return 1
    let sum = 0
    for (let k = 0; k < count; k++) sum += Math.exp(values[slot * count + k]! - values[slot * count + right]!)
    return (1 - 1 / sum) ** gamma
  })
}

/** Summed cross entropy of logits [..., classes] against class numbers [...], each slot with its weight times `factor`. */
function crossEntropy(
  logits: tf.Tensor,
  classes: Float32Array,
  weights: Float32Array | undefined,
  factor: number,
): tf.Scalar {
  const count = logits.shape.at(-1)!
  const wanted = new Float32Array(classes.length * count)
  for (let i = 0; i < classes.length; i++) wanted[i * count + classes[i]!] = 1
  const scaled = classes.map((_, slot) => Math.fround(factor) * (weights?.[slot] ?? 1))
  return softmaxCrossEntropy(logits, tf.tensor(wanted, logits.shape), scaled)
}

/**
 * Share of all slots whose final confidence agrees with the matching: above 1/2 where a true box was matched.
 * (TensorBox compares slot 0 only, before the matching.)
 */
export function matchedAccuracy(confidences: ArrayLike<number>, matched: Matched): number {
  let right = 0
  for (let i = 0; i < matched.classes.length; i++)
    if (confidences[i]! > 0.5 === (matched.classes[i] === 1)) right++
  return matched.classes.length === 0 ? 1 : right / matched.classes.length
}
