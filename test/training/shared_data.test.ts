import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { readLists } from '../../src/dataset/list.js'
import { tellSharedFrames } from '../../src/training/shared_data.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-shared-'))
afterAll(() => rmSync(root, { recursive: true }))

function written(name: string, ...entries: [image: string, more?: object][]): string {
  const path = join(root, name)
  writeFileSync(path, JSON.stringify(entries.map(([image_path, o]) => ({ image_path, rects: [], ...o }))))
  return path
}

function told(train: string[], test: string): string[] {
  const warnings: string[] = []
  tellSharedFrames(readLists(train), readLists([test]), (warning) => warnings.push(warning))
  return warnings
}

const source = (patientId: string, series: string, donorPatientId?: string): object => ({
  nodule: {
    ...{ patientId, seriesInstanceUid: series, nodules: [], excluded: [] },
    measures: donorPatientId === undefined ? [] : [{ readers: 4, axialDiameterMm: 5, donorPatientId }],
  },
})
const why = 'with the training: it does not tell how the model does on others'

it('tells of images of the test that are trained on too, by whatever names, not by the last part alone', () => {
  symlinkSync(root, join(root, 'link'))
  const a = written('a.json', ['0.png'], ['1.png'])
  const b = written('b.json', ['2.png'])
  const same = written('c.json', ['link/2.png'], [join(root, 'x', '..', '1.png')], ['3.png'], ['3.png'])
  expect(told([a, b], same)).toEqual([
    `${same}: the test shares 2 of 3 images (such as ${root}/2.png) ${why}`,
  ])
  expect(told([a], written('d.json', ['2.png', source('', '1.9')], ['x/1.png']))).toEqual([])
})

it('tells of patients, donors of nodules too; phantoms are numbered from 1 in each folder', () => {
  const b = written('b.json', ['2.png', source('LIDC-IDRI-0002', '1.2', 'LIDC-IDRI-0009')])
  const people = written(
    'e.json',
    ['2.png', source('LIDC-IDRI-0001', '1.8')],
    ['3.png', source('LIDC-IDRI-0009', '1.3')],
    ['4.png', source('LIDC-IDRI-0003', '1.4')],
  )
  expect(told([b], people)).toEqual([
    `${people}: the test shares 1 of 3 images (${root}/2.png) and 1 of 3 patients (LIDC-IDRI-0009) ${why}`,
  ])
  const [first, other] = ['1.5', '1.6'].map((series, n) =>
    written(`p${n}.json`, [`${n}.png`, source('PHANTOM-0001', series)]),
  )
  expect(told([first!], other!)).toEqual([])
})
