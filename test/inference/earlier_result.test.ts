import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/hash.js'
import { outcomeOf } from '../../src/inference/detect_to_file.js'
import { resultPlace } from '../../src/inference/earlier_result.js'
import type { ScanFiles } from '../../src/scans/find_scans.js'

const uid = '1.2.826.0.1.3'
let output: string
beforeEach(() => {
  output = mkdtempSync(join(tmpdir(), 'nodule-earlier-'))
})
afterEach(() => {
  rmSync(output, { recursive: true })
})

const scan = (patientId: string, more: Partial<ScanFiles> = {}): ScanFiles => ({
  ...{ patientId, seriesInstanceUid: uid, folder: 'scans', paths: [] },
  ...more,
})
const save = (name: string, patientId: string, seriesInstanceUid = uid): void =>
  writeFileSync(
    join(output, name),
    JSON.stringify({
      ...{ format: 'nodule-detections/1', patientId, studyInstanceUid: '1', seriesInstanceUid },
      model: { path: 'a.onnx', sha256: 'a', step: 1, codeVersion: '1' },
      versions: { nodule: '1', onnxruntime: '1', node: '1' },
      ...{ parameters: {}, slices: [], nodules: [], warnings: [] },
    }),
  )
const of = (patientId: string): string => `${uid}-${sha256(patientId).slice(0, 8)}.json`
/** The file's name, and whose result lies there. */
const place = async (one: ScanFiles): Promise<[string, string | undefined]> => {
  const { path, earlier } = await resultPlace(output, one)
  return [basename(path), earlier?.patientId]
}

describe('resultPlace', () => {
  test('a series and its volume file have one place, two patients of a UID have two', async () => {
    expect(await place(scan('A'))).toEqual([`${uid}.json`, undefined])
    save(`${uid}.json`, 'A')
    expect(await place(scan('A'))).toEqual([`${uid}.json`, 'A'])
    expect(await place(scan(uid))).toEqual([`${uid}.json`, 'A'])
    expect(await place(scan('B'))).toEqual([of('B'), undefined])
    save(`${uid}.json`, uid)
    expect(await place(scan('A'))).toEqual([`${uid}.json`, uid])
    // Which patient's it is, nobody can tell.
    for (const patient of ['A', 'B'])
      expect(await place(scan(patient, { isRepeated: true }))).toEqual([of(patient), undefined])
    save(`${uid}.json`, 'A')
    save(of('B'), 'B')
    expect(await place(scan('B'))).toEqual([of('B'), 'B'])
    expect(await place(scan(uid))).toEqual([of(uid), undefined])
  })

  test.each([undefined, null, {}, { total: null }])(
    'a result whose times are %j is an outcome',
    async (timing) => {
      save(`${uid}.json`, 'A')
      const path = join(output, `${uid}.json`)
      writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), timing }))
      const { earlier } = await resultPlace(output, scan('A'))
      expect(outcomeOf(earlier!, { path, markups: undefined }, true).scan).toMatchObject({
        patientId: 'A',
        resumed: true,
        ms: 0,
      })
    },
  )

  test('results by the name that the first versions gave are found', async () => {
    const file = scan('ct', { seriesInstanceUid: 'ct', folder: 'scans' })
    const [name, earlier] = await place(file)
    expect(earlier).toBeUndefined()
    const old = `series-${sha256('ct\nscans').slice(0, 16)}.json`
    expect(old).not.toBe(name)
    save(old, 'ct', 'ct')
    expect(await place(file)).toEqual([old, 'ct'])
    expect(await place({ ...file, patientId: 'other', seriesInstanceUid: 'other' })).toEqual([
      expect.not.stringContaining(old),
      undefined,
    ])
  })
})
