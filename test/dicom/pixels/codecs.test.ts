import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type * as Codecs from 'dcmjs-codecs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodePixels, parseDicom, sliceHeaders } from '../../../src/dicom/index.js'
import { encapsulatedFrame } from '../../../src/dicom/pixels/frames.js'
import { decodeRle } from '../../../src/dicom/pixels/rle.js'
import { NoduleError } from '../../../src/errors.js'
import { createRandom } from '../../../src/random.js'
import { realData } from '../../real_data.js'
import { dataSet, dicomFile, sliceElements, sliceFile } from '../bytes.js'
import { mutate } from '../mutate.js'

type Values = Int16Array | Uint16Array | Int8Array | Uint8Array

async function decode(bytes: Uint8Array, frame = 0): Promise<Values> {
  const file = parseDicom(bytes, 'a.dcm')
  return decodePixels(file, sliceHeaders(file, bytes.length)[frame]!)
}

const SIZE = 32

/** A file with encapsulated pixel data; each frame is a list of fragments. */
function encapsulated(
  transferSyntax: string,
  frames: readonly (readonly Uint8Array[])[],
  o: { table?: boolean; signed?: boolean; bits?: number } = {},
): Buffer {
  const item = (bytes: Uint8Array): Buffer => {
    const padded = Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)])
    const head = Buffer.from('feff00e000000000', 'hex')
    head.writeUInt32LE(padded.length, 4)
    return Buffer.concat([head, padded])
  }
  const pieces = frames.map((fragments) => Buffer.concat(fragments.map(item)))
  const offsets = Buffer.alloc(o.table === true ? 4 * pieces.length : 0)
  let at = 0
  if (o.table === true) {
    pieces.forEach((piece, n) => {
      offsets.writeUInt32LE(at, 4 * n)
      at += piece.length
    })
  }
  const elements = sliceElements({
    rows: SIZE,
    columns: SIZE,
    signed: o.signed ?? false,
    bitsStored: o.bits ?? 16,
    extra: [{ tag: '00280008', vr: 'IS', bytes: Buffer.from(`${frames.length} `.slice(0, 2)) }],
    without: ['7fe00010'],
  })
  const body = Buffer.concat([
    dataSet(elements),
    Buffer.from('e07f10004f420000ffffffff', 'hex'),
    item(offsets),
    ...pieces,
    Buffer.from('feffdde000000000', 'hex'),
  ])
  return dicomFile([], { transferSyntax }, body)
}

const require = createRequire(import.meta.url)
const { Context, NativeCodecs } = require('dcmjs-codecs') as typeof Codecs

type Encoder = 'encodeRle' | 'encodeJpeg' | 'encodeJpegLs' | 'encodeJpeg2000' | 'encodeHtJpeg2000'

async function encode(values: Values, encoder: Encoder): Promise<Uint8Array> {
  if (!NativeCodecs.isInitialized()) await NativeCodecs.initializeAsync()
  const context = new Context({
    width: SIZE,
    height: SIZE,
    bitsAllocated: 16,
    bitsStored: 16,
    samplesPerPixel: 1,
    pixelRepresentation: values instanceof Int16Array ? 1 : 0,
    planarConfiguration: 0,
    photometricInterpretation: 'MONOCHROME2',
    decodedBuffer: new Uint8Array(values.buffer),
  })
  const parameters = encoder === 'encodeJpeg' ? { lossy: false } : { lossy: false }
  return NativeCodecs[encoder](context, parameters).getEncodedBuffer()!
}

function picture(seed: number, signed: boolean): Int16Array | Uint16Array {
  const random = createRandom(seed)
  const values = Array.from({ length: SIZE * SIZE }, (_, n) =>
    Math.round(1000 * Math.sin(n / 50) + 100 * random.normal() + (signed ? -500 : 2000)),
  )
  return signed ? Int16Array.from(values) : Uint16Array.from(values)
}

const LOSSLESS: [string, Encoder][] = [
  ['1.2.840.10008.1.2.5', 'encodeRle'],
  ['1.2.840.10008.1.2.4.70', 'encodeJpeg'],
  ['1.2.840.10008.1.2.4.80', 'encodeJpegLs'],
  ['1.2.840.10008.1.2.4.90', 'encodeJpeg2000'],
  ['1.2.840.10008.1.2.4.201', 'encodeHtJpeg2000'],
  ['1.2.840.10008.1.2.4.202', 'encodeHtJpeg2000'],
]

