import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import { createRandom } from '../random.js'
import { FrocSampler, drawScans, summarize } from './scans/bootstrap.js'
import { FROC_RATES, cpmOf, frocCurve } from './scans/froc.js'
import { GrowingMatch, isOnExcluded } from './slices/match.js'
import type { ImagePair } from './slices/pairs.js'
import { prepareScans } from './scans/scans.js'
import type { Finding, Mark } from '../formats/luna.js'
import type { ScanEvaluation, ScanOptions } from './scans/scans.js'
import { binomialHalfTest, chiSquared1Tail, meanAndDeviation } from './statistics/statistics.js'

export interface Difference {
  /** Of the first run and of the second. */
  first: number
  second: number
  /** first - second with the paired bootstrap's interval; null where less than two of what is drawn hold nodules. */
  difference: number
  low: number | null
  high: number | null
  /** Two-sided bootstrap p: twice the part of samples on the other side of 0. */
  p: number | null
  samples: number
}

export interface ComparisonOptions {
  bootstraps?: number | undefined
  seed?: number | undefined
  confidence?: number | undefined
}

function checkOptions(options: ComparisonOptions): { samples: number; seed: number; confidence: number } {
  return {
    samples: checkInteger('bootstraps', options.bootstraps ?? 1000, 1, 1e6),
    seed: checkInteger('seed', options.seed ?? 1, 0, 0xffffffff),
    confidence: checkNumber('confidence', options.confidence ?? 0.95, 0.01, 0.9999),
  }
}

/** A difference that has no interval: every sample would draw the same nodules. */
function bareDifference(first: number, second: number): Difference {
  return { first, second, difference: first - second, low: null, high: null, p: null, samples: 0 }
}

function difference(first: number, second: number, sampled: Float64Array, confidence: number): Difference {
  // The + 1 keeps p above 0: a finite number of samples cannot show less.
  const count = (side: (value: number) => boolean): number => sampled.filter(side).length + 1
  const other = Math.min(
    count((value) => value <= 0),
    count((value) => value >= 0),
  )
  const p = Math.min(1, (2 * other) / (sampled.length + 1))
  const { low, high } = summarize(Float64Array.from(sampled), confidence)
  return { first, second, difference: first - second, low, high, p, samples: sampled.length }
}

/**
 * Compares the CPM of two detectors on the same scans: a paired bootstrap that draws the same scans for both.
 * Samples without a nodule are drawn again; nodules of one scan only give no interval. Throws NoduleError as `evaluateScans` does.
 */
export function compareCpm(
  series: readonly string[],
  findings: readonly Finding[],
  first: readonly Mark[],
  second: readonly Mark[],
  options: ComparisonOptions & Pick<ScanOptions, 'maxMarks' | 'official'> = {},
): Difference {
  const { samples, seed, confidence } = checkOptions(options)
  const prepared = [first, second].map((marks) => prepareScans(series, findings, marks, options))
  const scanOfDraw = prepared[0]!.scanOfDraw
  const samplers = prepared.map((one) => new FrocSampler(one.vectors, scanOfDraw))
  const cpm = (sampler: FrocSampler, weights: Int32Array): number | undefined => {
    if (!sampler.load(weights)) return undefined
    let sum = 0
    sampler.read(FROC_RATES, (_, sensitivity) => {
      sum += sensitivity
    })
    return sum / FROC_RATES.length
  }
  const { nodules } = prepared[0]!.counts
  if (nodules === 0) throw invalidParameter('findings', 'at least one nodule of the series', nodules)
  // As the runs' own figures are counted.
  const [a, b] = prepared.map(({ vectors, listed }) =>
    cpmOf(frocCurve(vectors, listed.length, options.official)),
  ) as [number, number]
  if (prepared[0]!.counts.scansWithNodules < 2) return bareDifference(a, b)
  const random = createRandom(seed)
  const sampled = new Float64Array(samples)
  for (let sample = 0; sample < samples;) {
    const weights = drawScans(random, scanOfDraw)
    const one = cpm(samplers[0]!, weights)
    const other = cpm(samplers[1]!, weights)
    if (one === undefined || other === undefined) continue
    sampled[sample++] = one - other
  }
  return difference(a, b, sampled, confidence)
}

