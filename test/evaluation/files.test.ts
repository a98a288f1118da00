import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { distinctNames, evaluateFiles, readReferences, readerPoints } from '../../src/evaluation/index.js'
import { readFindingsCsv } from '../../src/formats/luna.js'
import { marksOf, readMarks } from '../../src/evaluation/scans/marks.js'
import { pythonFloat, tensorBoxText } from '../../src/evaluation/slices/slice_runs.js'
import type { Finding } from '../../src/formats/index.js'
import type { EvaluateOptions, GroupRow, ScanRun, SliceRun, SliceRuns } from '../../src/evaluation/index.js'
import { withKeys } from '../../src/evaluation/scans/references.js'
import { findSeries } from '../../src/dicom/index.js'
import { writeReport } from '../../src/report/write_report.js'
import { writeTinyScan } from '../inference/tiny_scan.js'
import { realData } from '../real_data.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-evaluate-'))
const file = (name: string, content: unknown): string => {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const rect = (x: number, score?: number): object => ({ x1: x, y1: 0, x2: x + 10, y2: 10, score })
const truth = file('truth.json', [
  { image_path: 'f/a.png', rects: [rect(0), rect(50)] },
  { image_path: 'f/b.png', rects: [] },
])
const good = file('good.json', [
  { image_path: 'f/a.png', rects: [rect(0, 0.9), rect(50, 0.8)] },
  { image_path: 'f/b.png', rects: [rect(5, 0.1)] },
])
const bad = file('bad.json', [
  { image_path: 'f/a.png', rects: [rect(0, 0.9), rect(80, 0.95)] },
  { image_path: 'f/b.png', rects: [] },
])
const nodules = file('nodules.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.1,0,0,0,10\n1.2,0,0,0,8\n')
const marksA = file(
  'a.csv',
  'seriesuid,coordX,coordY,coordZ,probability,diameter_mm\n1.1,1,0,0,0.9,12\n1.2,50,0,0,0.5,5\n1.9,0,0,0,0.5,5\n',
)

describe('what the files are decides the level', () => {
  test('slices: one run', async () => {
    const { results, table, json, warnings } = await evaluateFiles({ truth, predictions: [good] })
    expect(results).toHaveProperty('slices')
    expect(json).toMatchObject({ kind: 'slices', name: 'good.json', ap: 1, coco: { from50to95: 1 } })
    // Nothing of this machine.
    expect(json).toMatchObject({ source: { truth: basename(truth), predictions: 'good.json' } })
    expect(JSON.stringify(json)).not.toContain(folder)
    expect(table).toContain('average precision, all points')
    expect(table).toMatch(/best F1 +1\.000/)
    expect(warnings).toEqual([])
  })

  test('slices: two runs side by side, with the difference', async () => {
    const { table, json } = await evaluateFiles({ truth, predictions: [good, bad], bootstraps: 20 })
    expect(json).toMatchObject({
      kind: 'comparison',
      comparisons: [{ first: 'good.json', second: 'bad.json', ap: { first: 1, second: 0.25 } }],
    })
    expect(table).toMatch(/AP, good\.json - bad\.json: \+0\.750/)
  })

  test('slices: by type and diameter of the nodule, where the list says them', async () => {
    const measures = [
      { readers: 4, axialDiameterMm: 5, texture: 4.75 },
      // As the first versions called the axial diameter.
      { readers: 3, diameterMm: 9, texture: 1.5 },
    ]
    const entries = (first: unknown, second: unknown): unknown => [
      // The first box has no area: what it measures goes with it.
      {
        image_path: 'f/a.png',
        rects: [{ ...rect(3), x2: 3 }, rect(0), rect(50)],
        nodule: { measures: first },
      },
      { image_path: 'f/b.png', rects: [rect(5)], nodule: { measures: second } },
    ]
    const typed = file(
      'typed.json',
      entries([{ axialDiameterMm: 40, texture: 1 }, ...measures], [{ axialDiameterMm: 9 }]),
    )
    const { results, table } = await evaluateFiles({ truth: typed, predictions: [bad], bootstraps: 0 })
    const [run] = (results as { slices: SliceRuns }).slices.runs
    const rows = (list: GroupRow[]): unknown => list.map((row) => [row.group, row.total, row.found])
    expect(rows(run!.byType)).toEqual([
      ['ground glass', 1, 0],
      ['solid', 1, 1],
      ['type unknown', 1, 0],
    ])
    expect(rows(run!.byAxialDiameter)).toEqual([
      ['4 to 6 mm', 1, 1],
      ['8 to 15 mm', 2, 0],
    ])
    expect(table).toMatch(/type at the best F1 +found +of/)

    const old = await evaluateFiles({ truth, predictions: [bad], bootstraps: 0 })
    expect(old.table).toMatch(/type unknown +1 +2 /)
    expect(old.json).toMatchObject({ apInterval: null })
    const faulty: [unknown, RegExp][] = [
      [measures, /\/1\/nodule\/measures.*one for each of the 1 rects/],
      [[{ axialDiameterMm: 'big' }], /\/1\/nodule\/measures\/0\/axialDiameterMm/],
    ]
    for (const [second, message] of faulty) {
      const path = file('faulty.json', entries([{ diameterMm: 40 }, ...measures], second))
      await expect(evaluateFiles({ truth: path, predictions: [bad] })).rejects.toThrow(message)
    }
  })

  test('slices: raw boxes are stitched on demand', async () => {
    const raw = file('raw.json', [
      { image_path: 'f/a.png', rects: [rect(1, 0.7), rect(0, 0.9), rect(50, 0.8), rect(56, 0.85)] },
      { image_path: 'f/b.png', rects: [rect(5, 0.1)] },
    ])
    const counts = async (tau: number | undefined): Promise<unknown> => {
      const { json, warnings } = await evaluateFiles({ truth, predictions: [raw], tau, bootstraps: 0 })
      const { tp, fp, fn } = (json as SliceRun).counts
      return [tp, fp, fn, warnings]
    }
    expect(await counts(undefined)).toEqual([2, 3, 0, []])
    // At 0.5 the box at 1 falls for the one at 0; at 0.3 the true one at 50 for the more confident one at 56.
    const warning = (count: number, tau: number): string =>
      `${count} predicted boxes share ${tau} of the smaller area or more with a more confident one and are left out`
    expect(await counts(0.5)).toEqual([2, 2, 0, [warning(1, 0.5)]])
    expect(await counts(0.3)).toEqual([1, 2, 1, [warning(2, 0.3)]])
    await expect(counts(1.5)).rejects.toThrow(/tau/)
  })

  test('scans: marks against a CSV of nodules', async () => {
    const { table, json, warnings } = await evaluateFiles({
      truth: nodules,
      predictions: [marksA],
      bootstraps: 10,
    })
    const run = json as ScanRun
    expect(run.counts).toMatchObject({ nodules: 2, tp: 1, fn: 1, fp: 2 })
    expect(run.scans).toBe(3)
    expect(run.sizes).toMatchObject({ pairs: 1, bias: 2 })
    expect(run.byEquivalentDiameter.find((row) => row.group === '8 to 15 mm')).toMatchObject({
      total: 2,
      found: 1,
    })
    expect(table).toMatch(/found \/ missed +1 \/ 1/)
    expect(table).toContain('1.2 nodule 2')
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/no list of series: the 3 that/)
    // Without a diameter, in LUNA16's way.
    const unknown = file('unknown.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.1,0,0,0,-1\n')
    const sizeless = await evaluateFiles({ truth: unknown, predictions: [marksA], bootstraps: 0 })
    expect(sizeless.json).toMatchObject({ sizes: null })
    expect(sizeless.table).toMatch(/diameter unknown +1 +1/)
    const series = file('series.csv', '1.1\n1.2\n')
    const listed = await evaluateFiles({ truth: nodules, predictions: [marksA], series, bootstraps: 0 })
    expect(listed.warnings).toEqual(['1 mark of 1 series that are not in the list is left out'])
  })

  test('labels: one column, two columns, what is wrong', async () => {
    const rows = ['1,0.9,0.8', '1,0.7,0.2', '0,0.3,0.4', '0,0.1,0.6']
    const labels = file('labels.csv', ['label,probability_a,score_b', ...rows].join('\n'))
    const { table, json } = await evaluateFiles({ labels })
    expect(json).toMatchObject({
      kind: 'comparison',
      runs: [
        { name: 'probability_a', auc: { value: 1 } },
        { name: 'score_b', auc: { value: 0.5 } },
      ],
      comparisons: [{ firstName: 'probability_a', difference: 0.5 }],
    })
    expect(table).toContain('DeLong p =')
    const wrong = file('wrong.csv', 'label,score\n2,0.5\n')
    await expect(evaluateFiles({ labels: wrong })).rejects.toThrow(
      /line 2, label: wrong value: expected 0 or 1/,
    )
    const one = file('one.csv', 'label,score\n1,0.5\n')
    await expect(evaluateFiles({ labels: one })).rejects.toThrow(/one kind of label/)
    const none = file('none.csv', 'label,x\n1,0.5\n')
    await expect(evaluateFiles({ labels: none })).rejects.toThrow(/column probability or score/)
  })

  test('contradictions are refused', async () => {
    await expect(evaluateFiles({ predictions: [good] })).rejects.toThrow(/said once.*0 of them/)
    await expect(evaluateFiles({ truth, scans: ['x'] })).rejects.toThrow(/2 of them/)
    await expect(evaluateFiles({ truth })).rejects.toThrow(/for predictions/)
    const scans = { truth: nodules, predictions: [marksA] }
    const without: [EvaluateOptions, string][] = [
      [{ ...scans, minScore: 0.5 }, 'minScore'],
      [{ ...scans, iou: 0.5 }, 'iou'],
      [{ ...scans, rpc: 'x' }, 'rpc'],
      [{ ...scans, minReaders: 2 }, 'minReaders'],
      [{ scans: ['x'], predictions: [marksA], excluded: 'nonexist.csv' }, 'excluded'],
      [{ truth, predictions: [good], lunaOutput: 'x' }, 'lunaOutput'],
      [{ truth, predictions: [good], series: 'x' }, 'series'],
      [{ truth, predictions: [good], excluded: 'x' }, 'excluded'],
      [{ truth, predictions: [good], maxMarks: 5 }, 'maxMarks'],
      [{ truth, predictions: [good], threshold: 0.5 }, 'threshold'],
      [{ labels: 'x.csv', predictions: [good] }, 'predictions'],
      [{ labels: 'x.csv', official: true }, 'official'],
      [{ labels: 'x.csv', bootstraps: 100 }, 'bootstraps'],
      [{ labels: 'x.csv', seed: 2 }, 'seed'],
    ]
    for (const [options, name] of without)
      await expect(evaluateFiles(options)).rejects.toThrow(
        `the option has no effect here (${name}): expected`,
      )
    await expect(evaluateFiles({ truth: join(folder, 'no.csv'), predictions: [marksA] })).rejects.toThrow(
      /no such/,
    )
  })
})

