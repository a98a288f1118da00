import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { parsePatchHypes, readPatchHypes } from '../../src/config/patch_hypes.js'
import { readList, writeList } from '../../src/dataset/index.js'
import type { SliceFinding } from '../../src/dataset/prepare/boxes.js'
import { NoduleError } from '../../src/errors.js'
import type { Vector3 } from '../../src/geometry/vector.js'
import { labelMark, mine, trueNodules } from '../../src/mining/index.js'
import type { MineOptions, MineResult } from '../../src/mining/index.js'
import { checkStore, openCubes } from '../../src/patches/index.js'
import type { CubeStore } from '../../src/patches/index.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { diskSession } from '../inference/disk_session.js'
import { volumeOf } from '../patches/volumes.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-mine-'))
afterAll(() => rmSync(root, { recursive: true }))

const finding = (
  id: string,
  k: number,
  [x, y]: readonly [number, number],
  half: number,
  accepted = true,
): SliceFinding => ({
  id,
  k,
  box: { x1: x - half, y1: y - half, x2: x + half, y2: y + half },
  accepted,
})

describe('labels of marks', () => {
  // Slices of 2 mm, pixels of 0.5 mm. A nodule of 10 mm around (20, 40, 60); a finding of two readers at (20, 80, 80).
  const { geometry } = volumeOf(
    [40, 4, 4],
    Array.from({ length: 40 }, (_, k) => 2 * k),
    [0.5, 0.5],
    () => 0,
  )
  const findings = [
    ...[18, 19, 20, 21, 22].map((k) => finding('a', k, [60.5, 40.5], 10 - 2 * Math.abs(k - 20))),
    finding('b', 20, [80.5, 80.5], 6, false),
  ]
  const nodules = trueNodules(findings, new Map([['a', 10]]))

  it('a nodule is a ball in the middle of its boxes', () => {
    expect(nodules).toHaveLength(1)
    const [{ id, voxel, axialDiameterMm }] = nodules as [(typeof nodules)[0]]
    expect([id, axialDiameterMm]).toEqual(['a', 10])
    voxel.forEach((at, axis) => expect(at).toBeCloseTo([20, 40, 60][axis]!))
  })

  it.each<[string, Vector3, string]>([
    ['at its center', [20, 40, 60], 'hit'],
    ['4.9 mm beside', [20, 40, 69.8], 'hit'],
    ['5.1 mm beside, out of its box', [20, 40, 70.6], 'ignored'],
    ['in the corner of its box, 6 mm away', [20, 48.5, 68.5], 'hit'],
    ['two slices and a half above', [22.4, 40, 60], 'hit'],
    ['7 mm above', [23.5, 40, 60], 'ignored'],
    ['9 mm above', [24.5, 40, 60], 'false'],
    ['at the finding of two readers', [20, 81, 81], 'ignored'],
    ['beside that finding', [20, 80, 95], 'false'],
    ['three slices above that finding', [23, 80, 80], 'false'],
  ])('a mark %s', (_, voxel, kind) => {
    expect(labelMark(voxel, nodules, findings, geometry).kind).toBe(kind)
  })
})

const SIDE = 128
const STACKS = join(root, 'stacks')
const hypes = parsePatchHypes({ cube: { planes: 3, plane_mm: 2, size: 16, pixel_mm: 1 }, widths: [8] })
/** Gray levels of the stacks, which are HU = 10 * gray - 1000. */
const [LUNG, BALL, WEAK] = [10, 110, 80]

