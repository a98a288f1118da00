import { beforeAll, describe, expect, it } from 'vitest'
import { blankCodestreams } from '../../../src/dicom/anonymize/codestream_text.js'
import { decodeFrame } from '../../../src/dicom/pixels/codecs.js'
import type { FrameHeader } from '../../../src/dicom/pixels/codecs.js'
import { codestreamFamily } from '../../../src/dicom/pixels/codestream.js'
import { createRandom } from '../../../src/random.js'
import { encodeGray, startCodecs } from '../encode.js'
import type { Encoder } from '../encode.js'

const SIDE = 32
const NAME = 'SMITH^JOHN'

beforeAll(startCodecs)

function encode(encoder: Encoder): Buffer {
  const random = createRandom(3)
  const words = Uint16Array.from({ length: SIDE * SIDE }, () => Math.round(2000 + 300 * random.normal()))
  return encodeGray(encoder, SIDE, words)
}

const header: FrameHeader = {
  path: 'a.dcm',
  rows: SIDE,
  columns: SIDE,
  bitsAllocated: 16,
  bitsStored: 16,
  signed: false,
  photometric: 'MONOCHROME2',
  transferSyntax: '',
}

const decode = async (stream: Uint8Array): Promise<Uint8Array> =>
  decodeFrame(stream, header, codestreamFamily(stream, undefined))

function segment(marker: number, payload: string): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0])
  head.writeUInt16BE(payload.length + 2, 2)
  return Buffer.concat([head, Buffer.from(payload, 'latin1')])
}

function insert(stream: Buffer, at: number, ...pieces: Buffer[]): Buffer {
  return Buffer.concat([stream.subarray(0, at), ...pieces, stream.subarray(at)])
}

function blanked(stream: Buffer, starts = [0]): { bytes: Buffer; isKnown: boolean } {
  const bytes = Buffer.from(stream)
  const isKnown = blankCodestreams(bytes, starts)
  return { bytes, isKnown }
}

async function expectSamePixels(told: Buffer, bytes: Buffer): Promise<void> {
  expect(told.includes(NAME)).toBe(true)
  expect(bytes.includes(NAME)).toBe(false)
  expect(bytes).toHaveLength(told.length)
  expect(Buffer.from(await decode(bytes)).equals(Buffer.from(await decode(told)))).toBe(true)
}

/** SOC, SIZ, and a comment behind it; the tile-part is made longer by the comment in its header. */
function told2000(stream: Buffer): Buffer {
  const comment = segment(0x64, `\0\u0001${NAME}`)
  const sot = stream.indexOf(Buffer.from([0xff, 0x90, 0, 10]))
  const inTile = insert(stream, sot + 12, comment)
  const length = inTile.readUInt32BE(sot + 6)
  if (length > 0) inTile.writeUInt32BE(length + comment.length, sot + 6)
  return insert(inTile, 4 + inTile.readUInt16BE(4), comment)
}

