import { describe, expect, it } from 'vitest'
import { anonymize, decodePixels, parseDicom, sliceHeaders } from '../../../src/dicom/index.js'
import { BIG_ENDIAN, dataSet, dicomFile, sliceElements, sliceFile, text, uint16s } from '../bytes.js'
import type { FileOptions, SliceOptions, TestElement } from '../bytes.js'

const NAME = 'SMITH^JOHN'
const run = (bytes: Uint8Array): ReturnType<typeof anonymize> =>
  anonymize(parseDicom(bytes, 'a.dcm'), { key: 'k' })

const values = Array.from({ length: 16 }, (_, n) => 100 + n)
const big = { transferSyntax: BIG_ENDIAN }

describe('native Pixel Data', () => {
  it.each<[string, SliceOptions, FileOptions]>([
    ['as it is stored', { pixels: Buffer.concat([uint16s(values), Buffer.from(NAME)]) }, {}],
    ['big endian', { pixels: Buffer.concat([uint16s(values, true), Buffer.from(NAME)]) }, big],
    ['with hidden bits', { bitsStored: 12, pixels: Buffer.concat([uint16s(values), Buffer.from(NAME)]) }, {}],
    [
      'of 8 bits',
      { bitsAllocated: 8, bitsStored: 8, pixels: Buffer.from([...values, ...Buffer.from(NAME)]) },
      {},
    ],
  ])('ends with the last frame: %s', async (_, o, options) => {
    const { bytes, warnings } = await run(sliceFile(o, options))
    for (const name of [NAME, 'MSTI^HOJNH']) expect(bytes.includes(name)).toBe(false)
    expect(warnings).toEqual(['10 bytes behind the last frame of Pixel Data were left out'])
    const file = parseDicom(bytes, 'b.dcm')
    expect(file.dataSet.elements['x7fe00010']!.length).toBe(o.bitsAllocated === 8 ? 16 : 32)
    expect([...(await decodePixels(file, sliceHeaders(file, bytes.length)[0]!))]).toEqual(values)
  })

  it('keeps all frames, and an even length', async () => {
    const three: SliceOptions = { rows: 3, columns: 3, bitsAllocated: 8, bitsStored: 8 }
    const odd = await run(sliceFile({ ...three, pixels: Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 65]) }))
    expect([...odd.bytes.subarray(-10)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
    expect(odd.warnings).toEqual([])
    const frames: TestElement[] = [text('00280008', 'IS', '2')]
    const pixels = uint16s([...values, ...values])
    const two = await run(sliceFile({ extra: frames, pixels }))
    expect(two.bytes.subarray(-64).equals(pixels)).toBe(true)
    expect(two.warnings).toEqual([])
  })
})

it('Pixel Data of an unknown number of frames is not cut, and that is said', async () => {
  const pixels = uint16s([...values, ...values])
  const { bytes, warnings } = await run(sliceFile({ extra: [text('00280008', 'IS', 'x')], pixels }))
  expect(bytes.subarray(-64).equals(pixels)).toBe(true)
  expect(warnings).toEqual([
    'the header does not tell where the last frame of Pixel Data (7FE0,0010) ends: look at what follows it',
  ])
})

describe('compressed Pixel Data', () => {
  const item = (content: Uint8Array): Buffer => {
    const head = Buffer.from('feff00e000000000', 'hex')
    head.writeUInt32LE(content.length, 4)
    return Buffer.concat([head, content])
  }
  const file = (syntax: string, ...fragments: Buffer[]): Buffer => {
    const body = Buffer.concat([
      dataSet(sliceElements({ without: ['7fe00010'] })),
      Buffer.from('e07f10004f420000ffffffff', 'hex'),
      ...[item(Buffer.alloc(0)), ...fragments.map(item), Buffer.from('feffdde000000000', 'hex')],
    ])
    return dicomFile([], { transferSyntax: syntax }, body)
  }
  const stream = (comment: string): Buffer =>
    Buffer.concat([
      Buffer.from('ffd8fffe000c', 'hex'),
      Buffer.from(comment),
      Buffer.from('ffda0008010100003f001122ffd9', 'hex'),
    ])

  it('is blanked across fragments, and in frames that the header does not count', async () => {
    const split = (comment: string): Buffer[] => [
      stream(comment).subarray(0, 10),
      stream(comment).subarray(10),
      stream(comment),
    ]
    const { bytes, warnings } = await run(file('1.2.840.10008.1.2.4.70', ...split(NAME)))
    expect(warnings).toEqual([])
    const expected = Buffer.concat(split(' '.repeat(10)).map(item))
    expect(bytes.includes(expected)).toBe(true)
  })

  it('of an unknown form is copied with a warning', async () => {
    const video = Buffer.from(`....${NAME}`)
    const { bytes, warnings } = await run(file('1.2.840.10008.1.2.4.102', video))
    expect(bytes.includes(video)).toBe(true)
    expect(warnings).toEqual([
      'compressed pixels of an unknown form may carry comments that tell who it is (7FE0,0010): look at them',
    ])
  })
})
