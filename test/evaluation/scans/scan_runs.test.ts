import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { evaluateFiles } from '../../../src/evaluation/index.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-scan-runs-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const nodules = file('nodules.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.1,0,0,0,10\n1.2,0,0,0,8\n')
const marksA = file(
  'a.csv',
  'seriesuid,coordX,coordY,coordZ,probability,diameter_mm\n1.1,1,0,0,0.9,12\n1.2,50,0,0,0.5,5\n',
)

test('a missed nodule of unknown diameter has none in the table', async () => {
  const unknown = file('unknown.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.1,90,0,0,-1\n')
  const { table } = await evaluateFiles({ truth: unknown, predictions: [marksA], bootstraps: 0 })
  expect(table).toMatch(/\n +1\.1 nodule 1 +90\.0 +0\.0 +0\.0 +-\n/)
})

test('two runs on a truth without nodules have no difference', async () => {
  const none = file('none.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n')
  const marksB = file('b.csv', 'seriesuid,coordX,coordY,coordZ,probability\n1.1,1,0,0,0.9\n')
  const series = file('elsewhere.txt', '1.1\n')
  const excluded = file('excluded.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.1,9,9,9,-1\n')
  const { json, table, warnings } = await evaluateFiles({
    ...{ truth: none, excluded, series, predictions: [marksA, marksB] },
  })
  expect(json).toMatchObject({ runs: [{ cpm: null }, { cpm: null }], comparisons: [] })
  expect(table).toMatch(/CPM, the mean of these +- +-\n/)
  expect(warnings).toContain('the reference holds no nodule: the sensitivity is undefined')
})

test('a folder without a file of a listed scan: that is said', async () => {
  mkdirSync(join(folder, 'few'))
  file('few/a.json', {
    ...{ format: 'nodule-detections/1', patientId: 'P', studyInstanceUid: '1', seriesInstanceUid: '1.1' },
    model: { path: 'a.onnx', sha256: 'a', step: 1, codeVersion: '1' },
    versions: { nodule: '1', onnxruntime: '1', node: '1' },
    ...{ parameters: {}, slices: [], nodules: [], warnings: [] },
  })
  const options = { predictions: [join(folder, 'few')], truth: nodules, bootstraps: 0 }
  const series = file('three.txt', '1.1\n1.2\n1.3\n')
  const { json, warnings } = await evaluateFiles({ ...options, series })
  expect(json).toMatchObject({ scans: 3, counts: { nodules: 2, fn: 2 } })
  expect(warnings[0]).toBe('2 of 3 scans have no file in few: their nodules count as missed')
  const unlisted = await evaluateFiles(options)
  expect(unlisted.warnings.slice(0, 2)).toEqual([
    expect.stringMatching(/^no list of series: the 2 /),
    '1 of 2 scans has no file in few: its nodules count as missed',
  ])
})

test('a folder without a result, or with those of other scans alone, is refused: all would count as missed', async () => {
  const options = { truth: nodules, bootstraps: 0 }
  const none = join(folder, 'nothing')
  mkdirSync(none)
  const told =
    /nothing: the folder holds no detections: expected results of nodule detect \(nodule-detections\/1\)/
  const list = file('frames.json', [{ image_path: 'a.png', rects: [] }])
  for (const predictions of [[none], [marksA, none]])
    await expect(evaluateFiles({ ...options, predictions })).rejects.toThrow(told)
  await expect(
    evaluateFiles({ truth: list, predictions: [none], mismatch: 'miss', bootstraps: 0 }),
  ).rejects.toThrow(told)
  file('nothing/other.json', {})
  const other = /received 1 JSON file of .*nothing is not nodule-detections\/1, first other\.json$/
  await expect(evaluateFiles({ ...options, predictions: [none] })).rejects.toThrow(other)

  const series = file('elsewhere only.txt', '7.1\n7.2\n')
  await expect(evaluateFiles({ ...options, predictions: [join(folder, 'few')], series })).rejects.toThrow(
    /few: the results are of other scans: expected at least one of the 2 scans that count, such as 7\.1 but received 1 other, first 1\.1/,
  )
  const elsewhere = file('elsewhere.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n7.1,0,0,0,10\n')
  await expect(
    evaluateFiles({ truth: elsewhere, predictions: [join(folder, 'few')], bootstraps: 0 }),
  ).rejects.toThrow(
    /few: the results are of other scans: expected at least one of the 1 scan that counts, such as 7\.1/,
  )
  // A table says nothing of the scans that were examined.
  const { warnings } = await evaluateFiles({ ...options, predictions: [marksA], series })
  expect(warnings.join()).toContain('that are not in the list are left out')
})
