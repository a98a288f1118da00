/** Situations from public issue trackers, made anew: fixtures/dicom/field_reports.json says where from and what is right. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  anonymize,
  decodePixels,
  dumpLines,
  findSeries,
  parseDicom,
  readSeriesPixels,
  sliceHeaders,
} from '../../src/dicom/index.js'
import type { Series } from '../../src/dicom/index.js'
import { convertSeries } from '../../src/scans/index.js'
import { encodeNifti } from '../../src/formats/index.js'
import { loadVolume } from '../../src/volume/index.js'
import { IMPLICIT, dataSet, dicomFile, sliceElements, sliceFile, text, uint16s } from './bytes.js'
import type { SliceOptions, TestElement } from './bytes.js'
import { encodeGray, startCodecs } from './encode.js'
import type { Encoder } from './encode.js'

interface Report {
  id: string
  source: string
  situation: string
  expected: string
  outcome: string
}

const reports = JSON.parse(
  readFileSync(new URL('../fixtures/dicom/field_reports.json', import.meta.url), 'utf8'),
) as Report[]

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-reports-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function put(name: string, bytes: Uint8Array | string): string {
  writeFileSync(join(folder, name), bytes)
  return join(folder, name)
}

function stack(heights: readonly number[], o: (n: number) => SliceOptions = () => ({})): void {
  for (const [n, z] of heights.entries())
    put(`${n}.dcm`, sliceFile({ z, instance: n + 1, uid: `1.2.3.${n}`, ...o(n) }))
}

async function only(): Promise<Series> {
  const { series } = await findSeries([folder])
  expect(series).toHaveLength(1)
  return series[0]!
}

const kinds = (series: Series): string[] => series.problems.map(({ kind }) => kind)

async function decode(bytes: Uint8Array, frame = 0): Promise<number[]> {
  const file = parseDicom(bytes, 'a.dcm')
  return [...(await decodePixels(file, sliceHeaders(file, bytes.length)[frame]!))]
}

/** The data set is read to its end, with the lines. */
function expectWhole(bytes: Uint8Array, ...lines: string[]): void {
  const file = parseDicom(bytes, 'a.dcm')
  expect(file.stopped).toBeUndefined()
  const dump = dumpLines(file).map((line) => line.trim())
  for (const line of lines) expect(dump).toContain(line)
  expect(sliceHeaders(file, bytes.length)[0]).toMatchObject({ rows: 4, rescaleIntercept: -1024 })
}

const SIDE = 32

async function stream(encoder: Encoder, words: Uint16Array, bits: number): Promise<Buffer> {
  await startCodecs()
  return encodeGray(encoder, SIDE, words, bits)
}

function encapsulated(syntax: string, streams: readonly Uint8Array[], o: SliceOptions): Buffer {
  const item = (content: Uint8Array): Buffer => {
    const head = Buffer.from('feff00e000000000', 'hex')
    head.writeUInt32LE(content.length + (content.length % 2), 4)
    return Buffer.concat([head, content, Buffer.alloc(content.length % 2)])
  }
  const body = Buffer.concat([
    dataSet(sliceElements({ rows: SIDE, columns: SIDE, without: ['7fe00010'], ...o })),
    Buffer.from('e07f10004f420000ffffffff', 'hex'),
    item(Buffer.alloc(0)),
    ...streams.map(item),
    Buffer.from('feffdde000000000', 'hex'),
  ])
  return dicomFile([], { transferSyntax: syntax }, body)
}

const JPEG_LS = '1.2.840.10008.1.2.4.80'
const JPEG_2000 = '1.2.840.10008.1.2.4.90'
const signed = (bits: number): Int16Array =>
  Int16Array.from({ length: SIDE * SIDE }, (_, n) => ((n * 37) % 2 ** bits) - 2 ** (bits - 1))
const low = (values: Int16Array, bits: number): Uint16Array =>
  Uint16Array.from(values, (value) => value & (2 ** bits - 1))

