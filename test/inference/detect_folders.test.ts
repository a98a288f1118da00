import { spawn, spawnSync } from 'node:child_process'
import { mkdir, readFile, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  DETECT_DEFAULTS,
  detectFolders,
  openSession,
  readDetections,
  resultName,
} from '../../src/inference/index.js'
import type { DetectFoldersOptions, DetectFoldersResult, Session } from '../../src/inference/index.js'
import { readMarksCsv } from '../../src/formats/luna.js'
import { convertSeries } from '../../src/scans/convert.js'
import { canKeep, resultPlace } from '../../src/inference/earlier_result.js'
import { findScans } from '../../src/scans/find_scans.js'
import { modelFolder } from './small_model.js'
import { TINY, writeTinyScan } from './tiny_scan.js'

const UID = { a: '1.2.826.0.1.1', b: '1.2.826.0.1.2' }
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
  const a = await writeTinyScan(join(scans, 'a'), { patientId: 'A', seriesInstanceUid: UID.a })
  await writeTinyScan(join(scans, 'b'), { patientId: 'B', seriesInstanceUid: UID.b, slices: 10 })
  // What real folders have: a cut-off header, cut-off pixels, a file that is not DICOM.
  await writeFile(join(scans, 'a', 'broken.dcm'), (await readFile(a[0]!)).subarray(0, 200))
  await truncate(a[13]!, (await stat(a[13]!)).size - 1000)
  await writeFile(join(scans, 'README.txt'), 'not DICOM')
})

afterAll(async () => {
  await session.release()
  await rm(folder, { recursive: true })
})

function detect(paths: string[], o: Partial<DetectFoldersOptions> = {}): Promise<DetectFoldersResult> {
  return detectFolders(paths, session, { output, ...o })
}