describe.each(LOSSLESS)('%s by %s', (transferSyntax, encoder) => {
  it.each([false, true])('round trip, signed %s', async (signed) => {
    const values = picture(1, signed)
    const file = encapsulated(transferSyntax, [[await encode(values, encoder)]], { signed })
    expect(await decode(file)).toEqual(values)
  })

  it('two frames: by offset table, by number of fragments, by end markers', async () => {
    const frames = [picture(1, false), picture(2, false)]
    const encoded = await Promise.all(frames.map((values) => encode(values, encoder)))
    const halves = encoded.map((bytes) => [bytes.subarray(0, 200), bytes.subarray(200)])
    const files = [
      encapsulated(transferSyntax, halves, { table: true }),
      encapsulated(
        transferSyntax,
        encoded.map((bytes) => [bytes]),
      ),
      // RLE has no end marker: its frames are one fragment each.
      ...(encoder === 'encodeRle' ? [] : [encapsulated(transferSyntax, halves)]),
    ]
    for (const file of files) {
      expect(await decode(file, 0)).toEqual(frames[0])
      expect(await decode(file, 1)).toEqual(frames[1])
    }
  })

  it('damage is an error, and the next image decodes', async () => {
    const values = picture(1, false)
    const encoded = await encode(values, encoder)
    const broken = encapsulated(transferSyntax, [[encoded.subarray(0, 60)]])
    await expect(decode(broken)).rejects.toThrow(/\(7FE0,0010\): damaged/)
    expect(await decode(encapsulated(transferSyntax, [[encoded]]))).toEqual(values)
  })
})

describe('decodeFrame', () => {
  it('a damaged image costs none of those that are decoded at the same time', async () => {
    const seeds = [1, 2, 3, 4, 5, 6]
    const pictures = seeds.map((seed) => picture(seed, false))
    const encoded = await Promise.all(pictures.map((values) => encode(values, 'encodeJpegLs')))
    // The second half never arrived: several ways to read it are tried, each of which fails.
    const broken = Uint8Array.from(encoded[0]!).fill(0, encoded[0]!.length >> 1)
    const results = await Promise.allSettled(
      [broken, ...encoded].map((bytes) => decode(encapsulated('1.2.840.10008.1.2.4.80', [[bytes]]))),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', ...seeds.map(() => 'fulfilled')])
    expect(results.slice(1).map((one) => (one as PromiseFulfilledResult<Values>).value)).toEqual(pictures)
  })

  it('refuses an image of another size before it decodes it', async () => {
    const encoded = Uint8Array.from(await encode(picture(1, false), 'encodeJpeg2000'))
    const siz = Buffer.from(encoded.buffer).indexOf(Buffer.from('ff51', 'hex'))
    new DataView(encoded.buffer).setUint32(siz + 6, 60000)
    await expect(decode(encapsulated('1.2.840.10008.1.2.4.90', [[encoded]]))).rejects.toThrow(
      /expected 32 x 32 pixels, 1 sample of at most 16 bits but received 60000 x 32/,
    )
  })

  it('refuses an image that could not be in so small a file, and frames that cannot', async () => {
    const bytes = encapsulated('1.2.840.10008.1.2.5', [[Buffer.alloc(100)]])
    const rows = bytes.indexOf(Buffer.from('2800100055530200', 'hex'))
    bytes.writeUInt16LE(65535, rows + 8)
    bytes.writeUInt16LE(65535, rows + 18)
    await expect(decode(bytes)).rejects.toThrow(/image too large for its file/)
    const frames = sliceFile({ extra: [{ tag: '00280008', vr: 'IS', bytes: Buffer.from('99999999') }] })
    expect(() => sliceHeaders(parseDicom(frames, 'a'), frames.length)).toThrow(
      'a: (7FE0,0010): Pixel Data is too short for its frames: expected 3199999968 bytes for 99999999 frames but received 32',
    )
  })

  it('finds the frames of a file with thousands of them', () => {
    const frames = Array.from({ length: 2000 }, (_, n) => [
      Buffer.from([n & 255, n >> 8]),
      Buffer.from([7, 7]),
    ])
    const file = parseDicom(encapsulated('1.2.840.10008.1.2.5', frames, { table: true }), 'a.dcm')
    const start = process.cpuUsage()
    const found = frames.map((_, n) => encapsulatedFrame(file, n, frames.length))
    const { user, system } = process.cpuUsage(start)
    expect((user + system) / 1000).toBeLessThan(1000)
    expect(found.map((bytes) => [...bytes])).toEqual(frames.map((two) => [...Buffer.concat(two)]))
  })

  it('names a transfer syntax that it does not know', async () => {
    await expect(decode(encapsulated('1.2.840.10008.1.2.4.100', [[new Uint8Array(8)]]))).rejects.toThrow(
      /\(0002,0010\): cannot decode this transfer syntax: .* received 1\.2\.840\.10008\.1\.2\.4\.100/,
    )
  })

  it('a frame without data is an error', async () => {
    await expect(decode(encapsulated('1.2.840.10008.1.2.5', [[]]))).rejects.toThrow(
      /no compressed data for the frame/,
    )
  })
})

describe('decodeRle', () => {
  const pack = (bytes: Uint8Array): number[] => {
    const packed: number[] = []
    for (let at = 0; at < bytes.length;) {
      let run = 1
      while (run < 128 && bytes[at + run] === bytes[at]) run++
      packed.push(run > 1 ? 257 - run : 0, bytes[at]!)
      at += run
    }
    return packed
  }

  it('any bytes come back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        const header = Buffer.alloc(64)
        header.writeUInt32LE(1)
        header.writeUInt32LE(64, 4)
        const frame = Buffer.concat([header, Buffer.from(pack(bytes)), Buffer.of(128)])
        expect(decodeRle(frame, bytes.length, 1, 'a')).toEqual(Uint8Array.from(bytes))
      }),
      { seed: 1 },
    )
  })
})

