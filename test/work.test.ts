import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { indexAnnotations } from '../src/annotations/index.js'
import { annotateFolders } from '../src/scans/annotate.js'
import { findXml } from '../src/scans/xml_of_series.js'
import { DEFAULT_BOX_RULE } from '../src/dataset/index.js'
import { anonymizeFiles, findSeries } from '../src/dicom/index.js'
import { findScans } from '../src/scans/find_scans.js'
import { findSources } from '../src/mining/sources.js'
import { writePhantoms } from '../src/phantom/index.js'
import { tellFailure } from '../src/work.js'
import type { WorkOptions } from '../src/work.js'

let folder = ''
let scans = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-work-'))
  scans = join(folder, 'scans')
  await writePhantoms(scans, { patients: 2, jobs: 1, matrix: 64, spacing: 10, nodules: 1, seed: 3 })
})
afterAll(() => rm(folder, { recursive: true }))

/** What work hears that is stopped at its first progress, and how far it said it was. */
function stopAtOnce(): { work: WorkOptions; told: [number, number][] } {
  const stop = new AbortController()
  const told: [number, number][] = []
  const onProgress = (done: number, total: number): void => {
    told.push([done, total])
    stop.abort()
  }
  return { work: { signal: stop.signal, onProgress }, told }
}

describe('an aborted signal ends the work after the item at hand', () => {
  it('findSeries and findScans: what was found so far, and no complaint that there is nothing', async () => {
    const { work, told } = stopAtOnce()
    const { series, skipped } = await findSeries([scans], { ...work, atOnce: 1 })
    expect([series.map(({ slices }) => slices.length), skipped]).toEqual([[1], []])
    expect(told).toEqual([[1, told[0]![1]]])
    const notes: unknown[] = []
    const signal = AbortSignal.abort()
    expect(await findScans([scans], (note) => notes.push(note), { signal })).toEqual({
      scans: [],
      damaged: [],
    })
    expect(notes).toEqual([])
  })

  it('anonymizeFiles: the copies that are written', async () => {
    const { work, told } = stopAtOnce()
    const output = join(folder, 'copies')
    expect(await anonymizeFiles([scans], output, work)).toMatchObject({ written: 1, problems: [] })
    const copies = (await readdir(output, { recursive: true })).filter((name) => name.endsWith('.dcm'))
    expect([copies.length, told.length]).toEqual([1, 1])
  })

  it('indexAnnotations and annotateFolders: what was read', async () => {
    const { work, told } = stopAtOnce()
    // Progress is told before a file is read: that one is finished.
    expect((await indexAnnotations(await findXml([scans]), undefined, work)).bySeries.size).toBe(1)
    expect(told).toEqual([[0, 2]])
    const stop = new AbortController()
    const run = await annotateFolders([scans], {
      signal: stop.signal,
      onProgress: (_done, _total, note) => (note === 'PHANTOM-0001' ? stop.abort() : undefined),
    })
    expect(run.annotated.map(({ series }) => series.patientId)).toEqual(['PHANTOM-0001'])
  })

  it('findSources: no complaint that there is nothing', async () => {
    const asked = { scans: [scans], xml: [], rule: DEFAULT_BOX_RULE }
    expect(await findSources({ ...asked, signal: AbortSignal.abort() })).toMatchObject({ sources: [] })
    expect((await findSources(asked)).sources).toHaveLength(2)
  })
})

describe('failures', () => {
  it('are told apart where somebody listens, else as warnings', () => {
    const told: string[] = []
    const onWarning = (text: string): number => told.push(`warning ${text}`)
    tellFailure({ onWarning, onFailure: (text) => told.push(`failure ${text}`) }, 'a')
    tellFailure({ onWarning }, 'b')
    tellFailure({}, 'c')
    expect(told).toEqual(['failure a', 'warning b'])
  })
})
