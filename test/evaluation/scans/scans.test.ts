import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dropIntermediate, frocCurve, sensitivityAt } from '../../../src/evaluation/scans/froc.js'
import { officialFiles } from '../../../src/evaluation/scans/luna_output.js'
import { readFindingsCsv, readMarksCsv, readSeriesList } from '../../../src/formats/luna.js'
import { evaluateScans } from '../../../src/evaluation/scans/scans.js'
import type { Finding, Mark } from '../../../src/formats/luna.js'
import type { ScanEvaluation } from '../../../src/evaluation/scans/scans.js'
import { createRandom } from '../../../src/random.js'
import { realData } from '../../real_data.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-froc-'))
const file = (name: string, content: string): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const finding = (seriesUid: string, x: number, equivalentDiameterMm: number, excluded = false): Finding => ({
  seriesUid,
  id: `${seriesUid} ${x}`,
  x,
  y: 0,
  z: 0,
  equivalentDiameterMm,
  excluded,
})
const mark = (seriesUid: string, x: number, probability: number): Mark => ({
  seriesUid,
  id: `${seriesUid} ${x} ${probability}`,
  x,
  y: 0,
  z: 0,
  probability,
})

interface Fixture {
  series: string[]
  maxMarks: number
  annotations: string
  excluded: string
  predictions: string
  scans: number
  counts: Record<'tp' | 'fp' | 'fn' | 'marks' | 'nodules' | 'onExcluded' | 'doubleHits', number>
  curve: [number, number, number][]
  rates: number[]
  band?: Record<string, [number, number, number]>
}
const fixtures = (
  JSON.parse(readFileSync(new URL('../../fixtures/evaluation/luna_froc.json', import.meta.url), 'utf8')) as {
    cases: Fixture[]
  }
).cases

function expectCurve(result: ScanEvaluation, curve: Fixture['curve']): void {
  const ours = dropIntermediate(result.froc, result.scans, result.counts.nodules)
  expect(ours).toHaveLength(curve.length)
  for (const [i, [fps, sensitivity, threshold]] of curve.entries()) {
    expect(ours[i]!.falsePositivesPerScan).toBeCloseTo(fps, 9)
    expect(ours[i]!.sensitivity).toBeCloseTo(sensitivity, 9)
    // The script gives the added point at (0, 0) the best score + 1.
    if (ours[i]!.threshold !== null) expect(ours[i]!.threshold).toBeCloseTo(threshold, 9)
  }
}

/** A study that gives the vectors of the script's output: nodules and false positives far from each other. */
function fromVectors(
  vectors: readonly number[][],
  scans: number,
): { series: string[]; findings: Finding[]; marks: Mark[] } {
  const findings: Finding[] = []
  const marks: Mark[] = []
  for (const [i, [nodule, score]] of vectors.entries()) {
    const uid = `s${i % scans}`
    if (nodule === 1) findings.push(finding(uid, 1000 * i, 10))
    if (score! > -1e9) marks.push(mark(uid, 1000 * i, score!))
  }
  return { series: Array.from({ length: scans }, (_, i) => `s${i}`), findings, marks }
}

