/** Files whose structure is not what the standard says, and that pydicom and GDCM read all the same. */
import { describe, expect, it } from 'vitest'
import { dumpLines, parseDicom } from '../../../src/dicom/index.js'
import { sliceHeaders } from '../../../src/dicom/read/header.js'
import { BIG_ENDIAN, IMPLICIT, dataSet, dicomFile, sliceElements, sliceFile, text } from '../bytes.js'
import type { TestElement } from '../bytes.js'

const before = sliceElements().filter(({ tag }) => tag < '00081140')
const after = sliceElements().filter(({ tag }) => tag > '00081140')
const reference = text('00081155', 'UI', '1.2.3')

/** A file with other bytes where (0008,1140) stands. */
function fileWith(sequence: Uint8Array): Buffer {
  return dicomFile([], {}, Buffer.concat([dataSet(before), sequence, dataSet(after)]))
}

/** The tag of (0008,1140) with what follows, hexadecimal. */
const sequenceHead = (rest: string): Buffer => Buffer.from(`08004011${rest}`, 'hex')
const item = (content: Uint8Array, length = content.length): Buffer => {
  const head = Buffer.from('feff00e000000000', 'hex')
  head.writeUInt32LE(length, 4)
  return Buffer.concat([head, content])
}
const ITEM_END = Buffer.from('feff0de000000000', 'hex')
const SEQUENCE_END = Buffer.from('feffdde000000000', 'hex')
const OPEN = 'ffffffff'

function expectWhole(bytes: Uint8Array, lines: readonly string[]): void {
  const file = parseDicom(bytes, 'a.dcm')
  expect(file.stopped).toBeUndefined()
  const dump = dumpLines(file)
  for (const line of lines) expect(dump.map((one) => one.trim())).toContain(line)
  expect(dump.at(-1)).toBe('(7fe0, 0010) Pixel Data                          OW: Array of 32 bytes')
  expect(sliceHeaders(file, bytes.length)[0]).toMatchObject({ rescaleIntercept: -1024, rows: 4 })
}

const UID_LINE = '(0008, 1155) Referenced SOP Instance UID         UI: 1.2.3'
const SEQUENCE_LINE = '(0008, 1140)  Referenced Image Sequence   1 item(s) ----'

describe('sequences', () => {
  const explicit = dataSet([reference])
  const implicit = dataSet([reference], false)

  it.each<[string, Buffer]>([
    [
      'an item delimiter behind an item of defined length',
      Buffer.concat([sequenceHead(`53510000${OPEN}`), item(explicit), ITEM_END, SEQUENCE_END]),
    ],
    [
      'VR UN and undefined length, implicit VR inside',
      Buffer.concat([sequenceHead(`554e0000${OPEN}`), item(implicit, 0xffffffff), ITEM_END, SEQUENCE_END]),
    ],
    [
      'VR UN and undefined length, explicit VR inside',
      Buffer.concat([sequenceHead(`554e0000${OPEN}`), item(explicit, 0xffffffff), ITEM_END, SEQUENCE_END]),
    ],
    ['no VR, defined length', Buffer.concat([sequenceHead('16000000'), item(implicit)])],
    [
      'no VR, undefined length',
      Buffer.concat([sequenceHead(OPEN), item(implicit, 0xffffffff), ITEM_END, SEQUENCE_END]),
    ],
    [
      'VR SQ, items without VR',
      Buffer.concat([sequenceHead(`53510000${OPEN}`), item(implicit), SEQUENCE_END]),
    ],
    [
      'no item delimiter',
      Buffer.concat([sequenceHead(`53510000${OPEN}`), item(explicit, 0xffffffff), SEQUENCE_END]),
    ],
    ['no sequence delimiter', Buffer.concat([sequenceHead(`53510000${OPEN}`), item(explicit)])],
  ])('%s', (_, sequence) => {
    expectWhole(fileWith(sequence), [SEQUENCE_LINE, UID_LINE])
  })

  it('an item of undefined length that its sequence ends', () => {
    const body = item(explicit, 0xffffffff)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(body.length)
    expectWhole(fileWith(Buffer.concat([sequenceHead('53510000'), length, body])), [UID_LINE])
  })

  it.each<[string, Buffer]>([
    ['defined length', Buffer.from(`5351000018000000`, 'hex')],
    ['undefined length', Buffer.from(`53510000${OPEN}`, 'hex')],
  ])('damage inside of a sequence of %s costs the sequence only', (_, head) => {
    const broken = Buffer.from('feff00e0100000000800551155494000312e', 'hex')
    const rest = Buffer.concat([broken, Buffer.alloc(24 - broken.length, 7)])
    const open = head.readUInt32LE(4) === 0xffffffff ? SEQUENCE_END : Buffer.alloc(0)
    const bytes = fileWith(Buffer.concat([Buffer.from('08004011', 'hex'), head, rest, open]))
    const file = parseDicom(bytes, 'a.dcm')
    expect(file.stopped).toMatch(/byte \d+|no element|longer/)
    expect(sliceHeaders(file, bytes.length)[0]).toMatchObject({ rescaleIntercept: -1024, rows: 4 })
    expect(dumpLines(file).at(-1)).toContain('Pixel Data')
  })
})

