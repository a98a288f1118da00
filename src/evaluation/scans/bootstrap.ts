import { createRandom } from '../../random.js'
import type { Random } from '../../random.js'
import { FROC_RATES, frocOrder } from './froc.js'
import type { FrocVectors } from './froc.js'

export interface FrocBand {
  /** False positives per scan: 10,000 equal steps from 1/8 to 8, as the official script's. */
  falsePositivesPerScan: number[]
  mean: number[]
  low: number[]
  high: number[]
}

export interface Interval {
  mean: number
  low: number
  high: number
}

export interface FrocBootstrap {
  band: FrocBand
  /** At FROC_RATES. */
  rates: Interval[]
  cpm: Interval
}

export interface BootstrapOptions {
  samples: number
  seed: number
  confidence: number
  /** Points of the band. */
  points?: number | undefined
  /** Sampled sensitivities that are held at a time; results do not depend on it. */
  held?: number | undefined
}

/** 256 MB: all 10,007 points of 6,700 samples. */
const HELD = 1 << 26

/**
 * Scan-level bootstrap of the FROC curve: each sample draws as many scans as there are, with replacement, and its
 * curve is read at equal steps of false positives per scan; the interval lies between the sorted samples' quantiles.
 * A sample without any nodule, where no sensitivity exists, is drawn again.
 *
 * Instead of gathering each sample's marks, the marks are sorted once and walked with the number of times that
 * their scan was drawn as weight.
 *
 * @param scanOfDraw the scan that each entry of the series list stands for
 */
export function bootstrapFroc(
  vectors: FrocVectors,
  scanOfDraw: Int32Array,
  options: BootstrapOptions,
): FrocBootstrap {
  const { samples, seed, confidence, points = 10_000, held = HELD } = options
  const sampler = new FrocSampler(vectors, scanOfDraw)
  // The band's grid and the seven rates, ascending together.
  const band = Float64Array.from({ length: points }, (_, i) => 1 / 8 + ((8 - 1 / 8) * i) / (points - 1))
  const grid = Float64Array.from([...band, ...FROC_RATES]).sort()
  const rateIndex = FROC_RATES.map((rate) => grid.indexOf(rate))
  const cpm = new Float64Array(samples)
  const intervals: Interval[] = []
  // Quantiles need all samples of a grid point: so many points at a time as memory allows, of the same samples each time.
  const slab = Math.min(grid.length, Math.max(1, Math.floor(held / samples)))
  // Columns lie together: [grid point, sample].
  const values = new Float32Array(slab * samples)
  for (let first = 0; first < grid.length; first += slab) {
    const part = grid.subarray(first, first + slab)
    const rates = rateIndex.filter((at) => at >= first && at < first + part.length)
    const random = createRandom(seed)
    for (let sample = 0; sample < samples; sample++) {
      while (!sampler.load(drawScans(random, scanOfDraw))) continue
      sampler.read(part, (at, value) => {
        values[at * samples + sample] = value
      })
      for (const at of rates) cpm[sample]! += values[(at - first) * samples + sample]! / FROC_RATES.length
    }
    for (let at = 0; at < part.length; at++)
      intervals.push(summarize(values.subarray(at * samples, (at + 1) * samples), confidence))
  }
  const summary = bandPositions(grid, rateIndex, points).map((at) => intervals[at]!)
  return {
    band: {
      falsePositivesPerScan: [...band],
      mean: summary.map((item) => item.mean),
      low: summary.map((item) => item.low),
      high: summary.map((item) => item.high),
    },
    rates: rateIndex.map((at) => intervals[at]!),
    cpm: summarize(cpm, confidence),
  }
}

/** Where the band's points lie in the grid that also holds the rates. */
function bandPositions(grid: Float64Array, rateIndex: readonly number[], points: number): number[] {
  const extra = new Set(rateIndex)
  return [...grid.keys()].filter((at) => !extra.has(at)).slice(0, points)
}

/** How often each scan is drawn in one sample: as many draws as the list has entries. */
export function drawScans(random: Random, scanOfDraw: Int32Array): Int32Array {
  const weights = new Int32Array(scanOfDraw.length)
  for (let i = 0; i < scanOfDraw.length; i++) weights[scanOfDraw[random.integer(scanOfDraw.length)]!]!++
  return weights
}

/** Reads the FROC curves of weighted scans from marks that are sorted once. */
export class FrocSampler {
  private readonly draws: number
  private readonly scan: Int32Array
  private readonly nodule: Uint8Array
  /** Whether the next entry has another score: only there the curve has a point. */
  private readonly ends: Uint8Array
  private readonly nodulesOf: Int32Array
  private weights: Int32Array
  private nodules = 0

  constructor(vectors: FrocVectors, scanOfDraw: Int32Array) {
    const order = frocOrder(vectors)
    this.draws = scanOfDraw.length
    this.scan = Int32Array.from(order, (index) => vectors.scan[index]!)
    this.nodule = Uint8Array.from(order, (index) => (vectors.nodule[index]! ? 1 : 0))
    this.ends = Uint8Array.from(order, (index, position) =>
      vectors.score[order[position + 1] ?? -1] === vectors.score[index] ? 0 : 1,
    )
    this.nodulesOf = new Int32Array(this.draws)
    for (const [index, scan] of vectors.scan.entries()) if (vectors.nodule[index]!) this.nodulesOf[scan]!++
    this.weights = new Int32Array(this.draws)
  }

  /** Takes a sample's weights; false where it holds no nodule. */
  load(weights: Int32Array): boolean {
    this.weights = weights
    this.nodules = weights.reduce((sum, weight, scan) => sum + weight * this.nodulesOf[scan]!, 0)
    return this.nodules > 0
  }

  /**
   * Walks the sample's curve and reads it at every grid point (false positives per scan, ascending): linear between
   * points, the last point beyond the end, and the last of several points with the same rate.
   */
  read(grid: ArrayLike<number>, emit: (at: number, sensitivity: number) => void): void {
    const { scan, nodule, ends, weights, nodules, draws } = this
    let tp = 0
    let fp = 0
    let pointTp = 0
    let pointFp = 0
    let at = 0
    for (let i = 0; i < scan.length && at < grid.length; i++) {
      const weight = weights[scan[i]!]!
      if (nodule[i] !== 0) tp += weight
      else fp += weight
      if (ends[i] === 0) continue
      if (fp > pointFp) {
        while (at < grid.length && grid[at]! * draws < fp) {
          const part = (grid[at]! * draws - pointFp) / (fp - pointFp)
          emit(at, (pointTp + part * (tp - pointTp)) / nodules)
          at++
        }
      }
      pointTp = tp
      pointFp = fp
    }
    for (; at < grid.length; at++) emit(at, pointTp / nodules)
  }
}

/** Mean and the quantiles that the official script takes: the sorted samples at floor(p * n). Sorts `values`. */
export function summarize(values: Float32Array | Float64Array, confidence: number): Interval {
  values.sort()
  let sum = 0
  for (const value of values) sum += value
  const tail = (1 - confidence) / 2
  const at = (p: number): number => values[Math.min(values.length - 1, Math.floor(p * values.length))]!
  return { mean: sum / values.length, low: at(tail), high: at(1 - tail) }
}