describe('the official script', () => {
  test.each(fixtures.map((item, index) => [index, item] as const))(
    'random scans %i: counts, curve and rates are equal',
    (index, item) => {
      const result = evaluateScans(
        item.series,
        [
          ...readFindingsCsv(file(`a${index}.csv`, item.annotations), false),
          ...readFindingsCsv(file(`x${index}.csv`, item.excluded), true),
        ],
        readMarksCsv(file(`p${index}.csv`, item.predictions)),
        { official: true, maxMarks: item.maxMarks, bootstraps: item.band === undefined ? 0 : 1000 },
      )
      expect(result.scans).toBe(item.scans)
      expect(result.counts).toMatchObject(item.counts)
      expectCurve(result, item.curve)
      const files = officialFiles(result, 'x')
      expect(files['froc_x.txt']).toBe(
        item.curve.map((point) => point.map((value) => value.toFixed(9)).join(',') + '\n').join(''),
      )
      expect(files['nodulesWithoutCandidate_x.txt']!.split('\n')).toHaveLength(item.counts.fn + 1)
      expect(result.operatingPoints.map((point) => point.sensitivity)).toEqual(
        item.rates.map((rate) => expect.closeTo(rate, 9) as number),
      )
      if (item.band === undefined) return
      // Other random numbers: the intervals agree within the noise of 1,000 samples.
      for (const point of result.operatingPoints) {
        const [, low, high] = item.band[String(point.falsePositivesPerScan)]!
        expect(Math.abs(point.low! - low)).toBeLessThan(0.05)
        expect(Math.abs(point.high! - high)).toBeLessThan(0.05)
      }
    },
  )

  const luna = realData('luna16')
  describe.skipIf(luna === undefined)("the example with the script's own output", () => {
    const example = join(luna ?? '', 'luna16', 'tianchi-example')
    const rows = (name: string): number[][] =>
      readFileSync(join(example, name), 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(',').map(Number))

    // The stored submission is not the one that the stored output was printed for (861 of its scores do not occur in
    // it), so the curve is checked from the vectors that the script wrote beside it.
    test('its vectors give its counts and its curve', () => {
      const vectors = rows('froc_gt_prob_vectors_all_predictions_world_coord.csv')
      const nodules = vectors.filter((row) => row[0] === 1)
      const found = nodules.filter((row) => row[1]! > -1e9)
      const analysis = readFileSync(join(example, 'CADAnalysis.txt'), 'utf8')
      const count = (name: string): number => Number(new RegExp(`${name}: ([\\d.]+)`).exec(analysis)![1])
      expect(found).toHaveLength(count('True positives'))
      expect(nodules).toHaveLength(count('Total number of nodules'))
      expect(vectors.length - nodules.length).toBe(count('False positives'))

      const scans = readSeriesList(join(example, 'seriesuids.csv'), true).length
      expect(scans).toBe(270)
      const curve = dropIntermediate(
        frocCurve(
          {
            scan: vectors.map(() => 0),
            nodule: vectors.map((row) => row[0] === 1),
            found: vectors.map((row) => row[1]! > -1e9),
            score: vectors.map((row) => row[1]!),
          },
          scans,
        ),
        scans,
        nodules.length,
      )
      const golden = rows('froc_all_predictions_world_coord.txt')
      expect(curve).toHaveLength(golden.length)
      for (const [i, [fps, sensitivity, threshold]] of golden.entries()) {
        expect(Math.abs(curve[i]!.falsePositivesPerScan - fps!)).toBeLessThan(1e-6)
        expect(Math.abs(curve[i]!.sensitivity! - sensitivity!)).toBeLessThan(1e-6)
        expect(Math.abs(curve[i]!.threshold! - threshold!)).toBeLessThan(1e-6)
      }
    })

    test('its files are written as the script writes them', () => {
      const vectors = rows('froc_gt_prob_vectors_all_predictions_world_coord.csv')
      // The same figures, from marks and findings of one scan each that give these vectors.
      const name = 'all_predictions_world_coord'
      const { series, findings, marks } = fromVectors(vectors, 270)
      const evaluation = evaluateScans(series, findings, marks, { bootstraps: 0, maxMarks: 0 })
      const files = officialFiles(evaluation, name)
      const golden = (file: string): string => readFileSync(join(example, file), 'utf8')
      expect(files[`froc_${name}.txt`]).toBe(golden(`froc_${name}.txt`))
      // What the vectors do not say: marks that were ignored.
      const ignored = /candidates|double/
      const kept = (text: string): string[] => text.split('\n').filter((line) => !ignored.test(line))
      expect(kept(files['CADAnalysis.txt']!)).toEqual(kept(golden('CADAnalysis.txt')))
      const sorted = (text: string): string[] => text.split('\n').sort()
      expect(sorted(files[`froc_gt_prob_vectors_${name}.csv`]!)).toEqual(
        sorted(golden(`froc_gt_prob_vectors_${name}.csv`)),
      )
    })

    test('the stored submission gives what the script gives for it', () => {
      const run = (official: boolean): ScanEvaluation =>
        evaluateScans(
          readSeriesList(join(example, 'seriesuids.csv'), official),
          [
            ...readFindingsCsv(join(example, 'annotations.csv'), false),
            ...readFindingsCsv(join(example, 'annotations_excluded.csv'), true),
          ],
          readMarksCsv(join(example, 'all_predictions_world_coord.csv')),
          { official, bootstraps: 0 },
        )
      const official = run(true)
      expect(official.scans).toBe(270)
      // Printed by noduleCADEvaluationLUNA16.py's logic under Python 3 for these four files.
      expect(official.counts).toMatchObject({
        nodules: 559,
        excludedFindings: 0,
        marks: 5831,
        droppedMarks: 143,
        tp: 173,
        fp: 5455,
        fn: 386,
        onExcluded: 0,
        doubleHits: 203,
      })
      expect(dropIntermediate(official.froc, 270, 559)).toHaveLength(1393)
      const rates = [0.025875287503, 0.051750575006, 0.102437021614, 0.139697511791, 0.193202146691]
      for (const [i, rate] of rates.entries())
        expect(official.operatingPoints[i]!.sensitivity).toBeCloseTo(rate, 9)
      // Without the script's view of the list: the header is no scan, repeated series count once.
      const own = run(false)
      expect(own.scans).toBe(200)
      expect(own.warnings[0]).toMatch(/^69 entries of the series list repeat a series; they are left out/)
    })
  })
})