/** Average precision of weighted images: which detections are hits does not depend on the weights. */
class PrecisionSampler {
  private readonly group: Int32Array
  private readonly hit: Uint8Array
  private readonly ends: Uint8Array
  private readonly truths: Float64Array
  /** Groups with true boxes: below two every sample draws the same ones. */
  readonly withTruth: number

  constructor(images: readonly ImagePair[], groups: Int32Array, count: number, minIou: number) {
    this.truths = new Float64Array(count)
    const all: { group: number; hit: boolean; score: number }[] = []
    for (const [at, { truth, detections, excluded }] of images.entries()) {
      const group = groups[at]!
      this.truths[group]! += truth.length
      const match = new GrowingMatch(truth, detections, minIou)
      const order = [...detections.keys()].sort((x, y) => detections[y]!.score - detections[x]!.score)
      for (const d of order) {
        const hit = match.add(d)
        if (hit || !isOnExcluded(detections[d]!, excluded, minIou))
          all.push({ group, hit, score: detections[d]!.score })
      }
    }
    this.withTruth = this.truths.filter((count) => count > 0).length
    all.sort((x, y) => y.score - x.score)
    this.group = Int32Array.from(all, (item) => item.group)
    this.hit = Uint8Array.from(all, (item) => Number(item.hit))
    this.ends = Uint8Array.from(all, (item, i) => (all[i + 1]?.score === item.score ? 0 : 1))
  }

  /** All-points AP; undefined where the sample holds no true box. */
  average(weights: Int32Array): number | undefined {
    const truths = this.truths.reduce((sum, count, group) => sum + count * weights[group]!, 0)
    if (truths === 0) return undefined
    const recall: number[] = []
    const precision: number[] = []
    let tp = 0
    let kept = 0
    for (let i = 0; i < this.group.length; i++) {
      const weight = weights[this.group[i]!]!
      kept += weight
      if (this.hit[i] !== 0) tp += weight
      if (this.ends[i] === 0 || kept === 0) continue
      recall.push(tp / truths)
      precision.push(tp / kept)
    }
    let best = 0
    let area = 0
    for (let i = recall.length - 1; i >= 0; i--) {
      best = Math.max(best, precision[i]!)
      area += best * (recall[i]! - (i > 0 ? recall[i - 1]! : 0))
    }
    return area
  }
}

/**
 * Compares the slice-level AP of two runs over the same images by a paired bootstrap. Slices of one patient are alike,
 * so that whole groups are drawn.
 *
 * @param first and second: images in the same order with the same true boxes
 * @param groupOf the patient (or scan) of an image; without it each image is its own
 * Throws NoduleError (INVALID_PARAMETER).
 */
export function compareAveragePrecision(
  first: readonly ImagePair[],
  second: readonly ImagePair[],
  options: ComparisonOptions & {
    iou?: number | undefined
    groupOf?: ((image: ImagePair) => string) | undefined
  } = {},
): Difference {
  const { samples, seed, confidence } = checkOptions(options)
  const minIou = checkNumber('iou', options.iou ?? 0.5, 1e-6, 1)
  const same = first.length === second.length && first.every((image, i) => image.image === second[i]!.image)
  if (!same) throw invalidParameter('second', 'the same images as first', second.length)
  const { groups, size } = groupImages(first, options.groupOf)
  const samplers = [first, second].map((images) => new PrecisionSampler(images, groups, size, minIou))
  const whole = new Int32Array(size).fill(1)
  const [a, b] = samplers.map((sampler) => sampler.average(whole))
  if (a === undefined || b === undefined) throw invalidParameter('first', 'at least one true box', 0)
  if (samplers[0]!.withTruth < 2) return bareDifference(a, b)
  const random = createRandom(seed)
  const draws = Int32Array.from({ length: size }, (_, i) => i)
  const sampled = new Float64Array(samples)
  for (let sample = 0; sample < samples;) {
    const weights = drawScans(random, draws)
    const one = samplers[0]!.average(weights)
    const other = samplers[1]!.average(weights)
    if (one === undefined || other === undefined) continue
    sampled[sample++] = one - other
  }
  return difference(a, b, sampled, confidence)
}

