/**
 * The made-up files of public bug reports (a folder a kind with inputs and expected.txt), where they are unpacked below
 * NODULE_DATA. The kinds themselves are tested with files made here, in test/dicom, test/formats and test/scans.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anonymizeFiles, dumpFile, findSeries, seriesJson } from '../src/dicom/index.js'
import { readImage } from '../src/formats/images.js'
import { findScans } from '../src/scans/find_scans.js'
import { loadVolume } from '../src/volume/index.js'
import { realData } from './real_data.js'

const unpacked = realData('bug-reports')
const inner = unpacked === undefined ? undefined : join(unpacked, 'bug-reports')
const root = inner !== undefined && existsSync(inner) ? inner : unpacked
/** The folder of a kind, by its number. */
const kind = (number: number): string =>
  join(
    root!,
    readdirSync(root!).find((name) => name.startsWith(`${number}-`))!,
  )

interface Found {
  name: string
  patientId: string
  slices: number
  spacing: number[]
  first: number
  /** Mean HU of each slice. */
  means: number[]
  rowDirection: readonly number[]
  lastPosition: number
  problems: string[]
}

/** Every series below a path, as a volume. */
async function volumes(path: string): Promise<Found[]> {
  const { series } = await findSeries([path])
  return Promise.all(
    series.map(async (one) => {
      const { data, shape, geometry } = await loadVolume(one)
      const size = shape[1] * shape[2]
      const mean = (k: number): number =>
        Math.round(data.subarray(k * size, (k + 1) * size).reduce((sum, hu) => sum + hu, 0) / size)
      return {
        name: one.seriesInstanceUid,
        patientId: one.patientId,
        slices: one.slices.length,
        spacing: geometry.spacing.map((mm) => Number(mm.toFixed(4))),
        first: data[0]!,
        means: Array.from({ length: shape[0] }, (_, k) => mean(k)),
        rowDirection: geometry.rowDirection.map(Math.round),
        lastPosition: geometry.origin[2] + geometry.slicePositions.at(-1)!,
        problems: one.problems.map((problem) => problem.kind),
      }
    }),
  )
}

/** Means of the volume that most of the files hold. */
const MEANS = [-730, -634, -626, -715, -802, -818, -759, -657]

