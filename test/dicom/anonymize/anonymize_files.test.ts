import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { anonymize, anonymizeFiles, findSeries, readDicom } from '../../../src/dicom/index.js'
import type { AnonymizeOptions } from '../../../src/dicom/index.js'
import { sliceFile, text } from '../bytes.js'

let folder: string
let output: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-anonymize-'))
  output = join(folder, 'out')
})
afterEach(() => rmSync(folder, { recursive: true }))

const put = (name: string, bytes: Uint8Array | string): void => writeFileSync(join(folder, name), bytes)
const slice = (z: number, uid?: string): Buffer =>
  sliceFile({
    ...{ z, instance: z, extra: [text('00100010', 'PN', 'Doe^Jane')] },
    ...(uid === undefined ? {} : { uid }),
  })

describe('anonymizeFiles', () => {
  it('writes a tree by the new names', async () => {
    for (const z of [0, 2, 4]) put(`Doe_Jane_${z}.dcm`, slice(z))
    put('copy.dcm', slice(0))
    put('Doe_Jane.txt', 'notes about the patient')
    const result = await anonymizeFiles([folder], output)
    expect(result.written).toBe(3)
    expect(result.foreign).toHaveLength(1)
    expect(result.problems.map(({ error }) => error.message)[0]).toContain('was written already')
    const names = readdirSync(output, { recursive: true, encoding: 'utf8' })
    expect(names.some((name) => name.includes('Doe'))).toBe(false)
    const { series } = await findSeries([output])
    expect(series).toHaveLength(1)
    expect(series[0]!.slices).toHaveLength(3)
  })

  it('warns where a second call with another random key makes other patients of the same', async () => {
    mkdirSync(join(folder, 'in'))
    put('in/1.dcm', slice(0))
    const warningsOf = async (o: Partial<AnonymizeOptions>): Promise<string[]> => {
      const warnings: string[] = []
      await anonymizeFiles([join(folder, 'in')], output, { ...o, onWarning: (one) => warnings.push(one) })
      return warnings
    }
    expect(await warningsOf({})).toEqual([])
    expect(await warningsOf({})).toEqual([expect.stringContaining(`${output}: holds files already`)])
    expect(readdirSync(output)).toHaveLength(2)
    expect(await warningsOf({ key: 'secret' })).toEqual([])
    expect(await warningsOf({ patientId: 'P', keepUids: true })).toEqual([])
  })

  it('names lost slices: files with a DICOM name that are none, as a search for series does', async () => {
    put('1.dcm', slice(0))
    put('2.dcm', '')
    put('3.IMA', Buffer.alloc(5000))
    put('4.dcm.gz', gzipSync(slice(2)))
    put('5.gz', gzipSync('notes'))
    put('README', 'notes')
    put('._1.dcm', Buffer.from('0005160700020000', 'hex'))
    const { written, foreign, packed, problems } = await anonymizeFiles([folder], output)
    expect(written).toBe(1)
    expect(packed).toEqual([{ path: join(folder, '5.gz'), reason: 'packed: unpack it first' }])
    expect(problems.map(({ path }) => basename(path))).toEqual(['2.dcm', '3.IMA', '4.dcm.gz'])
    expect(problems[0]!.error.message).toContain('2.dcm: not a DICOM file')
    expect(foreign.map((path) => basename(path))).toEqual(['._1.dcm', '5.gz', 'README'])
    const { skipped } = await findSeries([folder])
    const damaged = skipped.filter(({ kind }) => kind === 'damaged').map(({ path }) => basename(path))
    expect(damaged).toEqual(['2.dcm', '3.IMA', '4.dcm.gz'])
  })

  it('a kept UID that is too long for a name is a problem of its file', async () => {
    put('1.dcm', slice(0, `1.2.${'3'.repeat(260)}`))
    put('2.dcm', slice(2))
    // The longest that has room for the ending of a temporary name.
    put('3.dcm', slice(4, '4'.repeat(200)))
    const { written, problems } = await anonymizeFiles([folder], output, { keepUids: true })
    expect(written).toBe(2)
    expect(problems.map(({ error }) => error.message)).toEqual([
      `${join(folder, '1.dcm')}: (0008,0018): a UID is too long for a file name: expected at most 200 characters but received 264`,
    ])
  })

  it('refuses a key that everybody has, and dates that nobody knows', async () => {
    put('1.dcm', slice(0))
    const wrong = (parameter: string): object => ({ code: 'INVALID_PARAMETER', parameters: [parameter] })
    await expect(anonymizeFiles([folder], output, { key: '' })).rejects.toMatchObject(wrong('key'))
    const dates = 'Shift' as 'shift'
    await expect(anonymizeFiles([folder], output, { dates })).rejects.toMatchObject(wrong('dates'))
    const file = await readDicom(join(folder, '1.dcm'))
    await expect(anonymize(file, {} as AnonymizeOptions)).rejects.toMatchObject(wrong('key'))
  })

  it('checks the Patient ID before it reads anything', async () => {
    await expect(anonymizeFiles([folder], output, { patientId: 'A\\B' })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
    })
  })
})
