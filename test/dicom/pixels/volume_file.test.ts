import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findSeries, readPixels } from '../../../src/dicom/index.js'
import { NoduleError } from '../../../src/errors.js'
import { patientToVoxel, voxelToPatient } from '../../../src/geometry/patient.js'
import type { Vector3 } from '../../../src/geometry/vector.js'
import { createRandom } from '../../../src/random.js'
import { convertSeries } from '../../../src/scans/index.js'
import { loadVolume } from '../../../src/volume/index.js'
import { sliceFile, uint16s } from '../bytes.js'
import { mutate } from '../mutate.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-volume-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(folder, name), bytes)
  return join(folder, name)
}

/** Three slices of 4 x 4 whose stored values count up, HU = value - 1024. */
function dicomSeries(orientation = '1\\0\\0\\0\\1\\0'): string[] {
  return [0, 2.5, 5].map((z, n) => {
    const pixels = uint16s(Array.from({ length: 16 }, (_, i) => 100 * n + i))
    return put(`${n}.dcm`, sliceFile({ z, instance: n, uid: `1.2.${n}`, pixels, orientation }))
  })
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
ElementDataFile = a.raw
`
const VALUES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -2000]
const RAW = new Uint8Array(Int16Array.from(VALUES).buffer)

describe('MetaImage', () => {
  it('reads as a series named after the file', async () => {
    put('a.raw', RAW)
    const { series } = await findSeries([put('1.2.3.mhd', MHD)])
    expect(series[0]).toMatchObject({
      seriesInstanceUid: '1.2.3',
      modality: 'CT',
      isVolume: true,
      problems: [],
    })
    expect(series[0]!.geometry).toMatchObject({ origin: [-10, -20, -30], spacing: [2, 0.6, 0.5] })
    expect([...(await loadVolume(series[0]!)).data]).toEqual(VALUES)
    expect([...(await readPixels(series[0]!.slices[1]!))]).toEqual(VALUES.slice(6))
  })

  it.each<[string, string, Uint8Array]>([
    ['compressed', MHD.replace('CompressedData = False', 'CompressedData = True'), deflateSync(RAW)],
    [
      'with a header of its own',
      MHD.replace('ElementData', 'HeaderSize = 5\nElementData'),
      Buffer.concat([Buffer.alloc(5), RAW]),
    ],
    [
      'with voxels at the end',
      MHD.replace('ElementData', 'HeaderSize = -1\nElementData'),
      Buffer.concat([Buffer.alloc(7), RAW]),
    ],
    ['big endian', MHD.replace('OrderMSB = False', 'OrderMSB = True'), Buffer.from(RAW).swap16()],
    ['as floats', MHD.replace('MET_SHORT', 'MET_FLOAT'), new Uint8Array(Float32Array.from(VALUES).buffer)],
    ['as integers', MHD.replace('MET_SHORT', 'MET_INT'), new Uint8Array(Int32Array.from(VALUES).buffer)],
  ])('%s', async (_, header, raw) => {
    put('a.raw', raw)
    const { series } = await findSeries([put('a.mhd', header)])
    expect([...(await loadVolume(series[0]!)).data]).toEqual(VALUES)
  })

  // What SimpleITK 2.5.7 (MetaIO) makes of these headers; fixtures/dicom/ask_oracles.py asks it.
  it.each<
    [string, string, Partial<Record<'spacing' | 'origin' | 'rowDirection' | 'columnDirection', number[]>>]
  >([
    ['ElementSize', 'ElementSize = 0.7 0.8 2.5', { spacing: [2.5, 0.8, 0.7] }],
    [
      'ElementSpacing before ElementSize',
      'ElementSize = 7 8 9\nElementSpacing = 1 2 3',
      { spacing: [3, 2, 1] },
    ],
    [
      'Orientation',
      'Orientation = 0 -1 0 1 0 0 0 0 1',
      { rowDirection: [0, -1, 0], columnDirection: [1, 0, 0] },
    ],
    ['Rotation', 'Rotation = 0 -1 0 1 0 0 0 0 1', { rowDirection: [0, -1, 0], columnDirection: [1, 0, 0] }],
    [
      'Rotation before Orientation',
      'Orientation = 1 0 0 0 1 0 0 0 1\nRotation = 0 -1 0 1 0 0 0 0 1',
      { rowDirection: [0, -1, 0] },
    ],
    [
      'TransformMatrix before both',
      'Rotation = 0 -1 0 1 0 0 0 0 1\nTransformMatrix = 1 0 0 0 1 0 0 0 1',
      { rowDirection: [1, 0, 0] },
    ],
    ['Position', 'Position = 1 2 3', { origin: [1, 2, 3] }],
    ['Origin', 'Origin = 1 2 3', { origin: [1, 2, 3] }],
    ['Offset before Position', 'Position = 1 2 3\nOffset = 4 5 6', { origin: [4, 5, 6] }],
  ])('%s as MetaIO', async (_, lines, expected) => {
    put('a.raw', RAW)
    const header = MHD.replace(/(TransformMatrix|Offset|ElementSpacing) = .*\n/g, '')
    const { series } = await findSeries([put('a.mhd', header.replace('DimSize', `${lines}\nDimSize`))])
    expect(series[0]!.geometry).toMatchObject(expected)
  })

  it.each(['False', 'F', 'f', '0', 'no'])('BinaryData = %s: the voxels are numbers', async (value) => {
    const header = MHD.replace('BinaryData = True', `BinaryData = ${value}`)
    put('a.raw', VALUES.join(' '))
    const { series } = await findSeries([put('a.mhd', header)])
    expect([...(await loadVolume(series[0]!)).data]).toEqual(VALUES)
    put('a.raw', ` ${VALUES.join(',\r\n')}\n`)
    expect([...(await loadVolume((await findSeries([join(folder, 'a.mhd')])).series[0]!)).data]).toEqual(
      VALUES,
    )
    put('a.raw', `${VALUES.slice(0, 11).join(' ')}           `)
    await expect(loadVolume((await findSeries([join(folder, 'a.mhd')])).series[0]!)).rejects.toThrow(
      /a\.raw: too few voxels: expected 12 numbers but received 11/,
    )
    const local = header.replace('a.raw', 'LOCAL').replace('MET_SHORT', 'MET_FLOAT')
    const path = put('b.mha', `${local}${VALUES.map((one) => one.toExponential()).join('\t')}\n`)
    expect([...(await loadVolume((await findSeries([path])).series[0]!)).data]).toEqual(VALUES)
  })

  it('the byte order that BinaryDataByteOrderMSB names, else ElementByteOrderMSB', async () => {
    const swapped = Buffer.from(RAW).swap16()
    const header = MHD.replace('BinaryDataByteOrderMSB = False\n', '')
    for (const [lines, bytes] of [
      ['ElementByteOrderMSB = True', swapped],
      ['ElementByteOrderMSB = T', swapped],
      ['BinaryDataByteOrderMSB = 1', swapped],
      ['ElementByteOrderMSB = True\nBinaryDataByteOrderMSB = False', RAW],
    ] as const) {
      put('a.raw', bytes)
      const { series } = await findSeries([put('a.mhd', header.replace('DimSize', `${lines}\nDimSize`))])
      expect([...(await loadVolume(series[0]!)).data], lines).toEqual(VALUES)
    }
  })

  it('bytes are a mask, not CT', async () => {
    put(
      'a.raw',
      Uint8Array.from({ length: 12 }, (_, n) => n % 2),
    )
    const { series } = await findSeries([put('a.mhd', MHD.replace('MET_SHORT', 'MET_UCHAR'))])
    expect(series[0]!.modality).toBe('SEG')
    expect([...(await readPixels(series[0]!.slices[0]!))]).toEqual([0, 1, 0, 1, 0, 1])
  })

  it('all in one .mha', async () => {
    const path = put('a.mha', Buffer.concat([Buffer.from(MHD.replace('a.raw', 'LOCAL')), RAW]))
    const { series } = await findSeries([path])
    expect([...(await loadVolume(series[0]!)).data]).toEqual(VALUES)
  })

  it('turns rows and columns to the directions of DICOM', async () => {
    put('a.raw', RAW)
    const turned = MHD.replace('= 1 0 0 0 1 0 0 0 1', '= -1 0 0 0 1 0 0 0 1')
    const { series } = await findSeries([put('a.mhd', turned)])
    const { geometry } = series[0]!
    expect(geometry.rowDirection[0]).toBe(1)
    expect(geometry.columnDirection[1]).toBe(1)
    expect([...(await loadVolume(series[0]!)).data.subarray(0, 6)]).toEqual([3, 2, 1, 6, 5, 4])
    // The file's first voxel is now the last of its row.
    voxelToPatient(geometry, 0, 0, 2).forEach((value, axis) =>
      expect(value).toBeCloseTo([-10, -20, -30][axis]!, 9),
    )
  })

  it.each<[string, string, RegExp]>([
    [
      '2 dimensions',
      MHD.replace('NDims = 3', 'NDims = 2'),
      /NDims: wrong MetaImage header: expected 3 but received 2/,
    ],
    ['an unknown type', MHD.replace('MET_SHORT', 'MET_STRING'), /ElementType: .*received MET_STRING/],
    ['no size', MHD.replace(/DimSize.*\n/, ''), /DimSize: .*expected 3 numbers but received none/],
    ['a negative size', MHD.replace('3 2 2', '3 -2 2'), /3 sizes from 1 to 65535/],
    ['no distance', MHD.replace('0.5 0.6 2', '0.5 0 2'), /distances above 0 mm/],
    ['a huge size', MHD.replace('3 2 2', '60000 60000 60000'), /at most 2\^31 voxels/],
    ['a list of files', MHD.replace('a.raw', 'LIST'), /ElementDataFile: .*LOCAL or the name of one file/],
  ])('refuses %s', async (_, header, reason) => {
    put('a.raw', RAW)
    const { series, skipped } = await findSeries([put('a.mhd', header)])
    expect(series).toEqual([])
    expect(skipped[0]!.reason).toMatch(reason)
  })

  it('too few voxels, no voxels, a bomb', async () => {
    const path = put('a.mhd', MHD)
    const load = async (): Promise<unknown> => loadVolume((await findSeries([path])).series[0]!)
    const reason = async (): Promise<string> => (await findSeries([path])).skipped[0]!.reason
    expect(await reason()).toMatch(/a\.raw: cannot read: no such file/)
    put('a.raw', RAW.subarray(0, 20))
    expect(await reason()).toMatch(/a\.raw: too few voxels: expected 24 bytes/)
    put('a.mhd', MHD.replace('CompressedData = False', 'CompressedData = True'))
    put('a.raw', deflateSync(Buffer.alloc(50_000_000)))
    await expect(load()).rejects.toThrow(/cannot inflate the voxels/)
  })
})

describe('slices at uneven distances', () => {
  /** HU = 10 * z - 1024 in each voxel. */
  const uneven = (heights: readonly number[]): string[] =>
    heights.map((z, n) =>
      put(
        `${n}.dcm`,
        sliceFile({ z, instance: n, uid: `1.2.${n}`, pixels: uint16s(Array<number>(16).fill(10 * z)) }),
      ),
    )

  it.each([
    ['a scan in two parts', [0, 4, 8, 12, 16, 20, 28, 36, 44, 52, 60]],
    ['a gap', [0, 2, 4, 6, 16, 18, 20]],
  ])('%s: what is written lies where the file says', async (_, heights) => {
    const output = join(folder, 'a.mha')
    const { warnings } = await convertSeries(uneven(heights), output)
    expect(warnings.at(-1)).toMatch(
      /^\d+ slices, up to \d+\.\d mm from even places, were resampled to \d+ at [\d.]+ mm$/,
    )
    const after = await loadVolume((await findSeries([output])).series[0]!)
    const { slicePositions } = after.geometry
    expect(Math.abs(slicePositions.at(-1)! - heights.at(-1)!)).toBeLessThanOrEqual(
      after.geometry.spacing[0] / 2,
    )
    for (const [k, position] of slicePositions.entries())
      expect(after.data[16 * k]!).toBeCloseTo(10 * Math.min(position, heights.at(-1)!) - 1024, -0.5)
  })

  it('nearly even ones are left as they are', async () => {
    const output = join(folder, 'a.mha')
    const { warnings } = await convertSeries(uneven([0, 2, 4, 6.2, 8]), output)
    expect(warnings).toHaveLength(1)
    expect((await findSeries([output])).series[0]!.slices).toHaveLength(5)
  })

  it('too far apart to be resampled', async () => {
    const { warnings } = await convertSeries(uneven([0, 2, 4, 6, 5000]), join(folder, 'a.mha'))
    expect(warnings.at(-1)).toMatch(/too far apart to resample/)
  })
})

describe('conversion', () => {
  it.each(['a.nii', 'a.nii.gz', 'a.mhd', 'a.mha'])(
    '%s holds the scan: same voxels, same places',
    async (name) => {
      const inputs = dicomSeries()
      const output = join(folder, name)
      const { paths, warnings } = await convertSeries(inputs, output)
      expect(warnings).toEqual([])
      expect(paths.map((path) => basename(path))).toEqual(name === 'a.mhd' ? ['a.mhd', 'a.raw'] : [name])
      const before = await loadVolume((await findSeries(inputs)).series[0]!)
      const after = await loadVolume((await findSeries([output])).series[0]!)
      expect(after.shape).toEqual(before.shape)
      expect(after.data).toEqual(before.data)
      for (const [k, j, i] of [
        [0, 0, 0],
        [2, 3, 1],
      ] as const) {
        const place = voxelToPatient(before.geometry, k, j, i)
        voxelToPatient(after.geometry, k, j, i).forEach((value, axis) =>
          expect(value).toBeCloseTo(place[axis]!, 4),
        )
      }
    },
  )

  it('says why there is no volume', async () => {
    const inputs = dicomSeries().slice(0, 1)
    await expect(convertSeries(inputs, join(folder, 'a.nii'))).rejects.toThrow(
      /received none: one image only/,
    )
    writeFileSync(join(folder, 'flat.dcm'), sliceFile({ without: ['00280030'] }))
    await expect(convertSeries([join(folder, 'flat.dcm')], join(folder, 'a.nii'))).rejects.toThrow(
      /received none: \(0028,0030\): no place in the patient/,
    )
  })

  it('a name that is not ASCII comes back, in UTF-8 or in Latin-1', async () => {
    const { paths } = await convertSeries(dicomSeries(), join(folder, 'Müller 肺.mhd'))
    expect((await loadVolume((await findSeries([paths[0]!])).series[0]!)).data[17]).toBe(101 - 1024)
    put('é.raw', RAW)
    const latin = put('latin.mhd', Buffer.from(MHD.replace('a.raw', 'é.raw'), 'latin1'))
    expect((await findSeries([latin])).series).toHaveLength(1)
  })

  it('compresses on demand', async () => {
    const { paths } = await convertSeries(dicomSeries(), join(folder, 'a.mhd'), { compress: true })
    expect(paths.map((path) => basename(path))).toEqual(['a.mhd', 'a.zraw'])
    const { series } = await findSeries([paths[0]!])
    expect((await loadVolume(series[0]!)).data[17]).toBe(101 - 1024)
  })

  it('names what it cannot do', async () => {
    await expect(convertSeries(dicomSeries(), join(folder, 'a.png'))).rejects.toThrow(
      /ends in \.nii, \.nii\.gz/,
    )
    await expect(convertSeries([put('x.txt', '')], join(folder, 'a.nii'))).rejects.toThrow(
      /expected one volume .* but received none/,
    )
  })

  it('says that gaps are lost', async () => {
    const paths = [0, 2.5, 5, 12.5].map((z, n) => put(`${n}.dcm`, sliceFile({ z, uid: `1.${n}` })))
    const { warnings } = await convertSeries(paths, join(folder, 'a.nii'))
    expect(warnings[0]).toContain('one slice distance for all, 2.5 mm: about 2 slices missing')
  })
})

describe('NIfTI', () => {
  it('reads scaled integers, the qform, and big endian', async () => {
    await convertSeries(dicomSeries(), join(folder, 'a.nii'))
    const bytes = readFileSync(join(folder, 'a.nii'))
    bytes.writeFloatLE(2, 112)
    bytes.writeFloatLE(-5, 116)
    bytes.writeInt16LE(0, 254)
    const { series } = await findSeries([put('b.nii', bytes)])
    expect(series[0]!.geometry.spacing.map((value) => Number(value.toFixed(5)))).toEqual([2.5, 0.7, 0.7])
    expect(series[0]!.geometry.origin.map((value) => Number(value.toFixed(4)))).toEqual([-10, -20, 0])
    expect((await loadVolume(series[0]!)).data[3]).toBe(2 * (3 - 1024) - 5)
  })

  it('header damage is an error, in bounded time', async () => {
    await convertSeries(dicomSeries(), join(folder, 'a.nii'))
    const files = [readFileSync(join(folder, 'a.nii')), Buffer.from(MHD)]
    files.push(gzipSync(files[0]!))
    put('a.raw', RAW)
    const random = createRandom(7)
    for (let n = 0; n < 300; n++) {
      const path = put(n % 3 === 1 ? 'm.mhd' : 'm.nii.gz', mutate(files[n % 3]!, random))
      const start = process.cpuUsage()
      try {
        const { series } = await findSeries([path])
        if (series[0]?.isVolume === true) await loadVolume(series[0])
      } catch (error) {
        expect(error).toBeInstanceOf(NoduleError)
      }
      expect(process.cpuUsage(start).user / 1000).toBeLessThan(2000)
    }
  })

  it('any place in the patient comes back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: -1.5, max: 1.5, noNaN: true }), async (angle) => {
        const orientation = `1\\0\\0\\0\\${Math.cos(angle).toFixed(6)}\\${Math.sin(angle).toFixed(6)}`
        const inputs = dicomSeries(orientation)
        const [before] = (await findSeries(inputs)).series
        if (!before!.isVolume) return
        for (const name of ['a.nii.gz', 'a.mhd']) {
          await convertSeries(inputs, join(folder, name))
          const [after] = (await findSeries([join(folder, name)])).series
          const place = voxelToPatient(before!.geometry, 2, 3, 1)
          voxelToPatient(after!.geometry, 2, 3, 1).forEach((value, axis) =>
            expect(value).toBeCloseTo(place[axis]!, 3),
          )
        }
      }),
      { seed: 1, numRuns: 15 },
    )
  })
})

const golden = new URL('../../fixtures/dicom/volumes/', import.meta.url)
const expected = JSON.parse(readFileSync(new URL('expected.json', golden), 'utf8')) as Record<
  string,
  [Vector3, number][]
>
describe('volumes that SimpleITK and nibabel wrote', () => {
  it.each(Object.entries(expected))('%s: every voxel at its place', async (name, points) => {
    const { series } = await findSeries([fileURLToPath(new URL(name, golden))])
    const { data, geometry, shape } = await loadVolume(series[0]!)
    for (const [place, value] of points) {
      const [k, j, i] = patientToVoxel(geometry, place)
      for (const index of [k, j, i]) expect(index).toBeCloseTo(Math.round(index), 3)
      expect(data[(Math.round(k) * shape[1] + Math.round(j)) * shape[2] + Math.round(i)]).toBe(value)
    }
  })
})