function range(values: Values): [number, number] {
  let low = Infinity
  let high = -Infinity
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  return [low, high]
}

const samples = realData('dicom-samples')
describe.skipIf(samples === undefined)('one slice in every transfer syntax', () => {
  const folder = join(samples ?? '', 'dicom-samples', 'transfer-syntaxes')
  const names =
    samples === undefined ? [] : readdirSync(folder).filter((name) => name.startsWith('CTImage.dcm_'))
  const load = (name: string): Promise<Values> => decode(readFileSync(join(folder, name)))
  const sum = (values: Values): string =>
    createHash('sha256')
      .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
      .digest('hex')
  // JPEG 2000 and JPEG-LS, lossy: pixels of pydicom 3.0.2 with pylibjpeg-openjpeg 2 and pyjpegls 1.
  const lossy: Record<string, string> = {
    '91': 'ca3472c2d32b',
    '81': '9595c2a8a596',
  }

  it.each(names)('%s', async (name) => {
    const original = await load('CTImage.dcm')
    const values = await load(name)
    const code = /\.(\d+)\.dcm$/.exec(name)![1]!
    if (lossy[code] !== undefined && name.includes('.4.')) {
      expect(sum(values).slice(0, 12)).toBe(lossy[code])
    } else if (/\.4\.(51|53|55)\.dcm$/.test(name)) {
      // 12 bits, unsigned, another range: one codec decodes all three modes to the same pixels.
      expect(sum(values)).toBe(sum(await load(names.find((other) => other.includes('.4.51'))!)))
      expect(range(values)).toEqual([497, 2708])
    } else if (name.includes('.4.50')) {
      expect([values.constructor.name, ...range(values)]).toEqual(['Uint8Array', 30, 168])
    } else expect(sum(values)).toBe(sum(original))
  })

  it('mutants of the compressed pixels end in pixels or a NoduleError, soon', async () => {
    const random = createRandom(5)
    const files = names.filter((name) => name.includes('.4.') || name.includes('RLE'))
    for (let n = 0; n < 120; n++) {
      const bytes = readFileSync(join(folder, files[n % files.length]!))
      const mutant = Buffer.concat([bytes.subarray(0, 6000), mutate(bytes.subarray(6000), random)])
      const start = process.cpuUsage()
      await decode(mutant).catch((error: unknown) => expect(error).toBeInstanceOf(NoduleError))
      const { user, system } = process.cpuUsage(start)
      expect((user + system) / 1000, `${files[n % files.length]} mutant ${n}`).toBeLessThan(2000)
    }
  })
})
