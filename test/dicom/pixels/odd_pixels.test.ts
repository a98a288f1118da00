/** Pixels and their tags as field reports have them: bits beyond Bits Stored, wrong names of codecs, rescale tags. */
import { createRequire } from 'node:module'
import type * as Codecs from 'dcmjs-codecs'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodePixels, parseDicom, sliceHeaders } from '../../../src/dicom/index.js'
import type { SliceHeader } from '../../../src/dicom/index.js'
import { NoduleError } from '../../../src/errors.js'
import {
  BIG_ENDIAN,
  EXPLICIT,
  IMPLICIT,
  dataSet,
  dicomFile,
  sliceElements,
  sliceFile,
  text,
  uint16s,
} from '../bytes.js'
import type { SliceOptions, TestElement } from '../bytes.js'

const header = (bytes: Uint8Array): SliceHeader => sliceHeaders(parseDicom(bytes, 'a.dcm'), bytes.length)[0]!

async function decode(bytes: Uint8Array, frame = 0): Promise<number[]> {
  const file = parseDicom(bytes, 'a.dcm')
  return [...(await decodePixels(file, sliceHeaders(file, bytes.length)[frame]!))]
}

const slice = (element: TestElement, o: SliceOptions = {}): Buffer =>
  sliceFile({ ...o, without: [element.tag], extra: [element] })

describe('rescale', () => {
  const float64 = (value: number): Uint8Array => new Uint8Array(Float64Array.of(value).buffer)

  it.each<[string, TestElement, number]>([
    ['a decimal comma', text('00281052', 'DS', '-1024,000000'), -1024],
    ['blanks', text('00281052', 'DS', ' -1024 '), -1024],
    ['an exponent', text('00281052', 'DS', '-1.024E+03'), -1024],
    ['VR FD', { tag: '00281052', vr: 'FD', bytes: float64(-1024) }, -1024],
    ['one number twice', text('00281052', 'DS', '-1024\\-1024'), -1024],
  ])('intercept with %s', (_, element, value) => {
    expect(header(slice(element)).rescaleIntercept).toBe(value)
  })

  it.each([
    ['NaN', 'NaN'],
    ['-1024 HU', '-1024 HU'],
    ['0x400', '0x400'],
    ['Infinity', 'Infinity'],
    ['1.024,5', '1.024,5'],
    ['-1024\\0', '-1024\\0'],
    ['', 'an empty value'],
  ])('intercept %j is an error that names the tag', (value, actual) => {
    for (const [tag, place, name] of [
      ['00281052', '(0028,1052)', 'Rescale Intercept'],
      ['00281053', '(0028,1053)', 'Rescale Slope'],
    ] as const)
      expect(() => header(slice(text(tag, 'DS', value)))).toThrow(
        new NoduleError('FORMAT', `no number in ${name}`, {
          path: 'a.dcm',
          place,
          expected: 'one number',
          actual,
        }),
      )
  })

  it('slope 0 is an error that names the tag', () => {
    for (const zero of ['0', '0.000000', '-0', '0E0'])
      expect(() => header(slice(text('00281053', 'DS', zero)))).toThrow(
        /^a\.dcm: \(0028,1053\): .*Rescale Slope/,
      )
  })

  it('defaults hold where the tags are absent', () => {
    expect(header(sliceFile({ without: ['00281052', '00281053'] }))).toMatchObject({
      rescaleSlope: 1,
      rescaleIntercept: 0,
    })
  })
})