describe('detectFolders', () => {
  test('a result for each series; a bad file and a bad slice are reported and the rest goes on', async () => {
    const result = await detect([scans], { overlay: true })
    expect(result.interrupted).toBe(false)
    expect(result.scans.map(({ patientId }) => patientId)).toEqual(['A', 'B'])
    const failed = result.notes.filter((note) => note.failed)
    expect(failed.map(({ place }) => place).sort()).toEqual([
      join(scans, 'a', '014.dcm'),
      join(scans, 'a', 'broken.dcm'),
    ])

    const a = await readDetections(join(output, `${UID.a}.json`))
    expect(a).toMatchObject({
      format: 'nodule-detections/1',
      patientId: 'A',
      seriesInstanceUid: UID.a,
      model: { path: basename(model), sha256: session.sha256, step: 1, precision: 'float32' },
      volume: { shape: [13, TINY.rows, TINY.columns], spacing: [10, 5, 5], origin: [-157.5, -157.5, -100] },
    })
    expect(a.warnings.some((text) => text.includes('014.dcm'))).toBe(true)
    expect(a.warnings.some((text) => text.includes('broken.dcm'))).toBe(true)
    expect(a.slices.length).toBeGreaterThan(5)
    const boxes = a.slices.flatMap((slice) => slice.boxes)
    expect(boxes.length).toBeGreaterThan(0)
    for (const { k, sopInstanceUid, z } of a.slices) {
      expect(sopInstanceUid).toBe(`1.2.826.0.1.9.${k + 1}`)
      expect(z).toBeCloseTo(-100 + 10 * k)
    }
    for (const { x1, y1, x2, y2, score } of boxes) {
      expect(Math.min(x1, y1, TINY.columns - x2, TINY.rows - y2)).toBeGreaterThanOrEqual(0)
      expect(Math.min(x2 - x1, y2 - y1)).toBeGreaterThan(0)
      expect(score).toBeGreaterThanOrEqual(DETECT_DEFAULTS.minScore)
    }
    // Every box belongs to a nodule, and the nodules' slices hold their boxes.
    const ids = new Set(a.nodules.map(({ id }) => id))
    expect(boxes.every(({ nodule }) => nodule !== undefined && ids.has(nodule))).toBe(true)
    for (const { id, slices, centerVoxel, center } of a.nodules) {
      const own = a.slices
        .filter((slice) => slice.boxes.some(({ nodule }) => nodule === id))
        .map(({ k }) => k)
      expect([own[0], own.at(-1)]).toEqual(slices)
      expect(center[0]).toBeCloseTo(-157.5 + 5 * centerVoxel[2], 3)
      expect(center[1]).toBeCloseTo(-157.5 + 5 * centerVoxel[1], 3)
      expect(center[2]).toBeCloseTo(-100 + 10 * centerVoxel[0], 3)
    }
    // A picture for each slice with boxes, of 512 pixels, with the boxes in color on gray.
    const pictures = await readdir(join(output, UID.a))
    expect(pictures.length).toBe(a.slices.filter((slice) => slice.boxes.length > 0).length)
    const picture = sharp(join(output, UID.a, pictures[0]!))
    expect(await picture.metadata()).toMatchObject({ format: 'webp', width: 512, height: 512, channels: 3 })
    const shown = a.slices.find(({ k }) => pictures[0] === `k${String(k).padStart(4, '0')}.webp`)!
    const pixels = await picture.raw().toBuffer()
    const { x1, y1, y2 } = shown.boxes[0]!
    const at = (Math.round(((y1 + y2) / 2) * 8) * 512 + Math.max(0, Math.round(x1 * 8) - 1)) * 3
    const [red, , blue] = pixels.subarray(at, at + 3)
    expect(red! - blue!).toBeGreaterThan(60)
    // Those of an earlier run show other boxes: they go, other files stay.
    for (const name of ['k0000.png', 'k0099.webp', 'mine.png']) await writeFile(join(output, UID.a, name), '')
    await detect([scans], { overlay: true })
    expect(new Set(await readdir(join(output, UID.a)))).toEqual(new Set([...pictures, 'mine.png']))
    await detect([scans])
    expect(await readdir(join(output, UID.a))).toEqual(['mine.png'])
    // All nodules in LUNA16's format.
    const marks = readMarksCsv(join(output, 'predictions.csv'))
    expect(marks.length).toBe(result.scans.reduce((sum, scan) => sum + scan.nodules, 0))
    expect(marks.filter((mark) => mark.seriesUid === UID.a).map(({ probability }) => probability)).toEqual(
      a.nodules.map(({ confidence }) => confidence),
    )
    expect((await readdir(output)).filter((name) => name.includes('.part'))).toEqual([])
  })

  test('the same result whatever the batch', async () => {
    const one = await readDetections(join(output, `${UID.b}.json`))
    await detect([join(scans, 'b')], { batch: 4 })
    const four = await readDetections(join(output, `${UID.b}.json`))
    expect(four.nodules.length).toBe(one.nodules.length)
    for (const [index, nodule] of four.nodules.entries())
      expect(nodule.confidence).toBeCloseTo(one.nodules[index]!.confidence, 4)
  })

  test('resume keeps what is there, unless model or parameters are others', async () => {
    const kept = async (o: Partial<DetectFoldersOptions>): Promise<boolean[]> =>
      (await detect([join(scans, 'b')], o)).scans.map(({ resumed }) => resumed)
    expect(await kept({ resume: true })).toEqual([true])
    expect(await kept({ resume: true, parameters: { ...DETECT_DEFAULTS, minScore: 0.3 } })).toEqual([false])
    expect(await kept({ resume: true })).toEqual([false])
    expect(await kept({})).toEqual([false])
    await writeFile(join(output, `${UID.b}.json`), '{"format": "nodule-det')
    expect(await kept({ resume: true })).toEqual([false])
    const marks = readMarksCsv(join(output, 'predictions.csv'))
    expect(new Set(marks.map(({ seriesUid }) => seriesUid))).toEqual(new Set([UID.b]))
  })

  test('resume does again what is of another patient, of other slices or without its pictures', async () => {
    const at = join(folder, 'again')
    const found = join(folder, 'again-found')
    const run = async (path: string, o: Partial<DetectFoldersOptions> = {}): Promise<[string, boolean][]> =>
      (await detect([path], { output: found, resume: true, ...o })).scans.map((scan) => [
        scan.patientId,
        scan.resumed,
      ])
    const json = async (): Promise<string[]> =>
      (await readdir(found)).filter((name) => name.endsWith('.json')).sort()
    const uid = '1.2.826.0.1.7'
    const a = await writeTinyScan(join(at, 'a'), { patientId: 'A', seriesInstanceUid: uid })
    await writeTinyScan(join(at, 'b'), { patientId: 'B', seriesInstanceUid: uid })
    const last = await readFile(a[13]!)
    await rm(a[13]!)
    expect(await run(join(at, 'a'))).toEqual([['A', false]])
    expect(await json()).toEqual([`${uid}.json`])
    // The rest of the scan arrives.
    await writeFile(a[13]!, last)
    expect(await run(join(at, 'a'))).toEqual([['A', false]])
    expect(await run(join(at, 'a'))).toEqual([['A', true]])
    expect(await run(join(at, 'a'), { overlay: true })).toEqual([['A', false]])
    expect(await run(join(at, 'a'), { overlay: true })).toEqual([['A', true]])
    // Another patient of the same UID takes nothing from the first one, and both have one file each.
    expect(await run(join(at, 'b'))).toEqual([['B', false]])
    expect(await json()).toEqual([
      expect.stringMatching(/^1\.2\.826\.0\.1\.7-[0-9a-f]{8}\.json$/),
      `${uid}.json`,
    ])
    expect((await readDetections(join(found, `${uid}.json`))).patientId).toBe('A')
    const both = await detect([at], { output: found, resume: true })
    expect(both.scans.map(({ resumed }) => resumed)).toEqual([true, true])
    expect(both.notes.map(({ message }) => message)).toEqual([
      expect.stringContaining('1 series UID is that of several patients') as string,
    ])
    expect(await json()).toHaveLength(2)
    // As the first versions wrote it.
    const { scan: _, ...old } = await readDetections(join(found, `${uid}.json`))
    await writeFile(join(found, `${uid}.json`), JSON.stringify(old))
    expect(await run(join(at, 'a'))).toEqual([['A', false]])
  })

  test('volume files are told apart by place, size and time', async () => {
    const at = join(folder, 'volumes')
    for (const name of ['a', 'b']) {
      await mkdir(join(at, name), { recursive: true })
      await convertSeries([join(scans, 'b')], join(at, name, 'scan.nii'))
    }
    const found = join(at, 'found')
    const back = process.cwd()
    const run = async (name: string): Promise<boolean[]> => {
      process.chdir(join(at, name))
      try {
        const result = await detect(['scan.nii'], { output: found, resume: true })
        return result.scans.map(({ resumed }) => resumed)
      } finally {
        process.chdir(back)
      }
    }
    expect(await run('a')).toEqual([false])
    expect(await run('b')).toEqual([false])
    expect(await run('a')).toEqual([true])
    await utimes(join(at, 'a', 'scan.nii'), 1, 1)
    expect(await run('a')).toEqual([false])
  })

  test('a volume file that is gone costs its scan only', async () => {
    const at = join(folder, 'gone')
    await mkdir(at)
    const paths = ['a', 'b'].map((name) => join(at, `${name}.nii`))
    for (const path of paths) await convertSeries([join(scans, 'b')], path)
    const o = { output: join(at, 'found') }
    expect((await detect(paths, o)).scans).toHaveLength(2)
    const [scan] = (await findScans(paths, () => undefined, {})).scans
    const { path, earlier } = await resultPlace(o.output, scan!)
    const settings = { parameters: DETECT_DEFAULTS, overlay: false }
    expect(await canKeep({ path, earlier: earlier! }, scan!, session, settings)).toBe(true)
    // While it is examined.
    const removing: Session = {
      ...session,
      run: async (...args) => {
        await rm(paths[0]!, { force: true })
        return session.run(...args)
      },
    }
    const { scans: done, notes } = await detectFolders(paths, removing, o)
    expect(done).toHaveLength(1)
    expect(notes.filter(({ failed }) => failed).map(({ message }) => message)).toEqual([
      `${paths[0]!}: cannot read: no such file or folder`,
    ])
    // Before an earlier result is looked at.
    expect(await canKeep({ path, earlier: earlier! }, scan!, session, settings)).toBe(false)
  })

  test('of damaged files beside a scan, those count that may have been its slices', async () => {
    const at = join(folder, 'beside')
    const paths = await writeTinyScan(at, { patientId: 'D', seriesInstanceUid: '1.5', slices: 10 })
    await convertSeries([join(scans, 'b')], join(at, 'whole.nii'))
    await writeFile(join(at, 'broken.nii'), 'no NIfTI')
    await writeFile(join(at, 'broken.dcm'), (await readFile(paths[0]!)).subarray(0, 200))
    const found = join(folder, 'beside found')
    const { scans: done, notes } = await detect([at], { output: found })
    expect(notes.filter(({ failed }) => failed)).toHaveLength(2)
    expect(done).toHaveLength(2)
    const warnings: Record<string, string[]> = {}
    for (const { patientId, path } of done)
      warnings[patientId] = (await readDetections(path)).warnings.filter((text) => text.includes('beside'))
    expect(warnings).toEqual({ D: ['broken.dcm lies beside the slices and cannot be read'], whole: [] })
  })

  test('an interruption before anything was examined leaves predictions.csv alone', async () => {
    const earlier = join(folder, 'earlier')
    const table = join(earlier, 'predictions.csv')
    await mkdir(earlier)
    await writeFile(table, 'of an earlier run')
    const stop = new AbortController()
    const result = await detect([scans], {
      output: earlier,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    })
    expect(result).toMatchObject({ interrupted: true, scans: [] })
    expect(await readFile(table, 'utf8')).toBe('of an earlier run')
  })

  test('an interruption ends the work after the scan at hand', async () => {
    const stop = new AbortController()
    const result = await detect([scans], { signal: stop.signal, onScan: () => stop.abort() })
    expect(result.interrupted).toBe(true)
    expect(result.scans.map(({ patientId }) => patientId)).toEqual(['A'])
  })

  test('folders without a CT volume, and missing ones', async () => {
    const empty = join(folder, 'empty')
    await mkdir(empty)
    const none = async (): Promise<string> => {
      const { notes } = await detect([empty])
      expect(notes.map(({ failed, place }) => ({ failed, place }))).toEqual([{ failed: true, place: empty }])
      return notes[0]!.message
    }
    expect(await none()).toBe('no CT series that makes a volume: there are no files')
    await writeFile(join(empty, 'notes.txt'), 'hello')
    expect(await none()).toBe('no CT series that makes a volume: 1 file, but no DICOM, NIfTI or MetaImage')
    await expect(detect([join(folder, 'nowhere')])).rejects.toMatchObject({ code: 'FILE' })
    const parameters = { ...DETECT_DEFAULTS, minScore: 5 }
    await expect(detect([scans], { parameters })).rejects.toMatchObject({ code: 'INVALID_PARAMETER' })
  })

  test('a series UID cannot choose where its result goes', () => {
    expect(resultName({ seriesInstanceUid: UID.a, folder: '' })).toBe(UID.a)
    // A number alone is a file's name, which other folders' files have too.
    for (const uid of ['../../evil', '', '..', '.1', 'a b', '1.2/3', '0001', '1..2', '1.'])
      expect(resultName({ seriesInstanceUid: uid, folder: 'x' })).toMatch(/^series-[0-9a-f]{16}$/)
  })
})

