import { checkNumber } from '../../check.js'
import { argsort } from '../statistics/argsort.js'

/** False positives per scan at which LUNA16 reads the sensitivity. */
export const FROC_RATES = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8] as const

/** What enters the FROC analysis: one entry per nodule (found or not) and one per false positive. */
export interface FrocVectors {
  /** Index of the scan. */
  scan: number[]
  nodule: boolean[]
  /** False for a missed nodule, which counts in the denominator only. */
  found: boolean[]
  score: number[]
}

export interface FrocPoint {
  /** Marks with at least this probability are kept; null: none. */
  threshold: number | null
  falsePositivesPerScan: number
  /** Null without true nodules, where there is none. */
  sensitivity: number | null
}

/** Order of the entries that have a score, the highest first. */
export function frocOrder(vectors: FrocVectors): number[] {
  const order: number[] = []
  for (const index of argsort(vectors.score).reverse()) if (vectors.found[index]!) order.push(index)
  return order
}

/**
 * The free-response curve, one point per distinct score from the highest down. It starts at (0, 0) where the best
 * mark is a false positive, as scikit-learn's `roc_curve` of the script's time did.
 *
 * @param scans the number of scans, which divides the false positives
 * @param official round the rates as the script does, which goes by way of the part of all false positives: where a
 * rate falls on an exact number of them (as 1/8 of LUNA16's 888 scans does), it may read the sensitivity one nodule
 * lower
 */
export function frocCurve(vectors: FrocVectors, scans: number, official = false): FrocPoint[] {
  const order = frocOrder(vectors)
  const nodules = vectors.nodule.filter(Boolean).length
  const wrong = order.reduce((sum, index) => sum + (vectors.nodule[index]! ? 0 : 1), 0)
  const curve: FrocPoint[] = []
  const sensitivity = (found: number): number | null => (nodules > 0 ? found / nodules : null)
  const origin: FrocPoint = { threshold: null, falsePositivesPerScan: 0, sensitivity: sensitivity(0) }
  let tp = 0
  let fp = 0
  for (const [position, index] of order.entries()) {
    if (vectors.nodule[index]!) tp++
    else fp++
    const next = order[position + 1]
    if (next !== undefined && vectors.score[next] === vectors.score[index]) continue
    if (curve.length === 0 && fp > 0) curve.push(origin)
    curve.push({
      threshold: vectors.score[index]!,
      falsePositivesPerScan: (official && wrong > 0 ? (fp / wrong) * wrong : fp) / scans,
      sensitivity: sensitivity(tp),
    })
  }
  if (curve.length === 0) curve.push(origin)
  return curve
}

/**
 * Sensitivity at a rate of false positives per scan, by linear interpolation between the curve's points; beyond the
 * last point its sensitivity. Where several points have the same rate the last one counts, as in numpy's `interp`.
 * Null without true nodules.
 */
export function sensitivityAt(curve: readonly FrocPoint[], rate: number): number | null {
  checkNumber('rate', rate, 0, 1e9)
  let low = 0
  let high = curve.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (curve[middle]!.falsePositivesPerScan <= rate) low = middle + 1
    else high = middle
  }
  if (low === 0) return curve[0]!.sensitivity
  const a = curve[low - 1]!
  const b = curve[low]
  if (b === undefined || a.sensitivity === null || b.sensitivity === null) return a.sensitivity
  const part = (rate - a.falsePositivesPerScan) / (b.falsePositivesPerScan - a.falsePositivesPerScan)
  return a.sensitivity + part * (b.sensitivity - a.sensitivity)
}

/** The mean of a curve's sensitivities at `FROC_RATES`; null without true nodules. */
export function cpmOf(curve: readonly FrocPoint[]): number | null {
  let sum = 0
  for (const rate of FROC_RATES) {
    const sensitivity = sensitivityAt(curve, rate)
    if (sensitivity === null) return null
    sum += sensitivity
  }
  return sum / FROC_RATES.length
}

/**
 * The curve without the points that lie on the straight line between their neighbors in counts, which is what the
 * official script writes (scikit-learn's `drop_intermediate`).
 */
export function dropIntermediate(curve: readonly FrocPoint[], scans: number, nodules: number): FrocPoint[] {
  const counts = curve.map((point) => [
    Math.round(point.falsePositivesPerScan * scans),
    Math.round((point.sensitivity ?? 0) * nodules),
  ])
  // The point at (0, 0) was added after dropping.
  const first = curve[0]?.threshold === null ? 1 : 0
  return curve.filter((_, i) => {
    if (i <= first || i === curve.length - 1) return true
    const bend = (axis: number): number =>
      counts[i + 1]![axis]! - 2 * counts[i]![axis]! + counts[i - 1]![axis]!
    return bend(0) !== 0 || bend(1) !== 0
  })
}