test("TensorBox's text file, as Python writes its numbers", async () => {
  // (1, 0) first; then before and after each change: 0.95 is wrong, 0.9 is a hit.
  expect(await tensorBoxText(truth, bad)).toBe(
    ['1.0 0.0 inf 0.5', '0.0 0.0 0.95 0.5', '0.0 0.0 0.95 0.5', '0.5 0.5 0.9 0.5', ''].join('\n'),
  )
  const numbers = [1, 0.1, 1e-5, 1.5e-7, 123456789, 1e16, -0.5, 2 / 3]
  const python = ['1.0', '0.1', '1e-05', '1.5e-07', '123456789.0', '1e+16', '-0.5', '0.6666666666666666']
  expect(numbers.map(pythonFloat)).toEqual(python)
})

test('names of runs differ', () => {
  expect(distinctNames(['a/x.json', 'a/y.json'])).toEqual(['x.json', 'y.json'])
  expect(distinctNames(['a/x.json', 'b/x.json'])).toEqual(['a/x.json', 'b/x.json'])
  expect(distinctNames(['x', 'x'])).toEqual(['x (1)', 'x (2)'])
})

describe('a folder of detections', () => {
  const detection = (uid: string, patientId = 'P'): object => ({
    format: 'nodule-detections/1',
    patientId,
    studyInstanceUid: '1',
    seriesInstanceUid: uid,
    model: { path: 'a.onnx', sha256: 'a', step: 1, codeVersion: '1' },
    versions: { nodule: '1', onnxruntime: '1', node: '1' },
    parameters: {},
    slices: [],
    nodules: [
      {
        ...{
          id: 4,
          center: [1, 2, 3],
          centerVoxel: [3, 2, 1],
          diameterMm: 7,
          confidence: 0.5,
          slices: [2, 4],
        },
        box: { x1: 0, y1: 0, x2: 1, y2: 1 },
      },
    ],
    warnings: [],
  })

  test('gives marks and series; other files are named, damaged and doubled ones refused', async () => {
    const place = join(folder, 'found')
    mkdirSync(place)
    file('found/a.json', detection('1.1'))
    file('found/b.json', { format: 'else' })
    const warnings: string[] = []
    expect(marksOf(await readMarks(place, warnings), new Set())).toEqual({
      name: 'found',
      marks: [{ seriesUid: '1.1', id: '1.1 4', x: 1, y: 2, z: 3, probability: 0.5, measuredDiameterMm: 7 }],
      series: ['1.1'],
    })
    expect(warnings).toEqual([`1 JSON file of ${place} is not nodule-detections/1, first b.json`])
    file('found/c.json', detection('1.1'))
    await expect(readMarks(place, [])).rejects.toThrow(
      /c\.json: two files hold detections of one scan: .*as in a\.json/,
    )
    file('found/c.json', { ...detection('1.3'), nodules: [{}] })
    await expect(readMarks(place, [])).rejects.toThrow(/c\.json: \/nodules\/0/)
  })

  test('holds one series UID of several patients; a table that says the UID only is refused there', async () => {
    const place = join(folder, 'shared')
    mkdirSync(place)
    file('shared/a.json', detection('1.1', 'A'))
    file('shared/b.json', detection('1.1', 'B'))
    file('shared/c.json', detection('1.2', 'A'))
    // Its volume file too.
    file('shared/d.json', detection('1.2', '1.2'))
    await expect(readMarks(place, [])).rejects.toThrow(
      /d\.json: two files hold.* received 1\.2, as in c\.json/,
    )
    rmSync(join(place, 'd.json'))
    const source = await readMarks(place, [])
    expect(marksOf(source, new Set(['1.1']))).toMatchObject({
      series: ['1.1 (A)', '1.1 (B)', '1.2'],
      marks: [{ id: '1.1 (A) 4' }, { id: '1.1 (B) 4' }, { id: '1.2 4' }],
    })
    const truth = (uid: string): string =>
      file(`of-${uid}.csv`, `seriesuid,coordX,coordY,coordZ,diameter_mm\n${uid},1,2,3,10\n`)
    const options = { predictions: [place], bootstraps: 0 }
    await expect(evaluateFiles({ ...options, truth: truth('1.1') })).rejects.toThrow(
      /of-1\.1\.csv: the file does not tell which patient a series is of.*received 1\.1/,
    )
    const { json } = await evaluateFiles({ ...options, truth: truth('1.2') })
    expect(json).toMatchObject({ scans: 3, counts: { tp: 1, fp: 2 } })
    const series = file('shared.txt', '1.1\n1.2\n')
    const listed = await evaluateFiles({ ...options, truth: truth('1.2'), series })
    expect(listed.json).toMatchObject({ scans: 3, counts: { tp: 1, fp: 2 } })
  })
})