describe('bits above Bits Stored', () => {
  it.each<[string, SliceOptions]>([
    ['unsigned', {}],
    ['signed', { signed: true }],
    ['with an overlay group at bit 0', { extra: [{ tag: '60000102', vr: 'US', bytes: uint16s([0]) }] }],
    ['with Overlay Data of its own', { extra: [{ tag: '60003000', vr: 'OW', bytes: Buffer.alloc(2) }] }],
  ])('are ignored, %s', async (_, o) => {
    const stored = [0xf123, 0x7123, 0x1123, 0x0123, ...Array<number>(12).fill(0xf000)]
    const pixels = await decode(sliceFile({ bitsStored: 12, pixels: uint16s(stored), ...o }))
    expect(pixels).toEqual([0x123, 0x123, 0x123, 0x123, ...Array<number>(12).fill(0)])
  })

  it('are ignored in 8 allocated bits', async () => {
    const pixels = Uint8Array.from({ length: 16 }, (_, n) => 0xc0 + n)
    expect(await decode(sliceFile({ bitsAllocated: 8, bitsStored: 6, pixels }))).toEqual(
      Array.from({ length: 16 }, (_, n) => n),
    )
  })

  it.each([
    [11, 15],
    [12, 15],
    [8, 15],
  ])('%i bits stored with High Bit %i: nobody can tell where they are', (bitsStored, high) => {
    const element = { tag: '00280102', vr: 'US', bytes: uint16s([high]) }
    expect(() => header(slice(element, { bitsStored }))).toThrow(
      `a.dcm: (0028,0102): cannot tell which bits hold the pixels: expected High Bit ${bitsStored - 1} for ${bitsStored} bits stored but received 15`,
    )
  })

  it('a High Bit below the stored ones says nothing', async () => {
    const element = { tag: '00280102', vr: 'US', bytes: uint16s([0]) }
    const stored = Array.from({ length: 16 }, (_, n) => n)
    expect(await decode(slice(element, { bitsStored: 12, pixels: uint16s(stored) }))).toEqual(stored)
  })
})

describe('8-bit pixels in words of a big-endian file', () => {
  it.each([
    [4, 4, 1],
    [3, 3, 3],
    [1, 5, 4],
  ])('%i x %i, %i frames', async (rows, columns, frames) => {
    const count = rows * columns * frames
    const values = Uint8Array.from({ length: count + (count % 2) }, (_, n) => n)
    const elements = sliceElements({
      rows,
      columns,
      bitsAllocated: 8,
      bigEndian: true,
      without: ['7fe00010'],
      extra: [
        text('00280008', 'IS', String(frames)),
        { tag: '7fe00010', vr: 'OW', bytes: Buffer.from(values).swap16() },
      ],
    })
    const bytes = dicomFile(elements, { transferSyntax: BIG_ENDIAN })
    for (let frame = 0; frame < frames; frame++) {
      const from = frame * rows * columns
      expect(await decode(bytes, frame)).toEqual([...values.subarray(from, from + rows * columns)])
    }
  })

  it('as OB they lie as they are', async () => {
    const pixels = Uint8Array.from({ length: 16 }, (_, n) => n)
    expect(await decode(sliceFile({ bitsAllocated: 8, pixels }, { transferSyntax: BIG_ENDIAN }))).toEqual([
      ...pixels,
    ])
  })
})

const SIDE = 32
const RLE = '1.2.840.10008.1.2.5'
const JPEG = '1.2.840.10008.1.2.4.70'
const JPEG_LS = '1.2.840.10008.1.2.4.80'
const JPEG_2000 = '1.2.840.10008.1.2.4.90'
const HTJ2K = '1.2.840.10008.1.2.4.201'
const ENCODERS = {
  [RLE]: 'encodeRle',
  [JPEG]: 'encodeJpeg',
  [JPEG_LS]: 'encodeJpegLs',
  [JPEG_2000]: 'encodeJpeg2000',
  [HTJ2K]: 'encodeHtJpeg2000',
} as const
const SYNTAXES = Object.keys(ENCODERS) as (keyof typeof ENCODERS)[]

const gray = Uint8Array.from({ length: SIDE * SIDE }, (_, n) => (n * 7 + (n >> 5)) % 121)
const { Context, NativeCodecs } = createRequire(import.meta.url)('dcmjs-codecs') as typeof Codecs

beforeAll(async () => {
  if (!NativeCodecs.isInitialized()) await NativeCodecs.initializeAsync()
})

function encode(syntax: keyof typeof ENCODERS, values: Uint8Array | Uint16Array, bits: number): Buffer {
  const context = new Context({
    width: SIDE,
    height: SIDE,
    bitsAllocated: 8 * values.BYTES_PER_ELEMENT,
    bitsStored: bits,
    samplesPerPixel: 1,
    pixelRepresentation: 0,
    planarConfiguration: 0,
    photometricInterpretation: 'MONOCHROME2',
    decodedBuffer: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  })
  return Buffer.from(NativeCodecs[ENCODERS[syntax]](context, { lossy: false }).getEncodedBuffer()!)
}

