import { existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parsePatchHypes } from '../../src/config/patch_hypes.js'
import { NoduleError } from '../../src/errors.js'
import { readSafeTensors } from '../../src/formats/safetensors.js'
import { createSampler } from '../../src/patches/batches.js'
import { areaUnderCurve, openCubes, writeCubes } from '../../src/patches/index.js'
import type { CubeRecord } from '../../src/patches/index.js'
import type { Reach } from '../../src/patches/cube.js'
import { trainPatches } from '../../src/training/train_patches.js'
import type { TrainPatchesOptions, TrainPatchesResult } from '../../src/training/train_patches.js'
import { checkpointKind, loadCheckpoint, loadCheckpointOf } from '../../src/checkpoints/checkpoint.js'
import { SMALL, smallHypes, temporaryFolder, writeHypes, writeSmallCubes } from '../patches/small_cubes.js'

const root = temporaryFolder()
let cubes: string
let others: string
const hypes = writeHypes(root)

beforeAll(async () => {
  cubes = await writeSmallCubes(join(root, 'train'), 40, 1)
  others = await writeSmallCubes(join(root, 'test'), 20, 2)
})
afterAll(() => rmSync(root, { recursive: true }))

async function run(name: string, o: Partial<TrainPatchesOptions> = {}): Promise<TrainPatchesResult> {
  return trainPatches({ hypes, train: cubes, output: join(root, name), engine: 'wasm', ...o })
}

async function refused(work: Promise<unknown>): Promise<NoduleError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NoduleError)
  return error as NoduleError
}

