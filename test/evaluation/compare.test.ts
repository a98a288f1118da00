import { describe, expect, test } from 'vitest'
import { byBoxSize, byEquivalentDiameter, byType, wilson } from '../../src/evaluation/breakdown.js'
import { drawScans } from '../../src/evaluation/scans/bootstrap.js'
import {
  averagePrecisionInterval,
  blandAltman,
  compareAveragePrecision,
  compareCpm,
  mcNemar,
} from '../../src/evaluation/compare.js'
import type { ImagePair } from '../../src/evaluation/slices/pairs.js'
import { evaluateScans } from '../../src/evaluation/scans/scans.js'
import { compareMarks } from '../../src/evaluation/scans/scan_runs.js'
import type { Finding, Mark } from '../../src/formats/luna.js'
import type { FindingOutcome } from '../../src/evaluation/scans/scans.js'
import { evaluatePairs } from '../../src/evaluation/slices/slices.js'
import { textureType } from '../../src/annotations/index.js'
import { createRandom } from '../../src/random.js'

const random = createRandom(99)

function scans(count: number): { series: string[]; findings: Finding[]; first: Mark[]; second: Mark[] } {
  const series = Array.from({ length: count }, (_, i) => `s${i}`)
  const findings: Finding[] = []
  const first: Mark[] = []
  const second: Mark[] = []
  const place = (): { x: number; y: number; z: number } => ({ x: random.uniform() * 100, y: 0, z: 0 })
  for (const seriesUid of series) {
    for (let n = random.integer(3); n > 0; n--) {
      const finding = {
        seriesUid,
        id: `${findings.length}`,
        ...place(),
        equivalentDiameterMm: 6,
        excluded: false,
      }
      findings.push(finding)
      const { x, y, z } = finding
      for (const [marks, rate] of [
        [first, 0.8],
        [second, 0.4],
      ] as const)
        if (random.uniform() < rate)
          marks.push({ seriesUid, id: `${marks.length}`, x, y, z, probability: random.uniform() })
    }
    for (const marks of [first, second])
      for (let n = random.integer(4); n > 0; n--)
        marks.push({ seriesUid, id: `${marks.length}`, ...place(), probability: random.uniform() * 0.9 })
  }
  return { series, findings, first, second }
}

/** The sample written out: each drawn scan as a series of its own. */
function writtenOut<T extends { seriesUid: string }>(
  items: readonly T[],
  series: readonly string[],
  weights: Int32Array,
): T[] {
  return series.flatMap((uid, s) =>
    Array.from({ length: weights[s]! }, (_, copy) =>
      items
        .filter((item) => item.seriesUid === uid)
        .map((item) => ({ ...item, seriesUid: `${uid}/${copy}` })),
    ).flat(),
  )
}

