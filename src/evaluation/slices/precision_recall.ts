import { checkNumber } from '../../check.js'

/** Counts and ratios where detections at or above `threshold` are kept. */
export interface CurvePoint {
  threshold: number
  /** tp / (tp + fp). */
  precision: number
  /** tp / true boxes; null where there is no true box. */
  recall: number | null
  tp: number
  fp: number
  fn: number
}

/** A place on the curve that was asked for; null where the curve does not reach it. */
export interface OperatingPoint {
  /** The precision (or recall) that was asked for. */
  target: number
  /** The other axis' best value there. */
  value: number | null
  threshold: number | null
}

/** Guards `recall >= target` against the last bit of a division: 7 / 10 must reach 0.7. */
const EPSILON = 1e-12

/**
 * Area under the precision-recall curve with the precision made monotone (each value replaced by the best at the
 * same or a higher recall), summed over all points: Pascal VOC's AP since 2010. Null without true boxes.
 */
export function averagePrecision(curve: readonly CurvePoint[]): number | null {
  if (curve.some((point) => point.recall === null)) return null
  let area = 0
  let best = 0
  for (let i = curve.length - 1; i >= 0; i--) {
    best = Math.max(best, curve[i]!.precision)
    area += best * (curve[i]!.recall! - (i > 0 ? curve[i - 1]!.recall! : 0))
  }
  return area
}

/** Mean of the best precision at recall >= 0, 0.1, ... 1: Pascal VOC's AP until 2009. */
export function elevenPointAveragePrecision(curve: readonly CurvePoint[]): number | null {
  if (curve.some((point) => point.recall === null)) return null
  let sum = 0
  for (let i = 0; i <= 10; i++) sum += precisionAtRecall(curve, i / 10).value ?? 0
  return sum / 11
}

/** The highest recall at which the precision is at least `target`. */
export function recallAtPrecision(curve: readonly CurvePoint[], target: number): OperatingPoint {
  return bestPoint(
    curve,
    target,
    (point) => point.precision,
    (point) => point.recall,
  )
}

/** The highest precision at which the recall is at least `target`. */
export function precisionAtRecall(curve: readonly CurvePoint[], target: number): OperatingPoint {
  return bestPoint(
    curve,
    target,
    (point) => point.recall,
    (point) => point.precision,
  )
}

function bestPoint(
  curve: readonly CurvePoint[],
  target: number,
  given: (point: CurvePoint) => number | null,
  wanted: (point: CurvePoint) => number | null,
): OperatingPoint {
  checkNumber('target', target, 0, 1)
  let value: number | null = null
  let threshold: number | null = null
  for (const point of curve) {
    const have = given(point)
    const get = wanted(point)
    if (have === null || get === null || have < target - EPSILON) continue
    if (value === null || get > value) {
      value = get
      threshold = point.threshold
    }
  }
  return { target, value, threshold }
}

/** Harmonic mean of precision and recall; null without true boxes. */
export function f1Score(point: CurvePoint): number | null {
  if (point.recall === null) return null
  return (2 * point.tp) / (2 * point.tp + point.fp + point.fn)
}

/** The point of the highest F1; null for an empty curve. */
export function bestF1(curve: readonly CurvePoint[]): (CurvePoint & { f1: number }) | null {
  let best: (CurvePoint & { f1: number }) | null = null
  for (const point of curve) {
    const f1 = f1Score(point)
    if (f1 !== null && (best === null || f1 > best.f1)) best = { ...point, f1 }
  }
  return best
}