/** A file with other bytes between the tags below and above (0008,1140). */
function between(middle: Uint8Array, explicit = true): Buffer {
  const elements = sliceElements()
  return dicomFile(
    [],
    explicit ? {} : { transferSyntax: IMPLICIT },
    Buffer.concat([
      dataSet(
        elements.filter(({ tag }) => tag < '00081140'),
        explicit,
      ),
      middle,
      dataSet(
        elements.filter(({ tag }) => tag > '00081140'),
        explicit,
      ),
    ]),
  )
}

function nifti(change: (view: DataView) => void): string {
  const bytes = encodeNifti({
    data: new Int16Array(3 * 16),
    shape: [3, 4, 4],
    geometry: {
      origin: [1, 2, 3],
      rowDirection: [1, 0, 0],
      columnDirection: [0, 1, 0],
      sliceDirection: [0, 0, 1],
      spacing: [2, 1, 1],
      slicePositions: [0, 2, 4],
    },
  })
  change(new DataView(bytes.buffer))
  return put('a.nii', bytes)
}

const MHD = `ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = -10 -20 -30
ElementSpacing = 0.5 0.6 2
DimSize = 3 2 2
ElementType = MET_SHORT
ElementDataFile = LOCAL
`
const VOXELS = Int16Array.from({ length: 12 }, (_, n) => n * 100)
const RAW = new Uint8Array(VOXELS.buffer)

