import { checkInteger, checkNumber, invalidParameter } from '../../check.js'
import { argsort } from '../statistics/argsort.js'
import { normalCdf, normalQuantile } from '../statistics/statistics.js'

export interface ClassificationOptions {
  /** Scores of at least this are called positive. */
  threshold?: number | undefined
  /** Of the interval of the AUC. */
  confidence?: number | undefined
  /** Equal bins of [0, 1] for the calibration. */
  bins?: number | undefined
}

export interface RocPoint {
  /** Scores of at least this are called positive; null: none is. */
  threshold: number | null
  falsePositiveRate: number
  truePositiveRate: number
}

export interface CalibrationBin {
  /** Mean score and part of positives of the bin's items. */
  meanScore: number
  positiveRate: number
  count: number
}

export interface Classification {
  format: 'nodule-evaluation/1'
  kind: 'classification'
  items: number
  positives: number
  threshold: number
  confusion: { tp: number; fp: number; fn: number; tn: number }
  accuracy: number
  balancedAccuracy: number
  sensitivity: number
  specificity: number
  precision: number | null
  f1: number
  /** Matthews' correlation coefficient; 0 where a row or column of the confusion is empty. */
  mcc: number
  /**
   * Area under the ROC curve with DeLong's standard error and normal interval, cut to [0, 1]; these are null where a class
   * has one item, whose spread nobody knows.
   */
  auc: {
    value: number
    standardError: number | null
    low: number | null
    high: number | null
    confidence: number
  }
  /** Mean of precision at each recall step, without interpolation: scikit-learn's average_precision_score. */
  averagePrecision: number
  /** Mean squared difference of score and label. */
  brier: number
  /** Expected calibration error: mean distance of score and frequency over the bins, weighted by their counts. */
  ece: number
  roc: RocPoint[]
  precisionRecall: { threshold: number; precision: number; recall: number }[]
  calibration: CalibrationBin[]
}

/**
 * Measures of a score against a yes/no truth, defined as scikit-learn defines them.
 *
 * @param labels true for positives; both kinds must occur
 * @param scores one per label, in [0, 1] (Brier and calibration read them as probabilities)
 * Throws NoduleError (INVALID_PARAMETER).
 */
export function evaluateClassification(
  labels: readonly boolean[],
  scores: readonly number[],
  options: ClassificationOptions = {},
): Classification {
  const threshold = checkNumber('threshold', options.threshold ?? 0.5, -1e300, 1e300)
  const confidence = checkNumber('confidence', options.confidence ?? 0.95, 0.01, 0.9999)
  const bins = checkInteger('bins', options.bins ?? 10, 1, 10_000)
  checkScores(labels, scores)
  const items = labels.length
  const positives = labels.filter(Boolean).length
  const negatives = items - positives

  const confusion = { tp: 0, fp: 0, fn: 0, tn: 0 }
  for (const [i, label] of labels.entries()) {
    if (scores[i]! >= threshold) confusion[label ? 'tp' : 'fp']++
    else confusion[label ? 'fn' : 'tn']++
  }
  const { tp, fp, fn, tn } = confusion
  const sensitivity = tp / positives
  const specificity = tn / negatives
  const product = Math.sqrt((tp + fp) * positives * negatives * (tn + fn))
  const { roc, precisionRecall } = curves(labels, scores, positives, negatives)
  const area = delong(labels, scores)
  const standardError = Math.sqrt(area.variance)
  const half = normalQuantile((1 + confidence) / 2) * standardError
  const calibration = calibrationBins(labels, scores, bins)
  return {
    format: 'nodule-evaluation/1',
    kind: 'classification',
    items,
    positives,
    threshold,
    confusion,
    accuracy: (tp + tn) / items,
    balancedAccuracy: (sensitivity + specificity) / 2,
    sensitivity,
    specificity,
    precision: tp + fp > 0 ? tp / (tp + fp) : null,
    f1: (2 * tp) / (2 * tp + fp + fn),
    mcc: product > 0 ? (tp * tn - fp * fn) / product : 0,
    auc: {
      value: area.auc,
      ...(Number.isNaN(half)
        ? { standardError: null, low: null, high: null }
        : { standardError, low: Math.max(0, area.auc - half), high: Math.min(1, area.auc + half) }),
      confidence,
    },
    averagePrecision: precisionRecall.reduce(
      (sum, point, i) => sum + (point.recall - (precisionRecall[i - 1]?.recall ?? 0)) * point.precision,
      0,
    ),
    brier: labels.reduce((sum, label, i) => sum + (scores[i]! - Number(label)) ** 2, 0) / items,
    ece: calibration.reduce(
      (sum, bin) => sum + (bin.count / items) * Math.abs(bin.meanScore - bin.positiveRate),
      0,
    ),
    roc,
    precisionRecall,
    calibration,
  }
}

function checkScores(labels: readonly boolean[], scores: readonly number[]): void {
  if (scores.length !== labels.length)
    throw invalidParameter('scores', `${labels.length} numbers, one per label`, scores.length)
  const wrong = scores.findIndex((score) => !(score >= 0 && score <= 1))
  if (wrong >= 0) throw invalidParameter(`scores[${wrong}]`, 'number between 0 and 1', scores[wrong])
  const positives = labels.filter(Boolean).length
  if (positives === 0 || positives === labels.length)
    throw invalidParameter('labels', 'positives and negatives', `${positives} positives of ${labels.length}`)
}

