import { createRandom } from '../random.js'
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
}

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
  const { samples, seed, confidence, points = 10_000 } = options
  const draws = scanOfDraw.length
  const random = createRandom(seed)
  const order = frocOrder(vectors)
  const scan = Int32Array.from(order, (index) => vectors.scan[index]!)
  const nodule = Uint8Array.from(order, (index) => (vectors.nodule[index]! ? 1 : 0))
  // Whether the next entry has another score: only there the curve has a point.
  const ends = Uint8Array.from(order, (index, position) =>
    vectors.score[order[position + 1] ?? -1] === vectors.score[index] ? 0 : 1,
  )
  const nodulesOf = new Int32Array(draws)
  for (const [index, scanIndex] of vectors.scan.entries()) if (vectors.nodule[index]!) nodulesOf[scanIndex]!++

  // The band's grid and the seven rates, ascending together.
  const band = Float64Array.from({ length: points }, (_, i) => 1 / 8 + ((8 - 1 / 8) * i) / (points - 1))
  const grid = Float64Array.from([...band, ...FROC_RATES]).sort()
  const weights = new Int32Array(draws)
  // Columns lie together: [grid point, sample].
  const values = new Float32Array(grid.length * samples)
  const cpm = new Float64Array(samples)
  const rateIndex = FROC_RATES.map((rate) => grid.indexOf(rate))
  for (let sample = 0; sample < samples; sample++) {
    let nodules = 0
    while (nodules === 0) {
      weights.fill(0)
      for (let i = 0; i < draws; i++) {
        const drawn = scanOfDraw[random.integer(draws)]!
        weights[drawn]!++
        nodules += nodulesOf[drawn]!
      }
    }
    walk(scan, nodule, ends, weights, nodules, draws, grid, (at, value) => {
      values[at * samples + sample] = value
    })
    for (const at of rateIndex) cpm[sample]! += values[at * samples + sample]! / FROC_RATES.length
  }
  const interval = (at: number): Interval =>
    summarize(values.subarray(at * samples, (at + 1) * samples), confidence)
  const bandIndex = bandPositions(grid, rateIndex, points)
  const summary = bandIndex.map(interval)
  return {
    band: {
      falsePositivesPerScan: [...band],
      mean: summary.map((item) => item.mean),
      low: summary.map((item) => item.low),
      high: summary.map((item) => item.high),
    },
    rates: rateIndex.map(interval),
    cpm: summarize(cpm, confidence),
  }
}

/** Where the band's points lie in the grid that also holds the rates. */
function bandPositions(grid: Float64Array, rateIndex: readonly number[], points: number): number[] {
  const extra = new Set(rateIndex)
  return [...grid.keys()].filter((at) => !extra.has(at)).slice(0, points)
}

/**
 * Walks one sample's curve and reads it at every grid point, ascending: linear between points, the last point beyond
 * the end, and the last of several points with the same rate.
 */
function walk(
  scan: Int32Array,
  nodule: Uint8Array,
  ends: Uint8Array,
  weights: Int32Array,
  nodules: number,
  draws: number,
  grid: Float64Array,
  emit: (at: number, sensitivity: number) => void,
): void {
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

/** Mean and the quantiles that the official script takes: the sorted samples at floor(p * n). Sorts `values`. */
function summarize(values: Float32Array | Float64Array, confidence: number): Interval {
  values.sort()
  let sum = 0
  for (const value of values) sum += value
  const tail = (1 - confidence) / 2
  const at = (p: number): number => values[Math.min(values.length - 1, Math.floor(p * values.length))]!
  return { mean: sum / values.length, low: at(tail), high: at(1 - tail) }
}
