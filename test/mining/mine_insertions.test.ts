import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parsePatchHypes } from '../../src/config/patch_hypes.js'
import { command } from '../../src/commands/mine.js'
import { NoduleError } from '../../src/errors.js'
import { mine } from '../../src/mining/index.js'
import type { MineOptions, MineResult } from '../../src/mining/index.js'
import { openCubes } from '../../src/patches/index.js'
import type { CubeStore } from '../../src/patches/index.js'
import { writeScan } from '../dataset/scan_files.js'
import { writeStacks } from '../dataset/stack_files.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-mine-copies-'))
const [scans, stacks] = [join(root, 'scans'), join(root, 'stacks')]
const hypes = parsePatchHypes({ cube: { planes: 3, plane_mm: 2, size: 16, pixel_mm: 1 }, widths: [8] })

beforeAll(async () => {
  writeScan(join(scans, 'a'), {
    ...{ patientId: 'A', seriesUid: '1.3.1' },
    ball: { x: 26, y: 48, z: 12, radiusMm: 12 },
  })
  writeScan(join(scans, 'b'), { patientId: 'B', seriesUid: '1.3.2' })
  rmSync(join(scans, 'b', 'annotations.xml'))
  await writeStacks(
    stacks,
    ['P1', 'P2', 'P3', 'P4'].map((patient) => ({ patient, radius: 12 })),
  )
})
afterAll(() => rmSync(root, { recursive: true }))

async function run(name: string, o: Partial<MineOptions> = {}): Promise<MineResult> {
  const plan = { count: 2, variants: 2, seed: 4 }
  return mine({ scans: [scans], stacks, xml: [], hypes, insertion: plan, output: join(root, name), ...o })
}

async function opened<T>(name: string, use: (store: CubeStore) => T): Promise<T> {
  const store = await openCubes(join(root, name))
  try {
    return use(store)
  } finally {
    store.close()
  }
}

