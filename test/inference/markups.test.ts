import { spawnSync } from 'node:child_process'
import { readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readDetectionFolder } from '../../src/evaluation/index.js'
import {
  DETECT_DEFAULTS,
  detectFolders,
  openSession,
  readDetections,
  writeMarkups,
} from '../../src/inference/index.js'
import type { DetectFoldersOptions, DetectFoldersResult, Session } from '../../src/inference/index.js'
import { convertSeries } from '../../src/scans/convert.js'
import { modelFolder } from './small_model.js'
import { writeTinyScan } from './tiny_scan.js'

const UID = '1.2.826.0.1.1'
let folder: string
let model: string
let session: Session
let scans: string
let output: string

beforeAll(async () => {
  ;({ folder, model } = await modelFolder())
  session = await openSession(model, { device: 'cpu', threads: 1 })
  scans = join(folder, 'scans')
  output = join(folder, 'found')
  await writeTinyScan(join(scans, 'a'), { patientId: 'A', seriesInstanceUid: UID, slices: 10 })
  await convertSeries([join(scans, 'a')], join(scans, 'volumes', 'b.nii'))
})

afterAll(async () => {
  await session.release()
  await rm(folder, { recursive: true })
})

async function detect(o: Partial<DetectFoldersOptions> = {}): Promise<DetectFoldersResult> {
  return detectFolders([scans], session, { output, ...o })
}

interface Point {
  id: string
  label: string
  description: string
  position: number[]
  orientation: number[]
  selected: boolean
}

async function readMarkups(path: string): Promise<{
  '@schema': string
  markups: { type: string; coordinateSystem: string; controlPoints: Point[] }[]
}> {
  return JSON.parse(await readFile(path, 'utf8')) as Awaited<ReturnType<typeof readMarkups>>
}

/** A result as one scan's file, with other nodules. */
async function resultWith(
  confidences: readonly number[],
  second = false,
): Promise<{ path: string; points: Point[] }> {
  const name = (await readdir(output)).find((one) => /^\d.*\d\.json$/.test(one))!
  const { second: _, ...result } = await readDetections(join(output, name))
  const path = join(folder, 'made.json')
  await writeMarkups(path, {
    ...result,
    ...(second ? { second: result.model } : {}),
    nodules: confidences.map((confidence, n) => ({
      ...result.nodules[0]!,
      ...{ id: n + 1, confidence, center: [1.5, -2, 3 * n] as [number, number, number], boxDiameterMm: 6.25 },
    })),
  })
  return { path, points: (await readMarkups(join(folder, 'made.mrk.json'))).markups[0]!.controlPoints }
}

