import { mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { DETECT_DEFAULTS, detectFolders, openSession } from '../../src/inference/index.js'
import type { DetectFoldersOptions, DetectFoldersResult, Session } from '../../src/inference/index.js'
import { convertSeries } from '../../src/scans/convert.js'
import { modelFolder } from './small_model.js'
import { writeTinyScan } from './tiny_scan.js'

let folder: string
let session: Session
let scans: string

beforeAll(async () => {
  const made = await modelFolder()
  folder = made.folder
  session = await openSession(made.model, { device: 'cpu', threads: 1 })
  scans = join(folder, 'scans')
  await writeTinyScan(scans, { patientId: 'B', seriesInstanceUid: '1.2.826.0.1.2', slices: 10 })
})

afterAll(async () => {
  await session.release()
  await rm(folder, { recursive: true })
})

function detect(paths: string[], o: Partial<DetectFoldersOptions> = {}): Promise<DetectFoldersResult> {
  return detectFolders(paths, session, { output: join(folder, 'found'), ...o })
}

describe('detectFolders where nothing comes of it', () => {
  test('what every scan would fail by is refused before the first one', async () => {
    const unmade = join(folder, 'unmade')
    const link = (more: object): Partial<DetectFoldersOptions> => ({
      parameters: { ...DETECT_DEFAULTS, link: { ...DETECT_DEFAULTS.link, ...more } },
    })
    const wrong: [string, Partial<DetectFoldersOptions>][] = [
      ['batch', { batch: 0 }],
      ['batch', { batch: 1.5 }],
      ['maxGapMm', link({ maxGapMm: -1 })],
      ['diameterScale', link({ diameterScale: 'large' })],
      ['weights.support', link({ weights: { ...DETECT_DEFAULTS.link.weights, support: undefined } })],
      ['link', { parameters: { ...DETECT_DEFAULTS, link: undefined as never } }],
    ]
    for (const [name, o] of wrong) {
      const refused = { code: 'INVALID_PARAMETER', parameters: [name] }
      await expect(detect([scans], { ...o, output: unmade }), name).rejects.toMatchObject(refused)
      await expect(stat(unmade)).rejects.toMatchObject({ code: 'ENOENT' })
    }
  })

  test('a run of which every scan fails leaves predictions.csv alone', async () => {
    const earlier = join(folder, 'earlier')
    const table = join(earlier, 'predictions.csv')
    await mkdir(earlier, { recursive: true })
    await writeFile(table, 'of an earlier run')
    const failing: Session = { ...session, run: async () => Promise.reject(new NoduleError('NUMERIC', 'no')) }
    const result = await detectFolders([scans], failing, { output: earlier })
    expect(result.scans).toEqual([])
    expect(result.notes).toMatchObject([{ failed: true, message: 'no' }])
    expect(await readFile(table, 'utf8')).toBe('of an earlier run')
  })

  test('a volume file whose voxels are cut off is one failure, with the reason', async () => {
    const path = join(folder, 'cut.nii.gz')
    await convertSeries([scans], path)
    await truncate(path, (await stat(path)).size - 100)
    const { scans: done, notes } = await detect([path], { output: join(folder, 'cut found') })
    expect(done).toEqual([])
    expect(notes).toEqual([
      {
        ...{ failed: true, place: 'cut' },
        message: `${path}: cannot inflate the voxels: unexpected end of file`,
      },
    ])
  })

  test('a confidence that none can have is refused before the work', async () => {
    const unmade = join(folder, 'unmade')
    for (const minConfidence of [60, -0.1, Number.NaN]) {
      const parameters = { ...DETECT_DEFAULTS, link: { ...DETECT_DEFAULTS.link, minConfidence } }
      const refused = { code: 'INVALID_PARAMETER', parameters: ['minConfidence'] }
      await expect(detect([scans], { parameters, output: unmade })).rejects.toMatchObject(refused)
      await expect(stat(unmade)).rejects.toMatchObject({ code: 'ENOENT' })
    }
  })
})