/** A stack of 4 slices: its nodule in the middle, another ball beside it. */
async function writeStack(patient: string): Promise<string> {
  const slices = Buffer.alloc(4 * SIDE * SIDE, LUNG)
  const readers = Buffer.alloc(4 * SIDE * SIDE)
  for (let k = 0; k < 4; k++) {
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const at = (k * SIDE + y) * SIDE + x
        const own = Math.hypot(x - 64, y - 60) < 6
        if (own) slices[at] = BALL
        if (own) readers[at] = 4
        if (Math.hypot(x - 40, y - 80) < 5) slices[at] = WEAK
      }
    }
  }
  const raw = { raw: { width: SIDE, height: 4 * SIDE, channels: 1 as const } }
  const stem = join(STACKS, 'stacks', `${patient}_nodule-0`)
  await sharp(slices, raw).webp({ lossless: true }).toFile(`${stem}.webp`)
  await sharp(readers, raw).png().toFile(`${stem}_readers.png`)
  return [0, 1, 2, 3]
    .map((row) =>
      [
        ...[patient, 'nodule-0', row, row, row - 1, `1.2.${patient.slice(1)}`, row === 1 ? '1.9' : '', -50],
        ...[100, 100, 0.7, 2.5, 10, -1000, 4, 100],
      ].join(','),
    )
    .join('\n')
}

const session = Object.assign(
  diskSession(
    parseHypes({
      ...{ image_width: 128, image_height: 128, grid_width: 4, grid_height: 4 },
      data: { mm_per_pixel: 0.7, channels: 3, neighbor_mm: 2.5, tile_overlap_mm: 20 },
    }),
  ),
  { sha256: 'first-stage' },
)

async function run(name: string, o: Partial<MineOptions> = {}): Promise<MineResult> {
  return mine({ scans: [], stacks: STACKS, xml: [], hypes, session, output: join(root, name), ...o })
}

async function refused(work: Promise<unknown>): Promise<NoduleError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NoduleError)
  return error as NoduleError
}

