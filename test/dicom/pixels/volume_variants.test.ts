/** Less usual headers of MetaImage and NIfTI, read as MetaIO and ITK read them, or refused by name. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findSeries, readPixels } from '../../../src/dicom/index.js'
import type { Series } from '../../../src/dicom/index.js'
import { encodeNifti } from '../../../src/formats/nifti.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-volumes-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(folder, name), bytes)
  return join(folder, name)
}

/** Reason why it is not read, or its series and its values. */
async function read(path: string): Promise<{ series: Series; values: number[] } | string> {
  const { series, skipped } = await findSeries([path])
  if (series.length === 0) return skipped[0]!.reason
  const values: number[] = []
  for (const slice of series[0]!.slices) values.push(...(await readPixels(slice)))
  return { series: series[0]!, values }
}

const HEAD = `NDims = 3
DimSize = 3 2 2
ElementSpacing = 0.5 0.6 2
`
const VALUES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -2000]
const RAW = Buffer.from(Int16Array.from(VALUES).buffer)

describe('MetaImage', () => {
  it.each<[string, string, (head: string) => Buffer]>([
    ['HeaderSize from the start of an .mha', 'HeaderSize = 300\n', (head) => atByte(300, head)],
    [
      'HeaderSize = -1, bytes between header and voxels',
      'HeaderSize = -1\n',
      (head) => Buffer.concat([Buffer.from(`${head}\n\nwhat nobody reads`), RAW]),
    ],
    [
      "gzip's header instead of zlib's",
      'CompressedData = True\n',
      (head) => Buffer.concat([Buffer.from(head), gzipSync(RAW)]),
    ],
  ])('%s', async (_, key, file) => {
    const head = `${HEAD}${key}ElementType = MET_SHORT\nElementDataFile = LOCAL\n`
    expect(await read(put('a.mha', file(head)))).toMatchObject({ values: VALUES })
  })

  it.each<[string, string, [number, number], number[]]>([
    ['both axes back: DICOM of a prone patient', '-1 0 0 0 -1 0 0 0 1', [-1, -1], [1, 2, 3]],
    ['columns to the right alone', '-1 0 0 0 1 0 0 0 1', [1, 1], [3, 2, 1]],
    ['rows to the front alone', '1 0 0 0 -1 0 0 0 1', [1, 1], [4, 5, 6]],
  ])('%s', async (_, matrix, directions, firstRow) => {
    const head = `${HEAD}TransformMatrix = ${matrix}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n`
    const found = await read(put('a.mha', Buffer.concat([Buffer.from(head), RAW])))
    if (typeof found === 'string') throw new Error(found)
    const { rowDirection, columnDirection } = found.series.geometry
    expect([rowDirection[0], columnDirection[1]]).toEqual(directions)
    expect(found.values.slice(0, 3)).toEqual(firstRow)
  })

  function atByte(offset: number, head: string): Buffer {
    const start = Buffer.alloc(offset, 0x20)
    start.write(head)
    return Buffer.concat([start, RAW])
  }

  it.each<[string, number[]]>([
    ['MET_CHAR', [1, -2]],
    ['MET_USHORT', [1, 65535]],
    ['MET_LONG', [-5, 70]],
    ['MET_DOUBLE', [-1000.4, 3.6]],
    ['MET_LONG_LONG', [-5, 70]],
    ['MET_ULONG_LONG', [5, 70]],
  ])('numbers of %s in words', async (type, given) => {
    const words = [...given, ...VALUES.slice(0, 10)].join(' ')
    const text = `${HEAD}BinaryData = False\nElementType = ${type}\nElementDataFile = LOCAL\n${words}\n`
    const found = await read(put('a.mha', text))
    expect(found).toMatchObject({ values: [...given.map(Math.round), ...VALUES.slice(0, 10)] })
  })

  it.each([false, true])('whole numbers of 64 bits, big-endian: %s', async (msb) => {
    const wide = [-5, 2 ** 40, -(2 ** 40), 32767, ...VALUES.slice(0, 8)]
    const bytes = Buffer.alloc(96)
    for (const [n, value] of wide.entries())
      if (msb) bytes.writeBigInt64BE(BigInt(value), 8 * n)
      else bytes.writeBigInt64LE(BigInt(value), 8 * n)
    const order = `BinaryDataByteOrderMSB = ${msb ? 'True' : 'False'}\n`
    const head = `${HEAD}${order}ElementType = MET_LONG_LONG\nElementDataFile = LOCAL\n`
    // What is no HU becomes the next one, as of 32 bits.
    const values = [-5, 32767, -32768, 32767, ...VALUES.slice(0, 8)]
    expect(await read(put('a.mha', Buffer.concat([Buffer.from(head), bytes])))).toMatchObject({ values })
  })

  it('further dimensions of one step', async () => {
    // As SimpleITK writes it.
    const head = (size: string): string => `NDims = 4
TransformMatrix = 0 1 0 0 1 0 0 0 0 0 1 0 0 0 0 1
Offset = 7 8 9 0
ElementSpacing = 0.5 0.6 2 7
DimSize = 3 2 2 ${size}
ElementType = MET_SHORT
ElementDataFile = LOCAL
`
    const found = await read(put('a.mha', Buffer.concat([Buffer.from(head('1')), RAW])))
    if (typeof found === 'string') throw new Error(found)
    const { geometry } = found.series
    expect(geometry).toMatchObject({ origin: [7, 8, 9], spacing: [2, 0.6, 0.5], rowDirection: [0, 1, 0] })
    expect(found.values).toEqual(VALUES)
    const several = await read(put('a.mha', Buffer.concat([Buffer.from(head('2')), RAW, RAW])))
    expect(several).toMatch(/DimSize: wrong MetaImage header: expected 3 sizes, and 1 for each further one/)
  })

  it.each<[string, string, RegExp]>([
    ['HeaderSize = -5', '', /HeaderSize: wrong MetaImage header: expected bytes, or -1/],
    ['DistanceUnits = um', '', /DistanceUnits: wrong MetaImage header: expected mm but received um/],
    ['ElementSpacing = 0,5 0,6 2', '', /ElementSpacing: wrong MetaImage header: expected 3 numbers/],
    ['ElementType = MET_STRING', '', /ElementType: wrong MetaImage header/],
    [
      'BinaryData = False',
      '1 2 3 4 5 6 7 8 9 10 11 40000',
      /a number that its type cannot hold: expected -32768 to 32767 but received 40000/,
    ],
  ])('%s is refused by name', async (key, words, message) => {
    const text = `${HEAD}ElementType = MET_SHORT\n${key}\nElementDataFile = LOCAL\n`
    const path = put('a.mha', words === '' ? Buffer.concat([Buffer.from(text), RAW]) : text + words)
    const found = await read(path).catch((error: unknown) => (error as Error).message)
    expect(found).toMatch(message)
  })

  it.each([
    ['MET_MOD_MR', 'MR'],
    ['MET_MOD_CT', 'CT'],
    ['MET_MOD_UNKNOWN', 'CT'],
  ])('Modality = %s: %s', async (term, modality) => {
    const text = `${HEAD}Modality = ${term}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n`
    const path = put('a.mha', Buffer.concat([Buffer.from(text), RAW]))
    expect(await read(path)).toMatchObject({ series: { modality } })
  })
})

