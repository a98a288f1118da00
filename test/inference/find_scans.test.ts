import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findScans, seriesOf } from '../../src/inference/find_scans.js'
import { writeTinyScan } from './tiny_scan.js'

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
      (failed, place, text) => notes.push(`${failed} ${place} ${text}`),
      {
        chunk,
        onProgress: (done, total) => steps.push([done, total]),
      },
    )
    expect(damaged).toEqual([])
    expect(notes).toEqual(['false C 1.3 left out: one image only; --region all examines it'])
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
})
