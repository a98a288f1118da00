import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodePixels, dumpLines, parseDicom, sliceHeaders } from '../../../src/dicom/index.js'
import { memoryLimit } from '../../../src/limits.js'
import { realData } from '../../real_data.js'
import { DEFLATED, IMPLICIT, dataSet, dicomFile, sliceElements, text } from '../bytes.js'
import { encodeGray, startCodecs } from '../encode.js'
import type { Encoder } from '../encode.js'
import { canMeasurePeak, peakGrowth } from '../memory.js'

const MAX_MS = 2000
const RLE = '1.2.840.10008.1.2.5'
const JPEG = '1.2.840.10008.1.2.4.70'
const JPEG_LS = '1.2.840.10008.1.2.4.80'
const JPEG_2000 = '1.2.840.10008.1.2.4.90'
const HTJ2K = '1.2.840.10008.1.2.4.201'

async function readAll(file: Uint8Array): Promise<void> {
  const parsed = parseDicom(file, 'bomb.dcm')
  dumpLines(parsed, { meta: true })
  await decodePixels(parsed, sliceHeaders(parsed, file.length)[0]!)
}

/** Reads everything in a file: it must end as expected, in bounded time and memory. */
async function expectBounded(file: Uint8Array, expected: RegExp | 'read'): Promise<void> {
  let outcome: unknown = 'read'
  let ms = 0
  const work = async (): Promise<void> => {
    const start = process.cpuUsage()
    try {
      await readAll(file)
    } catch (error) {
      outcome = error
    }
    const { user, system } = process.cpuUsage(start)
    ms = (user + system) / 1000
  }
  if (canMeasurePeak) expect(await peakGrowth(work)).toBeLessThanOrEqual(memoryLimit(file.length))
  else await work()
  if (expected === 'read') expect(outcome).toBe('read')
  else
    expect(outcome).toMatchObject({
      name: 'NoduleError',
      code: 'FORMAT',
      message: expect.stringMatching(expected) as string,
    })
  expect(ms).toBeLessThan(MAX_MS)
}

/** `count` copies of some bytes. */
function repeat(hex: string, count: number): Buffer {
  const piece = Buffer.from(hex, 'hex')
  return Buffer.alloc(count * piece.length, piece)
}

/** The head of an element with a 4-byte length. */
function head(tag: string, vr: string, length: number): Buffer {
  const bytes = Buffer.from(`${tag}00000000ffffffff`, 'hex')
  bytes.write(vr, 4, 'latin1')
  bytes.writeUInt32LE(length, 8)
  return bytes
}

const ITEM = 'feff00e000000000'
const million = 1_000_000