describe('NIfTI', () => {
  const nifti = (change: (view: DataView) => void): string => {
    const bytes = Uint8Array.from(
      encodeNifti({
        data: Int16Array.from(VALUES),
        shape: [2, 2, 3],
        geometry: {
          origin: [-10, -20, -30],
          rowDirection: [1, 0, 0],
          columnDirection: [0, 1, 0],
          sliceDirection: [0, 0, 1],
          spacing: [2, 0.5, 0.25],
          slicePositions: [0, 2],
        },
      }),
    )
    change(new DataView(bytes.buffer))
    return put('a.nii', bytes)
  }
  const sform = (view: DataView, factor: number): void => {
    for (let at = 280; at < 328; at += 4) view.setFloat32(at, view.getFloat32(at, true) * factor, true)
  }

  it.each<[string, (view: DataView) => void]>([
    [
      'meters',
      (view) => {
        view.setUint8(123, 1)
        sform(view, 0.001)
      },
    ],
    [
      'micrometers',
      (view) => {
        view.setUint8(123, 3)
        sform(view, 1000)
      },
    ],
    ['seconds beside millimeters', (view) => view.setUint8(123, 2 + 8)],
    ['no unit', (view) => view.setUint8(123, 0)],
  ])('%s', async (_, change) => {
    const found = await read(nifti(change))
    if (typeof found === 'string') throw new Error(found)
    const { spacing, origin } = found.series.geometry
    expect(spacing.map((mm) => Number(mm.toFixed(4)))).toEqual([2, 0.5, 0.25])
    expect(origin.map((mm) => Number(mm.toFixed(3)))).toEqual([-10, -20, -30])
  })

  it.each([
    ['scl_slope 0: not scaled, whatever the intercept', 0, -500],
    ['scl_slope NaN: not scaled', Number.NaN, Number.NaN],
    ['scl_slope infinite: not scaled', Infinity, 3],
  ])('%s', async (_, slope, intercept) => {
    const path = nifti((view) => {
      view.setFloat32(112, slope, true)
      view.setFloat32(116, intercept, true)
    })
    const found = await read(path)
    expect(found).toMatchObject({ series: { slices: [{ rescaleSlope: 1, rescaleIntercept: 0 }, {}] } })
  })

  it.each<[string, number, number[]]>([
    ['int64', 1024, [-5, 32767, -32768, 32767]],
    ['uint64', 1280, [5, 32767, 0, 32767]],
  ])('%s', async (_, datatype, expected) => {
    const given = datatype === 1024 ? [-5, 2 ** 40, -(2 ** 40), 32767] : [5, 2 ** 63, 0, 32767]
    const small = [...given, ...VALUES.slice(0, 8)]
    const path = nifti((view) => {
      view.setInt16(70, datatype, true)
      view.setInt16(72, 64, true)
    })
    const voxels = Buffer.alloc(96)
    for (const [n, value] of small.entries())
      voxels.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 8 * n)
    writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, 352), voxels]))
    expect(await read(path)).toMatchObject({ values: [...expected, ...VALUES.slice(0, 8)] })
  })

  it('a slope with an intercept that is no number is refused', async () => {
    const path = nifti((view) => {
      view.setFloat32(112, 2, true)
      view.setFloat32(116, Number.NaN, true)
    })
    expect(await read(path)).toMatch(
      /wrong NIfTI-1 header: expected finite numbers to rescale the voxels by but received slope 2, intercept NaN/,
    )
  })

  it('voxel sizes of 0 or below, where the qform needs them', async () => {
    const path = nifti((view) => {
      view.setInt16(254, 0, true)
      view.setFloat32(84, -0.5, true)
    })
    expect(await read(path)).toMatch(/pixdim: wrong NIfTI header: expected 3 sizes above 0/)
  })
})