describe('paired bootstrap', () => {
  test('CPM: the same as writing every sample out', () => {
    const { series, findings, first, second } = scans(12)
    const result = compareCpm(series, findings, first, second, { bootstraps: 40, seed: 4 })
    const stream = createRandom(4)
    const draws = Int32Array.from(series, (_, i) => i)
    const sampled = Array.from({ length: 40 }, () => {
      const weights = drawScans(stream, draws)
      const names = series.flatMap((uid, s) =>
        Array.from({ length: weights[s]! }, (_, copy) => `${uid}/${copy}`),
      )
      const cpm = (marks: Mark[]): number =>
        evaluateScans(names, writtenOut(findings, series, weights), writtenOut(marks, series, weights), {
          bootstraps: 0,
        }).cpm!.value
      return cpm(first) - cpm(second)
    }).sort((a, b) => a - b)
    const whole = (marks: Mark[]): number =>
      evaluateScans(series, findings, marks, { bootstraps: 0 }).cpm!.value
    expect(result.first).toBeCloseTo(whole(first), 12)
    expect(result.second).toBeCloseTo(whole(second), 12)
    expect(result.low).toBeCloseTo(sampled[1]!, 12)
    expect(result.high).toBeCloseTo(sampled[39]!, 12)
    const below = sampled.filter((value) => value <= 0).length
    expect(result.p).toBeCloseTo(Math.min(1, (2 * (below + 1)) / 41), 12)
  })

  test('a run against itself does not differ; a worse one does', () => {
    const { series, findings, first, second } = scans(60)
    const self = compareCpm(series, findings, first, first, { bootstraps: 50 })
    expect(self).toMatchObject({ difference: 0, low: 0, high: 0, p: 1 })
    // Officially a series that is listed twice counts twice, as in the runs' own figures.
    const twice = [...series, ...series.slice(0, 9)]
    for (const official of [true, false]) {
      const options = { bootstraps: 0, official }
      const { first: own } = compareCpm(twice, findings, second, first, { bootstraps: 10, official })
      expect(own).toBe(evaluateScans(twice, findings, second, options).cpm!.value)
    }
    const [both] = compareMarks(
      twice,
      findings,
      [first, second].map((marks, index) => ({ name: `${index}`, marks })),
      [],
      { bootstraps: 10, official: true },
    ).comparisons
    expect(both!.cpm.first).toBe(evaluateScans(twice, findings, first, { official: true }).cpm!.value)
    const worse = compareCpm(series, findings, first, second, { bootstraps: 500 })
    expect(worse.low).toBeGreaterThan(0)
    expect(worse.p).toBeLessThan(0.05)
  })

  test('AP: the same as writing every sample out, by groups', () => {
    const make = (shift: number): ImagePair[] =>
      Array.from({ length: 10 }, (_, index) => {
        const own = createRandom(index + 1)
        const truth = Array.from({ length: own.integer(3) }, () => {
          const x = own.integer(80)
          return { x1: x, y1: 0, x2: x + 20, y2: 20 }
        })
        const detections = [
          ...truth.map((box) => ({ ...box, x1: box.x1 + own.integer(shift), score: own.uniform() })),
          { x1: 200, y1: 0, x2: 220, y2: 20, score: own.uniform() },
        ]
        return { image: `p${index >> 1}/${index}`, index, truth, detections }
      })
    const first = make(6)
    const second = make(16)
    const groupOf = (image: ImagePair): string => image.image.split('/')[0]!
    const result = compareAveragePrecision(first, second, { bootstraps: 30, seed: 8, groupOf })
    const stream = createRandom(8)
    const draws = Int32Array.from({ length: 5 }, (_, i) => i)
    const sampled: number[] = []
    while (sampled.length < 30) {
      const weights = drawScans(stream, draws)
      const ap = (images: ImagePair[]): number | null =>
        evaluatePairs(
          images.flatMap((image) => Array.from({ length: weights[Number(groupOf(image)[1])]! }, () => image)),
        ).ap
      const one = ap(first)
      if (one !== null) sampled.push(one - ap(second)!)
    }
    sampled.sort((a, b) => a - b)
    expect(result.first).toBeCloseTo(evaluatePairs(first).ap!, 12)
    expect(result.low).toBeCloseTo(sampled[0]!, 12)
    expect(result.high).toBeCloseTo(sampled[29]!, 12)
    const interval = averagePrecisionInterval(first, { bootstraps: 200, seed: 8, groupOf })!
    expect(interval).toMatchObject({ samples: 200, groups: 5, confidence: 0.95 })
    expect(interval.low).toBeLessThan(result.first)
    expect(interval.high).toBeGreaterThan(result.first)
    expect(averagePrecisionInterval([{ ...first[0]!, truth: [] }])).toBeNull()
    expect(() => compareAveragePrecision(first, second.slice(1))).toThrow(/same images/)
  })
})