const CASES: Record<string, () => void | Promise<void>> = {
  'frames-at-one-place': async () => {
    put('a.dcm', sliceFile({ pixels: Buffer.alloc(3 * 32), extra: [text('00280008', 'IS', '3')] }))
    const series = await only()
    expect(series.isVolume).toBe(false)
    expect(kinds(series)).toEqual(['duplicate', 'single-slice'])
  },
  'negative-spacing': async () => {
    stack([0, 2.5, 5], () => ({ extra: [text('00180088', 'DS', '-2.5')] }))
    expect((await only()).geometry).toMatchObject({ spacing: [2.5, 0.7, 0.7], slicePositions: [0, 2.5, 5] })
  },
  'rows-and-columns': async () => {
    stack([0, 2, 4], () => ({ spacing: '0.8\\0.5' }))
    expect((await only()).geometry.spacing).toEqual([2, 0.8, 0.5])
    const output = join(folder, 'a.mha')
    await convertSeries([folder], output)
    expect(readFileSync(output).toString('latin1')).toContain('ElementSpacing = 0.5 0.8 2\n')
  },
  'one-slice-missing': async () => {
    stack([0, 1.6, 3.2, 4.8, 8, 9.6, 11.2])
    const series = await only()
    expect(kinds(series)).toEqual(['gap'])
    expect(series.geometry.spacing[0]).toBeCloseTo(1.6, 9)
  },
  'exposure-varies': async () => {
    stack([0, 2, 4, 6], (n) => ({ extra: [text('00181152', 'IS', String(14 + (n % 2)))] }))
    expect((await only()).slices).toHaveLength(4)
  },
  'first-place-twice': async () => {
    stack([0, 0, 0.625, 1.25])
    const series = await only()
    expect(series.slices).toHaveLength(3)
    expect(kinds(series)).toEqual(['duplicate'])
  },
  'study-date-varies': async () => {
    stack([0, 2, 4], (n) => ({ extra: [text('00080020', 'DA', `2012123${n}`.slice(0, 8))] }))
    expect((await only()).slices).toHaveLength(3)
  },
  'all-at-one-place': async () => {
    stack([5, 5, 5])
    const series = await only()
    expect(series.isVolume).toBe(false)
    expect(JSON.stringify(series.geometry)).not.toMatch(/null|NaN/)
  },
  'more-streams-than-frames': async () => {
    const words = [1, 2, 3].map((factor) =>
      Uint16Array.from({ length: SIDE * SIDE }, (_, n) => (n % 100) * factor),
    )
    const streams: Buffer[] = []
    for (const one of words) streams.push(await stream('encodeJpeg2000', one, 16))
    expect(await decode(encapsulated(JPEG_2000, streams, {}))).toEqual([...words[0]!])
  },
  'frames-not-announced': async () => {
    const values = Array.from({ length: 32 }, (_, n) => n)
    expect(await decode(sliceFile({ pixels: uint16s(values) }))).toEqual(values.slice(0, 16))
  },
  'excess-padding': async () => {
    const values = Array.from({ length: 16 }, (_, n) => n)
    expect(await decode(sliceFile({ pixels: Buffer.concat([uint16s(values), Buffer.alloc(10)]) }))).toEqual(
      values,
    )
  },
  'no-padding-byte': async () => {
    const pixels = Uint8Array.from({ length: 15 }, (_, n) => n)
    expect(await decode(sliceFile({ rows: 3, columns: 5, bitsAllocated: 8, pixels }))).toEqual([...pixels])
  },
  'one-bit': () => {
    expect(() => decodeHeader(sliceFile({ bitsAllocated: 1, pixels: Buffer.alloc(2) }))).toThrow(
      'a.dcm: (0028,0100): cannot read this depth: expected 8 or 16 bits allocated but received 1',
    )
  },
  'unsigned-j2k': async () => {
    const values = signed(13)
    const code = await stream('encodeJpeg2000', low(values, 13), 13)
    for (const bitsStored of [13, 16])
      expect(await decode(encapsulated(JPEG_2000, [code], { signed: true, bitsStored }))).toEqual([...values])
  },
  'signed-jpegls': async () => {
    for (const bits of [12, 15]) {
      const values = signed(bits)
      const code = await stream('encodeJpegLs', low(values, bits), bits)
      expect(await decode(encapsulated(JPEG_LS, [code], { signed: true, bitsStored: bits }))).toEqual([
        ...values,
      ])
    }
  },
  'empty-sform': async () => {
    nifti((view) => {
      for (let at = 280; at < 328; at += 4) view.setFloat32(at, 0, true)
    })
    const { series, skipped } = await findSeries([folder])
    expect(series).toEqual([])
    expect(skipped[0]!.reason).toMatch(/wrong NIfTI-1 header: expected distances above 0 mm/)
  },
  'long-quaternion': async () => {
    nifti((view) => {
      view.setInt16(254, 0, true)
      view.setInt16(252, 1, true)
      // Half a turn around z, as with the quaternion (0, 0, 0, 1), but longer.
      for (const [n, value] of [0, 0, 1.01].entries()) view.setFloat32(256 + 4 * n, value, true)
    })
    const { geometry } = await only()
    expect(geometry.spacing.map((value) => Number(value.toFixed(6)))).toEqual([2, 1, 1])
  },
  'group-length-un': () => {
    const syntax = dataSet([text('00020010', 'UI', '1.2.840.10008.1.2.1')])
    const length = Buffer.alloc(4)
    length.writeUInt32LE(syntax.length)
    const meta = Buffer.concat([dataSet([{ tag: '00020000', vr: 'UN', bytes: length }]), syntax])
    const preamble = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')])
    expectWhole(Buffer.concat([preamble, meta, dataSet(sliceElements())]))
  },
  'blank-length': () => {
    const long: TestElement = { tag: '00091001', vr: 'UN', bytes: Buffer.alloc(0x200a, 'a') }
    for (const explicit of [true, false]) expectWhole(between(dataSet([long], false), explicit))
  },
  'delimiter-in-defined': () => {
    const content = Buffer.concat([
      Buffer.from('feff00e00c000000', 'hex'),
      dataSet([text('00081155', 'UI', '1.2')]),
      Buffer.from('feffdde000000000', 'hex'),
    ])
    const head = Buffer.from('0800401153510000', 'hex')
    const length = Buffer.alloc(4)
    length.writeUInt32LE(content.length)
    expectWhole(
      between(Buffer.concat([head, length, content])),
      '(0008, 1140)  Referenced Image Sequence   1 item(s) ----',
    )
  },
  'private-like-a-sequence': () => {
    const odd: TestElement = {
      tag: '00091001',
      vr: 'UN',
      bytes: Buffer.from('feff00e0ff0f00000102030405', 'hex'),
    }
    expectWhole(between(dataSet([odd], false), false))
  },
  'bad-tag-in-sequence': () => {
    const open = Buffer.from('0800321053510000ffffffff', 'hex')
    const description = dataSet([text('0008103e', 'LO', 'Thorax')])
    expectWhole(
      between(Buffer.concat([open, description])),
      "(0008, 103e) Series Description                  LO: 'Thorax'",
    )
  },
  'private-creator': () => {
    expectWhole(
      dicomFile(sliceElements({ extra: [text('00430010', 'LO', 'GEMS')] }), { transferSyntax: IMPLICIT }),
      "(0043, 0010) Private Creator                     LO: 'GEMS'",
    )
  },
  'sequence-as-un': async () => {
    const item = dataSet([text('00080100', 'SH', 'T-1'), text('00080102', 'SH', 'SRT')], false)
    const head = Buffer.from('feff00e000000000', 'hex')
    head.writeUInt32LE(item.length, 4)
    // Anatomic Region Sequence.
    const un: TestElement = { tag: '00082218', vr: 'UN', bytes: Buffer.concat([head, item]) }
    const { bytes } = await anonymize(parseDicom(sliceFile({ extra: [un] }), 'a.dcm'), { key: 'k' })
    const lines = dumpLines(parseDicom(bytes, 'b.dcm')).map((line) => line.trim())
    expect(lines).toContain('(0008, 2218)  Anatomic Region Sequence   1 item(s) ----')
    expect(lines).toContain("(0008, 0100) Code Value                          SH: 'T-1'")
    expect(bytes.length).toBeLessThan(2000)
  },
  'high-bits': async () => {
    const pixels = uint16s(Array<number>(16).fill(0xf3f8))
    expect((await decode(sliceFile({ bitsStored: 14, pixels })))[0]).toBe(0x33f8)
  },
  'three-spacings': () => {
    expect(() => decodeHeader(sliceFile({ spacing: '0.2\\0\\0.20000' }))).toThrow(
      /\(0028,0030\): no place in the patient: expected 2 numbers of Pixel Spacing > 0 but received 0\.2/,
    )
  },
  'smallest-largest': async () => {
    const values = Array.from({ length: 16 }, (_, n) => 900 + n)
    const zero = ['00280106', '00280107'].map((tag) => ({ tag, vr: 'US', bytes: uint16s([0]) }))
    expect(await decode(sliceFile({ pixels: uint16s(values), extra: zero }))).toEqual(values)
  },
  'header-size': async () => {
    const header = MHD.replace('ElementDataFile', 'HeaderSize = -1\nElementDataFile')
    put('a.mha', Buffer.concat([Buffer.from(header), RAW]))
    expect([...(await loadVolume(await only())).data]).toEqual([...VOXELS])
  },
  'tiny-offset': async () => {
    put(
      'a.mha',
      Buffer.concat([Buffer.from(MHD.replace('-10 -20 -30', '-35.995 -136.995 6.95279e-310')), RAW]),
    )
    expect((await only()).geometry.origin[2]).toBeCloseTo(0, 12)
  },
  'cut-stream': async () => {
    const packed = deflateSync(RAW)
    const header = MHD.replace('CompressedData = False', 'CompressedData = True')
    put('a.mha', Buffer.concat([Buffer.from(header), packed.subarray(0, packed.length - 8)]))
    await expect(readSeriesPixels(await only())).rejects.toThrow(/a\.mha: cannot inflate the voxels/)
  },
}

function decodeHeader(bytes: Uint8Array): void {
  sliceHeaders(parseDicom(bytes, 'a.dcm'), bytes.length)
}

describe('reports', () => {
  it('each has its case', () => {
    expect(reports.map(({ id }) => id)).toEqual(Object.keys(CASES))
  })

  it.each(reports)('$id: $situation ($source)', async ({ id }) => {
    await CASES[id]!()
  })
})
