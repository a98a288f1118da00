import { checkList, checkNumber, checkObject, invalidParameter } from '../../check.js'
import { GrowingMatch, isOnExcluded } from './match.js'
import { pairImages } from './pairs.js'
import {
  averagePrecision,
  bestF1,
  elevenPointAveragePrecision,
  precisionAtRecall,
  recallAtPrecision,
} from './precision_recall.js'
import type { CurvePoint, OperatingPoint } from './precision_recall.js'
import type { EvaluatedEntry, ImagePair, PairOptions } from './pairs.js'

export interface SliceOptions extends PairOptions {
  /** A detection may be matched to a true box at this intersection over union or more. */
  iou?: number | undefined
}

export interface SliceEvaluation {
  format: 'nodule-evaluation/1'
  kind: 'slices'
  iou: number
  minScore: number | null
  images: number
  /** Images with at least one true box. */
  imagesWithTruth: number
  truthBoxes: number
  detections: number
  /** All detections that the options let through, at the lowest threshold. */
  counts: {
    tp: number
    fp: number
    fn: number
    /** Detections on findings that count neither way. */
    ignored: number
    precision: number | null
    recall: number | null
  }
  /** Area under the precision-recall curve, all points; null without true boxes. */
  ap: number | null
  /** Pascal VOC's 11-point AP. */
  ap11: number | null
  bestF1: (CurvePoint & { f1: number }) | null
  recallAtPrecision: OperatingPoint[]
  precisionAtRecall: OperatingPoint[]
  /** One point per distinct score, the highest first. */
  curve: CurvePoint[]
  warnings: string[]
}

const TARGETS = [0.5, 0.6, 0.7, 0.735, 0.8, 0.9, 0.95]
const RECALL_TARGETS = [0.3, 0.5, 0.6, 0.695, 0.7, 0.8, 0.9]

/**
 * TensorBox's slice-level protocol: as the score threshold falls, detections are matched to the true boxes of their
 * image by maximum flow at IoU >= `iou`; matched detections are true positives, the others false positives, true
 * boxes without a detection misses. Detections of equal score enter together.
 *
 * @param truth list entries with the true boxes, pixels
 * @param predictions list entries with scored boxes in the same pixels
 * Throws NoduleError as `pairImages` does. Source: TensorBox utils/annolist/doRPC.py.
 */
export function evaluateSlices(
  truth: readonly EvaluatedEntry[],
  predictions: readonly EvaluatedEntry[],
  options: SliceOptions = {},
): SliceEvaluation {
  checkList('truth', truth)
  checkList('predictions', predictions)
  checkObject('options', options)
  const { images, warnings } = pairImages(truth, predictions, options)
  return evaluatePairs(images, options, warnings)
}

/** `evaluateSlices` on images that are brought together already. */
export function evaluatePairs(
  images: readonly ImagePair[],
  options: { iou?: number | undefined; minScore?: number | undefined } = {},
  warnings: readonly string[] = [],
): SliceEvaluation {
  const minIou = checkNumber('iou', options.iou ?? 0.5, 1e-6, 1)
  const truthBoxes = images.reduce((sum, image) => sum + image.truth.length, 0)
  const curve = sliceCurve(images, minIou)
  const last = curve.at(-1)
  const detections = images.reduce((sum, image) => sum + image.detections.length, 0)
  return {
    format: 'nodule-evaluation/1',
    kind: 'slices',
    iou: minIou,
    minScore: options.minScore ?? null,
    images: images.length,
    imagesWithTruth: images.filter((image) => image.truth.length > 0).length,
    truthBoxes,
    detections,
    counts: {
      tp: last?.tp ?? 0,
      fp: last?.fp ?? 0,
      fn: last?.fn ?? truthBoxes,
      ignored: detections - (last?.tp ?? 0) - (last?.fp ?? 0),
      precision: last?.precision ?? null,
      recall: last === undefined ? (truthBoxes > 0 ? 0 : null) : last.recall,
    },
    ap: truthBoxes > 0 ? averagePrecision(curve) : null,
    ap11: truthBoxes > 0 ? elevenPointAveragePrecision(curve) : null,
    bestF1: bestF1(curve),
    recallAtPrecision: TARGETS.map((target) => recallAtPrecision(curve, target)),
    precisionAtRecall: RECALL_TARGETS.map((target) => precisionAtRecall(curve, target)),
    curve,
    warnings: [...warnings],
  }
}

interface Entering {
  image: number
  detection: number
  score: number
}

function byFallingScore(images: readonly ImagePair[], tiesReversed = false): Entering[] {
  const all = images.flatMap((image, index) =>
    image.detections
      .map((box, detection) => ({ image: index, detection, score: box.score }))
      .sort((a, b) => b.score - a.score),
  )
  return tiesReversed
    ? all.sort((a, b) => a.score - b.score).reverse()
    : all.sort((a, b) => b.score - a.score)
}