describe('training the second stage', () => {
  it('learns 40 cubes in seconds, and tells balls from rods that it has not seen', async () => {
    const lines: string[] = []
    const result = await run('overfit', { test: others, onLine: (line) => lines.push(line) })
    expect(result.step).toBe(120)
    expect(result.last!.loss).toBeLessThan(0.2)
    expect(result.last!.testAuc).toBeGreaterThan(0.95)
    expect(result.last!.testLoss).toBeLessThan(0.3)
    expect(lines.at(-1)).toMatch(/^Step: 119, lr: .*, Train Loss: 0\.\d+, Test Loss: .*, Test AUC: /)
    const logged = readFileSync(join(root, 'overfit', 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
    expect(JSON.parse(logged.at(-1)!)).toEqual(result.last)
    expect(await checkpointKind(result.checkpoint)).toBe('patches')
    const error = await refused(loadCheckpoint(result.checkpoint))
    expect(error.message).toContain('a checkpoint of another kind')
    expect(error.message).toContain('expected "detector" but received "patches"')
  }, 60_000)

  it('tells of volumes and patients of the test that are trained on too', async () => {
    const warnings: string[] = []
    const o = { steps: 0, onWarning: (warning: string) => warnings.push(warning) }
    const why = 'with the training: it does not tell how the model does on others'
    await run('sameFolder', { ...o, test: cubes })
    // Phantoms of other seeds have the same numbers.
    const own = (n: number): object => ({
      patientId: n === 3 ? 'P7' : `PHANTOM-${n}`,
      seriesInstanceUid: `2.${n}`,
    })
    const alike = await writeSmallCubes(join(root, 'alike'), 6, 3, undefined, undefined, own)
    await run('samePatient', { ...o, train: [others, cubes], test: alike })
    expect(warnings).toEqual([
      `${cubes}: the test shares 40 of 40 volumes (such as 1 0) and 40 of 40 patients (such as P0) ${why}`,
      `${alike}: the test shares 1 of 6 patients (P7) ${why}`,
    ])
  })

  it('starts from the weights of another run, or tells which keys and tensors differ', async () => {
    const first = await run('first', { steps: 2 })
    const start = { set: [`solver.weights=${first.checkpoint}`], steps: 0 }
    const second = await run('second', start)
    const [a, b] = await Promise.all(
      [first, second].map(async ({ checkpoint }) => readSafeTensors(checkpoint)),
    )
    for (const [name, tensor] of a!.tensors)
      if (name.startsWith('model/')) expect(b!.tensors.get(name), name).toEqual(tensor)
    const error = await refused(run('denser', { ...start, set: [...start.set, 'dense=5', 'batch_size=3'] }))
    expect(error.message).toMatch(
      /solver\.weights: a checkpoint of other hypes: dense \(\d+ there, 5 here\): expected .* has in another shape .*\[\d+, 5\] here.*; possible solutions: give the keys the values that they have there$/,
    )
  })

  it('looks at the test every test_iter steps, and writes histograms, whatever display_iter is', async () => {
    const set = ['logging.display_iter=5', 'logging.test_iter=4', 'logging.histogram_iter=6']
    await run('looks', { test: others, set, steps: 11 })
    const entries = readFileSync(join(root, 'looks', 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { step: number; testAuc?: number })
    expect(entries.map(({ step }) => step)).toEqual([0, 4, 5, 6, 8, 10])
    expect(entries.filter(({ testAuc }) => testAuc !== undefined).map(({ step }) => step)).toEqual([
      0, 4, 8, 10,
    ])
    // Without a test there is nothing to look at.
    const warnings: string[] = []
    const onWarning = (warning: string): number => warnings.push(warning)
    await run('noLooks', { set: [...set, 'solver.early_stopping=1'], steps: 5, onWarning })
    expect(warnings).toEqual([`${hypes}: solver.early_stopping has no effect without a test`])
    const ofOne = (): object => ({ labels: { nodule: 1 } })
    const strangers = (n: number): object => ({ patientId: `B${n}` })
    const balls = await writeSmallCubes(join(root, 'balls'), 4, 3, ofOne, undefined, strangers)
    await run('oneKind', { test: balls, set: [...set, 'solver.early_stopping=1'], steps: 1, onWarning })
    expect(warnings.slice(1)).toEqual([
      `${hypes}: solver.early_stopping has no effect with a test of nodules alone, or without any`,
    ])
    const steps = readFileSync(join(root, 'noLooks', 'log.jsonl'), 'utf8').match(/"step":\d+/g)
    expect(steps).toEqual(['"step":0', '"step":4'])
  })

  it('gives the same weights when it is interrupted and resumed, moving averages included', async () => {
    const whole = await run('whole', { steps: 12 })
    await run('parts', { steps: 5 })
    const resumed = await run('parts', { steps: 12, resume: true })
    const [a, b] = await Promise.all(
      [whole, resumed].map(async ({ checkpoint }) =>
        loadCheckpointOf(checkpoint, 'patches', parsePatchHypes),
      ),
    )
    expect([...b!.tensors.keys()]).toEqual([...a!.tensors.keys()])
    expect([...a!.tensors.keys()].filter((name) => name.startsWith('optimizer/raw/')).length).toBeGreaterThan(
      10,
    )
    for (const [name, tensor] of a!.tensors)
      expect([name, b!.tensors.get(name)!.data]).toEqual([name, tensor.data])
    const average = a!.tensors.get('model/head/dense/weights')!.data
    expect(average).not.toEqual(a!.tensors.get('optimizer/raw/head/dense/weights')!.data)
  }, 60_000)

  it('goes on by the hypes and the cubes that it was started with where none are given', async () => {
    const warnings: string[] = []
    const onWarning = (warning: string): number => warnings.push(warning)
    await run('own-hypes', { steps: 2, set: ['solver.learning_rate=0.01'], train: [cubes, others] })
    const output = join(root, 'own-hypes')
    const o = { output, resume: true, engine: 'wasm', steps: 4, onWarning } as const
    await expect(trainPatches(o)).resolves.toMatchObject({ step: 4 })
    expect(warnings).toEqual([])
    const error = await refused(trainPatches({ hypes, output: join(root, 'none'), engine: 'wasm' }))
    expect(error.message).toContain('no cubes to train on: expected a folder of cubes')
  })

  it('starts from the weights of solver.weights, which lies beside the hypes or in the working directory', async () => {
    const { checkpoint } = await run('parent', { steps: 3 })
    const from = { weights: join('parent', 'checkpoints', basename(checkpoint)) }
    const child = join(root, 'child.json')
    writeFileSync(child, JSON.stringify({ ...SMALL, solver: { ...SMALL.solver, ...from } }))
    const weights = async (path: string): Promise<[string, unknown][]> =>
      [...(await loadCheckpointOf(path, 'patches', parsePatchHypes)).tensors]
        .filter(([name]) => name.startsWith('model/'))
        .map(([name, { data }]) => [name, data])
    const start = await run('child', { hypes: child, steps: 0, seed: 5 })
    const own = await run('own', { steps: 0, seed: 5 })
    expect(await weights(start.checkpoint)).toEqual(await weights(checkpoint))
    expect(await weights(own.checkpoint)).not.toEqual(await weights(checkpoint))
    const named = { set: [`solver.weights=${relative(process.cwd(), checkpoint)}`], steps: 0, seed: 5 }
    expect(await weights((await run('named', named)).checkpoint)).toEqual(await weights(checkpoint))

    const missing = join(root, 'orphan.json')
    writeFileSync(missing, JSON.stringify({ ...SMALL, solver: { weights: 'none.safetensors' } }))
    const error = await refused(run('orphan', { hypes: missing }))
    expect(error.code).toBe('FILE')
    expect(error.message).toContain(join(root, 'none.safetensors'))
  }, 60_000)

  it('refuses cubes of other hypes, cubes of one kind, and another run', async () => {
    const wider = writeHypes(temporaryFolder(), { cube: { planes: 7, plane_mm: 2, size: 16, pixel_mm: 1 } })
    const error = await refused(run('wider', { hypes: wider }))
    expect(error.code).toBe('FORMAT')
    expect(error.message).toContain('the cubes were made for other hypes')
    expect(existsSync(join(root, 'wider'))).toBe(false)

    const same = await writeSmallCubes(join(root, 'same'), 4, 3, () => ({ labels: { nodule: 1 } }))
    expect((await refused(run('same', { train: same, output: join(root, 'same-run') }))).message).toContain(
      'the cubes hold no marks or background without a nodule',
    )
    await run('again', { steps: 1 })
    expect((await refused(run('again', { steps: 2 }))).message).toContain('the folder holds another run')
  }, 60_000)
})

describe('the sampler', () => {
  it('draws the same batch for a step, by the shares of the hypes', async () => {
    const store = await openCubes(cubes)
    const settings = smallHypes({
      batch_size: 400,
      sampling: { positive_share: 0.25, label_smoothing: 0 },
    })
    const sampler = createSampler(store, settings, 7)
    expect([sampler.nodules, sampler.others]).toEqual([20, 20])
    const { labels, cubes: values } = sampler.batch(3)
    const same = (other: Float32Array): boolean =>
      Buffer.from(other.buffer).equals(Buffer.from(values.buffer))
    expect(same(sampler.batch(3).cubes)).toBe(true)
    expect(same(sampler.batch(4).cubes)).toBe(false)
    const positive = labels.reduce((sum, label) => sum + label, 0) / labels.length
    expect(positive).toBeGreaterThan(0.18)
    expect(positive).toBeLessThan(0.32)
    store.close()
  })

  it('draws nodules of 12 mm and more sampling.large_weight times as often', async () => {
    const folder = await writeSmallCubes(join(root, 'large'), 40, 6, (n, ball) =>
      ball ? { axialDiameterMm: n === 0 ? 12 : 11.9 } : {},
    )
    const store = await openCubes(folder)
    const drawn = new Map<number, number>()
    const counted = {
      ...store,
      read: (index: number): Uint8Array => {
        drawn.set(index, (drawn.get(index) ?? 0) + 1)
        return store.read(index)
      },
    }
    const settings = smallHypes({ batch_size: 600, sampling: { positive_share: 1, large_weight: 5 } })
    createSampler(counted, settings, 1).batch(0)
    // 5 of 5 + 19 weights.
    expect(drawn.get(0)! / 600).toBeGreaterThan(0.15)
    expect(drawn.get(0)! / 600).toBeLessThan(0.27)
    store.close()
  })

  it.each([
    ['as often as is wanted', 8, 0.2, 0.8],
    ['whole ones four times as often as they are there at most', 80, 0.2, 0.1],
  ])(
    'cuts nodules and others alike, so that how far they reach tells nothing: %s',
    async (_, every, cut, uncut) => {
      // Most of the nodules are of stacks, in the middle; half of the others, beside it.
      const wide: Reach['sides'] = [20, 20, 20, 20]
      const left: Reach = { ends: [0, 4], sides: [4, 20, 20, 20] }
      const above: Reach = { ends: [4, 0], sides: wide }
      const folder = await writeSmallCubes(
        join(root, `reach-${every}`),
        80,
        5,
        (n, ball): Partial<CubeRecord> => {
          if (ball) return n % every === 0 ? {} : { reach: { ends: [2, 2], sides: wide } }
          return n % 4 === 1 ? { reach: n % 8 === 1 ? left : above } : {}
        },
      )
      const store = await openCubes(folder)
      const settings = smallHypes({
        batch_size: 1000,
        sampling: { label_smoothing: 0, hard_weight: 1 },
        augment: {
          rotate: false,
          mirror: false,
          scale: 0,
          shift_px: 0,
          shift_planes: 0,
          noise: 0,
          z_truncation: cut,
        },
      })
      const { cubes: values, labels } = createSampler(store, settings, 1).batch(0)
      store.close()
      const pixels = 16 * 16
      const drawn = [0, 0]
      const kinds = [new Map<string, number>(), new Map<string, number>()]
      labels.forEach((label, row) => {
        const cube = values.subarray(row * pixels * 5, (row + 1) * pixels * 5)
        const same = (a: number, b: number, step: number): boolean => {
          for (let n = 0; n < pixels; n += step) if (cube[n * 5 + a] !== cube[n * 5 + b]) return false
          return true
        }
        // Planes lie 2 mm apart; the first column is the second again where the cube reaches 4 mm to the left.
        const kind = [same(0, 1, 1), same(1, 2, 1), same(3, 2, 1), same(4, 3, 1), same(2, 7, 16)].join(' ')
        drawn[label]!++
        kinds[label]!.set(kind, (kinds[label]!.get(kind) ?? 0) + 1)
      })
      const share = (label: number, kind: string): number => (kinds[label]!.get(kind) ?? 0) / drawn[label]!
      // Whole, ended below and cut at the left, ended above: of the cut ones half each.
      const all = new Set(kinds.flatMap((counts) => [...counts.keys()]))
      expect(all).toEqual(
        new Set(['false false false false false', 'true true false true true', 'true false true true false']),
      )
      for (const kind of all) {
        expect(share(0, kind)).toBeCloseTo(share(1, kind), 0.9)
        expect(share(1, kind)).toBeCloseTo(kind.startsWith('true') ? (1 - uncut) / 2 : uncut, 0.9)
      }
    },
  )
})

describe('a folder of cubes', () => {
  it('goes on after an interruption in the middle of a source', async () => {
    const folder = await writeSmallCubes(join(root, 'cut'), 6, 9)
    const { header } = await openCubes(folder)
    const store = await openCubes(folder)
    const fourth = store.read(3)
    // As it lies while it is written: the fifth source's line is cut off, and the bytes go further.
    const index = readFileSync(join(folder, 'cubes.jsonl'), 'utf8').split('\n')
    writeFileSync(join(folder, 'cubes.jsonl.part'), [...index.slice(0, 5), index[5]!.slice(0, 40)].join('\n'))
    writeFileSync(join(folder, 'cubes.bin.part'), readFileSync(join(folder, 'cubes.bin')))
    for (const name of ['cubes.jsonl', 'cubes.bin']) rmSync(join(folder, name))
    expect((await refused(openCubes(folder))).message).toContain('the cubes are not finished')
    expect((await refused(writeCubes(folder, header, { resume: false }))).message).toContain(
      'the folder holds cubes',
    )
    const writer = await writeCubes(folder, header, { resume: true })
    expect([...writer.done]).toEqual(['9 0', '9 1', '9 2', '9 3'])
    await writer.add({ ...store.sources[4]!, key: 'new' }, store.read(3))
    await writer.finish()
    store.close()
    const again = await openCubes(folder)
    expect(again.cubes).toHaveLength(5)
    expect(again.read(3)).toEqual(fourth)
    expect(again.read(4)).toEqual(fourth)
    again.close()
    const other = { ...header, model: 'second' }
    expect((await refused(writeCubes(folder, other, { resume: true }))).message).toContain(
      'were made otherwise',
    )
  })

  it.each<[string, (folder: string) => void, number]>([
    ['finishing', (folder) => renameSync(join(folder, 'cubes.jsonl'), join(folder, 'cubes.jsonl.part')), 3],
    ['resuming', (folder) => renameSync(join(folder, 'cubes.bin'), join(folder, 'cubes.bin.part')), 3],
    [
      'beginning',
      (folder) => {
        const [header] = readFileSync(join(folder, 'cubes.jsonl'), 'utf8').split('\n')
        for (const name of ['cubes.jsonl', 'cubes.bin']) rmSync(join(folder, name))
        writeFileSync(join(folder, 'cubes.jsonl.part'), `${header}\n`)
      },
      0,
    ],
  ])('goes on where the run was killed in the middle of %s', async (name, leave, count) => {
    const folder = await writeSmallCubes(join(root, name), 3, 10)
    const store = await openCubes(folder)
    store.close()
    leave(folder)
    expect((await refused(openCubes(folder))).message).toContain('the cubes are not finished')
    const writer = await writeCubes(folder, store.header, { resume: true })
    expect(writer.cubes).toBe(count)
    await writer.finish()
    const again = await openCubes(folder)
    expect(again.sources).toEqual(store.sources.slice(0, count))
    again.close()
  })

  it('that is damaged is refused with the place', async () => {
    const folder = await writeSmallCubes(join(root, 'damaged'), 2, 11)
    const path = join(folder, 'cubes.jsonl')
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replace('"labels":{"nodule":0}', '"labels":{"nodul":0}'))
    const wrong = await refused(openCubes(folder))
    expect(wrong.message).toContain('cubes.jsonl: line 3 /cubes/0/labels: not an index of cubes')
    expect(wrong.message).toContain('expected of nodule but received "nodul"')
    writeFileSync(path, text)
    truncateSync(join(folder, 'cubes.bin'), 100)
    const error = await refused(openCubes(folder))
    expect(error.message).toContain('the cubes do not fit their index')
    expect(error.message).toContain('received 100 bytes')
  })
})

describe('areaUnderCurve', () => {
  it('counts pairs in order, ties half', () => {
    expect(areaUnderCurve([1, 2, 3, 4], [false, true, false, true])).toBe(0.75)
    expect(areaUnderCurve([1, 1, 1], [true, false, false])).toBe(0.5)
    expect(areaUnderCurve([1, 2], [true, true])).toBeNaN()
  })
})