describe('elements', () => {
  it('without VR in an explicit file', () => {
    const odd = dataSet([text('00081030', 'LO', 'Thorax')], false)
    expectWhole(fileWith(odd), ["(0008, 1030) Study Description                   LO: 'Thorax'"])
  })

  it('with VR in an implicit file', () => {
    const body = Buffer.concat([
      dataSet(before, false),
      dataSet([text('00081030', 'LO', 'Thorax')]),
      dataSet(after, false),
    ])
    expectWhole(dicomFile([], { transferSyntax: IMPLICIT }, body), [
      "(0008, 1030) Study Description                   LO: 'Thorax'",
    ])
  })

  it('with letters that are no VR', () => {
    const odd: TestElement = { tag: '00091001', vr: '??', bytes: Buffer.from('ab') }
    expectWhole(fileWith(dataSet([odd])), ["(0009, 1001) Private tag data                    UN: b'ab'"])
  })

  it.each([1, 2, 7, 8, 1000, 2_000_001])('%i zeros behind the data set', (zeros) => {
    expectWhole(Buffer.concat([sliceFile(), Buffer.alloc(zeros)]), [])
  })

  it('zeros behind fragments', () => {
    const pixels = Buffer.concat([
      Buffer.from('e07f10004f420000ffffffff', 'hex'),
      item(Buffer.alloc(0)),
      item(Buffer.alloc(8)),
      SEQUENCE_END,
    ])
    const body = Buffer.concat([dataSet(sliceElements({ without: ['7fe00010'] })), pixels, Buffer.alloc(99)])
    const file = parseDicom(dicomFile([], { transferSyntax: '1.2.840.10008.1.2.5' }, body), 'a.dcm')
    expect(file.stopped).toBeUndefined()
    expect(file.dataSet.elements['x7fe00010']!.fragments).toMatchObject([{ length: 8 }])
  })

  it.each([true, false])(
    'fragments in Pixel Data of defined length, with their delimiter: %s',
    (delimited) => {
      const value = Buffer.concat([
        item(Buffer.alloc(0)),
        item(Buffer.alloc(8)),
        delimited ? SEQUENCE_END : Buffer.alloc(0),
      ])
      const pixels: TestElement = { tag: '7fe00010', vr: 'OB', bytes: value }
      const elements = [...sliceElements({ without: ['7fe00010'] }), pixels]
      const file = parseDicom(dicomFile(elements, { transferSyntax: '1.2.840.10008.1.2.5' }), 'a.dcm')
      expect(file.stopped).toBeUndefined()
      expect(file.dataSet.elements['x7fe00010']).toMatchObject({
        encapsulatedPixelData: true,
        fragments: [{ length: 8 }],
      })
    },
  )
})

describe('file meta information', () => {
  const preamble = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')])
  const syntax = text('00020010', 'UI', '1.2.840.10008.1.2.1')
  const meta = (explicit: boolean): Buffer => {
    const elements = dataSet([syntax], explicit)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(elements.length)
    return Buffer.concat([dataSet([{ tag: '00020000', vr: 'UL', bytes: length }], explicit), elements])
  }

  it('in implicit VR', () => {
    expectWhole(Buffer.concat([preamble, meta(false), dataSet(sliceElements())]), [])
  })

  it.each([true, false])('again in the data set, explicit VR: %s', (explicit) => {
    const again = dataSet([text('00020003', 'UI', '1.2.3')], explicit)
    const bytes = Buffer.concat([preamble, meta(true), again, dataSet(sliceElements())])
    expectWhole(bytes, ['(0002, 0003) Media Storage SOP Instance UID      UI: 1.2.3'])
  })

  it('of a length that is not true', () => {
    for (const length of [4, 5000, 0xffffffff]) {
      const group = Buffer.alloc(4)
      group.writeUInt32LE(length)
      const wrong = dataSet([{ tag: '00020000', vr: 'UL', bytes: group }, syntax])
      expectWhole(Buffer.concat([preamble, wrong, dataSet(sliceElements())]), [])
    }
  })

  it.each([
    ['big endian named, little endian written', { transferSyntax: BIG_ENDIAN, bigEndian: false }],
    ['little endian named, big endian written', { bigEndian: true }],
  ])('%s', (_, options) => {
    expectWhole(sliceFile({}, options), [])
  })
})
