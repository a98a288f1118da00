import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findSeries, readPixels, readSeriesPixels, readSliceHeader } from '../../../src/dicom/index.js'
import { seriesTable } from '../../../src/dicom/series/series_table.js'
import { patientToVoxel, voxelToPatient } from '../../../src/geometry/patient.js'
import { realData } from '../../real_data.js'
import { BIG_ENDIAN, IMPLICIT, numbers, sliceFile, text, uint16s } from '../bytes.js'
import type { FileOptions, SliceOptions } from '../bytes.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-series-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function put(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  return path
}

function stack(slices: readonly SliceOptions[]): void {
  slices.forEach((slice, n) => put(`${n}.dcm`, sliceFile({ instance: n + 1, uid: `1.2.3.4.${n}`, ...slice })))
}

const kinds = (problems: readonly { kind: string }[]): string[] => problems.map(({ kind }) => kind)

describe('findSeries', () => {
  it('sorts by position, whatever the names and instance numbers say', async () => {
    stack([5, 0, 7.5, 2.5].map((z) => ({ z })))
    const { series, skipped } = await findSeries([folder])
    expect(skipped).toEqual([])
    expect(series).toHaveLength(1)
    expect(series[0]!.slices.map((slice) => slice.imagePosition[2])).toEqual([0, 2.5, 5, 7.5])
    expect(series[0]!.geometry.spacing).toEqual([2.5, 0.7, 0.7])
    expect(series[0]!).toMatchObject({ patientId: 'P1', thickness: 2.5, isVolume: true, problems: [] })
  })

  it('keeps gaps in mm and reports them', async () => {
    stack([0, 2.5, 5, 12.5, 15].map((z) => ({ z })))
    const [series] = (await findSeries([folder])).series
    expect(series!.geometry.slicePositions).toEqual([0, 2.5, 5, 12.5, 15])
    expect(series!.geometry.spacing[0]).toBe(2.5)
    expect(series!.problems).toMatchObject([
      { kind: 'gap', message: expect.stringContaining('2 slices missing') },
    ])
  })

  it('keeps one slice per position', async () => {
    stack([0, 2.5, 2.5, 5, 7.5].map((z) => ({ z })))
    const [series] = (await findSeries([folder])).series
    expect(series!.slices.map((slice) => slice.instanceNumber)).toEqual([1, 2, 4, 5])
    expect(kinds(series!.problems)).toEqual(['duplicate'])
    expect(series!.problems[0]!.paths).toEqual([join(folder, '2.dcm')])
  })

  it('takes one phase of a time series', async () => {
    const phases = [1, 2].flatMap((phase) =>
      [0, 2.5, 5].map((z) => ({ z, extra: [text('00200012', 'IS', String(phase))] })),
    )
    stack(phases)
    const [series] = (await findSeries([folder])).series
    expect(series!.slices.map((slice) => slice.acquisitionNumber)).toEqual([1, 1, 1])
    expect(kinds(series!.problems)).toEqual(['four-dimensional'])
  })

  it('leaves out slices of another size', async () => {
    stack([{ z: 0 }, { z: 2.5 }, { z: 5, rows: 8 }, { z: 7.5 }, { z: 10 }])
    const [series] = (await findSeries([folder])).series
    expect(series!.slices).toHaveLength(4)
    expect(kinds(series!.problems)).toEqual(['mixed-size', 'gap'])
  })

  it('stacks a tilted gantry along the table', async () => {
    const tilt = (20 * Math.PI) / 180
    const orientation = `1\\0\\0\\0\\${Math.cos(tilt)}\\${-Math.sin(tilt)}`
    stack([0, 2, 4, 6].map((z) => ({ z, orientation })))
    const [series] = (await findSeries([folder])).series
    expect(series!.geometry.sliceDirection[2]).toBeCloseTo(1, 6)
    expect(series!.geometry.spacing[0]).toBeCloseTo(2, 6)
    expect(kinds(series!.problems)).toEqual(['tilted'])
    const { geometry, slices } = series!
    voxelToPatient(geometry, 3, 0, 0).forEach((v, axis) =>
      expect(v).toBeCloseTo(slices[3]!.imagePosition[axis]!, 6),
    )
    patientToVoxel(geometry, slices[2]!.imagePosition).forEach((v, axis) =>
      expect(v).toBeCloseTo([2, 0, 0][axis]!, 6),
    )
  })

  it.each([
    [0.5, 9, ['tilted'], 'slices are stacked 1.7 degrees off their normal'],
    [0.02, 0.36, ['tilted'], 'slices are stacked 0.07 degrees off their normal'],
    [0.018, 0, [], undefined],
  ])('a stack that drifts by %f mm a slice is sheared by %f mm', async (step, drift, expected, message) => {
    stack(Array.from({ length: 19 }, (_, n) => ({ z: (50 / 3) * n, x: -10 + n * step })))
    const { geometry, problems } = (await findSeries([folder])).series[0]!
    expect(kinds(problems)).toEqual(expected)
    expect(problems[0]?.message).toBe(message)
    expect(voxelToPatient(geometry, 18, 0, 0)[0]).toBeCloseTo(-10 + drift, 6)
  })

  it('a volume needs most slices in a line', async () => {
    stack([0, 2.5, 5, 7.5].map((z, n) => ({ z, x: n === 2 ? 50 : 0 })))
    const [usable] = (await findSeries([folder])).series
    expect(usable!.isVolume).toBe(true)
    expect(kinds(usable!.problems)).toEqual(['shifted'])
    expect(usable!.problems[0]!.paths).toEqual([join(folder, '2.dcm')])
    stack([0, 2.5, 5, 7.5, 10].map((z, n) => ({ z, x: n % 4 === 0 ? 0 : 50 * n })))
    const [scattered] = (await findSeries([folder])).series
    expect(scattered!.isVolume).toBe(false)
  })

  it('separates series, and groups files without one by folder', async () => {
    put('a/1.dcm', sliceFile({ z: 0, series: '1.2.8' }))
    put('a/2.dcm', sliceFile({ z: 0, series: '1.2.9' }))
    put('b/1.dcm', sliceFile({ z: 0, series: '' }))
    put('b/2.dcm', sliceFile({ z: 1, series: '' }))
    put('c/1.dcm', sliceFile({ z: 0, series: '' }))
    const { series } = await findSeries([folder])
    expect(series.map((s) => [s.seriesInstanceUid, s.slices.length])).toEqual([
      ['', 2],
      ['', 1],
      ['1.2.8', 1],
      ['1.2.9', 1],
    ])
    expect(kinds(series[0]!.problems)).toEqual(['no-series-uid'])
  })

  it('lists every file that it cannot use, with a reason', async () => {
    put('README', 'hello')
    put('notes.xml', '<x/>')
    put('broken.dcm', 'not dicom')
    put('empty.dcm', '')
    put('cut.dcm', sliceFile().subarray(0, -10))
    put('no-pixels.dcm', sliceFile({ without: ['7fe00010'] }))
    put('no-place.dcm', sliceFile({ without: ['00200032'] }))
    put('turned.dcm', sliceFile({ orientation: '1\\0\\0\\1\\0\\0' }))
    put('good.dcm', sliceFile())
    symlinkSync(folder, join(folder, 'loop'))
    symlinkSync(join(folder, 'nothing'), join(folder, 'dangling'))
    const seen: string[] = []
    const { series, skipped } = await findSeries([folder], { onWarning: (text) => seen.push(text) })
    expect(series).toHaveLength(1)
    expect(
      Object.fromEntries(skipped.map(({ path, kind }) => [path.slice(folder.length + 1), kind])),
    ).toEqual({
      README: 'foreign',
      'notes.xml': 'foreign',
      'broken.dcm': 'damaged',
      'empty.dcm': 'damaged',
      'cut.dcm': 'damaged',
      dangling: 'damaged',
      'no-pixels.dcm': 'damaged',
      'no-place.dcm': 'not-a-slice',
      'turned.dcm': 'damaged',
    })
    expect(skipped.find(({ path }) => path.endsWith('cut.dcm'))!.reason).toBe(
      '(7FE0,0010): file ends inside the pixel data: expected 32 bytes but received 22',
    )
    // What is no slice is no loss.
    expect(seen.sort().map((text) => text.slice(folder.length + 1).split(':')[0])).toEqual([
      'broken.dcm',
      'cut.dcm',
      'dangling',
      'empty.dcm',
      'no-pixels.dcm',
      'turned.dcm',
    ])
  })

  it('stacks images without a position by Slice Location, and says so', async () => {
    for (const without of [['00200032'], ['00200032', '00200037']]) {
      stack(
        [5, 0, 2.5, 10].map((location) => ({
          without,
          rows: 3,
          columns: 5,
          extra: [text('00201041', 'DS', String(location))],
        })),
      )
      const [series] = (await findSeries([folder])).series
      expect(series!.geometry.slicePositions).toEqual([0, 2.5, 5, 10])
      expect(series!.isVolume).toBe(true)
      expect(kinds(series!.problems)).toEqual(['gap', 'no-position'])
      // The image's center lies on the axis.
      const { geometry } = series!
      expect(voxelToPatient(geometry, 0, 1, 2)).toEqual(
        [0, 0, 0].map((value) => expect.closeTo(value, 9) as number),
      )
    }
    // Seen from the head the normal points to the feet: the way is the same.
    stack(
      [0, 2.5].map((z) => ({
        without: ['00200032'],
        orientation: '1\\0\\0\\0\\-1\\0',
        extra: [text('00201041', 'DS', String(z))],
      })),
    )
    const [turned] = (await findSeries([join(folder, '0.dcm'), join(folder, '1.dcm')])).series
    expect(turned!.slices.map((slice) => slice.imagePosition[2])).toEqual([0, 2.5])
  })

  it('does not mix images with a position and images without', async () => {
    stack([{ z: 0 }, { z: 2.5 }, { z: 5 }])
    put('x.dcm', sliceFile({ without: ['00200032'], extra: [text('00201041', 'DS', '7.5')] }))
    const [series] = (await findSeries([folder])).series
    expect(series!.slices).toHaveLength(3)
    expect(kinds(series!.problems)).toEqual(['mixed-size'])
  })

  it('never makes one series of two patients', async () => {
    stack([{ z: 0 }, { z: 2.5 }])
    const other = { without: ['00100020'], extra: [text('00100020', 'LO', 'P2')] }
    for (const z of [5, 7.5]) put(`b${z}.dcm`, sliceFile({ z, ...other }))
    const { series } = await findSeries([folder])
    expect(series.map(({ patientId, slices }) => [patientId, slices.length])).toEqual([
      ['P1', 2],
      ['P2', 2],
    ])
  })

  it('a series of color images, or without a decoder, is no volume', async () => {
    const color = {
      without: ['00280002', '00280004'],
      extra: [numbers('00280002', 'US', 3), text('00280004', 'CS', 'RGB')],
      pixels: Buffer.alloc(96),
    }
    stack([0, 2.5].map((z) => ({ z, ...color })))
    for (const z of [0, 2.5])
      put(`m${z}.dcm`, sliceFile({ z, series: '1.9' }, { transferSyntax: '1.2.840.10008.1.2.4.100' }))
    const { series } = await findSeries([folder])
    expect(series.map(({ isVolume }) => isVolume)).toEqual([false, false])
    expect(series.map(({ problems }) => problems[0]!.message)).toEqual([
      'color images (RGB, 3 samples a pixel) have no HU',
      'no decoder for transfer syntax 1.2.840.10008.1.2.4.100',
    ])
  })

  it('the table names why CT files are no slices', async () => {
    stack([0, 2.5].map((z) => ({ z, without: ['00280030'] })))
    put('deep.dcm', sliceFile({ bitsAllocated: 32, pixels: Buffer.alloc(64) }))
    put(
      'float.dcm',
      sliceFile({ without: ['7fe00010'], extra: [{ tag: '7fe00008', vr: 'OF', bytes: Buffer.alloc(64) }] }),
    )
    const lines = seriesTable(await findSeries([folder])).split('\n')
    expect(lines).toContain('4 files without a slice: 4 CT')
    expect(lines.find((line) => line.startsWith('  2 CT: (0028,0030): no place in the patient'))).toContain(
      '0.dcm',
    )
    expect(lines.find((line) => line.includes('cannot read this depth'))).toContain('received 32')
    expect(lines.find((line) => line.includes('floating-point pixels'))).toContain('(7FE0,0008)')
  })

  it('refuses a folder that does not exist', async () => {
    await expect(findSeries([join(folder, 'missing')])).rejects.toThrow(
      /missing: cannot read: no such file or folder/,
    )
  })

  it('any order of any positions comes out ascending and maps back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: -4000, max: 4000 }), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (tenths, feetFirst) => {
          rmSync(folder, { recursive: true })
          mkdirSync(folder)
          const orientation = feetFirst ? '1\\0\\0\\0\\-1\\0' : '1\\0\\0\\0\\1\\0'
          stack(tenths.map((z) => ({ z: z / 10, orientation })))
          const [series] = (await findSeries([folder])).series
          const { geometry, slices } = series!
          const heights = slices.map((slice) => slice.imagePosition[2])
          expect(heights).toEqual([...heights].sort((a, b) => a - b))
          slices.forEach((slice, k) => {
            voxelToPatient(geometry, k, 0, 0).forEach((v, axis) =>
              expect(v).toBeCloseTo(slice.imagePosition[axis]!, 6),
            )
          })
        },
      ),
      { numRuns: 25, seed: 1 },
    )
  })
})

