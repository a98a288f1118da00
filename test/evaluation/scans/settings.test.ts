import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { evaluateFiles } from '../../../src/evaluation/index.js'
import { writeReport } from '../../../src/report/write_report.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-settings-'))
afterAll(() => rmSync(root, { recursive: true }))

const truth = join(root, 'truth.csv')
writeFileSync(truth, 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.1,0,0,0,10\n1.2,0,0,0,8\n')
const series = join(root, 'series.txt')
writeFileSync(series, '1.1\n1.2\n')

/** A folder of results: one nodule at (0, 0, 0) in the first scan, nothing in the others. */
function results(
  name: string,
  scans: { uid: string; model?: string; second?: string; least?: number }[],
): string {
  const place = join(root, name)
  mkdirSync(place)
  for (const [n, { uid, model = 'a', second, least }] of scans.entries()) {
    const file = (sha: string): object => ({
      path: `/x/${sha}.onnx`,
      sha256: sha.repeat(64),
      step: 1,
      codeVersion: '1',
    })
    const content = {
      ...{
        format: 'nodule-detections/1',
        patientId: `P${uid}`,
        studyInstanceUid: '1',
        seriesInstanceUid: uid,
      },
      model: file(model),
      ...(second === undefined ? {} : { second: file(second) }),
      versions: { nodule: '1', onnxruntime: '1', node: '1' },
      parameters: { overlap: 0.5, link: { maxGapMm: 5, minConfidence: least } },
      ...{ slices: [], warnings: [] },
      nodules:
        n > 0
          ? []
          : [
              {
                ...{ id: 1, center: [0, 0, 0], centerVoxel: [1, 1, 1], boxDiameterMm: 10, confidence: 0.9 },
                ...{ slices: [1, 1], box: { x1: 0, y1: 0, x2: 1, y2: 1 } },
              },
            ],
    }
    writeFileSync(join(place, `${uid}.json`), JSON.stringify(content))
  }
  return place
}

/** The warnings of the evaluation; the report's are the same. */
async function warningsOf(...predictions: string[]): Promise<string[]> {
  const { warnings } = await evaluateFiles({ truth, series, predictions, bootstraps: 0 })
  const [detections, ...compare] = predictions
  const report = await writeReport({
    ...{ detections, reference: truth, series, output: join(root, 'report.html'), bootstraps: 0 },
    ...(compare.length === 0 ? {} : { compare }),
  })
  for (const warning of warnings) expect(report.warnings).toContain(warning)
  return warnings
}

test('a folder with results of two models or settings', async () => {
  const same = results('same', [
    { uid: '1.1', least: 0.02, second: 'b' },
    { uid: '1.2', least: 0.02, second: 'b' },
  ])
  expect(await warningsOf(same)).toEqual([])
  const mixed = results('mixed', [
    { uid: '1.1', least: 0.02 },
    { uid: '1.2', least: 0.02, model: 'c' },
    { uid: '1.3', least: 0.01, second: 'b' },
    { uid: '1.4', least: 0.02 },
  ])
  expect((await warningsOf(mixed))[0]).toBe(
    `${mixed} holds results of 3 different models or settings, whose figures are counted together: ` +
      '2 scans with model a.onnx (aaaaaaaa), second stage none, link.minConfidence 0.02; ' +
      '1 scan with model c.onnx (cccccccc), second stage none, link.minConfidence 0.02; ' +
      '1 scan with model a.onnx (aaaaaaaa), second stage b.onnx (bbbbbbbb), link.minConfidence 0.01',
  )
})

test('marks that detection left out end the curve, and differ between runs', async () => {
  const high = results('high', [
    { uid: '1.1', least: 0.6 },
    { uid: '1.2', least: 0.6 },
  ])
  const ends =
    'high: the curve ends at 0 false positives per scan, since detection left out marks below confidence 0.6: with them the sensitivity at higher rates, and the CPM, may be higher'
  expect(await warningsOf(high)).toEqual([ends])
  const low = results('low', [
    { uid: '1.1', least: 0.01 },
    { uid: '1.2', least: 0.01 },
  ])
  const lower = results('lower', [
    { uid: '1.1', least: 0 },
    { uid: '1.2', least: 0 },
  ])
  expect(await warningsOf(low, lower)).toEqual([])
  expect(await warningsOf(high, low)).toEqual([
    ends,
    'the runs list marks from different confidences on (high: 0.6, low: 0.01), which makes up a part of their differences',
  ])
})