describe('files with too much in them', () => {
  const slice = dataSet(sliceElements())

  it.each([1, 20])('empty items of a sequence, %i million', async (millions) => {
    const items = repeat(ITEM, (millions * million) / 8)
    await expectBounded(
      dicomFile([], {}, Buffer.concat([slice, head('e17f1010', 'SQ', items.length), items])),
      /too many elements for a file of this size/,
    )
  })

  it('items that are read late: a sequence in implicit VR', async () => {
    const items = repeat(ITEM, million / 4)
    const tag = Buffer.from('0800401100000000', 'hex')
    tag.writeUInt32LE(items.length, 4)
    const body = Buffer.concat([dataSet(sliceElements(), false), tag, items])
    await expectBounded(dicomFile([], { transferSyntax: IMPLICIT }, body), /too many elements/)
  })

  it('elements of no length', async () => {
    const elements = Buffer.alloc(4 * million)
    for (let n = 0; n < elements.length / 8; n++) {
      elements.writeUInt16LE(0x7fe1 + 2 * (n >> 16), 8 * n)
      elements.writeUInt16LE(n & 0xffff, 8 * n + 2)
      elements.write('LO', 8 * n + 4, 'latin1')
    }
    await expectBounded(dicomFile([], {}, Buffer.concat([slice, elements])), /too many elements/)
  })

  it('zeros that are no padding', async () => {
    const zeros = Buffer.concat([slice, Buffer.alloc(300_000), Buffer.of(1)])
    await expectBounded(dicomFile([], {}, zeros), 'read')
  })

  it('sequences inside of sequences', async () => {
    const nested = repeat('e17f101053510000fffffffffeff00e0ffffffff', 50_000)
    const file = dicomFile([], {}, Buffer.concat([slice, nested]))
    await expectBounded(file, 'read')
    expect(parseDicom(file, 'bomb.dcm').stopped).toBe('nested too deeply')
  })

  it('frames of one pixel, and a number of frames that lies', async () => {
    for (const pixels of [million, 10 * million]) {
      const frames = (announced: number): Buffer =>
        dicomFile(
          sliceElements({
            rows: 1,
            columns: 1,
            bitsAllocated: 8,
            pixels: Buffer.alloc(pixels),
            extra: [text('00280008', 'IS', String(announced))],
          }),
        )
      await expectBounded(frames(pixels), /too many frames/)
      await expectBounded(frames(99999998), /too short for its frames/)
    }
  })

  it('compressed fragments of no length', async () => {
    const elements = dataSet(sliceElements({ without: ['7fe00010'] }))
    const body = Buffer.concat([elements, head('e07f1000', 'OB', 0xffffffff), repeat(ITEM, million / 2)])
    await expectBounded(dicomFile([], { transferSyntax: RLE }, body), /too many elements/)
  })

  it('a long text', async () => {
    const long = { tag: '7fe11010', vr: 'UT', bytes: Buffer.alloc(8 * million, "a'\\\n") }
    await expectBounded(dicomFile([...sliceElements(), long]), 'read')
  })
})

describe('deflated bombs', () => {
  const deflated = (body: Uint8Array): Buffer =>
    dicomFile([], { transferSyntax: DEFLATED }, deflateRawSync(body))

  it('zeros without end', async () => {
    const zeros = Buffer.concat([dataSet(sliceElements()), Buffer.alloc(300 * million)])
    await expectBounded(deflated(zeros), /cannot inflate/)
  })

  it('an image that fits once, but not twice', async () => {
    const side = 4500
    const elements = sliceElements({ rows: side, columns: side, pixels: Buffer.alloc(2 * side * side) })
    await expectBounded(deflated(dataSet(elements)), /image too large for its file/)
  })

  it('an honest image', async () => {
    const side = 1024
    const elements = sliceElements({ rows: side, columns: side, pixels: Buffer.alloc(2 * side * side) })
    await expectBounded(deflated(dataSet(elements)), 'read')
  })
})

