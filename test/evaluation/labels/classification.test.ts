import { aucText } from '../../../src/evaluation/tables.js'
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { argsort } from '../../../src/evaluation/statistics/argsort.js'
import { compareAuc, evaluateClassification } from '../../../src/evaluation/labels/classification.js'
import {
  binomialHalfTest,
  chiSquared1Tail,
  erfc,
  meanAndDeviation,
  normalCdf,
  normalQuantile,
} from '../../../src/evaluation/statistics/statistics.js'

interface Case {
  labels: number[]
  scores: number[]
  other: number[]
  threshold: number
  confusion: Record<string, number>
  auc: number
  aucVariance: number
  roc: [number, number][]
  precisionRecall: [number, number][]
  calibration: [number, number][]
  compare: Record<string, number>
  [measure: string]: unknown
}
const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/evaluation/classification.json', import.meta.url), 'utf8'),
) as {
  cases: Case[]
  statistics: Record<'erfc' | 'quantile' | 'chi2', [number, number][]> & {
    binomial: [number, number, number][]
  }
}

/** Equal to 12 significant digits. */
function near(actual: number, expected: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-12 * Math.max(1e-3, Math.abs(expected)))
}

describe('against scikit-learn', () => {
  test.each(fixture.cases.map((item, index) => [index, item] as const))('case %i', (_, item) => {
    const labels = item.labels.map((label) => label === 1)
    const result = evaluateClassification(labels, item.scores, { threshold: item.threshold })
    expect(result.confusion).toEqual(item.confusion)
    for (const name of 'accuracy balancedAccuracy sensitivity specificity precision f1 mcc averagePrecision brier ece'.split(
      ' ',
    ))
      near((result as unknown as Record<string, number>)[name]!, item[name] as number)
    near(result.auc.value, item.auc)
    near(result.auc.standardError!, Math.sqrt(item.aucVariance))
    near(result.auc.low!, Math.max(0, item.auc - 1.959963984540054 * Math.sqrt(item.aucVariance)))
    expect(result.roc).toHaveLength(item.roc.length)
    result.roc.forEach((point, i) => {
      near(point.falsePositiveRate, item.roc[i]![0])
      near(point.truePositiveRate, item.roc[i]![1])
    })
    // scikit-learn's curve ends where the recall is 1 ... and goes on to the lowest score, as ours does.
    expect(result.precisionRecall).toHaveLength(item.precisionRecall.length)
    result.precisionRecall.forEach((point, i) => {
      near(point.precision, item.precisionRecall[i]![0])
      near(point.recall, item.precisionRecall[i]![1])
    })
    expect(result.calibration).toHaveLength(item.calibration.length)
    result.calibration.forEach((bin, i) => {
      near(bin.meanScore, item.calibration[i]![0])
      near(bin.positiveRate, item.calibration[i]![1])
    })
    const comparison = compareAuc(labels, item.scores, item.other) as unknown as Record<string, number>
    for (const [name, value] of Object.entries(item.compare)) near(comparison[name]!, value)
  })
})

describe('edges', () => {
  test('perfect, reversed and constant scores', () => {
    const labels = [true, true, false, false]
    expect(evaluateClassification(labels, [0.9, 0.8, 0.2, 0.1])).toMatchObject({
      auc: { value: 1, standardError: 0, low: 1, high: 1 },
      f1: 1,
      mcc: 1,
      averagePrecision: 1,
    })
    expect(evaluateClassification(labels, [0.1, 0.2, 0.8, 0.9])).toMatchObject({
      auc: { value: 0 },
      mcc: -1,
    })
    expect(evaluateClassification(labels, [0.3, 0.3, 0.3, 0.3])).toMatchObject({
      auc: { value: 0.5, standardError: 0 },
      precision: null,
      mcc: 0,
      averagePrecision: 0.5,
    })
    expect(compareAuc(labels, [0.9, 0.8, 0.2, 0.1], [0.9, 0.8, 0.2, 0.1])).toMatchObject({ z: 0, p: 1 })
  })

  test('of a class of one item there is no interval, and no test', () => {
    const one = [true, false, false, false]
    for (const labels of [one, one.map((label) => !label)]) {
      const { auc } = evaluateClassification(labels, [0.9, 0.8, 0.2, 0.1])
      expect(auc).toMatchObject({ standardError: null, low: null, high: null })
      expect(aucText(auc)).toBe(auc.value.toFixed(3))
      expect(compareAuc(labels, [0.9, 0.8, 0.2, 0.1], [0.1, 0.3, 0.2, 0.9])).toMatchObject({
        ...{ standardError: null, z: null, p: null },
      })
    }
  })

  test('bad input is named', () => {
    expect(() => evaluateClassification([true], [0.5])).toThrow(/positives and negatives/)
    expect(() => evaluateClassification([true, false], [0.5])).toThrow(/one per label/)
    expect(() => evaluateClassification([true, false], [0.5, Number.NaN])).toThrow(/scores\[1\]/)
    expect(() => evaluateClassification([true, false], [0.5, 1.5])).toThrow(/scores\[1\]/)
  })
})

test('argsort equals a stable sort', () => {
  const special = [0, -0, 1e-320, -1e-320, Infinity, -Infinity, 1, -1, 0.5, 1e300, -1e300]
  const value = fc.oneof(fc.constantFrom(...special), fc.double({ noNaN: true }))
  fc.assert(
    fc.property(fc.array(value, { maxLength: 60 }), (values) => {
      const expected = values
        .map((_, i) => i)
        .sort((a, b) => (values[a]! < values[b]! ? -1 : values[a]! > values[b]! ? 1 : a - b))
      expect([...argsort(values)]).toEqual(expected)
    }),
    { numRuns: 500 },
  )
})

test('distributions equal SciPy', () => {
  for (const [x, value] of fixture.statistics.erfc) expect(Math.abs(erfc(x) / value - 1)).toBeLessThan(1e-14)
  for (const [p, value] of fixture.statistics.quantile) {
    expect(Math.abs(normalQuantile(p) - value)).toBeLessThan(1e-12)
    expect(Math.abs(normalCdf(value) / p - 1)).toBeLessThan(1e-13)
  }
  expect([normalQuantile(0), normalQuantile(1)]).toEqual([-Infinity, Infinity])
  for (const [x, value] of fixture.statistics.chi2)
    expect(Math.abs(chiSquared1Tail(x) / value - 1)).toBeLessThan(1e-13)
  for (const [k, n, value] of fixture.statistics.binomial)
    expect(Math.abs(binomialHalfTest(k, n) / value - 1)).toBeLessThan(1e-10)
  expect(meanAndDeviation([1, 2, 3, 4])).toEqual({ mean: 2.5, deviation: Math.sqrt(5 / 3) })
})
