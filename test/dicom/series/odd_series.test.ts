/** Folders as field reports have them: names, reconstructions, positions, directions. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findSeries, readPixels, seriesTable } from '../../../src/dicom/index.js'
import type { Series } from '../../../src/dicom/index.js'
import { findScans } from '../../../src/scans/find_scans.js'
import { resultName } from '../../../src/inference/earlier_result.js'
import { nameOf, osPath } from '../../../src/read_files.js'
import { convertSeries } from '../../../src/scans/index.js'
import { encodeNifti } from '../../../src/formats/index.js'
import { sliceFile, text, uint16s } from '../bytes.js'
import type { SliceOptions } from '../bytes.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-odd-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function put(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, bytes)
  return path
}

/** Slices of one series; `name` tells which files. */
function stack(name: string, heights: readonly number[], o: (n: number) => SliceOptions = () => ({})): void {
  heights.forEach((z, n) =>
    put(
      `${name}${n}.dcm`,
      sliceFile({ z, instance: n + 1, uid: `1.2.${name.length}.${n}.${Math.round(z * 100)}`, ...o(n) }),
    ),
  )
}

const grid = (count: number, step: number, from = 0): number[] =>
  Array.from({ length: count }, (_, n) => from + n * step)
const only = async (): Promise<Series> => {
  const { series } = await findSeries([folder])
  expect(series).toHaveLength(1)
  return series[0]!
}
const heights = (series: Series): number[] => series.slices.map((slice) => slice.imagePosition[2])
const kinds = (series: Series): string[] => series.problems.map(({ kind }) => kind)

it('a Slice Thickness of 0 is none: the distance of the slices stands in, and a single one has a size', async () => {
  const unknown = (): SliceOptions => ({ extra: [text('00180050', 'DS', '0')] })
  stack('a', grid(3, 2.5), unknown)
  const series = await only()
  expect(series.thickness).toBeUndefined()
  expect(series.slices[0]!.sliceThickness).toBeUndefined()
  rmSync(folder, { recursive: true })
  stack('a', [5], unknown)
  expect((await only()).geometry.spacing[0]).toBe(1)
})

it.each([-50, 3.75, 50])('a scout among axial slices is left out, at %d mm as well', async (z) => {
  stack('a', grid(4, 2.5))
  put(
    'scout.dcm',
    sliceFile({ z, instance: 9, extra: [text('00080008', 'CS', 'ORIGINAL\\PRIMARY\\LOCALIZER')] }),
  )
  const series = await only()
  expect(heights(series)).toEqual([0, 2.5, 5, 7.5])
  expect(series.isVolume).toBe(true)
  expect(series.problems).toMatchObject([{ kind: 'mixed-size', paths: [join(folder, 'scout.dcm')] }])
  expect(series.problems[0]!.message).toContain('scout')
})

describe('reconstructions under one Series Instance UID', () => {
  const kernel = (value: string, o: SliceOptions = {}): SliceOptions => ({
    ...o,
    extra: [text('00181210', 'SH', value)],
  })

  it.each<[string, (stackOf: typeof stack) => void, number[], RegExp]>([
    [
      'two kernels at the same places',
      (put) => {
        put('a', grid(6, 2.5), () => kernel('B30f'))
        put('bb', grid(6, 2.5), () => kernel('B70f'))
      },
      grid(6, 2.5),
      /several reconstructions by kernel: 6 images with "B30f" are kept, 6 with "B70f" left out/,
    ],
    [
      'two thicknesses, places between each other',
      (put) => {
        put('a', grid(4, 2.5))
        put('bb', grid(8, 1.25, 0.3), () => ({
          without: ['00180050'],
          extra: [text('00180050', 'DS', '1.25')],
        }))
      },
      grid(8, 1.25, 0.3),
      /by thickness: 8 images with "1.25 mm" are kept, 4 with "2.5 mm" left out/,
    ],
    [
      'two descriptions',
      (put) => {
        put('a', grid(5, 2), () => ({ extra: [text('0008103e', 'LO', 'Lung')] }))
        put('bb', grid(4, 2, 1), () => ({ extra: [text('0008103e', 'LO', 'Soft')] }))
      },
      grid(5, 2),
      /by description: 5 images with "Lung" are kept, 4 with "Soft"/,
    ],
    [
      'two acquisitions, one between the places of the other',
      (put) => {
        put('a', grid(5, 2), () => ({ extra: [text('00200012', 'IS', '1')] }))
        put('bb', grid(5, 2, 0.7), () => ({ extra: [text('00200012', 'IS', '2')] }))
      },
      grid(5, 2),
      /by acquisition: 5 images with "1" are kept/,
    ],
  ])('%s: one is kept whole, the other named', async (_, make, expected, message) => {
    make(stack)
    const series = await only()
    expect(heights(series)).toEqual(expected)
    expect(series.problems[0]).toMatchObject({
      kind: 'several-reconstructions',
      message: expect.stringMatching(message) as string,
    })
    expect(series.isVolume).toBe(true)
  })

  it.each<[string, (stackOf: typeof stack) => void, number]>([
    [
      'a second acquisition farther down',
      (put) => {
        put('a', grid(5, 2), () => ({ extra: [text('00200012', 'IS', '1')] }))
        put('bb', grid(5, 2, 10), () => ({ extra: [text('00200012', 'IS', '2')] }))
      },
      10,
    ],
    [
      'one slice whose kernel has another name',
      (put) => put('a', grid(7, 2), (n) => kernel(n === 3 ? '' : 'B30f')),
      7,
    ],
    [
      'thinner slices in one part only',
      (put) => {
        put('a', grid(5, 2))
        put('bb', grid(5, 2, 10), () => ({ without: ['00180050'], extra: [text('00180050', 'DS', '2')] }))
      },
      10,
    ],
  ])('%s: stays one volume', async (_, make, count) => {
    make(stack)
    const series = await only()
    expect(series.slices).toHaveLength(count)
    expect(kinds(series)).toEqual([])
  })
})