test('one XML that two patients of a series UID get is said; their findings are told apart', async () => {
  const place = join(folder, 'two patients')
  const patient = { seriesInstanceUid: '1.2.826.0.1.5', slices: 4 }
  const both = ['A', 'B'].map((patientId) => ({ ...patient, patientId }))
  for (const one of both) await writeTinyScan(join(place, one.patientId), one)
  const { series } = await findSeries([place])
  const contour = [
    [20, 20],
    [26, 20],
    [26, 26],
    [20, 26],
  ].map(([x, y]) => `<edgeMap><xCoord>${x}</xCoord><yCoord>${y}</yCoord></edgeMap>`)
  const roi = `<roi><imageZposition>-90</imageZposition><imageSOP_UID>1.2.826.0.1.9.2</imageSOP_UID><inclusion>TRUE</inclusion>${contour.join('')}</roi>`
  const session = `<readingSession><annotationVersion>3</annotationVersion><servicingRadiologistID>1</servicingRadiologistID><unblindedReadNodule><noduleID>1</noduleID>${roi}</unblindedReadNodule></readingSession>`
  const xml = file(
    'both.xml',
    `<LidcReadMessage><ResponseHeader><SeriesInstanceUid>${patient.seriesInstanceUid}</SeriesInstanceUid></ResponseHeader>${session}</LidcReadMessage>`,
  )
  const { scans, warnings } = await readReferences([place], [xml], { minReaders: 1 })
  expect(series).toHaveLength(2)
  expect(warnings).toEqual([expect.stringContaining('both.xml: taken for A and B') as string])
  const keyed = withKeys(scans, new Set([patient.seriesInstanceUid]))
  expect(keyed.map((scan) => [scan.key, scan.findings[0]!.seriesUid])).toEqual([
    ['1.2.826.0.1.5 (A)', '1.2.826.0.1.5 (A)'],
    ['1.2.826.0.1.5 (B)', '1.2.826.0.1.5 (B)'],
  ])

  // Each has an XML of its own, and only A's nodule is found.
  for (const { patientId } of both) copyFileSync(xml, join(place, patientId, 'reading.xml'))
  const found = join(folder, 'found of two')
  mkdirSync(found)
  const { x, y, z } = scans[0]!.findings[0]!
  const nodule = { center: [x, y, z], centerVoxel: [1, 23, 23], boxDiameterMm: 30, slices: [1, 1] }
  for (const { patientId, seriesInstanceUid } of both)
    file(`found of two/${patientId}.json`, {
      ...{ format: 'nodule-detections/1', patientId, studyInstanceUid: '1', seriesInstanceUid },
      model: { path: 'a.onnx', sha256: 'a', step: 1, codeVersion: '1' },
      versions: { nodule: '1', onnxruntime: '1', node: '1' },
      ...{ parameters: {}, slices: [], warnings: [] },
      nodules:
        patientId === 'A'
          ? [{ ...nodule, id: 1, confidence: 0.9, box: { x1: 20, y1: 20, x2: 26, y2: 26 } }]
          : [],
    })
  const options = { scans: [place], predictions: [found], minReaders: 1, bootstraps: 0 }
  const { json } = await evaluateFiles(options)
  expect(json).toMatchObject({ scans: 2, counts: { nodules: 2, tp: 1, fn: 1, fp: 0 } })
  // Results of one patient under a new name are found by their UID.
  const copy = join(folder, 'found of a copy')
  mkdirSync(copy)
  const ofA = JSON.parse(readFileSync(join(found, 'A.json'), 'utf8')) as object
  file('found of a copy/a.json', { ...ofA, patientId: 'ANON-7' })
  const anonymous = await evaluateFiles({ ...options, scans: [join(place, 'A')], predictions: [copy] })
  expect(anonymous.json).toMatchObject({ scans: 1, counts: { nodules: 1, tp: 1 } })
  const report = await writeReport({
    ...{ detections: found, scans: [place], output: join(folder, 'two.html'), bootstraps: 0 },
  })
  expect(report.figures).toMatchObject({ scans: { nodules: [{ patientId: 'A' }] } })
})