describe('stored values', () => {
  const values = [0, 1, -1, 2000, -2000, 32767, -32768, 5, 6, 7, 8, 9, 10, 11, 12, 13]

  it.each<[string, FileOptions]>([
    ['explicit', {}],
    ['implicit', { transferSyntax: IMPLICIT }],
    ['big endian', { transferSyntax: BIG_ENDIAN }],
  ])('16-bit signed, %s', async (_, file) => {
    const bigEndian = file.transferSyntax === BIG_ENDIAN
    const path = put(
      'a.dcm',
      sliceFile({ signed: true, pixels: uint16s(values, bigEndian), padding: 63536 }, file),
    )
    const header = await readSliceHeader(path)
    expect(header.padding).toEqual({ low: -2000, high: -2000 })
    const pixels = await readPixels(header)
    expect(pixels).toBeInstanceOf(Int16Array)
    expect([...pixels]).toEqual(values)
  })

  it('16-bit unsigned is a view without a copy', async () => {
    const path = put('a.dcm', sliceFile({ pixels: uint16s(values), padding: 63536 }))
    const header = await readSliceHeader(path)
    expect(header.padding).toEqual({ low: 63536, high: 63536 })
    const pixels = await readPixels(header)
    expect(pixels).toBeInstanceOf(Uint16Array)
    expect(pixels.buffer.byteLength).toBe(32)
  })

  it('a padding range is sorted', async () => {
    const limit = { tag: '00280121', vr: 'SS', bytes: uint16s([-3000]) }
    const path = put('a.dcm', sliceFile({ signed: true, padding: 63536, extra: [limit] }))
    expect((await readSliceHeader(path)).padding).toEqual({ low: -3000, high: -2000 })
  })

  it('8 bits', async () => {
    const path = put(
      'a.dcm',
      sliceFile({ bitsAllocated: 8, pixels: Uint8Array.from({ length: 16 }, (_, i) => 16 * i) }),
    )
    expect([...(await readPixels(await readSliceHeader(path)))]).toEqual(
      Array.from({ length: 16 }, (_, i) => 16 * i),
    )
  })

  it('12-bit signed values get their sign, padding beyond 12 bits stays', async () => {
    const stored = [0x0fff, 0x0800, 0x07ff, 0xffff, 0x8000, ...Array<number>(11).fill(0)]
    const read = async (o: SliceOptions): Promise<number[]> => {
      const path = put('a.dcm', sliceFile({ signed: true, bitsStored: 12, pixels: uint16s(stored), ...o }))
      return [...(await readPixels(await readSliceHeader(path)))].slice(0, 5)
    }
    expect(await read({ padding: 0x8000 })).toEqual([-1, -2048, 2047, -1, -32768])
    expect(await read({})).toEqual([-1, -2048, 2047, -1, 0])
  })

  it('masks overlays that hide in unused bits', async () => {
    const overlay = { tag: '60000102', vr: 'US', bytes: uint16s([12]) }
    const path = put(
      'a.dcm',
      sliceFile({ bitsStored: 12, pixels: uint16s(Array(16).fill(0x1abc)), extra: [overlay] }),
    )
    expect((await readPixels(await readSliceHeader(path)))[0]).toBe(0x0abc)
  })

  it('names what is wrong', async () => {
    const bad: [SliceOptions, RegExp][] = [
      [{ rows: 0, pixels: uint16s(values) }, /\(0028,0010\): wrong image size/],
      [
        { bitsAllocated: 32 },
        /\(0028,0100\): cannot read this depth: expected 8 or 16 bits allocated but received 32/,
      ],
      [{ bitsStored: 17 }, /\(0028,0101\): wrong Bits Stored: expected 1 to 16 but received 17/],
      [{ spacing: '0\\0.5' }, /\(0028,0030\): .*Pixel Spacing > 0 but received 0\\0.5/],
      [{ pixels: uint16s([1, 2]) }, /pixel data is too short: expected 32 bytes .* received 4/],
    ]
    for (const [options, message] of bad) {
      const path = put('bad.dcm', sliceFile(options))
      await expect(readSliceHeader(path).then(readPixels)).rejects.toThrow(message)
    }
    await expect(readSliceHeader(join(folder, 'none.dcm'))).rejects.toThrow(/no such file/)
    await expect(readSliceHeader(folder)).rejects.toThrow(/cannot read: is a folder|not a regular file/)
  })
})

const real = realData('lidc-idri-0001')
describe.skipIf(real === undefined)('LIDC-IDRI-0001', () => {
  it('is a volume of 133 slices', async () => {
    const { series, skipped } = await findSeries([real!])
    expect(series).toHaveLength(1)
    expect(series[0]!).toMatchObject({
      patientId: 'LIDC-IDRI-0001',
      thickness: 2.5,
      isVolume: true,
      problems: [],
    })
    expect(series[0]!.geometry.spacing).toEqual([2.5, 0.703125, 0.703125])
    expect(series[0]!.slices).toHaveLength(133)
    expect(series[0]!.slices[0]).toMatchObject({
      signed: true,
      padding: { low: -2000, high: -2000 },
      kernel: 'STANDARD',
    })
    expect(skipped.map(({ kind }) => kind)).toEqual(['foreign', 'foreign'])
    const pixels = await readSeriesPixels(series[0]!)
    expect(pixels).toHaveLength(133)
    expect(pixels.every((slice) => slice.length === 512 * 512)).toBe(true)
  })
})