describe('matching', () => {
  test('radius, best mark, doubles, excluded findings, misses', () => {
    const result = evaluateScans(
      ['a', 'b'],
      [finding('a', 0, 10), finding('a', 100, 10), finding('b', 0, 6), finding('a', 50, -1, true)],
      [
        mark('a', 4.99, 0.4),
        mark('a', -2, 0.9),
        mark('a', 5, 0.8), // exactly on the radius: outside
        mark('a', 54, 0.95), // inside the excluded finding of 10 mm
        mark('b', 20, 0.7),
      ],
      { bootstraps: 0 },
    )
    expect(result.counts).toEqual({
      ...{ nodules: 3, scansWithNodules: 2, excludedFindings: 1 },
      ...{ marks: 5, droppedMarks: 0, tp: 1, fp: 2, fn: 2, onExcluded: 1, doubleHits: 1 },
    })
    expect(result.findings[0]).toMatchObject({ hitBy: 'a -2 0.9', score: 0.9, marks: 2, distanceMm: 2 })
    expect(result.marks.map((item) => item.outcome)).toEqual([
      'double',
      'hit',
      'false positive',
      'excluded',
      'false positive',
    ])
    expect(result.froc).toEqual([
      { threshold: 0.9, falsePositivesPerScan: 0, sensitivity: 1 / 3 },
      { threshold: 0.8, falsePositivesPerScan: 0.5, sensitivity: 1 / 3 },
      { threshold: 0.7, falsePositivesPerScan: 1, sensitivity: 1 / 3 },
    ])
    expect(result.cpm!.value).toBeCloseTo(1 / 3, 12)
  })

  test('a mark inside two nodules hits both', () => {
    const result = evaluateScans(['a'], [finding('a', 0, 10), finding('a', 2, 10)], [mark('a', 1, 0.5)], {
      bootstraps: 0,
    })
    expect(result.counts).toMatchObject({ tp: 2, fp: 0, fn: 0 })
    expect(result.cpm!.value).toBe(1)
  })

  test('interpolation: between points, at steps, beyond the end', () => {
    const curve = [
      { threshold: 0.9, falsePositivesPerScan: 0, sensitivity: 0.2 },
      { threshold: 0.8, falsePositivesPerScan: 1, sensitivity: 0.4 },
      { threshold: 0.7, falsePositivesPerScan: 1, sensitivity: 0.6 },
      { threshold: 0.6, falsePositivesPerScan: 3, sensitivity: 0.8 },
    ]
    expect(sensitivityAt(curve, 0.5)).toBeCloseTo(0.3, 12)
    expect(sensitivityAt(curve, 1)).toBeCloseTo(0.6, 12)
    expect(sensitivityAt(curve, 2)).toBeCloseTo(0.7, 12)
    expect(sensitivityAt(curve, 8)).toBe(0.8)
  })

  test('a rate on an exact number of false positives: exact, or rounded as the script rounds', () => {
    // Of 187 false positives on 24 scans, 3 make 1/8 per scan; the script gets 3 / 187 * 187 = 3.0000000000000004.
    const series = Array.from({ length: 24 }, (_, i) => `s${i}`)
    const wrong = Array.from({ length: 187 }, (_, i) => mark(series[i % 24]!, 1000 + i, 0.9 - 0.001 * i))
    const findings = [finding('s0', 0, 10), finding('s1', 0, 10)]
    const marks = [...wrong, mark('s0', 0, 0.95), mark('s1', 0, 0.8975)]
    const at = (official: boolean): number =>
      evaluateScans(series, findings, marks, { official, bootstraps: 0 }).operatingPoints[0]!.sensitivity!
    expect(at(false)).toBe(1)
    expect(at(true)).toBe(0.5)
  })

  test('nothing found, nothing there, lists that do not fit', () => {
    const nothingFound = evaluateScans(['a'], [finding('a', 0, 10)], [], { bootstraps: 10 })
    expect(nothingFound).toMatchObject({ sensitivity: 0, marksPerScan: 0 })
    expect(nothingFound.warnings).toEqual(['the predictions hold no mark'])
    const repeated = evaluateScans(
      ['a'],
      [finding('a', 0, 10), finding('a', 0, 10), finding('a', 50, 10, true), finding('a', 50, 10, true)],
      [mark('a', 9, 0.5), mark('a', 9, 0.5), mark('a', 9, 0.4)],
      { bootstraps: 10 },
    )
    expect(repeated.warnings).toEqual([
      '1 nodule repeats another one exactly; each counts',
      '1 mark repeats another one exactly; each counts',
    ])
    expect(nothingFound.cpm).toEqual({ value: 0 })
    const nothingThere = evaluateScans(['a'], [], [mark('a', 0, 1)])
    expect(nothingThere).toMatchObject({ sensitivity: null, cpm: null, bootstrap: null })
    for (const { sensitivity } of [...nothingThere.operatingPoints, ...nothingThere.froc])
      expect(sensitivity).toBeNull()
    expect(officialFiles(nothingThere, 'x')['froc_x.txt']).toMatch(/^(\S+,0\.000000000,\S+\n)+$/)
    expect(nothingThere.warnings).toEqual(['the reference holds no nodule: the sensitivity is undefined'])
    const foreign = evaluateScans(['a'], [finding('b', 0, 1)], [mark('c', 0, 1), mark('c', 1, 1)])
    expect(foreign.warnings.slice(0, 2)).toEqual([
      '1 finding of 1 series that are not in the list is left out',
      '2 marks of 1 series that are not in the list are left out',
    ])
    expect(() => evaluateScans([], [], [])).toThrow(/list of series is empty/)
    expect(() => evaluateScans(['a'], [], [mark('a', 0, Number.NaN)])).toThrow(/probability/)
  })

  test('against the definition, one threshold at a time', () => {
    const any = fc.record({
      nodules: fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 3, max: 12 })), {
        maxLength: 4,
      }),
      marks: fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 9 })), {
        maxLength: 8,
      }),
    })
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 4 }), (scans) => {
        const findings = scans.flatMap((scan, s) =>
          scan.nodules.map(([x, d], i) => ({ ...finding(`s${s}`, x, d), id: `${s}/${i}` })),
        )
        const marks = scans.flatMap((scan, s) =>
          scan.marks.map(([x, p], i) => ({ ...mark(`s${s}`, x, p / 10), id: `${s}/${i}` })),
        )
        const result = evaluateScans(
          scans.map((_, s) => `s${s}`),
          findings,
          marks,
          { bootstraps: 0 },
        )
        for (const point of result.froc) {
          if (point.threshold === null) continue
          const kept = marks.filter((item) => item.probability >= point.threshold!)
          const inside = (item: Mark, nodule: Finding): boolean =>
            item.seriesUid === nodule.seriesUid &&
            Math.abs(item.x - nodule.x) < nodule.equivalentDiameterMm / 2
          const hit = findings.filter((nodule) => kept.some((item) => inside(item, nodule)))
          const wrong = kept.filter((item) => !findings.some((nodule) => inside(item, nodule)))
          expect(point.sensitivity).toBeCloseTo(findings.length > 0 ? hit.length / findings.length : 0, 12)
          expect(point.falsePositivesPerScan).toBeCloseTo(wrong.length / scans.length, 12)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('bootstrap', () => {
  test('seeded, inside [0, 1], around the curve', () => {
    const item = fixtures[4]!
    const run = (seed: number): ScanEvaluation =>
      evaluateScans(
        item.series,
        readFindingsCsv(file('s.csv', item.annotations), false),
        readMarksCsv(file('m.csv', item.predictions)),
        { bootstraps: 200, seed },
      )
    const first = run(1)
    expect(run(1)).toEqual(first)
    expect(run(2).bootstrap).not.toEqual(first.bootstrap)
    expect(first.cpm!.low).toBeLessThan(first.cpm!.value)
    expect(first.cpm!.high).toBeGreaterThan(first.cpm!.value)
    const band = first.bootstrap!
    expect(band.falsePositivesPerScan).toHaveLength(10_000)
    expect([band.falsePositivesPerScan[0], band.falsePositivesPerScan.at(-1)]).toEqual([0.125, 8])
    for (let i = 0; i < 10_000; i += 100) {
      expect(band.low[i]).toBeLessThanOrEqual(band.mean[i]!)
      expect(band.mean[i]).toBeLessThanOrEqual(band.high[i]!)
    }
  })

  test('1,000 samples of 888 scans and 55,000 marks in seconds', () => {
    const random = createRandom(5)
    const series = Array.from({ length: 888 }, (_, i) => `s${i}`)
    const findings = Array.from({ length: 1186 }, (_, i) => ({
      ...finding(`s${random.integer(888)}`, random.uniform() * 300, 10),
      id: `${i}`,
    }))
    const marks = Array.from({ length: 55_000 }, (_, i) => ({
      ...mark(`s${random.integer(888)}`, random.uniform() * 300, random.uniform()),
      id: `${i}`,
    }))
    // The goal is 5 s on two quiet cores (npm run bench -- evaluation); other tests may run beside this one.
    const before = process.cpuUsage()
    const result = evaluateScans(series, findings, marks, { bootstraps: 1000 })
    expect(process.cpuUsage(before).user).toBeLessThan(10e6)
    expect(result.bootstrap!.samples).toBe(1000)
  })
})
