import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { writePhantoms } from '../../src/phantom/index.js'
import { drawGallery, segmentFolders, segmentTable } from '../../src/pictures/index.js'
import { failureOf, fileNames } from '../../src/pictures/segment.js'
import { convertSeries } from '../../src/scans/convert.js'
import { PACKAGE_ROOT } from '../../src/version.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-segment-'))
  await writePhantoms(join(folder, 'scans'), { patients: 2, matrix: 96, spacing: 8, seed: 4 })
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('segmentFolders', () => {
  it('writes masks and montages of every scan', async () => {
    const { done, failed } = await segmentFolders([join(folder, 'scans')], { output: join(folder, 'out') })
    expect(failed).toBe(0)
    expect(done.map((one) => one.patientId)).toEqual(['PHANTOM-0001', 'PHANTOM-0002'])
    for (const one of done) {
      expect(one.volumeMl.right + one.volumeMl.left).toBeCloseTo(one.volumeMl.total)
      const picture = await sharp(one.montagePath).metadata()
      expect(picture.width).toBe(8 * 256)
      expect(picture.height).toBe(3 * 256 + 24)
    }
    expect(new Set(done.map((one) => one.maskPath)).size).toBe(2)
    const table = segmentTable(done).trimEnd().split('\n')
    expect(table.length).toBe(3)
    expect(table[1]).toContain('PHANTOM-0001')
  })

  it('takes a scan and its volume file as one', async () => {
    const [patient] = await writePhantoms(join(folder, 'twice'), {
      patients: 1,
      matrix: 64,
      spacing: 10,
      slices: 12,
    })
    const uid = patient!.seriesInstanceUid
    await convertSeries([patient!.folder], join(folder, 'twice', `${uid}.mhd`))
    const warnings: string[] = []
    const o = { output: join(folder, 'twice out'), montage: false }
    const { done } = await segmentFolders([join(folder, 'twice')], {
      ...o,
      onWarning: (line) => warnings.push(line),
    })
    expect(done.map((one) => one.patientId)).toEqual(['PHANTOM-0001'])
    expect(warnings).toEqual([
      `${join(folder, 'twice', `${uid}.mhd`)}: left out: the scan of PHANTOM-0001 ${uid}, by its series UID`,
    ])
    expect(await readdir(o.output)).toHaveLength(1)
  })

  it('reports a damaged scan and goes on', async () => {
    const written = await writePhantoms(join(folder, 'damaged'), {
      patients: 2,
      matrix: 64,
      spacing: 10,
      slices: 12,
    })
    // Every slice of the first patient loses its pixels.
    for (const name of await readdir(written[0]!.folder)) {
      const path = join(written[0]!.folder, name)
      if (name.endsWith('.dcm')) await writeFile(path, (await readFile(path)).subarray(0, -100))
    }
    const problems: string[] = []
    const { done, failed } = await segmentFolders([join(folder, 'damaged')], {
      output: join(folder, 'out2'),
      montage: false,
      nifti: false,
      onWarning: (message) => problems.push(message),
    })
    expect(done.map((one) => one.patientId)).toEqual(['PHANTOM-0002'])
    expect(failed + problems.length).toBeGreaterThan(0)
    expect(problems.join('\n')).toContain('PHANTOM-0001')
  })

  it.each([-1, 51, Infinity, NaN])('refuses a closing of %s mm before it reads a scan', async (closingMm) => {
    await expect(
      segmentFolders([join(folder, 'nothing here')], { output: join(folder, 'never'), closingMm }),
    ).rejects.toThrow(`Expected number between 0 and 50 for closing but received ${closingMm}`)
  })

  it('counts a damaged slice as failed, and goes on without it', async () => {
    const [patient] = await writePhantoms(join(folder, 'slice'), {
      patients: 1,
      matrix: 64,
      spacing: 10,
      slices: 12,
    })
    const name = (await readdir(patient!.folder)).filter((entry) => entry.endsWith('.dcm')).sort()[0]!
    const path = join(patient!.folder, name)
    await writeFile(path, (await readFile(path)).subarray(0, -100))
    const told: string[] = []
    const { done, failed, problems } = await segmentFolders([join(folder, 'slice')], {
      output: join(folder, 'out3'),
      montage: false,
      nifti: false,
      onWarning: (message) => told.push(message),
    })
    expect(done).toHaveLength(1)
    expect(failed).toBe(1)
    expect(problems).toEqual([expect.stringContaining(path)])
    expect(told).toEqual(problems)
    const args = ['segment', join(folder, 'slice'), '-o', join(folder, 'out3'), '--no-nifti', '--no-montage']
    const cli = ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args, '--quiet', '--json']
    const run = spawnSync(process.execPath, cli, { cwd: PACKAGE_ROOT, encoding: 'utf8' })
    expect(run.stderr).toBe(`failed: ${problems[0]!}\n`)
    expect(JSON.parse(run.stdout)).toMatchObject({ scans: [{ shape: done[0]!.shape }], failed: 1, problems })
    expect(run.status).toBe(1)
  })

  it('ends when it is told to, while it reads headers too', async () => {
    const output = join(folder, 'none')
    const asked = { output, signal: AbortSignal.abort() }
    expect(await segmentFolders([join(folder, 'scans')], asked)).toEqual({
      done: [],
      failed: 0,
      problems: [],
    })
    expect(await drawGallery([join(folder, 'scans')], asked)).toEqual({ paths: [], failed: 0, problems: [] })
  })

  it('sees that results can be written before it looks for scans; so does the gallery', async () => {
    const output = join(folder, 'a file')
    await writeFile(output, 'x')
    for (const work of [segmentFolders, drawGallery])
      await expect(work([join(folder, 'absent')], { output })).rejects.toThrow(
        `${output}: cannot write results: is not a folder`,
      )
  })

  it('says of a scan that failed where it lies', () => {
    const scan = { folder: join('scans', 'a') }
    expect(failureOf(scan, new NoduleError('FORMAT', 'no lungs'))).toBe(`${scan.folder}: no lungs`)
    const path = join(scan.folder, '1.dcm')
    expect(failureOf(scan, new NoduleError('FORMAT', 'cut', { path }))).toBe(`${path}: cut`)
    const other = new NoduleError('FILE', 'full', { path: 'out.png' })
    expect(failureOf(scan, other)).toBe(`${scan.folder}: out.png: full`)
  })

  it('says that there is no scan', async () => {
    await mkdir(join(folder, 'empty'))
    await expect(segmentFolders([join(folder, 'empty')], { output: folder })).rejects.toThrow('no CT volume')
    await expect(segmentFolders([join(folder, 'absent')], { output: folder })).rejects.toThrow('absent')
  })
})

it('fileNames keeps scans apart whose UIDs end alike or are missing', () => {
  const scans = [
    ['P 1', '1.2.1'],
    ['P 1', '1.3.1'],
    ['P 1', '1.3.12345678901'],
    ['P2', ''],
    ['P2', ''],
  ].map(([patientId, seriesInstanceUid]) => ({
    patientId: patientId!,
    seriesInstanceUid: seriesInstanceUid!,
  }))
  expect([...fileNames(scans).values()]).toEqual(['P-1_1.2.1', 'P-1_1.3.1', 'P-1_45678901', 'P2_', 'P2_-2'])
})

it('fileNames leaves room for endings where volume files have the longest names', () => {
  const names = ['a', 'b'].map((last) => 'v'.repeat(240) + last)
  const scans = names.map((name) => ({ patientId: name, seriesInstanceUid: name }))
  expect([...fileNames(scans).values()]).toEqual(['v'.repeat(200), `${'v'.repeat(200)}-2`])
})
