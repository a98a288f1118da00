/** What field reports found in copies: overlays in the pixels, the history of earlier de-identifications. */
import { createRequire } from 'node:module'
import type * as Codecs from 'dcmjs-codecs'
import { beforeAll, describe, expect, it } from 'vitest'
import { anonymize, decodePixels, dumpLines, parseDicom, sliceHeaders } from '../../../src/dicom/index.js'
import type { AnonymizedFile } from '../../../src/dicom/index.js'
import {
  BIG_ENDIAN,
  EXPLICIT,
  dataSet,
  dicomFile,
  sliceElements,
  sliceFile,
  text,
  uint16s,
} from '../bytes.js'
import type { FileOptions, SliceOptions, TestElement } from '../bytes.js'

const run = (bytes: Uint8Array): Promise<AnonymizedFile> =>
  anonymize(parseDicom(bytes, 'a.dcm'), { key: 'k' })

async function pixelsOf(bytes: Uint8Array): Promise<number[]> {
  const file = parseDicom(bytes, 'b.dcm')
  return [...(await decodePixels(file, sliceHeaders(file, bytes.length)[0]!))]
}

/** The bytes of Pixel Data, which end these files. */
const rawWords = (bytes: Buffer): number[] =>
  Array.from({ length: 16 }, (_, n) => bytes.readUInt16LE(bytes.length - 32 + 2 * n))

const overlay: TestElement[] = [
  { tag: '60000010', vr: 'US', bytes: uint16s([4]) },
  { tag: '60000102', vr: 'US', bytes: uint16s([12]) },
]

describe('overlays in the bits above the pixels', () => {
  const values = Array.from({ length: 16 }, (_, n) => 0x700 + n)
  const hidden = values.map((value, n) => value | ((n % 16) << 12))

  it.each<[string, SliceOptions, FileOptions]>([
    ['unsigned', {}, {}],
    ['announced by an overlay group', { extra: overlay }, {}],
    ['big endian', {}, { transferSyntax: BIG_ENDIAN }],
    ['native under the name of a compression', {}, { transferSyntax: '1.2.840.10008.1.2.4.70' }],
  ])('are cleared: %s', async (_, o, options) => {
    const big = options.transferSyntax === BIG_ENDIAN
    const { bytes } = await run(sliceFile({ bitsStored: 12, pixels: uint16s(hidden, big), ...o }, options))
    expect(rawWords(bytes)).toEqual(values)
    expect(parseDicom(bytes, 'b').transferSyntax).toBe(EXPLICIT)
    expect(await pixelsOf(bytes)).toEqual(values)
  })

  it('of signed pixels: the sign is spread, whatever stood there', async () => {
    const stored = [0x0fff, 0x1fff, 0xffff, 0x7800, 0x0001, 0xf001, ...Array<number>(10).fill(0x3000)]
    const { bytes } = await run(sliceFile({ signed: true, bitsStored: 12, pixels: uint16s(stored) }))
    expect(rawWords(bytes).slice(0, 6)).toEqual([0xffff, 0xffff, 0xffff, 0xf800, 0x0001, 0x0001])
    expect(rawWords(bytes).slice(6)).toEqual(Array<number>(10).fill(0))
  })

  it('exact padding stays', async () => {
    const stored = [0xf830, 0x8001, ...Array<number>(14).fill(0xf123)]
    const o = { signed: true, bitsStored: 11, padding: 0xf830, pixels: uint16s(stored) }
    const { bytes } = await run(sliceFile(o))
    expect(rawWords(bytes).slice(0, 3)).toEqual([0xf830, 0x0001, 0x0123])
  })

  it('of 8 allocated bits', async () => {
    const pixels = Uint8Array.from({ length: 16 }, (_, n) => 0xc0 + n)
    const { bytes } = await run(sliceFile({ bitsAllocated: 8, bitsStored: 6, pixels }))
    expect([...bytes.subarray(-16)]).toEqual(Array.from({ length: 16 }, (_, n) => n))
  })

  describe('in compressed pixels', () => {
    const SIDE = 32
    const { Context, NativeCodecs } = createRequire(import.meta.url)('dcmjs-codecs') as typeof Codecs
    beforeAll(async () => {
      if (!NativeCodecs.isInitialized()) await NativeCodecs.initializeAsync()
    })

    function compressed(
      syntax: string,
      encoder: 'encodeRle' | 'encodeJpeg',
      hide: number,
      bits: number,
    ): Buffer {
      const words = Uint16Array.from({ length: SIDE * SIDE }, (_, n) => (n % 100) | (n % 7 === 0 ? hide : 0))
      const context = new Context({
        width: SIDE,
        height: SIDE,
        bitsAllocated: 16,
        bitsStored: bits,
        samplesPerPixel: 1,
        pixelRepresentation: 0,
        planarConfiguration: 0,
        photometricInterpretation: 'MONOCHROME2',
        decodedBuffer: new Uint8Array(words.buffer),
      })
      const stream = Buffer.from(NativeCodecs[encoder](context, { lossy: false }).getEncodedBuffer()!)
      const item = (content: Uint8Array): Buffer => {
        const head = Buffer.from('feff00e000000000', 'hex')
        head.writeUInt32LE(content.length + (content.length % 2), 4)
        return Buffer.concat([head, content, Buffer.alloc(content.length % 2)])
      }
      const elements = sliceElements({ rows: SIDE, columns: SIDE, bitsStored: 12, without: ['7fe00010'] })
      const body = Buffer.concat([
        dataSet(elements),
        Buffer.from('e07f10004f420000ffffffff', 'hex'),
        item(Buffer.alloc(0)),
        item(stream),
        Buffer.from('feffdde000000000', 'hex'),
      ])
      return dicomFile([], { transferSyntax: syntax }, body)
    }

    it.each([
      ['1.2.840.10008.1.2.5', 'encodeRle', 16],
      ['1.2.840.10008.1.2.4.70', 'encodeJpeg', 16],
    ] as const)('%s is refused', async (syntax, encoder, bits) => {
      await expect(run(compressed(syntax, encoder, 0x1000, bits))).rejects.toThrow(
        'a.dcm: (7FE0,0010): an overlay may hide in the compressed pixels: expected nothing above 12 bits stored but received bits there in frame 1',
      )
      const { bytes } = await run(compressed(syntax, encoder, 0, bits))
      expect(parseDicom(bytes, 'b.dcm').transferSyntax).toBe(syntax)
      expect((await pixelsOf(bytes)).slice(0, 5)).toEqual([0, 1, 2, 3, 4])
    })
  })
})