describe('mining stacks', () => {
  let store: CubeStore
  const problems: string[] = []
  const list = join(root, 'list.json')
  let result: MineResult

  beforeAll(async () => {
    mkdirSync(join(STACKS, 'stacks'), { recursive: true })
    const head =
      'patient,nodule,row,slice,steps_from_anchor,series,sop_of_anchor,z_of_anchor,x0,y0,pixel_spacing,slice_spacing,scale,offset,readers,pixels'
    const rows = [await writeStack('P1'), await writeStack('P2'), await writeStack('P3')]
    writeFileSync(join(STACKS, 'index.csv'), `${[head, ...rows].join('\n')}\n`)
    // The third cannot be read.
    writeFileSync(join(STACKS, 'stacks', 'P3_nodule-0.webp'), 'nothing')
    const mapping = { originX: 0, originY: 0, scale: 2, frameWidth: 256, frameHeight: 256 }
    const nodule = {
      ...{ patientId: 'P1', seriesInstanceUid: '1.2.1', sopInstanceUid: '', stack: 'nodule-0' },
      ...{ k: 2, positionMm: 5, mapping, nodules: [], excluded: [] },
      hard: [{ x1: 1, y1: 1, x2: 3, y2: 3 }],
    }
    await writeList(list, [
      { image_path: 'a.png', rects: [], nodule },
      { image_path: 'b.png', rects: [], nodule: { ...nodule, patientId: 'P9' } },
      { image_path: 'c.png', rects: [] },
    ])
    result = await run('all', { lists: [list], onWarning: (message) => problems.push(message) })
    store = await openCubes(join(root, 'all'))
  })
  afterAll(() => store.close())

  it('keeps nodules, marks and background with their labels', () => {
    expect(result).toEqual({
      ...{ volumes: 2, failed: 1, nodules: 2, found: 2, falseMarks: 2, background: 8 },
      ...{ hardEntries: 1, interrupted: false },
      problems,
    })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/P3_nodule-0: left out: .*P3_nodule-0\.webp: not a picture that can be read/)
    expect(store.header.model).toBe('first-stage')
    const [source] = store.sources
    expect(source).toMatchObject({ origin: 'stack', patientId: 'P1', stack: 'nodule-0' })
    const of = (reason: string, label: number): (typeof source & object)['cubes'] =>
      source!.cubes.filter((cube) => cube.reason === reason && cube.labels.nodule === label)
    expect(of('nodule', 1)).toHaveLength(4)
    expect(of('nodule', 1)[0]).toMatchObject({
      finding: 'nodule-0',
      voxel: [1.5, 60, 64],
      reach: { ends: [3.75, 3.75] },
    })
    const moved = of('nodule', 1).map(({ voxel }) => Math.hypot(voxel[1] - 60, voxel[2] - 64) * 0.7)
    expect(Math.max(...moved)).toBeGreaterThan(0)
    expect(Math.max(...moved)).toBeLessThan(4.3)
    const [hit] = of('mark', 1)
    expect(hit!.finding).toBe('nodule-0')
    expect(hit!.score).toBeCloseTo(Math.round((1100 * 255) / 1400) / 255, 1)
    const [wrong] = of('mark', 0)
    expect(wrong!.voxel[1]).toBeCloseTo(80, 0)
    expect(wrong!.voxel[2]).toBeCloseTo(40, 0)
    expect(wrong!.boxes!.map(({ k }) => k)).toEqual([0, 1, 2, 3])
    for (const { voxel } of of('background', 0))
      expect(Math.hypot(voxel[1] - 60, voxel[2] - 64) * 0.7).toBeGreaterThan(6 * 0.7 + 5 - 0.5)
  })

  it('a cube shows what lies at its center', () => {
    const middle = (index: number): number => store.read(index)[2 * 24 * 24 + 12 * 24 + 12]!
    const gray = (stored: number): number => Math.round((10 * stored * 255) / 1400)
    store.cubes.forEach(({ record }, index) => {
      if (record.reason === 'nodule') expect(middle(index)).toBe(gray(BALL))
      if (record.reason === 'mark' && record.labels.nodule === 0) expect(middle(index)).toBe(gray(WEAK))
    })
  })

  it('writes the false marks into the list, in frame pixels, in place of earlier ones', () => {
    const [first, second, third] = readList(list).entries
    expect(first!.nodule!.hard).toHaveLength(1)
    const [box] = first!.nodule!.hard!
    // The ball of 5 pixels around (40, 80), in edge coordinates, twice as large in the frame.
    expect(Math.abs(box!.x1 - 2 * 35.5)).toBeLessThan(3)
    expect(Math.abs(box!.y2 - 2 * 85.5)).toBeLessThan(3)
    expect(second!.nodule!.hard).toEqual([{ x1: 1, y1: 1, x2: 3, y2: 3 }])
    expect(third!.nodule).toBeUndefined()
  })

  it('a list that others change meanwhile keeps their changes', async () => {
    const shared = join(root, 'shared.json')
    writeFileSync(shared, readFileSync(list))
    const { entries } = readList(list)
    const others = [{ x1: 7, y1: 7, x2: 9, y2: 9 }]
    let isChanged: Promise<void> | undefined
    await run('beside', {
      lists: [shared],
      onProgress: () => {
        isChanged ??= writeList(
          shared,
          entries.map((entry, n) =>
            n === 1 ? { ...entry, nodule: { ...entry.nodule!, hard: others } } : entry,
          ),
        )
      },
    })
    await isChanged
    const hard = readList(shared).entries.map(({ nodule }) => nodule?.hard)
    expect(hard).toEqual([readList(list).entries[0]!.nodule!.hard, others, undefined])
  })

  it.skipIf(process.getuid?.() === 0)('looks first whether the lists can be written', async () => {
    const locked = mkdtempSync(join(root, 'locked-'))
    writeFileSync(join(locked, 'list.json'), readFileSync(list))
    chmodSync(locked, 0o500)
    const error = await refused(run('unwritten', { lists: [join(locked, 'list.json')] }))
    expect(error.message).toContain('cannot write: permission denied')
    expect(existsSync(join(root, 'unwritten'))).toBe(false)
  })

  it('an entry that does not say where its frame lies stays as it is', async () => {
    const bare = join(root, 'bare.json')
    const entry = {
      image_path: 'a.png',
      rects: [],
      nodule: { ...readList(list).entries[0]!.nodule, mapping: null },
    }
    writeFileSync(bare, JSON.stringify([entry]))
    const before = readList(bare).entries
    expect((await run('bare', { lists: [bare] })).hardEntries).toBe(0)
    expect(readList(bare).entries).toEqual(before)
  })

  it('refuses lists that would not be read again as what is written', async () => {
    const packed = join(root, 'list.json.gz')
    writeFileSync(packed, gzipSync(readFileSync(list)))
    const error = await refused(run('packed', { lists: [packed] }))
    expect(error.message).toBe(
      `${packed}: lists are written as plain JSON only: expected a name that ends with .json`,
    )
    expect(existsSync(join(root, 'packed'))).toBe(false)
    expect(readList(packed).entries).toHaveLength(3)
  })

  it('gives the same cubes when it is interrupted and resumed', async () => {
    const none = await run('parts', { signal: AbortSignal.abort() })
    expect(none.interrupted).toBe(true)
    expect(existsSync(join(root, 'parts'))).toBe(false)
    const stop = new AbortController()
    const onProgress = (done: number): void => (done === 0 ? stop.abort() : undefined)
    const part = await run('parts', { signal: stop.signal, onProgress })
    expect(part.interrupted).toBe(true)
    expect((await refused(run('parts'))).message).toContain('the folder holds cubes')
    expect((await run('parts', { resume: true })).volumes).toBe(2)
    for (const name of ['cubes.bin', 'cubes.jsonl'])
      expect(readFileSync(join(root, 'parts', name)).equals(readFileSync(join(root, 'all', name)))).toBe(true)
  })

  it('without a first stage keeps nodules and background, and no others than wanted', async () => {
    const plain = await run('plain', { session: undefined, wanted: (patient) => patient === 'P2' })
    expect(plain).toMatchObject({ volumes: 1, nodules: 1, found: 0, falseMarks: 0, background: 4 })
    const error = await refused(run('none', { wanted: () => false }))
    expect(error.message).toContain('nothing to mine')
    const other = await refused(run('plain', { resume: true }))
    expect(other.message).toContain('the cubes that are there were made otherwise')
  })

  it.each([
    ['lists', { lists: [list] }],
    ['minScore', { rule: { minScore: 0.5 } }],
    ['maxMarks', { rule: { maxMarks: 9 } }],
  ])('without a first stage refuses %s, which are about its marks', async (name, options) => {
    const before = readFileSync(list, 'utf8')
    const error = await refused(run('unmarked', { ...options, session: undefined }))
    expect(error.message).toBe(
      `the option has no effect here (${name}): expected a first stage but received none`,
    )
    expect(readFileSync(list, 'utf8')).toBe(before)
  })

  it('a bug in one volume costs that volume, and is told of', async () => {
    let calls = 0
    const failing: typeof session = {
      ...session,
      run: async (...args) => {
        if (calls++ === 0) throw new RangeError('Invalid array length')
        return session.run(...args)
      },
    }
    const told: string[] = []
    const other = await run('bug', { session: failing, onFailure: (failure) => told.push(failure) })
    expect(other).toMatchObject({ volumes: 1, failed: 2 })
    expect(told[0]).toMatch(
      /P1_nodule-0: left out: unexpected failure, please report it: RangeError: Invalid/,
    )
  })

  it('makes the cubes of hypes/lung_second.json where the command names no hypes', async () => {
    const output = join(root, 'by-command')
    const args = ['mine', '--stacks', STACKS, '-o', output, '--quiet']
    const command = (...more: string[]): { status: number | null; stderr: string } =>
      spawnSync(process.execPath, ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args, ...more], {
        cwd: PACKAGE_ROOT,
        encoding: 'utf8',
      })
    expect(command('--threads', '1')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--threads') as string,
    })
    // One of the stacks is damaged.
    expect(command().status).toBe(1)
    const made = await openCubes(output)
    checkStore(made, readPatchHypes(join(PACKAGE_ROOT, 'hypes', 'lung_second.json')))
    made.close()
  })
})
