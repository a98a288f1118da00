import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { parsePatchHypes } from '../../src/config/patch_hypes.js'
import { probeEngines } from '../../src/engine/start.js'
import { NoduleError } from '../../src/errors.js'
import { trainPatches } from '../../src/training/train_patches.js'
import { loadCheckpoint, loadCheckpointOf, checkpointsIn } from '../../src/checkpoints/checkpoint.js'
import { readSafeTensors } from '../../src/formats/safetensors.js'
import { runLoop } from '../../src/training/loop.js'
import type { EntryHead, Learner } from '../../src/training/loop.js'
import type { Run } from '../../src/training/start.js'
import { train } from '../../src/training/train.js'
import type { TrainOptions } from '../../src/training/train.js'
import { readEvents } from './read_events.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { SMALL, writeSmallCubes } from '../patches/small_cubes.js'

const present = (await probeEngines()).flatMap(({ name, reason }) => (reason === undefined ? [name] : []))
const root = mkdtempSync(join(tmpdir(), 'nodule-loop-'))
afterAll(() => rmSync(root, { recursive: true }))

const HYPES = {
  ...{ image_width: 96, image_height: 64, grid_width: 3, grid_height: 2 },
  ...{ slim_basename: 'tiny', lstm_size: 16, rnn_len: 2, batch_size: 2 },
  logging: { display_iter: 2, save_iter: 100 },
  solver: { opt: 'Adam', rnd_seed: 3, max_iter: 6 },
}
const list = join(root, 'list.json')
const hypes = join(root, 'hypes.json')

beforeAll(async () => {
  const entries = []
  for (let n = 0; n < 4; n++) {
    await sharp({ create: { width: 96, height: 64, channels: 3, background: { r: 60 * n, g: 99, b: 9 } } })
      .png()
      .toFile(join(root, `${n}.png`))
    entries.push({ image_path: `${n}.png`, rects: n === 3 ? [] : [{ x1: 9 + n, y1: 9, x2: 30, y2: 30 }] })
  }
  writeFileSync(list, JSON.stringify(entries))
  writeFileSync(hypes, JSON.stringify(HYPES))
})

const run = (output: string, change: Partial<TrainOptions> = {}): ReturnType<typeof train> =>
  train({ hypes, train: list, test: list, output: join(root, output), engine: 'wasm', ...change })

async function refused(work: Promise<unknown>): Promise<NoduleError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NoduleError)
  return error as NoduleError
}

type Fake = Learner<number, { loss: number }, object, EntryHead & { loss: number }>

/** A run of nine steps of which only its newest checkpoint is kept; a batch is its number. */
async function fakeRun(
  output: string,
  change: Partial<Fake>,
  { onWarning, ...place }: Partial<Run> & Pick<TrainOptions, 'onWarning'> = {},
): Promise<unknown> {
  const logging = { display_iter: 1, save_iter: 1, histogram_iter: 0, keep_checkpoints: 1 }
  const run = {
    ...{ hypes: parseHypes({ logging }), earlier: undefined, seed: 1, firstStep: 0, lastStep: 9 },
    options: { hypes: 'h.json', output, engine: 'wasm' as const, onWarning },
    data: { train: ['list.json'], test: undefined },
    ...(place as object),
  }
  return runLoop<typeof run.hypes, number, { loss: number }, object, EntryHead & { loss: number }>(
    run,
    () => ({
      kind: 'detector',
      weights: new Map([['w', tf.variable(tf.scalar(1), true)]]),
      loadStart: async () => undefined,
      batch: (n) => n,
      batchTensors: (n) => ({
        metadata: { number: String(n) },
        tensors: new Map([['x', { shape: [1], data: Float32Array.of(n) }]]),
      }),
      step: () => ({ loss: 1 }),
      look: () => ({ look: {} }),
      score: () => undefined,
      entry: (head, { loss }) => ({ ...head, loss }),
      tags: { lr: 'learning_rate', loss: 'train/loss' },
      line: ({ step }) => `Step: ${step}`,
      dispose: () => undefined,
      ...change,
    }),
  )
}