describe.skipIf(root === undefined)('files of public bug reports', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nodule-reports-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('there are the kinds that this test knows', () => {
    expect(readdirSync(root!).filter((name) => /^\d+-/.test(name))).toHaveLength(29)
  })

  it.each([1, 4, 5, 6, 7, 8, 9, 10, 12, 21, 22, 23, 24])('%i: the volume is read whole', async (number) => {
    const folders = readdirSync(kind(number), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.length).toBeGreaterThan(0)
    for (const { name } of folders) {
      const found = await volumes(join(kind(number), name))
      expect(found, name).toHaveLength(1)
      expect(found[0]!.first).toBe(900)
      expect(found[0]!.means).toEqual(MEANS.slice(0, found[0]!.slices))
      expect(found[0]!.slices).toBe({ 21: 6, 22: 6, 23: 8, 24: 8 }[number] ?? 3)
      expect(found[0]!.spacing).toEqual([2.5, 0.7, 0.7])
      expect(
        (await findSeries([join(kind(number), name)])).skipped.filter((f) => f.kind === 'damaged'),
      ).toEqual([])
    }
  })

  it('2: streams of 8 bits, 3: bytes of words in big endian', async () => {
    for (const name of ['j2k-8-in-16', 'jls-8-in-16'])
      expect((await volumes(join(kind(2), name)))[0], name).toMatchObject({ first: 64, means: [9, 13, 13] })
    expect((await volumes(kind(3)))[0]).toMatchObject({ first: 160, means: [24, 32, 33, 25] })
  })

  it('5: no overlay is left in copies, whose HU are the same', async () => {
    await anonymizeFiles([join(kind(5), 'anon-embedded-overlay')], join(folder, 'overlay'), {})
    expect((await volumes(join(folder, 'overlay')))[0]).toMatchObject({
      first: 900,
      means: MEANS.slice(0, 3),
    })
    for (const name of readdirSync(join(folder, 'overlay'), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.dcm')) continue
      const bytes = readFileSync(join(folder, 'overlay', name))
      const pixels = new Uint16Array(Uint8Array.from(bytes.subarray(bytes.length - 2 * 64 * 72)).buffer)
      expect(pixels.every((value) => value < 4096)).toBe(true)
    }
  })

  it('11: zeros behind the data set are nothing', async () => {
    for (const name of readdirSync(kind(11)).filter((file) => file.endsWith('.gz'))) {
      const place = join(folder, 'zeros', name.replace(/-\d+\.dcm\.gz$/, ''))
      mkdirSync(place, { recursive: true })
      const path = join(place, name.replace(/\.gz$/, ''))
      writeFileSync(path, gunzipSync(readFileSync(join(kind(11), name))))
      expect((await dumpFile(path, {})).stopped).toBeUndefined()
    }
    for (const name of ['trailing-zeros', 'jpeg-then-2MB-zeros']) {
      expect((await volumes(join(folder, 'zeros', name)))[0]!.means, name).toEqual([-730, -634])
      const copies = join(folder, 'copies', name)
      expect((await anonymizeFiles([join(folder, 'zeros', name)], copies, {})).problems).toEqual([])
      expect((await volumes(copies))[0]!.means, name).toEqual([-730, -634])
    }
  })

  it.each([
    [13, 'cs-2022-100-144', 'TEST-1', 'äö Грудь'],
    [13, 'cs-2022-87-space', 'TEST-1', '説'],
    [14, 'cs-gb18030', '张三1', '肺部CT平扫'],
    [14, 'cs-utf8', 'TEST-1', 'Thorax naïve 肺'],
  ])('%i: %s', async (number, name, patientId, seriesDescription) => {
    const path = join(kind(number), name)
    const { text } = await dumpFile(join(path, '000.dcm'), {})
    expect(text).toMatch(new RegExp(`^\\(0008, 103e\\) .* LO: '${seriesDescription}'$`, 'm'))
    expect(JSON.stringify(seriesJson(await findSeries([path])))).toContain(
      `"seriesDescription":${JSON.stringify(seriesDescription)}`,
    )
    expect((await findSeries([path])).series[0]!.patientId).toBe(patientId)
  })

  it('15: one file, one series', async () => {
    const found = await volumes(kind(15))
    expect(found.map(({ slices }) => slices)).toEqual([6, 7, 8])
    expect(new Set(found.map(({ name }) => name)).size).toBe(3)
  })

  it('16 to 18: MetaImage as MetaIO reads it', async () => {
    const means = [-581, -500, -491, -567]
    for (const number of [16, 17, 18])
      expect((await volumes(kind(number)))[0], `${number}`).toMatchObject({
        first: 900,
        means,
        spacing: [2.5, 0.8, 0.7],
        rowDirection: number === 17 ? [0, 1, 0] : [1, 0, 0],
      })
  })

  it('19 and 29: a rescale that is no number', async () => {
    expect((await volumes(join(kind(19), 'comma-intercept')))[0]).toMatchObject({ means: MEANS.slice(0, 3) })
    for (const [path, reason] of [
      [join(kind(19), 'intercept-NaN'), /^\(0028,1052\): no number in Rescale Intercept: .* received NaN$/],
      [kind(29), /^\(0028,1053\): .*expected a Rescale Slope other than 0 but received 0$/],
    ] as const) {
      const { series, skipped } = await findSeries([path])
      expect(series).toEqual([])
      expect(skipped.filter((file) => reason.test(file.reason))).toHaveLength(3)
    }
  })

  it('20: one reconstruction is kept whole, the other named', async () => {
    expect((await volumes(join(kind(20), 'two-kernels-same-places')))[0]).toMatchObject({
      means: MEANS.slice(0, 6),
      problems: ['several-reconstructions'],
    })
    const [found] = await volumes(join(kind(20), 'two-recons-one-uid'))
    expect(found!.means.slice(0, 6)).toEqual(MEANS.slice(0, 6).map((hu) => hu + 500))
    expect(found).toMatchObject({ slices: 12, problems: ['several-reconstructions'] })
  })

  it('25: color profiles change no gray level', async () => {
    const plain = await readImage(join(kind(25), 'gray.png'))
    const row = [0, 16, 32, 48].map((x) => plain.data[3 * (24 * plain.width + x)])
    expect(row).toEqual([127, 128, 130, 131])
    for (const name of ['icc-gray10.png', 'icc-gray18.png'])
      expect((await readImage(join(kind(25), name))).data, name).toEqual(plain.data)
  })

  it('26: the mean distance', async () => {
    const [found] = await volumes(kind(26))
    expect(found!.spacing[0]).toBeCloseTo(0.625, 3)
    expect(found!.lastPosition).toBeCloseTo(-263.25, 6)
  })

  it('27: nodules are not looked for in coronal slices', async () => {
    const notes: string[] = []
    const { scans } = await findScans([kind(27)], ({ message }) => {
      notes.push(message)
    })
    expect(scans).toEqual([])
    expect(notes[0]).toMatch(/^left out: the slices are coronal, not axial/)
  })

  it('28: what earlier de-identifications say stays', async () => {
    const copies = join(folder, 'history')
    const { written } = await anonymizeFiles([join(kind(28), 'anon-method-kept')], copies, {})
    const [path] = readdirSync(copies, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.dcm'),
    )
    expect([written].flat()).not.toEqual([])
    const { text } = await dumpFile(join(copies, path!), {})
    expect(text).toContain("LO: ['CTP Default', 'X', 'DCM:113100']")
    expect([...text.matchAll(/SH: '(\d+)'/g)].map(([, code]) => code)).toEqual(['113101', '113100'])
  })
})