describe('mining copies of scans with nodules put in', () => {
  it('takes the nodules put in and those of the scan as nodules, from the donors that are wanted', async () => {
    const problems: string[] = []
    const result = await run('copies', {
      wanted: (patient) => patient === 'P1' || patient === 'P2',
      onWarning: (message) => problems.push(message),
    })
    expect(result).toMatchObject({ volumes: 2, failed: 0, nodules: 6 })
    expect(problems).toEqual([expect.stringMatching(/b: left out: no LIDC XML file/)])
    await opened('copies', ({ sources }) => {
      expect(sources.map(({ key }) => key)).toEqual(['insertion A 1.3.1 0', 'insertion A 1.3.1 1'])
      for (const { origin, patientId, cubes } of sources) {
        expect([origin, patientId]).toEqual(['insertion', 'A'])
        const nodules = cubes.filter(({ reason }) => reason === 'nodule')
        const names = [...new Set(nodules.map(({ finding }) => finding))]
        expect(names.filter((name) => name!.startsWith('insertion-'))).toHaveLength(2)
        expect(names).toHaveLength(3)
        // A scan has no ends: what lies above and below is known.
        expect(cubes.some(({ reach }) => reach !== undefined)).toBe(false)
      }
      const places = sources.map(
        ({ cubes }) => cubes.find(({ finding }) => finding?.startsWith('insertion-'))!.voxel,
      )
      expect(places[0]).not.toEqual(places[1])
    })
  })

  it('puts nodules into thick stacks where there are no scans, whose ends are known', async () => {
    const thick = join(root, 'thick')
    await writeStacks(thick, [
      { patient: 'P1', slices: 9 },
      { patient: 'P2', slices: 3, radius: 3, sliceSpacing: 2 },
      { patient: 'P3', slices: 3, radius: 3, sliceSpacing: 2 },
    ])
    const result = await run('thick-copies', { scans: [], stacks: thick })
    expect(result).toMatchObject({ volumes: 2, failed: 0 })
    await opened('thick-copies', ({ sources }) => {
      expect(sources.map(({ origin, patientId }) => [origin, patientId])).toEqual([
        ['insertion', 'P1'],
        ['insertion', 'P1'],
      ])
      for (const { cubes } of sources) {
        const nodules = cubes.filter(({ reason }) => reason === 'nodule')
        expect(nodules.some(({ finding }) => finding!.startsWith('insertion-'))).toBe(true)
        expect(nodules.every(({ reach }) => reach !== undefined)).toBe(true)
      }
    })
  })

  it('gives the same cubes again, others with another seed', async () => {
    await run('again', { wanted: (patient) => patient === 'P1' || patient === 'P2' })
    const read = (name: string): Buffer => readFileSync(join(root, name, 'cubes.bin'))
    expect(read('again').equals(read('copies'))).toBe(true)
    await run('other', { insertion: { count: 2, variants: 2, seed: 5 } })
    expect(read('other').equals(read('copies'))).toBe(false)
  })

  it('adds no copies of another plan to those that are there, but more of the same', async () => {
    const wanted = (patient: string): boolean => patient === 'P1' || patient === 'P2'
    const more = { count: 2, variants: 3, seed: 4 }
    expect(await run('copies', { wanted, insertion: more, resume: true })).toMatchObject({ volumes: 3 })
    for (const other of [
      { wanted, insertion: { ...more, count: 1 } },
      { wanted, insertion: { ...more, seed: 5 } },
      { insertion: more },
      { wanted, insertion: undefined },
    ])
      await expect(run('copies', { ...other, resume: true })).rejects.toThrow(/were made otherwise/)

    // Without copies nothing is told of them: cubes of before can be added to.
    await run('plain', { wanted, insertion: undefined })
    await opened('plain', ({ header }) => expect(header.parameters).not.toHaveProperty('insertion'))
  })

  it('takes scans that nobody read where they are wanted: all of theirs is background', async () => {
    const result = await run('unread', { unread: true, insertion: undefined, stacks: undefined })
    expect(result).toMatchObject({ volumes: 2, nodules: 1 })
    await opened('unread', ({ sources }) => {
      const [b] = sources.filter(({ patientId }) => patientId === 'B')
      expect(new Set(b!.cubes.map(({ reason }) => reason))).toEqual(new Set(['background']))
    })
  })

  it('makes masses of the nodules put in', async () => {
    const small = join(root, 'small')
    await writeStacks(small, [
      { patient: 'P1', radius: 8 },
      { patient: 'P2', radius: 3 },
    ])
    const sizes = async (name: string, magnifyMm?: [number, number]): Promise<number[]> => {
      await run(name, { stacks: small, insertion: { count: 2, variants: 2, seed: 4, magnifyMm } })
      return opened(name, ({ sources }) =>
        sources.flatMap(({ cubes }) =>
          cubes.flatMap(({ reason, finding, axialDiameterMm }) =>
            reason === 'nodule' && finding!.startsWith('insertion-') ? axialDiameterMm! : [],
          ),
        ),
      )
    }
    const own = await sizes('own-size')
    expect(Math.max(...own)).toBeLessThan(14)
    const magnified = await sizes('magnified', [16, 18])
    // The small one is left out, which would be a blur; each copy draws anew.
    expect(new Set(magnified).size).toBe(2)
    expect(Math.min(...magnified)).toBeGreaterThanOrEqual(16)
    expect(Math.max(...magnified)).toBeLessThanOrEqual(18)
  })

  it.each(['20', '30,20', '0,5', '20,', 'a,b', '20,30,40', '20,500'])(
    'refuses --magnify %s',
    async (magnify) => {
      const flags = { scans: [scans], stacks, insertions: 3, variants: 1, seed: 1, xml: [], lists: [] }
      const output = join(root, 'refused')
      const handler = command.handler as (flags: unknown) => Promise<void>
      const work = handler({ ...flags, magnify, output, quiet: true })
      await expect(work).rejects.toThrow(NoduleError)
      await expect(work).rejects.toThrow(
        `LOW,HIGH in mm, from 1 to 100, such as 20,50 but received ${magnify}`,
      )
    },
  )

  it('magnifies nothing where nothing is put in', async () => {
    const flags = { scans: [scans], stacks, insertions: 0, magnify: '20,50', xml: [], lists: [] }
    const work = (command.handler as (flags: unknown) => Promise<void>)({
      ...flags,
      output: root,
      quiet: true,
    })
    await expect(work).rejects.toThrow('--magnify: nothing to magnify: expected --insertions with the number')
  })

  it('makes no variants where nothing is put in', async () => {
    const flags = { scans: [scans], stacks, insertions: 0, variants: 5, xml: [], lists: [], output: root }
    await expect((command.handler as (flags: unknown) => Promise<void>)(flags)).rejects.toThrow(
      'the option has no effect here (variants): expected --insertions with the number of nodules',
    )
  })

  it('names the scan for which no donor is left, and goes on', async () => {
    const problems: string[] = []
    const result = await run('none', { wanted: () => false, onWarning: (message) => problems.push(message) })
    expect(result).toMatchObject({ volumes: 0, failed: 2 })
    expect(problems.at(-1)).toMatch(/a, copy 1: left out: .*no nodule to put in/)
  })

  it('refuses scans without XML where there are stacks alone', async () => {
    await expect(run('unread', { scans: [], unread: true })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: 'the option has no effect here (unread): expected folders of scans but received stacks alone',
    })
  })

  it('the command asks for stacks', async () => {
    const flags = { scans: [scans], insertions: 3, variants: 1, seed: 1, xml: [], lists: [], output: root }
    const work = (command.handler as (flags: unknown) => Promise<void>)({ ...flags, quiet: true })
    await expect(work).rejects.toThrow(NoduleError)
    await expect(work).rejects.toThrow('--insertions')
  })
})