describe('the loop', () => {
  it('ends where the loss is not finite, and saves what the step saw', async () => {
    const output = join(root, 'diverges')
    const seen: number[] = []
    const work = fakeRun(output, {
      step: ([n]) => {
        seen.push(n!)
        if (n === 2) throw new NoduleError('NUMERIC', 'the loss is not finite', { place: 'step 2' })
        return { loss: 1 }
      },
    })
    const error = await refused(work)
    const path = join(output, 'batch-000002-0.safetensors')
    expect([error.code, error.message]).toEqual([
      'NUMERIC',
      `step 2: the loss is not finite; what it saw: ${path}`,
    ])
    expect(seen).toEqual([0, 1, 2])
    expect(await readSafeTensors(path)).toEqual({
      metadata: { number: '2' },
      tensors: new Map([['x', { shape: [1], data: Float32Array.of(2) }]]),
    })
    expect(readdirSync(join(output, 'checkpoints'))).toContain('step-000002.safetensors')
  })

  it('saves what was trained where the data of a step or of a look cannot be read', async () => {
    const logging = { display_iter: 2, save_iter: 100, histogram_iter: 0 }
    const unreadable = (): never => {
      throw new NoduleError('FILE', 'cannot read image')
    }
    const batch = (n: number): number => (n === 3 ? unreadable() : n)
    const look: Fake['look'] = ({ step }) => (step === 4 ? unreadable() : { look: {} })
    for (const [name, change, step] of [
      ['batch', { batch }, 3],
      ['look', { look }, 5],
    ] as const) {
      const output = join(root, `unreadable-${name}`)
      const warnings: string[] = []
      const onWarning = (warning: string): number => warnings.push(warning)
      const error = await refused(fakeRun(output, change, { hypes: parseHypes({ logging }), onWarning }))
      expect(error.message).toBe('cannot read image')
      const path = join(output, 'checkpoints', `step-00000${step}.safetensors`)
      expect(warnings).toEqual([`saved before it ends: ${path}`])
      const { progress } = await loadCheckpoint(path)
      // The log tells of steps 0 to 2; what comes after is told once the run goes on.
      expect([progress!.logged, progress!.means.count]).toEqual([3, step - 3])
    }
    // A thread that makes batches may break too, for lack of memory.
    const broken = join(root, 'broken')
    const breaks = (n: number): number => {
      if (n === 3) throw new Error('its thread ended with exit code 1')
      return n
    }
    await expect(fakeRun(broken, { batch: breaks }, { hypes: parseHypes({ logging }) })).rejects.toThrow(
      'its thread',
    )
    expect(readdirSync(join(broken, 'checkpoints'))).toContain('step-000003.safetensors')
    // Nothing was trained: nothing to save.
    await refused(fakeRun(join(root, 'unreadable'), { batch: unreadable }))
    expect(readdirSync(join(root, 'unreadable'))).not.toContain('checkpoints')
  })

  it('tells the step of numbers that are not finite, in a step as in a look', async () => {
    const fail = (): never => {
      throw new NoduleError('NUMERIC', 'a predicted box is not finite')
    }
    const inStep = await refused(fakeRun(join(root, 'inStep'), { step: fail }))
    expect(inStep.message).toMatch(/^step 0: a predicted box is not finite; what it saw: /)
    const inLook = await refused(
      fakeRun(join(root, 'inLook'), { look: ({ step }) => (step === 3 ? fail() : { look: {} }) }),
    )
    expect(inLook.message).toBe('step 3, the test: a predicted box is not finite')
  })

  it.each([Number.NaN, Infinity])('saves no weight that is %s, and keeps what was good', async (value) => {
    const output = join(root, `worse${value}`)
    const weight = tf.variable(tf.scalar(1), true)
    // The loss is that of the weights before the step.
    const step = ([n]: readonly number[]): { loss: number } => {
      if (n === 2) weight.assign(tf.scalar(value))
      return { loss: 1 }
    }
    const error = await refused(fakeRun(output, { step, weights: new Map([['w', weight]]) }))
    expect([error.code, error.message]).toEqual([
      'NUMERIC',
      'step 3: the weights are not finite (a lower solver.learning_rate may help): expected finite numbers to save ' +
        `but received model/w[0] ${value}`,
    ])
    const folder = join(output, 'checkpoints')
    expect(readdirSync(folder).sort()).toEqual(['last.safetensors', 'step-000002.safetensors'])
    expect((await loadCheckpoint(join(folder, 'last.safetensors'))).step).toBe(2)
  })

  it('looks at the whole test at the end, where the last step is logged anyway, and leaves no trace when it goes on', async () => {
    const set = ['logging.display_iter=1', 'logging.validate_iter=100', 'solver.early_stopping=1']
    const log = (folder: string): object[] =>
      readFileSync(join(root, folder, 'log.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => ({ ...(JSON.parse(line) as { step: number; testAp?: number }), msPerImage: 0 }))
    const looks = (folder: string): object[] =>
      log(folder)
        .map((entry) => ({ step: 0, testAp: undefined, ...entry }))
        .map(({ step, testAp }) => [step, typeof testAp])
    const part = await run('looks', { set, steps: 2 })
    expect(looks('looks')).toEqual([
      [0, 'undefined'],
      [1, 'number'],
    ])
    expect(part.last!.testAp).toBeTypeOf('number')
    const best = await loadCheckpoint(join(root, 'looks', 'checkpoints', 'best.safetensors'))
    expect([best.step, best.progress!.best!.score]).toEqual([2, part.last!.testAp])

    await run('looks', { set, steps: 4, resume: true })
    await run('looksAtOnce', { set, steps: 4 })
    expect(looks('looks').slice(-2)).toEqual([
      [2, 'undefined'],
      [3, 'number'],
    ])
    expect(log('looks')).toEqual(log('looksAtOnce'))
  })

  it('leaves the histograms of an undisturbed run where calls end at any step; one of each with several batches a step', async () => {
    const set = ['logging.histogram_iter=2', 'solver.accumulate=2', 'use_rezoom=true', 'reregress=true']
    const seen = (folder: string): string[] =>
      readEvents(join(root, folder, 'events'))
        .flatMap(({ step, values }) => values.map(({ tag }) => `${step} ${tag}`))
        .filter((line) => !line.includes('/smooth'))
        .sort()
    await run('histogramsAtOnce', { set, steps: 6 })
    const whole = seen('histogramsAtOnce')
    expect(whole.filter((line) => line.includes('gradients/tiny/conv1/weights'))).toHaveLength(3)
    expect(whole).toContain('4 train/delta_hist0_x')
    expect(new Set(whole).size).toBe(whole.length)
    // Steps 2 and 4 are each the last of a call; the second call with 3 has nothing to do.
    for (const [call, steps] of [3, 3, 5, 6].entries())
      await run('histograms', { set, steps, resume: call > 0 })
    expect(seen('histograms')).toEqual(whole)
  })

  it('a run that goes on keeps the best model of the look after its last checkpoint', async () => {
    const output = join(root, 'better')
    const path = join(output, 'checkpoints', 'best.safetensors')
    const scored = (scores: readonly number[]): Partial<Fake> => {
      let n = 0
      return {
        look: () => ({ look: { score: scores[n++] } }),
        score: (look) => (look as { score?: number }).score,
      }
    }
    const warnings: string[] = []
    const onWarning = (warning: string): number => warnings.push(warning)
    const go = async (steps: number, scores: readonly number[], resume: boolean): Promise<number> => {
      const load = async (): Promise<Run['earlier']> => {
        const newest = (await checkpointsIn(join(output, 'checkpoints')))[0]!
        return { ...(await loadCheckpoint(newest)), path: newest }
      }
      const from = resume ? await load() : undefined
      const place = { earlier: from, firstStep: from?.step ?? 0, lastStep: steps }
      await fakeRun(output, scored(scores), { ...place, onWarning })
      return (await loadCheckpoint(path)).progress!.best!.score
    }
    expect(await go(2, [0.5, 0.9], false)).toBe(0.9)
    expect(await go(2, [0.8], true)).toBe(0.9)
    expect(await go(4, [0.8, 0.7, 0.6], true)).toBe(0.9)
    // A file that cannot be read is no reason to stop.
    writeFileSync(path, 'damaged')
    expect(await go(5, [0.6, 0.95], true)).toBe(0.95)
    expect(warnings).toEqual([
      expect.stringMatching(/best\.safetensors: .*: the next best model replaces it$/),
    ])
  })

  it('leaves the last good checkpoint where the disk is full', async () => {
    const { checkpoint } = await run('full', { steps: 2 })
    const folder = join(root, 'full', 'checkpoints')
    const before = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))] as const)
    // A limit on the size of files stands for the full disk: writing ends in the middle of the checkpoint.
    const blocks = Math.floor(statSync(checkpoint).size / 1024 / 2)
    const args = [
      '--import',
      'tsx',
      join(PACKAGE_ROOT, 'src/cli.ts'),
      'train',
      hypes,
      '--resume',
      '--steps',
      '4',
    ]
    const all = [...args, '--train', list, '--test', list, '-o', join(root, 'full'), '--engine', 'wasm']
    const script = `ulimit -f ${blocks}; exec "$0" "$@"`
    const child = spawnSync('bash', ['-c', script, process.execPath, ...all], { encoding: 'utf8' })
    expect(child.stderr).toMatch(/step-000004\.safetensors: cannot write: /)
    expect(child.status).toBe(1)
    expect(readdirSync(folder)).toEqual(before.map(([name]) => name))
    for (const [name, bytes] of before)
      expect(readFileSync(join(folder, name)).equals(bytes), name).toBe(true)
    const after = await run('full', { resume: true, steps: 4 })
    const whole = await run('enough', { steps: 4 })
    const [a, b] = [await loadCheckpoint(after.checkpoint), await loadCheckpoint(whole.checkpoint)]
    expect([...a.tensors]).toEqual([...b.tensors])
  }, 60_000)

  it('freezes layers with their averages, and says which pattern fits none', async () => {
    const set = ['solver.freeze=["tiny/conv1"]']
    const [start, end] = [await run('cold', { steps: 0 }), await run('frozen', { set })]
    const [a, b] = [await loadCheckpoint(start.checkpoint), await loadCheckpoint(end.checkpoint)]
    const moved = [...a.tensors.keys()].filter(
      (name) => a.tensors.get(name)!.data.join() !== b.tensors.get(name)?.data.join(),
    )
    expect(moved.length).toBeGreaterThan(10)
    expect(moved.filter((name) => name.startsWith('model/tiny/conv1/'))).toEqual([])
    expect(moved).toContain('model/tiny/conv2/BatchNorm/moving_mean')
    expect([...b.tensors.keys()].filter((name) => /^optimizer\/.*conv1\//.test(name))).toEqual([])
    const error = await refused(run('nothing', { set: ['solver.freeze=["conv1"]'] }))
    expect([error.code, error.place]).toEqual(['FORMAT', 'solver.freeze[0]'])
  })

  it.each(present)(
    'averages the gradients of solver.accumulate batches, resumed or not, on %s',
    async (engine) => {
      const change = { engine, set: ['solver.accumulate=3', 'batch_size=1'] }
      const whole = await run(`three-${engine}`, { ...change, steps: 4 })
      await run(`threeParts-${engine}`, { ...change, steps: 2 })
      const parts = await run(`threeParts-${engine}`, { ...change, steps: 4, resume: true })
      const one = await run(`one-${engine}`, { engine, set: ['batch_size=1'], steps: 4 })
      const [a, b, c] = await Promise.all([whole, parts, one].map(async (r) => loadCheckpoint(r.checkpoint)))
      expect([...b!.tensors]).toEqual([...a!.tensors])
      expect([...c!.tensors]).not.toEqual([...a!.tensors])
    },
  )
})