/** The precision-recall curve: one point per distinct score, from the highest down. */
export function sliceCurve(images: readonly ImagePair[], minIou: number): CurvePoint[] {
  checkNumber('iou', minIou, 1e-6, 1)
  const truthBoxes = images.reduce((sum, image) => sum + image.truth.length, 0)
  const matches = images.map((image) => new GrowingMatch(image.truth, image.detections, minIou))
  const order = byFallingScore(images)
  const curve: CurvePoint[] = []
  let tp = 0
  let kept = 0
  for (const [index, { image, detection, score }] of order.entries()) {
    const { detections, excluded } = images[image]!
    if (matches[image]!.add(detection)) {
      tp++
      kept++
    } else if (!isOnExcluded(detections[detection]!, excluded, minIou)) kept++
    if (order[index + 1]?.score === score || kept === 0) continue
    curve.push({
      threshold: score,
      precision: tp / kept,
      recall: truthBoxes > 0 ? tp / truthBoxes : null,
      tp,
      fp: kept - tp,
      fn: truthBoxes - tp,
    })
  }
  return curve
}

/** One row of the text file that TensorBox's doRPC.py writes. */
export interface TensorBoxPoint {
  precision: number
  recall: number
  score: number
  /** False positives per image. */
  fppi: number
}

/**
 * The curve with the points that TensorBox's doRPC.py records: (1, 0) first, then the point before and the point
 * after each change of the graph, and every detection of a tie while there is no false positive. It draws the same
 * line as `sliceCurve` with other points on it; for comparing with files of the reference.
 *
 * One difference stays: the reference's flow graph has undirected edges, so that where one detection overlaps three
 * or more true boxes it can count more hits than detections that fit (a third detection's unit of flow passes
 * through it). Here a detection counts for the box that it is matched to. True boxes that do not overlap each other
 * cannot show it at IoU >= 0.5.
 */
export function tensorBoxCurve(images: readonly ImagePair[], minIou: number): TensorBoxPoint[] {
  checkNumber('iou', minIou, 1e-6, 1)
  const truthBoxes = images.reduce((sum, image) => sum + image.truth.length, 0)
  const matches = images.map((image) => new GrowingMatch(image.truth, image.detections, minIou))
  // doRPC.py sorts upwards and reverses, which turns ties around.
  const order = byFallingScore(images, true)
  const points: TensorBoxPoint[] = [{ precision: 1, recall: 0, score: Infinity, fppi: 1 / images.length }]
  let found = 0
  let previous = { score: Infinity, found: 0, kept: 0 }
  let changed = false
  let allTrue = true
  const record = (at: { score: number; found: number; kept: number }): void => {
    if (at.kept === 0) return
    points.push({
      precision: at.found / at.kept,
      recall: at.found / truthBoxes,
      score: at.score,
      fppi: (at.kept - at.found) / images.length,
    })
  }
  for (const [index, { image, detection, score }] of order.entries()) {
    const match = matches[image]!
    if (match.add(detection)) found++
    if (match.hasOption(detection)) changed = true
    const now = { score, found, kept: index + 1 }
    if (allTrue && now.kept !== now.found) {
      allTrue = false
      changed = true
    }
    const isLast = index === order.length - 1
    if (isLast || score !== order[index + 1]!.score || allTrue) {
      if (changed || isLast) {
        record(previous)
        record(now)
      }
      changed = false
    }
    previous = now
  }
  return points
}

/** Which boxes of one image are found, wrong and missed at a threshold. */
export interface ImageOutcome {
  image: string
  index: number
  /** Pairs of true box and detection (indices into the pair's lists). */
  matched: { truth: number; detection: number }[]
  /** Detections at or above the threshold without a true box. */
  falsePositives: number[]
  /** Detections on excluded findings. */
  ignored: number[]
  missed: number[]
}

/** The outcome of every image where detections of at least `threshold` are kept. */
export function outcomesAt(images: readonly ImagePair[], threshold: number, minIou: number): ImageOutcome[] {
  if (typeof threshold !== 'number' || Number.isNaN(threshold))
    throw invalidParameter('threshold', 'number', threshold)
  checkNumber('iou', minIou, 1e-6, 1)
  return images.map(({ image, index, truth, detections, excluded }) => {
    const match = new GrowingMatch(truth, detections, minIou)
    const kept = detections
      .map((_, detection) => detection)
      .filter((detection) => detections[detection]!.score >= threshold)
      .sort((a, b) => detections[b]!.score - detections[a]!.score)
    for (const detection of kept) match.add(detection)
    const free = kept.filter((detection) => match.truthOf[detection]! < 0)
    const ignored = free.filter((detection) => isOnExcluded(detections[detection]!, excluded, minIou))
    return {
      image,
      index,
      matched: kept
        .filter((detection) => match.truthOf[detection]! >= 0)
        .map((detection) => ({ truth: match.truthOf[detection]!, detection })),
      falsePositives: free.filter((detection) => !ignored.includes(detection)),
      ignored,
      missed: truth.map((_, t) => t).filter((t) => match.detectionOf[t]! < 0),
    }
  })
}