describe('history', () => {
  const code = (value: string, meaning: string): TestElement[] => [
    text('00080100', 'SH', value),
    text('00080102', 'SH', 'DCM'),
    text('00080104', 'LO', meaning),
  ]
  const lines = (bytes: Uint8Array, start: string): string[] =>
    dumpLines(parseDicom(bytes, 'b.dcm'))
      .map((line) => line.trim())
      .filter((line) => line.startsWith(start))

  it('of earlier de-identification is added to, once', async () => {
    const before = sliceFile({
      extra: [
        text('00120062', 'CS', 'YES'),
        text('00120063', 'LO', 'CTP 1.2\\Clean Pixels'),
        { tag: '00120064', vr: 'SQ', items: [code('113101', 'Clean Pixel Data Option')] },
      ],
    })
    const once = (await run(before)).bytes
    const twice = (await run(once)).bytes
    for (const bytes of [once, twice]) {
      expect(lines(bytes, '(0012, 0063)')[0]).toContain("['CTP 1.2', 'Clean Pixels', 'DCM:113100']")
      expect(lines(bytes, '(0008, 0100)').map((line) => line.slice(-8))).toEqual(["'113101'", "'113100'"])
    }
  })
})

describe('people', () => {
  it('dates of birth and death in other calendars go', async () => {
    const extra = ['00100033', '00100034', '00100035'].map((tag) => text(tag, 'LO', '13490101'))
    expect((await run(sliceFile({ extra }))).bytes.includes('13490101')).toBe(false)
  })

  it.each<[string, SliceOptions, number]>([
    ['a secondary capture', { extra: [text('00080064', 'CS', 'WSD')] }, 1],
    [
      'a screen save',
      { without: ['00080008'], extra: [text('00080008', 'CS', 'DERIVED\\SECONDARY\\SCREEN SAVE')] },
      1,
    ],
    ['one that says NO', { extra: [text('00080064', 'CS', 'WSD'), text('00280301', 'CS', 'NO')] }, 0],
    ['a slice', {}, 0],
  ])('%s: a warning that text may be burned in', async (_, o, count) => {
    const { warnings } = await run(sliceFile(o))
    expect(warnings).toHaveLength(count)
    if (count > 0) expect(warnings[0]).toMatch(/secondary capture .* burned into the pixels \(0028,0301\)/)
  })
})