it('keeps the newest checkpoints and the best, and ends early', async () => {
  const [cubes, others] = [
    await writeSmallCubes(join(root, 'train'), 40, 1),
    await writeSmallCubes(join(root, 'test'), 20, 2),
  ]
  const path = join(root, 'patches.json')
  const logging = { display_iter: 5, test_iter: 10, save_iter: 10, keep_checkpoints: 2 }
  const solver = { ...SMALL.solver, max_iter: 400, early_stopping: 3 }
  writeFileSync(path, JSON.stringify({ ...SMALL, logging, solver }))
  const lines: string[] = []
  const onLine = (line: string): number => lines.push(line)
  const o = { hypes: path, train: cubes, test: others, engine: 'wasm' } as const
  const result = await trainPatches({ ...o, output: join(root, 'best'), onLine })
  expect(result.step).toBeLessThan(400)
  const load = async (name: string): Promise<Awaited<ReturnType<typeof loadCheckpointOf>>> =>
    loadCheckpointOf(join(root, 'best', 'checkpoints', name), 'patches', parsePatchHypes)
  const log = readFileSync(join(root, 'best', 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { step: number; testAuc?: number })
  const looks = log.filter(({ testAuc }) => testAuc !== undefined)
  const highest = Math.max(...looks.map(({ testAuc }) => testAuc!))
  const first = looks.find(({ testAuc }) => testAuc === highest)!
  const best = await load('best.safetensors')
  expect([best.step, best.progress!.best]).toEqual([
    first.step + 1,
    { score: highest, step: first.step + 1, stale: 0 },
  ])
  // Three looks, 10 steps apart, were no better.
  expect(result.step).toBe(first.step + 1 + 30)
  expect(lines).toContain(
    `no better look at the test since step ${best.step}: the run ends (solver.early_stopping)`,
  )
  expect(readdirSync(join(root, 'best', 'checkpoints')).sort()).toEqual([
    'best.safetensors',
    'last.safetensors',
    ...[Math.floor(result.step / 10) * 10, result.step].map(
      (step) => `step-${String(step).padStart(6, '0')}.safetensors`,
    ),
  ])

  // Cut and resumed, the same.
  await trainPatches({ ...o, output: join(root, 'cut'), steps: 13 })
  const resumed = await trainPatches({ ...o, output: join(root, 'cut'), resume: true })
  expect(resumed.step).toBe(result.step)
}, 120_000)
