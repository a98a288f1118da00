import { deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { dumpLines } from '../../../src/dicom/index.js'
import { parseDicom } from '../../../src/dicom/read/parse.js'
import { NoduleError } from '../../../src/errors.js'
import {
  BIG_ENDIAN,
  DEFLATED,
  IMPLICIT,
  dataSet,
  dicomFile,
  numbers,
  sliceElements,
  sliceFile,
  text,
} from '../bytes.js'
import type { FileOptions, TestElement } from '../bytes.js'

const expected = dumpLines(parseDicom(sliceFile({ padding: 63536, signed: true }), 'a.dcm'))

describe('parseDicom', () => {
  it.each<[string, FileOptions]>([
    ['explicit little endian', {}],
    ['implicit little endian', { transferSyntax: IMPLICIT }],
    ['explicit big endian', { transferSyntax: BIG_ENDIAN }],
    ['no preamble', { preamble: false }],
    ['no preamble and no meta information', { preamble: false, meta: false }],
    ['no meta information', { meta: false }],
    ['no meta information, implicit', { preamble: false, meta: false, explicit: false }],
    ['explicit VR in a file that names implicit', { transferSyntax: IMPLICIT, explicit: true }],
    ['implicit VR in a file that names explicit', { explicit: false }],
  ])('%s', (_, options) => {
    const bytes = sliceFile({ padding: 63536, signed: true }, options)
    const file = parseDicom(bytes, 'a.dcm')
    expect(file.stopped).toBeUndefined()
    expect(dumpLines(file)).toEqual(
      expected.map((line) => line.replace('US: 63536', expectedPadding(options))),
    )
  })

  // "US or SS" without an explicit VR is read in the sign of the pixels.
  const expectedPadding = (o: FileOptions): string =>
    o.explicit === false || (o.transferSyntax === IMPLICIT && o.explicit !== true) ? 'SS: -2000' : 'US: 63536'

  it('inflates a deflated data set', () => {
    const body = deflateRawSync(dataSet(sliceElements({ padding: 63536, signed: true })))
    const file = parseDicom(dicomFile([], { transferSyntax: DEFLATED }, body), 'a.dcm')
    expect(dumpLines(file)).toEqual(expected)
  })

  it('refuses a deflate bomb in bounded memory', () => {
    const body = deflateRawSync(Buffer.alloc(300 * 1024 * 1024))
    const bytes = dicomFile([], { transferSyntax: DEFLATED }, body)
    expect(() => parseDicom(bytes, 'bomb.dcm')).toThrow(/bomb\.dcm: .*inflate/)
  })

  it.each([
    ['an empty file', Buffer.alloc(0)],
    ['text', Buffer.from('<?xml version="1.0"?><LidcReadMessage/>')],
    ['zeros', Buffer.alloc(2000)],
    ['a PNG', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')],
  ])('%s is not DICOM', (_, bytes) => {
    const parse = (): unknown => parseDicom(bytes, 'x')
    expect(parse).toThrow(NoduleError)
    expect(parse).toThrow(/^x: not a DICOM file: expected /)
  })

  it('keeps what comes before a break', () => {
    const whole = sliceFile()
    const file = parseDicom(whole.subarray(0, whole.length - 100), 'a.dcm')
    expect(file.stopped).toBeDefined()
    expect(dumpLines(file)[3]).toContain("Modality                            CS: 'CT'")
  })

  it('reads 64-bit VRs, which dicom-parser does not know', () => {
    const extended: TestElement = { tag: '7fe00001', vr: 'OV', bytes: Buffer.alloc(8) }
    const file = parseDicom(sliceFile({ extra: [extended] }), 'a.dcm')
    expect(file.stopped).toBeUndefined()
    expect(dumpLines(file).slice(-2).join('\n')).toContain('Extended Offset Table')
    expect(dumpLines(file).at(-1)).toContain('Array of 32 bytes')
  })

  it.each([true, false])('nested sequences, undefined length %s', (undefinedLength) => {
    const inner: TestElement = {
      tag: '00081199',
      vr: 'SQ',
      items: [[text('00081155', 'UI', '1.2')]],
      undefinedLength,
    }
    const outer: TestElement = { tag: '00081115', vr: 'SQ', items: [[inner], []], undefinedLength }
    for (const transferSyntax of [undefined, IMPLICIT, BIG_ENDIAN]) {
      const file = parseDicom(dicomFile([outer], transferSyntax === undefined ? {} : { transferSyntax }), 'a')
      expect(dumpLines(file)).toEqual([
        '(0008, 1115)  Referenced Series Sequence   2 item(s) ---- ',
        '   (0008, 1199)  Referenced SOP Sequence   1 item(s) ---- ',
        '      (0008, 1155) Referenced SOP Instance UID         UI: 1.2',
        '      ---------',
        '   ---------',
        '   ---------',
      ])
    }
  })

  it('does not follow lying lengths beyond the file', () => {
    for (const length of [0xfffffffe, 0x7fffffff, 70000]) {
      const lying: TestElement = { tag: '00280010', vr: 'UN', bytes: Buffer.alloc(2), length }
      expect(parseDicom(dicomFile([numbers('00280002', 'US', 1), lying]), 'a').stopped).toMatch(
        /longer than the file/,
      )
    }
  })
})