describe("markups for 3D Slicer, beside each scan's result", () => {
  test('hold the nodules of its JSON, of DICOM as of volume files', async () => {
    const { scans: done } = await detect({ markups: true })
    expect(done).toHaveLength(2)
    for (const scan of done) {
      expect(scan.markups).toBe(scan.path.replace(/json$/, 'mrk.json'))
      const { nodules } = await readDetections(scan.path)
      const file = await readMarkups(scan.markups!)
      expect(file['@schema']).toMatch(/\/markups-schema-v1\.0\.3\.json#$/)
      expect(file.markups).toHaveLength(1)
      const { type, coordinateSystem, controlPoints } = file.markups[0]!
      expect({ type, coordinateSystem }).toEqual({ type: 'Fiducial', coordinateSystem: 'LPS' })
      expect(nodules.length).toBeGreaterThan(0)
      expect(controlPoints.map(({ id, position }) => ({ id, position }))).toEqual(
        nodules.map(({ id, center }) => ({ id: String(id), position: center })),
      )
    }
    // Neither they nor what reads the folder disturb each other.
    const warnings: string[] = []
    expect(await readDetectionFolder(output, warnings)).toHaveLength(2)
    expect(warnings).toEqual([])
    expect((await readdir(output)).filter((name) => name.includes('.part'))).toEqual([])
  })

  test('are called so that they sort by confidence', async () => {
    const { points } = await resultWith(Array.from({ length: 12 }, (_, n) => 0.95 - 0.05 * n))
    const labels = points.map(({ label }) => label)
    expect([...labels].sort()).toEqual(labels)
    expect(labels.slice(0, 2)).toEqual(['#01 0.95', '#02 0.90'])
    expect(points[1]).toEqual({
      id: '2',
      label: '#02 0.90',
      description: 'box diameter 6.3 mm',
      position: [1.5, -2, 3],
      orientation: [-1, 0, 0, 0, -1, 0, 0, 0, 1],
      selected: true,
      locked: false,
      visibility: true,
      positionStatus: 'defined',
    })
  })

  test('have another color below the confidence that two stages list by themselves', async () => {
    const selected = async (second: boolean): Promise<boolean[]> =>
      (await resultWith([0.9, 0.6, 0.59], second)).points.map((point) => point.selected)
    expect(await selected(true)).toEqual([true, true, false])
    // One stage's confidences are not calibrated.
    expect(await selected(false)).toEqual([true, true, true])
  })

  test('a scan without nodules has an empty list', async () => {
    expect((await resultWith([])).points).toEqual([])
  })

  test('go where the scan is done again without them', async () => {
    await detect({ markups: true })
    const { scans: done } = await detect()
    expect(done.every(({ markups }) => markups === undefined)).toBe(true)
    expect((await readdir(output)).filter((name) => name.endsWith('.mrk.json'))).toEqual([])
    // Fewer nodules, fewer points.
    const link = { ...DETECT_DEFAULTS.link, minConfidence: 1 }
    await detect({ markups: true })
    const [scan] = (await detect({ markups: true, parameters: { ...DETECT_DEFAULTS, link } })).scans
    expect((await readMarkups(scan!.markups!)).markups[0]!.controlPoints).toEqual([])
  })

  test('resume makes those that are missing from the results that are there', async () => {
    await detect()
    const [first, second] = (await detect({ markups: true, resume: true })).scans
    expect([first!.resumed, second!.resumed]).toEqual([true, true])
    const { nodules } = await readDetections(first!.path)
    expect((await readMarkups(first!.markups!)).markups[0]!.controlPoints).toHaveLength(nodules.length)
    // One that is there may have been worked on in Slicer.
    await utimes(first!.markups!, 1, 1)
    await writeFile(second!.markups!, '{}')
    await detect({ markups: true, resume: true })
    expect((await stat(first!.markups!)).mtimeMs).toBe(1000)
    expect(await readFile(second!.markups!, 'utf8')).toBe('{}')
    // Not asked for, they stay beside a result that is kept.
    const kept = await detect({ resume: true })
    expect(kept.scans.map(({ markups }) => markups)).toEqual([undefined, undefined])
    expect((await readdir(output)).filter((name) => name.endsWith('.mrk.json'))).toHaveLength(2)
  })
})

test(
  'nodule detect --markups, several processes, and what reads the folder by a wildcard',
  { timeout: 240_000 },
  () => {
    const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
    const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(process.execPath, ['--import', 'tsx', cli, ...args], { encoding: 'utf8' })
    const found = join(folder, 'cli')
    const jobs = run(
      'detect',
      scans,
      '-m',
      model,
      '-o',
      found,
      '--device',
      'cpu',
      '-j',
      '2',
      '--markups',
      '--json',
    )
    expect(jobs.status).toBe(0)
    const paths = (JSON.parse(jobs.stdout) as DetectFoldersResult).scans.map(({ path, markups }) => [
      path,
      markups!,
    ])
    expect(paths.map(([path, markups]) => [path, markups])).toEqual(
      paths.map(([path]) => [path, path!.replace(/json$/, 'mrk.json')]),
    )
    const xml = run('to-xml', ...paths.flat(), '-o', join(folder, 'xml'), '--json')
    expect(xml).toMatchObject({
      status: 0,
      stderr: 'left out: 2 files of markups, which hold the nodules of the others\n',
    })
    expect((JSON.parse(xml.stdout) as { paths: string[] }).paths).toHaveLength(2)
    const alone = run('to-xml', paths[0]![1]!, '-o', join(folder, 'xml'))
    expect(alone.status).toBe(1)
    expect(alone.stderr).toContain('not a file of annotations')
    const list = run('detect', '--list', join(folder, 'no.json'), '-m', model, '-o', 'x.json', '--markups')
    expect(list.stderr).toContain('--markups is for scans; this is a list of images')
  },
)