describe('positions', () => {
  it.each([
    [60, 0.625, 2],
    [320, 0.625, 2],
    [200, 1.25, 1],
    [100, 0.3333, 1],
  ])('%i slices %f mm apart, rounded to %i decimals', async (count, step, decimals) => {
    stack(
      'a',
      grid(count, step, -300).map((z) => Number(z.toFixed(decimals))),
    )
    const { geometry } = await only()
    const last = geometry.slicePositions.at(-1)!
    expect(geometry.spacing[0]).toBeCloseTo(last / (count - 1), 9)
    expect(Math.abs(geometry.spacing[0] * (count - 1) - step * (count - 1))).toBeLessThan(0.11)
  })

  it('a drift is said, in mm', async () => {
    stack('a', [...grid(10, 4.2), ...grid(10, 7.4 * 0.8, 4.2 * 9 + 5.9)])
    const series = await only()
    const uneven = series.problems.find(({ kind }) => kind === 'uneven-spacing')
    expect(uneven!.message).toMatch(
      /distances differ: 4\.20 to 5\.92 mm, mean .*; positions are up to \d\.\d mm off even ones/,
    )
  })
})

describe('directions', () => {
  it.each([
    ['coronal', '1\\0\\0\\0\\0\\-1', (n: number) => text('00200032', 'DS', `0\\${2 * n}\\0`)],
    ['sagittal', '0\\1\\0\\0\\0\\-1', (n: number) => text('00200032', 'DS', `${2 * n}\\0\\0`)],
  ])('%s slices are no scan for detection, but a volume', async (name, orientation, place) => {
    stack('a', grid(4, 1), (n) => ({ orientation, without: ['00200032'], extra: [place(n)] }))
    const series = await only()
    expect(series).toMatchObject({ isVolume: true })
    expect(series.problems).toMatchObject([
      { kind: 'not-axial', message: `the slices are ${name}, not axial` },
    ])
    const notes: string[] = []
    const { scans } = await findScans([folder], ({ place, message }) => {
      notes.push(`${place}: ${message}`)
    })
    expect(scans).toEqual([])
    expect(notes[0]).toContain(
      `left out: the slices are ${name}, not axial: nodules are looked for in axial slices`,
    )
  })

  it('a gantry of 30 degrees is axial', async () => {
    const [c, s] = [Math.cos(Math.PI / 6), Math.sin(Math.PI / 6)]
    stack('a', grid(4, 2), () => ({ orientation: `1\\0\\0\\0\\${c}\\${-s}` }))
    expect(kinds(await only())).not.toContain('not-axial')
  })
})