describe('blankCodestreams', () => {
  it.each(['encodeJpeg', 'encodeJpegLs'] as const)(
    '%s: comments, application data, rubbish',
    async (encoder) => {
      const stream = encode(encoder)
      const jfif = segment(0xe0, `JFIF\0\u0001\u0002\0\0\u0001\0\u0001\u0001\u0001SMI`)
      const told = Buffer.concat([
        insert(stream, 2, segment(0xfe, NAME), jfif, segment(0xe1, `Exif\0\0${NAME}`)),
        Buffer.from(`${NAME}\0\0`),
      ])
      const { bytes, isKnown } = blanked(told)
      expect(isKnown).toBe(true)
      await expectSamePixels(told, bytes)
      const at = bytes.indexOf('JFIF')
      expect(bytes.subarray(at, at + 17).toString('latin1')).toBe(
        `JFIF\0\u0001\u0002\0\0\u0001\0\u0001\u0001\u0001   `,
      )
      // The rest stays: the bytes of the encoder without its own comments.
      const rest = bytes.subarray(bytes.length - NAME.length - stream.length, -NAME.length - 2)
      expect(rest.equals(blanked(stream).bytes.subarray(2))).toBe(true)
    },
  )

  it.each(['encodeJpeg2000', 'encodeHtJpeg2000'] as const)(
    '%s: comments of the image and its tiles',
    async (encoder) => {
      const told = told2000(encode(encoder))
      expect(told.toString('latin1').split(NAME)).toHaveLength(3)
      const { bytes, isKnown } = blanked(told)
      expect(isKnown).toBe(true)
      await expectSamePixels(told, bytes)
    },
  )

  it('keeps the color transforms of Adobe and of JPEG-LS', () => {
    const adobe = `Adobe\0\u0064\0\0\0\0\u0001`
    const told = insert(
      encode('encodeJpegLs'),
      2,
      segment(0xee, adobe + NAME),
      segment(0xe8, `mrfx\u0002${NAME}`),
    )
    const { bytes } = blanked(told)
    expect(bytes.includes(Buffer.from(adobe + ' '.repeat(NAME.length), 'latin1'))).toBe(true)
    expect(bytes.includes(`mrfx\u0002${' '.repeat(NAME.length)}`)).toBe(true)
    expect(bytes.includes(NAME)).toBe(false)
  })

  it('comments between scans, and what stands between segments', () => {
    const scan = Buffer.from('ffda0008010100003f001122ff003344ffd05566', 'hex')
    const told = Buffer.concat([
      ...[Buffer.from([0xff, 0xd8]), Buffer.from(NAME), scan, segment(0xfe, NAME), Buffer.from(NAME)],
      ...[scan, Buffer.from([0xff, 0xd9])],
    ])
    const zeros = Buffer.alloc(NAME.length)
    const expected = Buffer.concat([
      ...[Buffer.from([0xff, 0xd8]), zeros, scan, segment(0xfe, ' '.repeat(NAME.length)), zeros],
      ...[scan, Buffer.from([0xff, 0xd9])],
    ])
    expect(blanked(told).bytes.toString('hex')).toBe(expected.toString('hex'))
  })

  it.each([
    ['JPEG', (): Buffer => insert(encode('encodeJpeg'), 2, segment(0xfe, NAME))],
    [
      'JPEG without an end',
      (): Buffer => insert(encode('encodeJpeg').subarray(0, -2), 2, segment(0xfe, NAME)),
    ],
    ['JPEG 2000', (): Buffer => told2000(encode('encodeJpeg2000'))],
    [
      'JPEG 2000 with a tile-part of any length',
      (): Buffer => {
        const told = told2000(encode('encodeJpeg2000'))
        told.writeUInt32BE(0, told.indexOf(Buffer.from([0xff, 0x90, 0, 10])) + 6)
        return told
      },
    ],
  ])('another image behind the first: %s', (_, make) => {
    const one = make()
    const { bytes, isKnown } = blanked(Buffer.concat([one, one]), [0, one.length])
    expect(isKnown).toBe(true)
    expect(bytes.includes(NAME)).toBe(false)
    expect(bytes.subarray(0, one.length).equals(bytes.subarray(one.length))).toBe(true)
  })

  it('boxes of a JP2 file', () => {
    const box = (type: string, content: Buffer): Buffer => {
      const head = Buffer.alloc(8)
      head.writeUInt32BE(8 + content.length)
      head.write(type, 4, 'latin1')
      return Buffer.concat([head, content])
    }
    const codestream = told2000(encode('encodeJpeg2000'))
    const file = (xml: string, stream: Buffer): Buffer =>
      Buffer.concat([
        ...[box('jP  ', Buffer.from('0d0a870a', 'hex')), box('xml ', Buffer.from(xml))],
        ...[box('jp2c', stream), box('uuid', Buffer.from(xml))],
      ])
    const { bytes, isKnown } = blanked(file(NAME, codestream))
    expect(isKnown).toBe(true)
    expect(bytes.equals(file('\0'.repeat(NAME.length), blanked(codestream).bytes))).toBe(true)
  })

  it('leaves what it does not know, and says so', () => {
    const video = Buffer.from(`000001b3${Buffer.from(NAME).toString('hex')}`, 'hex')
    expect(blanked(video)).toEqual({ bytes: video, isKnown: false })
    const odd = encode('encodeJpeg2000')
    const at = odd.indexOf(Buffer.from([0xff, 0x90, 0, 10])) + 6
    // A tile-part that ends too early: the rest may be pixels.
    odd.writeUInt32BE(odd.readUInt32BE(at) - 20, at)
    const { bytes, isKnown } = blanked(odd)
    expect(isKnown).toBe(false)
    expect(bytes.subarray(at).equals(odd.subarray(at))).toBe(true)
  })

  it('hostile lengths reach nothing else, and end', () => {
    const random = createRandom(5)
    const streams = [insert(encode('encodeJpeg'), 2, segment(0xfe, NAME)), told2000(encode('encodeJpeg2000'))]
    for (let n = 0; n < 1000; n++) {
      const stream = streams[n % 2]!
      const outer = Buffer.alloc(stream.length + 64, 0x55)
      const bytes = outer.subarray(32, 32 + random.integer(stream.length))
      stream.copy(bytes)
      for (let k = 0; k < 8 && bytes.length > 0; k++)
        bytes[random.integer(Math.min(bytes.length, 150))] = random.integer(256)
      blankCodestreams(bytes, [0, bytes.length >> 1])
      expect(outer.subarray(0, 32).every((byte) => byte === 0x55)).toBe(true)
      expect(outer.subarray(32 + bytes.length).every((byte) => byte === 0x55)).toBe(true)
    }
  })

  it.each(['ffd8', 'ff4fff51', '0000000c6a502020', '0102'])(
    'many images that begin %s: no long work',
    (start) => {
      const one = Buffer.from(start, 'hex')
      const bytes = Buffer.concat([Buffer.from([0xff, 0xd8]), ...Array.from({ length: 200_000 }, () => one)])
      const begun = performance.now()
      blankCodestreams(bytes, [0, ...Array.from({ length: 200_000 }, (_, n) => 2 + n * one.length)])
      expect(performance.now() - begun).toBeLessThan(5000)
    },
  )
})