/** The group of each image as a number. */
function groupImages(
  images: readonly ImagePair[],
  groupOf = (image: ImagePair): string => image.image,
): { groups: Int32Array; size: number } {
  const index = new Map<string, number>()
  const groups = Int32Array.from(images, (image) => {
    const name = groupOf(image)
    if (!index.has(name)) index.set(name, index.size)
    return index.get(name)!
  })
  return { groups, size: index.size }
}

export interface SampledInterval {
  low: number
  high: number
  samples: number
  confidence: number
  /** What was drawn: patients or images. */
  groups: number
}

/**
 * The bootstrap's interval of the AP; null where less than two groups hold true boxes: one patient's figure varies with
 * nothing that the bootstrap draws, and would look exact. Options as `compareAveragePrecision`.
 */
export function averagePrecisionInterval(
  images: readonly ImagePair[],
  options: Parameters<typeof compareAveragePrecision>[2] = {},
): SampledInterval | null {
  const { samples, seed, confidence } = checkOptions(options)
  const minIou = checkNumber('iou', options.iou ?? 0.5, 1e-6, 1)
  const { groups, size } = groupImages(images, options.groupOf)
  const sampler = new PrecisionSampler(images, groups, size, minIou)
  if (sampler.withTruth < 2) return null
  const random = createRandom(seed)
  const draws = Int32Array.from({ length: size }, (_, i) => i)
  const sampled = new Float64Array(samples)
  for (let sample = 0; sample < samples;) {
    const value = sampler.average(drawScans(random, draws))
    if (value !== undefined) sampled[sample++] = value
  }
  const { low, high } = summarize(sampled, confidence)
  return { low, high, samples, confidence, groups: size }
}

export interface McNemar {
  /** Found by both, by the first only, by the second only, by none. */
  both: number
  firstOnly: number
  secondOnly: number
  neither: number
  /** Two-sided, exact (binomial). */
  pExact: number
  /** Chi-squared with Edwards' continuity correction; null where the runs do not differ. */
  chiSquared: number | null
  pChiSquared: number | null
}

/** McNemar's test on which of the same nodules two runs found. Throws NoduleError (INVALID_PARAMETER). */
export function mcNemar(first: readonly boolean[], second: readonly boolean[]): McNemar {
  if (first.length !== second.length)
    throw invalidParameter('second', `${first.length} outcomes`, second.length)
  const count = (a: boolean, b: boolean): number =>
    first.filter((hit, i) => hit === a && second[i] === b).length
  const firstOnly = count(true, false)
  const secondOnly = count(false, true)
  const differing = firstOnly + secondOnly
  const chiSquared =
    differing === 0 ? null : Math.max(0, Math.abs(firstOnly - secondOnly) - 1) ** 2 / differing
  return {
    both: count(true, true),
    firstOnly,
    secondOnly,
    neither: count(false, false),
    pExact: binomialHalfTest(firstOnly, differing),
    chiSquared,
    pChiSquared: chiSquared === null ? null : chiSquared1Tail(chiSquared),
  }
}

/** Which findings a run found with marks of at least `threshold`, in the evaluation's order. */
export function foundAt(evaluation: ScanEvaluation, threshold: number): boolean[] {
  return evaluation.findings.map((finding) => finding.score !== null && finding.score >= threshold)
}

export interface BlandAltman {
  pairs: number
  /** Mean of measured - reference, and its standard deviation; null for one pair. */
  bias: number
  deviation: number | null
  /** bias -+ 1.96 standard deviations. */
  lowerLimit: number | null
  upperLimit: number | null
  points: { mean: number; difference: number }[]
}

/** Agreement of measured sizes with reference sizes (Bland and Altman, 1986). Throws NoduleError for no pair. */
export function blandAltman(measured: readonly number[], reference: readonly number[]): BlandAltman {
  if (measured.length === 0 || measured.length !== reference.length)
    throw invalidParameter('reference', 'one number per measured one, and at least one', reference.length)
  const differences = measured.map((value, i) => value - reference[i]!)
  const { mean: bias, deviation } = meanAndDeviation(differences)
  const half = deviation === null ? null : 1.959963984540054 * deviation
  return {
    pairs: measured.length,
    bias,
    deviation,
    lowerLimit: half === null ? null : bias - half,
    upperLimit: half === null ? null : bias + half,
    points: measured.map((value, i) => ({ mean: (value + reference[i]!) / 2, difference: differences[i]! })),
  }
}