describe('names', () => {
  it('files and folders whose names are no UTF-8 are read', async () => {
    const odd = Buffer.concat([Buffer.from(`${folder}/Gr`), Buffer.from([0xf6, 0xdf, 0x65, 0xff])])
    mkdirSync(odd)
    for (const [n, z] of grid(6, 2).entries()) {
      const name = Buffer.concat([odd, Buffer.from('/'), Buffer.from([0x30 + n, n % 2 === 0 ? 0x61 : 0xe9])])
      writeFileSync(
        name,
        sliceFile({ z, instance: n, uid: `1.2.${n}`, pixels: uint16s(Array<number>(16).fill(n)) }),
      )
    }
    const { series, skipped } = await findSeries([folder])
    expect(skipped).toEqual([])
    expect(heights(series[0]!)).toEqual(grid(6, 2))
    for (const [n, slice] of series[0]!.slices.entries()) expect((await readPixels(slice))[0]).toBe(n)
    const output = join(folder, 'a.mha')
    await convertSeries([folder], output)
    expect((await findSeries([output])).series[0]!.slices).toHaveLength(6)
  })

  it('any bytes come back', () => {
    for (const bytes of [
      [0xe9],
      [0x61, 0xff, 0xc3],
      [0xc3, 0xa9],
      [0xf0, 0x9f, 0x98, 0x80],
      [0xed, 0xb2, 0x80],
    ]) {
      const name = Buffer.from(bytes)
      expect(Buffer.from(osPath(nameOf(name)))).toEqual(name)
    }
  })

  it("macOS's ._ files are foreign, whatever their ending", async () => {
    stack('a', grid(3, 2))
    const notes = Buffer.concat([Buffer.from('00051607', 'hex'), Buffer.alloc(60)])
    for (const name of ['._a0.dcm', '._b.nii.gz', '._c.mhd', '._d']) put(name, notes)
    const { series, skipped } = await findSeries([folder])
    expect(series).toHaveLength(1)
    expect(skipped.map(({ kind }) => kind)).toEqual(['foreign', 'foreign', 'foreign', 'foreign'])
    const { damaged } = await findScans([folder], () => undefined)
    expect(damaged).toEqual([])
  })

  it('a slice that is called ._ is a slice', async () => {
    stack('._', grid(3, 2))
    expect((await only()).slices).toHaveLength(3)
  })

  it('packed files are named as what they are', async () => {
    put('a.dcm.gz', gzipSync(sliceFile()))
    put('b.dcm', gzipSync(sliceFile()))
    put('c.zip', Buffer.from('504b0304140000000800', 'hex'))
    const found = await findSeries([folder])
    expect(found.skipped.map(({ kind, reason }) => [kind, reason])).toEqual([
      ['damaged', 'packed: unpack it first'],
      ['damaged', 'packed: unpack it first'],
      ['foreign', 'packed: unpack it first'],
    ])
    expect(seriesTable(found)).toContain('1 packed: packed: unpack it first, such as')
  })
})

describe('volume files of one name', () => {
  const volume = (slices: number): Uint8Array =>
    encodeNifti({
      data: new Int16Array(slices * 16).fill(slices),
      shape: [slices, 4, 4],
      geometry: {
        origin: [0, 0, 0],
        rowDirection: [1, 0, 0],
        columnDirection: [0, 1, 0],
        sliceDirection: [0, 0, 1],
        spacing: [2, 1, 1],
        slicePositions: grid(slices, 2),
      },
    })

  it('in different folders are one series each, with results of their own', async () => {
    for (const [n, place] of ['a/case', 'b/case', 'case_2'].entries())
      put(`${place}/imaging.nii`, volume(6 + n))
    // The same size as another one: nothing in it tells them apart.
    put('a/other/imaging.nii', volume(6))
    const { series } = await findSeries([folder])
    expect(series.map((one) => [one.seriesInstanceUid, one.slices.length])).toEqual([
      ['a/case/imaging', 6],
      ['a/other/imaging', 6],
      ['b/case/imaging', 7],
      [`${folder.split('/').at(-1)}/case_2/imaging`, 8],
    ])
    for (const one of series) expect(new Set(one.slices.map(({ path }) => path)).size).toBe(1)
    const { scans } = await findScans([folder], () => undefined, { chunk: 1 })
    expect(new Set(scans.map((scan) => resultName(scan))).size).toBe(4)
  })

  it('with other endings too, and names of their own where they differ', async () => {
    put('x.nii', volume(6))
    put('x.nii.gz', gzipSync(volume(7)))
    put('y.nii', volume(8))
    const { series } = await findSeries([folder])
    expect(series.map((one) => one.seriesInstanceUid)).toEqual(['x.nii', 'x.nii.gz', 'y'])
  })
})

describe('patients', () => {
  const of = (patient: string): SliceOptions => ({
    without: ['00100020'],
    extra: [text('00100020', 'LO', patient)],
  })

  it('slices without Patient ID belong to the one of their series', async () => {
    stack('a', grid(6, 2), (n) => (n % 2 === 0 ? { without: ['00100020'] } : {}))
    const series = await only()
    expect(heights(series)).toEqual(grid(6, 2))
    expect(series.patientId).toBe('P1')
  })

  it('two of one UID are two scans with results of their own', async () => {
    stack('a', grid(3, 2), () => of('A'))
    stack('bb', grid(4, 2), () => of('B'))
    const { scans } = await findScans([folder], () => undefined)
    expect(scans.map(({ patientId, paths }) => [patientId, paths.length])).toEqual([
      ['A', 3],
      ['B', 4],
    ])
    expect(new Set(scans.map((scan) => resultName(scan))).size).toBe(2)
  })
})

it('of two equal groups the first by name is kept, however fast its files are read', async () => {
  // Such a header takes several reads.
  const long = { tag: '00091010', vr: 'OB', bytes: new Uint8Array(400_000) }
  stack('a', grid(3, 2.5), () => ({ extra: [long] }))
  stack('bb', grid(3, 2.5), () => ({ columns: 3 }))
  const series = await only()
  expect(series.slices.map(({ columns }) => columns)).toEqual([4, 4, 4])
  expect(series.problems[0]!.paths).toEqual([0, 1, 2].map((n) => join(folder, `bb${n}.dcm`)))
})