function curves(
  labels: readonly boolean[],
  scores: readonly number[],
  positives: number,
  negatives: number,
): Pick<Classification, 'roc' | 'precisionRecall'> {
  const order = argsort(scores).reverse()
  const roc: RocPoint[] = [{ threshold: null, falsePositiveRate: 0, truePositiveRate: 0 }]
  const precisionRecall: Classification['precisionRecall'] = []
  let tp = 0
  for (const [position, i] of order.entries()) {
    if (labels[i]!) tp++
    const next = order[position + 1]
    if (next !== undefined && scores[next] === scores[i]) continue
    const kept = position + 1
    const threshold = scores[i]!
    roc.push({
      threshold,
      falsePositiveRate: (kept - tp) / negatives,
      truePositiveRate: tp / positives,
    })
    precisionRecall.push({ threshold, precision: tp / kept, recall: tp / positives })
  }
  return { roc, precisionRecall }
}

/** Bins as scikit-learn's calibration_curve with strategy 'uniform': a score on an edge belongs to the lower bin. */
function calibrationBins(
  labels: readonly boolean[],
  scores: readonly number[],
  bins: number,
): CalibrationBin[] {
  // The same edges as numpy's linspace.
  const edges = Array.from({ length: bins - 1 }, (_, i) => (i + 1) * (1 / bins))
  const sums = Array.from({ length: bins }, () => ({ score: 0, positive: 0, count: 0 }))
  for (const [i, label] of labels.entries()) {
    const at = edges.findIndex((edge) => scores[i]! <= edge)
    const bin = sums[at < 0 ? bins - 1 : at]!
    bin.score += scores[i]!
    bin.positive += Number(label)
    bin.count++
  }
  return sums
    .filter((bin) => bin.count > 0)
    .map((bin) => ({
      meanScore: bin.score / bin.count,
      positiveRate: bin.positive / bin.count,
      count: bin.count,
    }))
}

interface Area {
  auc: number
  /** NaN where a class has one item. */
  variance: number
  /** Per positive: the part of negatives that score lower (ties half). */
  positive: Float64Array
  /** Per negative: the part of positives that score higher (ties half). */
  negative: Float64Array
}

/** Area under the ROC curve with DeLong's variance, from one sorted walk. Source: DeLong et al. 1988. */
function delong(labels: readonly boolean[], scores: readonly number[]): Area {
  const positives = labels.filter(Boolean).length
  const negatives = labels.length - positives
  // Where each item stands among its own kind.
  const place = new Uint32Array(labels.length)
  const seen = [0, 0]
  for (const [i, label] of labels.entries()) place[i] = seen[Number(label)]!++
  const positive = new Float64Array(positives)
  const negative = new Float64Array(negatives)
  const order = argsort(scores)
  let positivesBelow = 0
  let negativesBelow = 0
  for (let start = 0; start < order.length;) {
    let end = start
    let tied = 0
    for (; end < order.length && scores[order[end]!] === scores[order[start]!]; end++)
      if (labels[order[end]!]!) tied++
    const tiedNegatives = end - start - tied
    const lower = (negativesBelow + tiedNegatives / 2) / negatives
    const higher = (positives - positivesBelow - tied / 2) / positives
    for (const item of order.subarray(start, end)) {
      if (labels[item]!) positive[place[item]!] = lower
      else negative[place[item]!] = higher
    }
    positivesBelow += tied
    negativesBelow += tiedNegatives
    start = end
  }
  return {
    auc: mean(positive),
    variance: covariance(positive, positive) / positives + covariance(negative, negative) / negatives,
    positive,
    negative,
  }
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function covariance(a: Float64Array, b: Float64Array): number {
  if (a.length < 2) return NaN
  const meanA = mean(a)
  const meanB = mean(b)
  return a.reduce((sum, value, i) => sum + (value - meanA) * (b[i]! - meanB), 0) / (a.length - 1)
}

export interface AucComparison {
  first: number
  second: number
  /** first - second, with DeLong's standard error; null where a class has one item. */
  difference: number
  standardError: number | null
  z: number | null
  /** Two-sided. */
  p: number | null
}

/** DeLong's test of two scores of the same items. Throws NoduleError (INVALID_PARAMETER). */
export function compareAuc(
  labels: readonly boolean[],
  first: readonly number[],
  second: readonly number[],
): AucComparison {
  checkScores(labels, first)
  checkScores(labels, second)
  const a = delong(labels, first)
  const b = delong(labels, second)
  const shared =
    covariance(a.positive, b.positive) / a.positive.length +
    covariance(a.negative, b.negative) / a.negative.length
  const difference = a.auc - b.auc
  const variance = a.variance + b.variance - 2 * shared
  if (Number.isNaN(variance))
    return { first: a.auc, second: b.auc, difference, standardError: null, z: null, p: null }
  const standardError = Math.sqrt(Math.max(0, variance))
  const z = standardError > 0 ? difference / standardError : difference === 0 ? 0 : Infinity * difference
  return { first: a.auc, second: b.auc, difference, standardError, z, p: 2 * normalCdf(-Math.abs(z)) }
}