describe('compressed images that are larger than they say', () => {
  const SIDE = 64
  const encoded = new Map<string, Buffer>()

  beforeAll(async () => {
    await startCodecs()
    const encoders: [string, Encoder][] = [
      [JPEG, 'encodeJpeg'],
      [JPEG_LS, 'encodeJpegLs'],
      [JPEG_2000, 'encodeJpeg2000'],
      [HTJ2K, 'encodeHtJpeg2000'],
    ]
    for (const [syntax, encoder] of encoders)
      encoded.set(syntax, encodeGray(encoder, SIDE, new Uint16Array(SIDE * SIDE)))
    // The decoders' own memory is no file's fault.
    for (const [syntax, bytes] of encoded) await readAll(compressed(syntax, bytes))
  })

  function compressed(syntax: string, bytes: Uint8Array, side = SIDE): Buffer {
    const item = (content: Uint8Array): Buffer => {
      const start = Buffer.from(ITEM, 'hex')
      start.writeUInt32LE(content.length + (content.length % 2), 4)
      return Buffer.concat([start, content, Buffer.alloc(content.length % 2)])
    }
    const elements = dataSet(
      sliceElements({ rows: side, columns: side, pixels: Buffer.alloc(0), without: ['7fe00010'] }),
    )
    const parts = [elements, head('e07f1000', 'OB', 0xffffffff), item(Buffer.alloc(0)), item(bytes)]
    return dicomFile([], { transferSyntax: syntax }, Buffer.concat(parts))
  }

  /** A codestream that says another size: width and height, tile size. */
  function resized(syntax: string, side: number, tile = side): Buffer {
    const bytes = Buffer.from(encoded.get(syntax)!)
    if (syntax === JPEG_2000 || syntax === HTJ2K) {
      for (const at of [8, 12]) bytes.writeUInt32BE(side, at)
      for (const at of [24, 28]) bytes.writeUInt32BE(tile, at)
    } else {
      const frame = bytes.indexOf(Buffer.from(syntax === JPEG ? 'ffc3' : 'fff7', 'hex'))
      for (const at of [5, 7]) bytes.writeUInt16BE(side, frame + at)
    }
    return bytes
  }

  const all = [JPEG, JPEG_LS, JPEG_2000, HTJ2K]

  it.each(all)('%s: the codestream says more than the header', async (syntax) => {
    await expectBounded(compressed(syntax, resized(syntax, 20_000)), /expected 64 x 64 pixels.*20000 x 20000/)
  })

  it.each(all)('%s: both say more than the file can hold', async (syntax) => {
    for (const side of [4200, 20_000, 65_535])
      await expectBounded(compressed(syntax, resized(syntax, side), side), /image too large for its file/)
  })

  it.each([JPEG_2000, HTJ2K])('%s: as many tiles as pixels', async (syntax) => {
    for (const [side, tile] of [
      [64, 1],
      [510, 2],
      [512, 8],
    ] as const)
      await expectBounded(compressed(syntax, resized(syntax, side, tile), side), /at most 1024 tiles/)
  })

  it.each([JPEG_2000, HTJ2K])('%s: a false size in a box before the codestream', async (syntax) => {
    const box = (type: string, content: Uint8Array): Buffer => {
      const start = Buffer.alloc(8)
      start.writeUInt32BE(content.length + 8)
      start.write(type, 4, 'latin1')
      return Buffer.concat([start, content])
    }
    const image = Buffer.alloc(14)
    for (const at of [0, 4]) image.writeUInt32BE(20_000, at)
    image.set([0, 1, 15, 7], 8)
    const wrapped = (codestream: Uint8Array): Buffer =>
      Buffer.concat([
        box('jP  ', Buffer.from('0d0a870a', 'hex')),
        box('ftyp', Buffer.from('6a703220000000006a703220', 'hex')),
        box('uuid', encoded.get(syntax)!.subarray(0, 100)),
        box('jp2h', Buffer.concat([box('ihdr', image), box('colr', Buffer.from('01000000000011', 'hex'))])),
        box('jp2c', codestream),
      ])
    await expectBounded(
      compressed(syntax, wrapped(resized(syntax, 20_000))),
      /expected 64 x 64 pixels.*20000 x 20000/,
    )
  })

  it('RLE: runs for a small image, a header for a large one', async () => {
    const packed = Buffer.alloc(64)
    packed.writeUInt32LE(2, 0)
    packed.writeUInt32LE(64, 4)
    packed.writeUInt32LE(66, 8)
    const bytes = Buffer.concat([packed, Buffer.from('81008100', 'hex')])
    await expectBounded(compressed(RLE, bytes, 4000), /damaged RLE data/)
    await expectBounded(compressed(RLE, bytes, 30_000), /image too large for its file/)
  })
})

const samples = realData('dicom-samples')

// Without an end marker CharLS read on for 8 s.
it.skipIf(samples === undefined)('a JPEG-LS stream that stops short', async () => {
  const name = 'encapsulated/single-frame/CT1_UNC.fragmented_bot_jpeg_ls.80.dcm'
  const whole = readFileSync(join(samples!, 'dicom-samples/encapsulated-and-deflated', name))
  await readAll(whole)
  for (const cut of [60_000, 156_862]) await expectBounded(whole.subarray(0, cut), /damaged compressed image/)
})