test(
  'nodule detect says by its exit code that something failed; several processes find the same',
  { timeout: 240_000 },
  async () => {
    const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
    const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(process.execPath, ['--import', 'tsx', cli, 'detect', ...args], { encoding: 'utf8' })
    const partly = run(scans, '-m', model, '-o', join(folder, 'cli'), '--device', 'cpu', '-j', '1')
    expect(partly.stderr).toContain(`failed: ${join(scans, 'a', 'broken.dcm')}: `)
    expect(partly.stdout).toMatch(/^A: \d+ slices, \d+ boxes, \d+ nodules, \d+\.\d s -> .*\.json$/m)
    expect(partly.stdout).toContain('2 scans, ')
    expect(partly.status).toBe(1)
    const confidences = async (name: string, ...more: string[]): Promise<number[]> => {
      const path = join(folder, name)
      expect(run(join(scans, 'b'), '-m', model, '-o', path, '--device', 'cpu', ...more).status).toBe(0)
      return (await readDetections(join(path, `${UID.b}.json`))).nodules.map(({ confidence }) => confidence)
    }
    const every = await confidences('every')
    const cut = (Math.min(...every) + Math.max(...every)) / 2
    const sure = await confidences('sure', '--min-confidence', String(cut))
    expect(sure).toEqual(every.filter((confidence) => confidence >= cut))
    expect(sure.length).toBeLessThan(every.length)
    const jobs = run(scans, '-m', model, '-o', join(folder, 'jobs'), '--device', 'cpu', '-j', '2')
    expect(jobs.stderr).toContain(`failed: ${join(scans, 'a', '014.dcm')}: `)
    expect(jobs.stdout).toContain('2 scans, ')
    expect(jobs.status).toBe(1)
    for (const uid of Object.values(UID)) {
      const [one, two] = await Promise.all(
        ['cli', 'jobs'].map(async (name) => readDetections(join(folder, name, `${uid}.json`))),
      )
      expect(two!.nodules).toEqual(one!.nodules)
    }
    const fine = run(join(scans, 'b'), '-m', model, '-o', join(folder, 'cli'), '--device', 'cpu')
    expect(fine.status).toBe(0)
    expect(fine.stderr).not.toContain('failed')
    const usage = run('-m', model, '-o', join(folder, 'cli'))
    expect(usage.status).toBe(2)
    expect(usage.stderr).toContain('nodule detect: Name folders, or a list by --list (nodule detect --help)')
  },
)

test('nodule detect goes on where nobody takes its lines', { timeout: 120_000 }, async () => {
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const found = join(folder, 'unheard')
  const args = ['--import', 'tsx', cli, 'detect', scans, '-m', model, '-o', found, '--device', 'cpu']
  const child = spawn(process.execPath, [...args, '--overlay'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // Two files of the first scan are damaged.
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(1)
  expect(stderr).not.toMatch(/EPIPE|bug/)
  const names = await readdir(found)
  for (const name of [`${UID.a}.json`, `${UID.b}.json`, 'predictions.csv']) expect(names).toContain(name)
})
