import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { evaluateFiles, evaluateScans, patientOf } from '../../../src/evaluation/index.js'
import type { SliceRun } from '../../../src/evaluation/index.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-patients-'))
afterAll(() => rmSync(folder, { recursive: true }))

const UID = '1.3.6.1.4.1.14519.5.2.1.6279.6001.100'
const rect = (x: number): object => ({ x1: x, y1: 0, x2: x + 10, y2: 10, score: 0.5 })

/** Two slices of each patient, one box each; every third prediction lies elsewhere. */
function lists(images: readonly string[]): { truth: string; predictions: string[] } {
  const write = (name: string, entries: object[]): string => {
    const path = join(folder, name)
    writeFileSync(path, JSON.stringify(entries))
    return path
  }
  const truth = images.map((image_path) => ({ image_path, rects: [rect(0)] }))
  const found = images.map((image_path, i) => ({ image_path, rects: [rect(i % 3 === 0 ? 50 : 0)] }))
  return { truth: write('truth.json', truth), predictions: [write('found.json', found)] }
}

const slices = (patients: readonly string[]): string[] =>
  patients.flatMap((patient) => [`${patient}_0001.png`, `${patient}_0002.png`])

describe('the patient of an image', () => {
  it.each([
    ['frames/x.png', { patientId: 'P1' }, 'P1'],
    ['frames/x.png', { patientId: '' }, undefined],
    ['lungs/LIDC-IDRI-0007/000012.png', undefined, 'LIDC-IDRI-0007'],
    ['lidc-idri-0007_12.jpg', undefined, 'LIDC-IDRI-0007'],
    [`frames/PHANTOM-0003_${UID}_0012.png`, undefined, 'PHANTOM-0003'],
    [`${UID}_0012.png`, undefined, UID],
    [`${UID}/0012.png`, undefined, UID],
    ['IMG-0001-00012.png', undefined, undefined],
    ['lungs_2017.10.1/slice_12.png', undefined, undefined],
  ])('%s', (image_path, nodule, expected) => {
    const entry = { image_path, rects: [], ...(nodule === undefined ? {} : { nodule }) }
    expect(patientOf(entry as never)).toBe(expected)
  })
})

describe('what the bootstrap of slices draws', () => {
  const many = lists.bind(undefined, slices(['LIDC-IDRI-0001', 'LIDC-IDRI-0002', 'LIDC-IDRI-0003']))

  it('patients where every name tells its own, images when asked', async () => {
    const byPatient = await evaluateFiles(many())
    expect((byPatient.json as SliceRun).draw).toEqual({ by: 'patient', count: 3, withTruth: 3, unknown: 0 })
    expect(byPatient.table).toContain(
      '(95 % interval of 1000 bootstraps that draw 3 patients; by image it would draw images, as if slices of a patient were not alike)',
    )
    const byImage = await evaluateFiles({ ...many(), by: 'image' })
    expect((byImage.json as SliceRun).apInterval).toMatchObject({ groups: 6 })
    expect(byImage.table).toContain('that draw 6 images; by patient it would draw patients)')
  })

  it('images where a name does not tell; patients are then refused', async () => {
    const files = lists([...slices(['LIDC-IDRI-0001', 'LIDC-IDRI-0002']), 'other.png'])
    const { table, json } = await evaluateFiles(files)
    expect((json as SliceRun).draw).toMatchObject({ by: 'image', unknown: 1 })
    expect(table).toContain('that draw 5 images; 1 of 5 tell no patient)')
    await expect(evaluateFiles({ ...files, by: 'patient' })).rejects.toThrow(
      /truth\.json: .*\/4\/image_path.*not every image tells its patient.*other\.png/s,
    )
  })

  it('one patient gives no interval, neither of a figure nor of a difference', async () => {
    const { truth, predictions } = lists(slices(['LIDC-IDRI-0001']))
    const { table, json } = await evaluateFiles({ truth, predictions })
    expect((json as SliceRun).apInterval).toBeNull()
    expect(table).toMatch(/average precision, all points +0\.\d{3}\n/)
    expect(table).toContain(
      '(no interval: the true boxes are all of one patient; by image it would draw images',
    )
    const two = await evaluateFiles({ truth, predictions: [truth, ...predictions] })
    expect(two.table).toMatch(/AP, truth\.json - found\.json: \+0\.\d{3} \(no interval: the nodules are all/)
    const drawn = await evaluateFiles({ truth, predictions, by: 'image' })
    expect((drawn.json as SliceRun).apInterval).toMatchObject({ groups: 2 })
  })

  it('is asked for of lists only', async () => {
    await expect(evaluateFiles({ truth: 'a.csv', predictions: ['b.csv'], by: 'image' })).rejects.toThrow(
      /no effect here \(by\): expected a JSON list of true boxes but received whole scans/,
    )
    await expect(evaluateFiles({ ...many(), by: 'slice' as never })).rejects.toThrow(
      /one of patient, image for by but received "slice"/,
    )
  })
})

it('the nodules of one scan give no interval of the FROC curve, but with the official script', () => {
  const finding = { seriesUid: 'a', id: 'n', x: 0, y: 0, z: 0, equivalentDiameterMm: 10, excluded: false }
  const mark = { seriesUid: 'a', id: 'm', x: 0, y: 0, z: 0, probability: 0.5 }
  const one = evaluateScans(['a', 'b'], [finding], [mark])
  expect(one.counts.scansWithNodules).toBe(1)
  expect(one.bootstrap).toBeNull()
  expect(one.cpm).toEqual({ value: 1 })
  expect(one.operatingPoints[0]).not.toHaveProperty('low')
  expect(evaluateScans(['a', 'b'], [finding], [mark], { official: true }).bootstrap).not.toBeNull()
  const both = evaluateScans(['a', 'b'], [finding, { ...finding, seriesUid: 'b' }], [mark])
  expect(both.cpm!.low).toBe(0)
  expect(both.cpm!.high).toBeCloseTo(1, 12)
})
