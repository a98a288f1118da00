import { chmod, mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findSeries } from '../../src/dicom/index.js'
import { NoduleError, remedyText } from '../../src/errors.js'
import { convertSeries } from '../../src/scans/convert.js'
import { findScans, seriesOf } from '../../src/scans/find_scans.js'
import type { DetectNote } from '../../src/scans/find_scans.js'
import { readAhead } from '../../src/scans/load_scans.js'
import { writeNifti } from '../../src/formats/nifti.js'
import { writeTinyScan } from '../inference/tiny_scan.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-find-'))
  // One series in one folder, one in two, one that is a single image.
  await writeTinyScan(join(folder, 'a'), { patientId: 'A', seriesInstanceUid: '1.1', slices: 6 })
  const paths = await writeTinyScan(join(folder, 'b'), {
    patientId: 'B',
    seriesInstanceUid: '1.2',
    slices: 6,
  })
  await mkdir(join(folder, 'd'))
  for (const path of paths.slice(3)) await rename(path, join(folder, 'd', basename(path)))
  await writeTinyScan(join(folder, 'c'), { patientId: 'C', seriesInstanceUid: '1.3', slices: 1 })
})
afterAll(async () => rm(folder, { recursive: true }))

describe('findScans', () => {
  test.each([undefined, 1, 5, 8])('finds the same whatever the chunk: %s', async (chunk) => {
    const notes: string[] = []
    const steps: [number, number][] = []
    const { scans, damaged } = await findScans(
      [folder],
      ({ failed, place, message, remedy = 'none' }) =>
        notes.push(`${failed} ${place} ${message}; ${remedyText(remedy)}`),
      {
        chunk,
        onProgress: (done, total) => steps.push([done, total]),
      },
    )
    expect(damaged).toEqual([])
    expect(notes).toEqual(['false C 1.3 left out: one image only; examine it as it is (region all)'])
    expect(scans.map(({ patientId }) => patientId)).toEqual(['A', 'B'])
    expect(scans.map(({ paths }) => paths.length)).toEqual([6, 6])
    expect(steps.map(([done]) => done)).toEqual(steps.map((_, index) => index + 1))
    expect(steps.at(-1)).toEqual([13, 13])
    const whole = await seriesOf(scans[1]!)
    expect(whole).toMatchObject({ isVolume: true, problems: [] })
    expect(whole!.slices.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual(
      [1, 2, 3, 4, 5, 6].map((n) => `1.2.826.0.1.9.${n}`),
    )
  })

  test.each([undefined, 1])('a dangling link is noted, and the rest found; chunk: %s', async (chunk) => {
    const broken = await mkdtemp(join(tmpdir(), 'nodule-broken-'))
    try {
      await writeTinyScan(join(broken, 'a'), { patientId: 'A', seriesInstanceUid: '1.1', slices: 6 })
      await symlink('nosuch', join(broken, 'x'))
      const notes: DetectNote[] = []
      const { scans, damaged } = await findScans([broken], (note) => notes.push(note), { chunk })
      expect(scans.map(({ patientId }) => patientId)).toEqual(['A'])
      expect(damaged).toEqual([join(broken, 'x')])
      expect(notes).toEqual([
        { failed: true, place: join(broken, 'x'), message: 'cannot read: no such file or folder' },
      ])
    } finally {
      await rm(broken, { recursive: true })
    }
  })

  // The super-user may read everything.
  test.skipIf(process.getuid?.() === 0)('so is a locked folder', async () => {
    const broken = await mkdtemp(join(tmpdir(), 'nodule-locked-'))
    const locked = join(broken, 'locked')
    try {
      await writeTinyScan(join(broken, 'a'), { patientId: 'A', seriesInstanceUid: '1.1', slices: 6 })
      await mkdir(locked, { mode: 0 })
      const notes: DetectNote[] = []
      const { scans } = await findScans([broken], (note) => notes.push(note))
      expect(scans.map(({ patientId }) => patientId)).toEqual(['A'])
      expect(notes).toEqual([{ failed: true, place: locked, message: 'cannot read: permission denied' }])
    } finally {
      await chmod(locked, 0o755)
      await rm(broken, { recursive: true })
    }
  })

  test('a slice that is gone when the scan is read is told, not left out without a word', async () => {
    const changed = await mkdtemp(join(tmpdir(), 'nodule-changed-'))
    try {
      const [, second = ''] = await writeTinyScan(changed, { patientId: 'A', slices: 6 })
      const scan = (await findScans([changed], () => undefined)).scans[0]!
      await rm(second)
      await expect(seriesOf(scan)).rejects.toThrow(`${second}: cannot read: no such file or folder`)
      expect((await seriesOf(scan, [second]))!.slices).toHaveLength(5)
    } finally {
      await rm(changed, { recursive: true })
    }
  })

  test('of a series and its volume file one is kept; two patients of a UID are two scans', async () => {
    const notes: string[] = []
    const found = async (path: string): Promise<[string, boolean][]> =>
      (
        await findScans([path], ({ place, message }) => notes.push(`${basename(place)}: ${message}`))
      ).scans.map(({ patientId, isRepeated }) => [patientId, isRepeated === true])
    const same = await mkdtemp(join(tmpdir(), 'nodule-same-'))
    try {
      const series = { seriesInstanceUid: '1.4', slices: 6 }
      await writeTinyScan(join(same, 'a'), { ...series, patientId: 'A' })
      await convertSeries([join(same, 'a')], join(same, '1.4.nii'))
      expect(await found(same)).toEqual([['A', false]])
      expect(notes).toEqual(['1.4.nii: left out: the scan of A 1.4, by its series UID'])
      // Whose file it is, nobody can tell.
      await writeTinyScan(join(same, 'b'), { ...series, patientId: 'B' })
      expect((await found(same)).sort(([a], [b]) => (a < b ? -1 : 1))).toEqual([
        ['1.4', true],
        ['A', true],
        ['B', true],
      ])
      expect(notes).toHaveLength(1)
    } finally {
      await rm(same, { recursive: true })
    }
  })

  test('volume files that are called after one series UID are one scan; a mask is none', async () => {
    const same = await mkdtemp(join(tmpdir(), 'nodule-called-'))
    try {
      const uid = '1.2.826.0.1.4'
      const notes: string[] = []
      const found = async (): Promise<string[][]> => {
        notes.length = 0
        const { scans } = await findScans([same], ({ place, message }) =>
          notes.push(`${relative(same, place)}: ${message}`),
        )
        return scans.map(({ seriesInstanceUid, paths }) => [
          seriesInstanceUid,
          ...paths.map((path) => relative(same, path)),
        ])
      }
      for (const name of [`b/${uid}.mhd`, `b/${uid}.nii`, `c/${uid}.nii`, 'c/scan.mhd', 'c/scan.nii'])
        await convertSeries([join(folder, 'a')], join(same, name))
      // As LUNA16 has the lungs beside its scans.
      const { geometry } = (await findSeries([join(folder, 'a')])).series[0]!
      await writeNifti(join(same, `a-lungs/${uid}.nii`), {
        data: new Uint8Array(6 * 64 * 64),
        shape: [6, 64, 64],
        geometry,
      })
      expect(await found()).toEqual([
        [uid, `b/${uid}.mhd`],
        ['scan.mhd', 'c/scan.mhd'],
        ['scan.nii', 'c/scan.nii'],
      ])
      expect(notes).toEqual([
        `a-lungs/${uid}.nii: left out: SEG, not CT`,
        ...[`b/${uid}.nii`, `c/${uid}.nii`].map(
          (path) => `${path}: left out: the scan of ${uid}, by its series UID`,
        ),
      ])
      await writeTinyScan(join(same, 'dicom'), { patientId: 'A', seriesInstanceUid: uid, slices: 6 })
      const kept = await found()
      expect(kept.map(([one]) => one)).toEqual([uid, 'scan.mhd', 'scan.nii'])
      expect(kept[0]).toHaveLength(7)
    } finally {
      await rm(same, { recursive: true })
    }
  })

  test('a single image counts where all regions are asked for; one of a volume file always', async () => {
    const found = async (path: string, single: boolean): Promise<string[]> =>
      (await findScans([path], () => undefined, { single })).scans.map(({ patientId }) => patientId)
    expect(await found(join(folder, 'c'), true)).toEqual(['C'])
    expect(await found(join(folder, 'c'), false)).toEqual([])
    const crops = await mkdtemp(join(tmpdir(), 'nodule-crop-'))
    try {
      const { geometry } = (await findSeries([join(folder, 'c')])).series[0]!
      const data = new Int16Array(64 * 64).fill(-850)
      await writeNifti(join(crops, 'crop.nii'), { data, shape: [1, 64, 64], geometry })
      expect(await found(crops, false)).toEqual(['crop'])
      const scan = { scan: (await findScans([crops], () => undefined)).scans[0]! }
      for await (const { loaded } of readAhead([scan], () => undefined)) {
        if (loaded instanceof NoduleError) throw loaded
        expect(loaded.volume.shape).toEqual([1, 64, 64])
        // The thickness of the one slice stands in for the distance of slices.
        expect(loaded.volume.geometry.spacing[0]).toBeCloseTo(geometry.spacing[0])
      }
    } finally {
      await rm(crops, { recursive: true })
    }
  })
})