function encapsulated(transferSyntax: string, stream: Uint8Array, o: SliceOptions = {}): Buffer {
  const item = (bytes: Uint8Array): Buffer => {
    const padded = Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)])
    const head = Buffer.from('feff00e000000000', 'hex')
    head.writeUInt32LE(padded.length, 4)
    return Buffer.concat([head, padded])
  }
  const elements = sliceElements({ rows: SIDE, columns: SIDE, without: ['7fe00010'], ...o })
  const body = Buffer.concat([
    dataSet(elements, transferSyntax !== IMPLICIT),
    transferSyntax === IMPLICIT
      ? Buffer.from('e07f1000ffffffff', 'hex')
      : Buffer.from('e07f10004f420000ffffffff', 'hex'),
    item(Buffer.alloc(0)),
    item(stream),
    Buffer.from('feffdde000000000', 'hex'),
  ])
  return dicomFile([], { transferSyntax }, body)
}

describe('streams of 8 bits or fewer in 16 allocated bits', () => {
  it.each(SYNTAXES.filter((syntax) => syntax !== RLE))('%s', async (syntax) => {
    for (const bitsStored of [8, 12, 16]) {
      const stream = encode(syntax, gray, 8)
      expect(await decode(encapsulated(syntax, stream, { bitsStored }))).toEqual([...gray])
    }
  })

  it('JPEG-LS and JPEG 2000 of 7 bits', async () => {
    for (const syntax of [JPEG_LS, JPEG_2000] as const)
      expect(await decode(encapsulated(syntax, encode(syntax, gray, 7), { bitsStored: 7 }))).toEqual([
        ...gray,
      ])
  })
})

describe('codestreams', () => {
  const words = Uint16Array.from(gray, (value) => value * 9)

  it.each(SYNTAXES)('decoded as what they are, whatever is named: %s', async (syntax) => {
    const stream = encode(syntax, words, 12)
    for (const named of [...SYNTAXES, EXPLICIT, IMPLICIT])
      expect(await decode(encapsulated(named, stream, { bitsStored: 12 })), named).toEqual([...words])
  })

  it.each(SYNTAXES)('native pixels under %s', async (syntax) => {
    const stored = Array.from({ length: 16 }, (_, n) => 100 + n)
    expect(await decode(sliceFile({ pixels: uint16s(stored) }, { transferSyntax: syntax }))).toEqual(stored)
  })

  it('a JPEG-LS stream with zeros before its end marker, or without one', async () => {
    const stream = encode(JPEG_LS, words, 12)
    const end = stream.subarray(-2)
    const data = stream.subarray(0, -2)
    for (const zeros of [0, 1, 2, 3, 9])
      for (const marker of [end, Buffer.alloc(0)])
        expect(
          await decode(
            encapsulated(JPEG_LS, Buffer.concat([data, Buffer.alloc(zeros), marker]), { bitsStored: 12 }),
          ),
          `${zeros} zeros, ${marker.length}`,
        ).toEqual([...words])
  })

  it.each(SYNTAXES.filter((syntax) => syntax !== RLE))(
    '%s with rubbish behind the end, twice, or without an end',
    async (syntax) => {
      const stream = encode(syntax, words, 12)
      const whole = stream.subarray(0, stream.lastIndexOf(Buffer.from([0xff, 0xd9])) + 2)
      for (const [name, bytes] of Object.entries({
        words: Buffer.concat([whole, Buffer.from('what an odd writer left here')]),
        ones: Buffer.concat([whole, Buffer.alloc(30, 0xff)]),
        zeros: Buffer.concat([whole, Buffer.alloc(5000)]),
        twice: Buffer.concat([whole, whole]),
        endless: whole.subarray(0, -2),
        'endless, zeros': Buffer.concat([whole.subarray(0, -2), Buffer.alloc(9)]),
      }))
        expect(await decode(encapsulated(syntax, bytes, { bitsStored: 12 })), name).toEqual([...words])
    },
  )
})
