import * as tf from '@tensorflow/tfjs'
import { NoduleError } from '../errors.js'
import type { EdgeBox } from '../geometry/box.js'
import { computeLoss, matchedAccuracy } from '../loss/loss.js'
import type { Loss } from '../loss/loss.js'
import type { BatchStatistics } from '../model/backbone.js'
import type { Detector } from '../model/detector.js'
import { buildTargets } from '../targets/targets.js'
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
  /** Global norm of the gradients before the clipping. */
  gradientNorm: number
}

/**
 * One training step: forward, matching, loss, backward, clipping, weights and averages moved.
 * Throws NoduleError (NUMERIC) where loss or gradients are not finite; the weights are then unchanged.
 */
export function trainStep(
  detector: Detector,
  optimizer: Optimizer,
  examples: Examples,
  o: { step: number; learningRate: number },
): StepResult {
  const { hypes, weights } = detector
  const targets = buildTargets(examples.boxes, hypes, examples.excluded)
  const trainable = [...weights].filter(([, variable]) => variable.trainable)
  const frames = frameTensor(detector, examples)
  let statistics: BatchStatistics[] = []
  let parts: LossParts | undefined
  try {
    const { value, grads } = tf.variableGrads(
      () => {
        const outputs = detector.forward(frames, { training: true, step: o.step })
        statistics = outputs.statistics
        const loss = computeLoss(outputs, targets, hypes)
        parts = readParts(loss)
        if (!Number.isFinite(parts.loss)) throw notFinite(o.step, parts)
        return loss.total
      },
      trainable.map(([, variable]) => variable),
    )
    value.dispose()
    try {
      const gradients = new Map<string, tf.Tensor>()
      for (const [name, variable] of trainable) {
        const gradient = grads[variable.name]
        if (gradient != null) gradients.set(name, gradient)
      }
      const gradientNorm = optimizer.apply(gradients, o.learningRate, o.step)
      detector.updateAverages(statistics)
      statistics = []
      return { ...parts!, gradientNorm }
    } finally {
      tf.dispose(grads)
    }
  } finally {
    frames.dispose()
    tf.dispose(statistics.flatMap(({ mean, variance }) => [mean, variance]))
  }
}

/** Loss and accuracy of the model as it is used: moving averages, no dropout. */
export function testStep(detector: Detector, examples: Examples): LossParts & { accuracy: number } {
  return tf.tidy(() => {
    const outputs = detector.forward(frameTensor(detector, examples), { training: false })
    const loss = computeLoss(
      outputs,
      buildTargets(examples.boxes, detector.hypes, examples.excluded),
      detector.hypes,
    )
    const { confidences } = detector.decode(outputs)
    return { ...readParts(loss), accuracy: matchedAccuracy(confidences.dataSync(), loss.matched) }
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

function notFinite(step: number, parts: LossParts): NoduleError {
  const bad = Object.entries(parts).filter(([, value]) => !Number.isFinite(value))
  return new NoduleError('NUMERIC', 'the loss is not finite (a lower solver.learning_rate may help)', {
    place: `step ${step}`,
    expected: 'finite numbers',
    actual: bad.map(([name, value]) => `${name} ${value}`).join(', '),
  })
}