test("McNemar's test", () => {
  const outcomes = (both: number, first: number, second: number, none: number): [boolean[], boolean[]] => {
    const repeat = (count: number, value: [boolean, boolean]): [boolean, boolean][] =>
      Array.from({ length: count }, () => value)
    const all = [
      ...repeat(both, [true, true]),
      ...repeat(first, [true, false]),
      ...repeat(second, [false, true]),
      ...repeat(none, [false, false]),
    ]
    return [all.map((pair) => pair[0]), all.map((pair) => pair[1])]
  }
  // scipy.stats.binomtest(2, 12).pvalue and chi2.sf(49 / 12, 1)
  const result = mcNemar(...outcomes(30, 10, 2, 5))
  expect(result).toMatchObject({ both: 30, firstOnly: 10, secondOnly: 2, neither: 5 })
  expect(result.pExact).toBeCloseTo(0.03857421875, 12)
  expect(result.chiSquared).toBeCloseTo(49 / 12, 12)
  expect(result.pChiSquared).toBeCloseTo(0.0433081428107919, 10)
  expect(mcNemar(...outcomes(3, 0, 0, 1))).toMatchObject({ pExact: 1, chiSquared: null, pChiSquared: null })
  expect(() => mcNemar([true], [])).toThrow(/outcomes/)
})

test('Bland and Altman', () => {
  const result = blandAltman([10, 12, 9], [9, 12, 11])
  expect(result.bias).toBeCloseTo(-1 / 3, 12)
  expect(result.deviation).toBeCloseTo(Math.sqrt(7 / 3), 12)
  const range = 2 * 1.959963984540054 * result.deviation!
  expect(result.upperLimit! - result.lowerLimit!).toBeCloseTo(range, 12)
  // One pair has no limits, and no deviation of 0 that would look exact.
  expect(blandAltman([3], [2])).toMatchObject({ bias: 1, deviation: null, lowerLimit: null })
  expect(result.points[2]).toEqual({ mean: 10, difference: -2 })
  expect(() => blandAltman([], [])).toThrow(/at least one/)
})

test('groups', () => {
  // scipy.stats.binomtest(8, 10).proportion_ci(method='wilson')
  expect(wilson(8, 10)!.low).toBeCloseTo(0.4901624715, 9)
  expect(wilson(8, 10)!.high).toBeCloseTo(0.9433178485, 9)
  expect(wilson(0, 0)).toBeNull()
  const finding = (equivalentDiameterMm: number, score: number | null): FindingOutcome => ({
    seriesUid: 's',
    id: `${equivalentDiameterMm}`,
    x: 0,
    y: 0,
    z: 0,
    equivalentDiameterMm,
    excluded: false,
    hitBy: null,
    score,
    distanceMm: null,
    marks: 0,
  })
  const findings = [finding(3.9, null), finding(4, 0.5), finding(7, 0.4), finding(40, null)]
  expect(byEquivalentDiameter(findings).map((row) => [row.group, row.total, row.found])).toEqual([
    ['below 4 mm', 1, 0],
    ['4 to 6 mm', 1, 1],
    ['6 to 8 mm', 1, 1],
    ['8 to 15 mm', 0, 0],
    ['15 to 30 mm', 0, 0],
    ['30 mm and more', 1, 0],
  ])
  expect(byEquivalentDiameter([finding(-1, 0.5), finding(3, null)]).filter(({ total }) => total > 0)).toEqual(
    [
      expect.objectContaining({ group: 'below 4 mm', total: 1, found: 0 }),
      expect.objectContaining({ group: 'diameter unknown', total: 1, found: 1 }),
    ],
  )
  expect(
    byType(findings, (item) =>
      item.equivalentDiameterMm > 30 ? undefined : textureType(item.equivalentDiameterMm - 2),
    ),
  ).toMatchObject([
    { group: 'ground glass', total: 2, found: 1 },
    { group: 'solid', total: 1, found: 1 },
  ])
  const rows = byBoxSize(
    [
      {
        image: 'a',
        index: 0,
        truth: [
          { x1: 0, y1: 0, x2: 9, y2: 9 },
          { x1: 50, y1: 50, x2: 90, y2: 60 },
        ],
        detections: [
          { x1: 0, y1: 0, x2: 9, y2: 10, score: 0.9 },
          { x1: 0, y1: 90, x2: 6, y2: 96, score: 0.8 },
          { x1: 0, y1: 50, x2: 6, y2: 56, score: 0.1 },
        ],
      },
    ],
    0.5,
    0.5,
  )
  expect(rows.map((row) => [row.total, row.found, row.falsePositives])).toEqual([
    [0, 0, 1],
    [1, 1, 0],
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
    [1, 0, 0],
  ])
})
