import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dicomJson, findSeries, parseDicom, seriesJson, seriesTable } from '../../../src/dicom/index.js'
import { BIG_ENDIAN, dicomFile, numbers, sliceFile, text, uint16s } from '../bytes.js'
import type { TestElement } from '../bytes.js'

const json = (...elements: TestElement[]): ReturnType<typeof dicomJson> =>
  dicomJson(parseDicom(dicomFile(elements), 'a.dcm'))

describe('dicomJson', () => {
  it.each<[string, TestElement, unknown]>([
    ['text', text('00080060', 'CS', 'CT'), { vr: 'CS', Value: ['CT'] }],
    ['several', text('00080008', 'CS', 'A\\\\C'), { vr: 'CS', Value: ['A', null, 'C'] }],
    ['empty', text('00100020', 'LO', ''), { vr: 'LO' }],
    ['decimals', text('00280030', 'DS', '0.7\\1e1'), { vr: 'DS', Value: [0.7, 10] }],
    ['no decimal', text('00280030', 'DS', '1A'), { vr: 'DS', Value: ['1A'] }],
    [
      'a name',
      text('00100010', 'PN', 'A^B=C=D'),
      { vr: 'PN', Value: [{ Alphabetic: 'A^B', Ideographic: 'C', Phonetic: 'D' }] },
    ],
    ['numbers', numbers('00280034', 'US', 1, 2), { vr: 'US', Value: [1, 2] }],
    [
      'a tag',
      { tag: '00280009', vr: 'AT', bytes: uint16s([0x18, 0x106a]) },
      { vr: 'AT', Value: ['0018106A'] },
    ],
    ['bytes', { tag: '00420011', vr: 'OB', bytes: Uint8Array.of(1, 2) }, { vr: 'OB', InlineBinary: 'AQI=' }],
    [
      'NaN',
      { tag: '00189073', vr: 'FD', bytes: new Uint8Array(Float64Array.of(NaN).buffer) },
      { vr: 'FD', Value: ['NaN'] },
    ],
    ['no items', { tag: '00081140', vr: 'SQ', items: [] }, { vr: 'SQ' }],
    [
      'items',
      { tag: '00081140', vr: 'SQ', items: [[text('00081155', 'UI', '1.2')], []] },
      { vr: 'SQ', Value: [{ '00081155': { vr: 'UI', Value: ['1.2'] } }, {}] },
    ],
  ])('%s', (_, element, expected) => {
    expect(json(element)).toEqual({ [element.tag.toUpperCase()]: expected })
  })

  it.each([
    ['OW', [2, 1, 4, 3, 6, 5, 8, 7]],
    ['OF', [4, 3, 2, 1, 8, 7, 6, 5]],
    ['OL', [4, 3, 2, 1, 8, 7, 6, 5]],
    ['OD', [8, 7, 6, 5, 4, 3, 2, 1]],
    ['OV', [8, 7, 6, 5, 4, 3, 2, 1]],
    ['OB', [1, 2, 3, 4, 5, 6, 7, 8]],
  ])('bytes of a big-endian file are little endian: %s', (vr, expected) => {
    const element: TestElement = { tag: '00281408', vr, bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }
    const items: TestElement = { tag: '00081140', vr: 'SQ', items: [[element]] }
    const inline = { vr, InlineBinary: Buffer.from(expected).toString('base64') }
    const file = parseDicom(dicomFile([items, element], { transferSyntax: BIG_ENDIAN }), 'a.dcm')
    expect(dicomJson(file)).toEqual({
      '00081140': { vr: 'SQ', Value: [{ '00281408': inline }] },
      '00281408': inline,
    })
  })

  it('names long values instead of writing them', () => {
    const bytes = dicomFile([{ tag: '7fe00010', vr: 'OW', bytes: new Uint8Array(2000) }])
    const { BulkDataURI } = dicomJson(parseDicom(bytes, 'a.dcm'))['7FE00010']!
    expect(BulkDataURI).toBe(`a.dcm?offset=${bytes.length - 2000}&length=2000`)
  })
})

describe('seriesTable', () => {
  it('shows series, problems and what is no slice', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodule-table-'))
    try {
      for (const z of [0, 2, 4, 10]) writeFileSync(join(folder, `${z}.dcm`), sliceFile({ z, uid: `1.${z}` }))
      writeFileSync(join(folder, 'notes.txt'), 'x')
      writeFileSync(join(folder, 'report.dcm'), sliceFile({ without: ['00200032'] }))
      writeFileSync(join(folder, 'cut.dcm'), sliceFile().subarray(0, -4))
      const found = await findSeries([folder])
      const lines = seriesTable(found).trimEnd().split('\n')
      expect(lines[1]).toMatch(/^P1 +\.\.1\.2\.3\.4 +CT +4 +4 x 4 +2 x 0\.7 x 0\.7 +2\.5 .*volume$/)
      expect(lines[2]).toMatch(/^ {2}gap: about 2 slices missing/)
      expect(lines[3]).toBe('1 patient, 1 study, 1 series, 1 of them volumes')
      expect(lines[4]).toBe('2 files without a slice: 1 foreign, 1 CT')
      expect(lines[5]).toMatch(/^ {2}1 CT: .*no place in the patient.*, such as .*report\.dcm$/)
      expect(lines[6]).toMatch(/^damaged: .*cut\.dcm: \(7FE0,0010\): file ends inside the pixel data/)
      expect(seriesJson(found)).toMatchObject({
        format: 'nodule-series/1',
        series: [{ images: 4, lengthMm: 10, isVolume: true, transferSyntax: '1.2.840.10008.1.2.1' }],
      })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