const lidc = [realData('lidc-idri-0001'), realData('lidc-idri-0003')].filter((one) => one !== undefined)
const luna = realData('luna16')
describe.skipIf(lidc.length < 2 || luna === undefined)('consensus of real scans', () => {
  test("agrees with LUNA16's annotations where LUNA16 has the scan", async () => {
    const { scans, warnings } = await readReferences(lidc)
    expect(warnings).toEqual([])
    expect(scans).toHaveLength(2)
    const official = [
      ...readFindingsCsv(join(luna!, 'luna16', 'annotations.csv'), false),
      ...readFindingsCsv(join(luna!, 'luna16', 'annotations_excluded.csv'), true),
    ]
    let compared = 0
    for (const scan of scans) {
      const theirs = official.filter(
        (finding) => finding.seriesUid === scan.series.seriesInstanceUid && !finding.excluded,
      )
      if (theirs.length === 0) continue
      const ours = scan.findings.filter((finding) => !finding.excluded)
      expect(ours).toHaveLength(theirs.length)
      for (const nodule of theirs) {
        const distance = (own: Finding): number =>
          Math.hypot(own.x - nodule.x, own.y - nodule.y, own.z - nodule.z)
        const nearest = [...ours].sort((a, b) => distance(a) - distance(b))[0]!
        expect(distance(nearest)).toBeLessThan(1.5)
        expect(Math.abs(nearest.equivalentDiameterMm / nodule.equivalentDiameterMm - 1)).toBeLessThan(0.1)
        compared++
      }
    }
    expect(compared).toBeGreaterThan(0)
    for (const point of readerPoints(scans)) expect(point.sensitivity).toBe(1)
  })
})
