import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { probeEngines } from '../../src/engine/start.js'
import { checkpointName, checkpointsIn, loadCheckpoint } from '../../src/checkpoints/checkpoint.js'
import { sha256 } from '../../src/hash.js'
import { train } from '../../src/training/train.js'
import type { TrainOptions } from '../../src/training/train.js'
import { VERSION } from '../../src/version.js'
import { readScalars } from './read_events.js'

const absent = new Map((await probeEngines()).map(({ name, reason }) => [name, reason]))
let root = ''
let hypesFile = ''
let list = ''

const HYPES = {
  image_width: 96,
  image_height: 64,
  grid_width: 3,
  grid_height: 2,
  slim_basename: 'tiny',
  lstm_size: 16,
  rnn_len: 2,
  batch_size: 2,
  logging: { display_iter: 2, save_iter: 100 },
  solver: { opt: 'Adam', use_jitter: true, rnd_seed: 3, max_iter: 6 },
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'nodule-train-'))
  hypesFile = join(root, 'hypes.json')
  writeFileSync(hypesFile, JSON.stringify(HYPES))
  const entries = []
  for (let n = 0; n < 5; n++) {
    const pixels = Buffer.alloc(96 * 64 * 3, 40)
    const [x, y] = [10 + n * 15, 10 + n * 8]
    for (let j = 0; j < 12; j++) pixels.fill(200, ((y + j) * 96 + x) * 3, ((y + j) * 96 + x + 12) * 3)
    await sharp(pixels, { raw: { width: 96, height: 64, channels: 3 } })
      .png()
      .toFile(join(root, `${n}.png`))
    entries.push({ image_path: `${n}.png`, rects: [{ x1: x, y1: y, x2: x + 12, y2: y + 12 }] })
  }
  list = join(root, 'list.json')
  writeFileSync(list, JSON.stringify(entries))
})

afterAll(() => {
  rmSync(root, { recursive: true, force: true })
})

const run = (output: string, change: Partial<TrainOptions> = {}): ReturnType<typeof train> =>
  train({ hypes: hypesFile, train: list, test: list, output: join(root, output), engine: 'wasm', ...change })

/** These runs are tested on what they are trained on. */
const unlessShared = (warnings: string[]) => (warning: string) => {
  if (!warning.includes('the test shares')) warnings.push(warning)
}

describe('train', () => {
  const engines = (['wasm', 'native'] as const).map((engine) => ({ engine, absent: absent.get(engine) }))
  describe.each(engines)('on $engine', ({ engine, absent }) => {
    it.skipIf(absent !== undefined)('gives bit for bit the same weights, resumed or not', async () => {
      const change = { engine }
      for (const folder of ['whole', 'parts']) rmSync(join(root, folder), { recursive: true, force: true })
      const whole = await run('whole', change)
      await run('parts', { steps: 3, ...change })
      const resumed = await run('parts', { resume: true, ...change })
      expect([whole.step, resumed.step]).toEqual([6, 6])
      const [a, b] = [await loadCheckpoint(whole.checkpoint), await loadCheckpoint(resumed.checkpoint)]
      expect([...b.tensors.keys()]).toEqual([...a.tensors.keys()])
      for (const [name, tensor] of a.tensors) expect(b.tensors.get(name), name).toEqual(tensor)
      expect([a.step, a.seed, a.engine, a.hypes.lstm_size]).toEqual([6, 3, engine, 16])
      expect([...a.tensors.keys()].filter((name) => name.startsWith('optimizer/m/')).length).toBeGreaterThan(
        20,
      )

      const steps = (folder: string): number[] =>
        readFileSync(join(root, folder, 'log.jsonl'), 'utf8')
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as { step: number }).step)
      // Every second step and the last one.
      expect(steps('parts')).toEqual([0, 2, 4, 5])
      expect(steps('whole')).toEqual([0, 2, 4, 5])
      const events = readScalars(join(root, 'parts', 'events'))
      expect(events['train/loss']!.map(([step]) => step)).toEqual([0, 2, 4, 5])
    })
  })

  const native = absent.get('native')
  it.skipIf(native !== undefined)(
    'with a moving average: resumed or not the same; the model is the average, the weights lie beside it',
    async () => {
      const change = { engine: 'native' as const, set: ['solver.ema_decay=0.9', 'solver.opt=AdamW'] }
      for (const folder of ['average', 'averageParts'])
        rmSync(join(root, folder), { recursive: true, force: true })
      const whole = await run('average', change)
      await run('averageParts', { steps: 3, ...change })
      const resumed = await run('averageParts', { resume: true, ...change })
      const [a, b] = [await loadCheckpoint(whole.checkpoint), await loadCheckpoint(resumed.checkpoint)]
      for (const [name, tensor] of a.tensors) expect(b.tensors.get(name), name).toEqual(tensor)
      const name = [...a.tensors.keys()].find((key) => key.startsWith('model/') && key.endsWith('/weights'))!
      const raw = a.tensors.get(name.replace('model/', 'optimizer/raw/'))!
      expect(raw.shape).toEqual(a.tensors.get(name)!.shape)
      expect(raw.data).not.toEqual(a.tensors.get(name)!.data)
    },
  )

  it('prints the log line of TensorBox', async () => {
    const lines: string[] = []
    await run('lines', { steps: 1, onLine: (line) => lines.push(line) })
    expect(lines.at(-1)).toMatch(
      /^Step: 0, lr: 0\.001000, Train Loss: \d+\.\d\d, Softmax Test Accuracy: \d+\.\d%, Time\/image \(ms\): \d+\.\d$/,
    )
    // Without a test list there is no accuracy to tell of.
    await run('untested', { steps: 1, test: undefined, onLine: (line) => lines.push(line) })
    expect(lines.at(-1)).toMatch(
      /^Step: 0, lr: 0\.001000, Train Loss: \d+\.\d\d, Time\/image \(ms\): \d+\.\d$/,
    )
  })

  it('records what each start of a run used', async () => {
    await run('starts', { steps: 1 })
    await run('starts', { steps: 2, resume: true })
    const lines = readFileSync(join(root, 'starts', 'run.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const start = {
      nodule: VERSION,
      node: process.versions.node,
      engine: 'wasm',
      seed: 3,
      // Relative to the run: no names of this machine.
      train: relative(join(root, 'starts'), list),
      test: relative(join(root, 'starts'), list),
      digests: { [relative(join(root, 'starts'), list)]: sha256(readFileSync(list)) },
    }
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { ...start, step: 0, time: expect.any(String) },
      { ...start, step: 1, time: expect.any(String) },
    ])
    // A line that was cut off when the machine stopped does not spoil the next one.
    appendFileSync(join(root, 'starts', 'run.jsonl'), '{"time":"20')
    await run('starts', { steps: 3, resume: true })
    const after = readFileSync(join(root, 'starts', 'run.jsonl'), 'utf8').split('\n')
    expect(JSON.parse(after.at(-2)!)).toEqual({ ...start, step: 2, time: expect.any(String) })
  })

  it('another seed gives other weights; no steps give the start', async () => {
    const [a, b] = await Promise.all(
      [1, 2].map(async (seed) => loadCheckpoint((await run(`seed${seed}`, { steps: 0, seed })).checkpoint)),
    )
    expect([a!.step, a!.seed, b!.seed]).toEqual([0, 1, 2])
    const name = 'model/tiny/conv1/weights'
    expect(a!.tensors.get(name)).not.toEqual(b!.tensors.get(name))
  })

  it('starts from the weights of a checkpoint', async () => {
    const first = await run('first', { steps: 1 })
    const other = join(root, 'other.json')
    const solver = { ...HYPES.solver, weights: first.checkpoint, rnd_seed: 9 }
    writeFileSync(other, JSON.stringify({ ...HYPES, solver }))
    const second = await run('second', { hypes: other, steps: 0 })
    const name = 'model/tiny/conv1/weights'
    const [a, b] = [await loadCheckpoint(first.checkpoint), await loadCheckpoint(second.checkpoint)]
    expect(b.tensors.get(name)).toEqual(a.tensors.get(name))
  })

  it('hands the gradients of each step out, and refuses a precision that the engine has not', async () => {
    const sizes: number[] = []
    await run('reduced', { steps: 2, reduceGradients: (flat) => sizes.push(flat.length) })
    expect(sizes.length).toBe(2)
    expect(sizes[0]).toBeGreaterThan(100_000)
    expect(sizes[1]).toBe(sizes[0])
    await expect(run('precise', { set: ['solver.precision=bfloat16'] })).rejects.toThrow(
      /hypes\.json: solver\.precision: bfloat16 cannot be computed here: .* the engine wasm/,
    )
  })

  it('refuses to resume another run, or none', async () => {
    await expect(run('nothing', { resume: true })).rejects.toThrow(/no checkpoint to resume from/)
    await run('mine', { steps: 1 })
    const changed = join(root, 'changed.json')
    writeFileSync(changed, JSON.stringify({ ...HYPES, clip_norm: 3 }))
    await expect(run('mine', { resume: true, hypes: changed })).rejects.toThrow(/changed.json: clip_norm/)
    await expect(run('mine')).rejects.toThrow(/step-000001.safetensors: the folder holds another run/)
    await expect(run('mine', { resume: true, seed: 4 })).rejects.toThrow(/another seed/)
    // How long it goes may change.
    const longer = ['solver.early_stopping=3', 'solver.max_iter=2']
    await expect(run('mine', { resume: true, set: longer })).resolves.toMatchObject({ step: 2 })
    await expect(run('none', { train: join(root, 'absent.json') })).rejects.toThrow(/absent.json/)
    await expect(run('none', { steps: -5 })).rejects.toThrow(/for steps but received -5/)
    await expect(run('none', { steps: 1.5 })).rejects.toThrow(/for steps but received 1.5/)
    await expect(run('none', { seed: -1 })).rejects.toThrow(/for seed but received -1/)
    const { train: _, ...rest } = { hypes: hypesFile, train: list, output: join(root, 'none') }
    await expect(train({ ...rest, engine: 'wasm' })).rejects.toThrow(/data.train_idl/)
  })

  it('tells of other data than before, of steps without a rate and of a patience without looks', async () => {
    const warnings: string[] = []
    const onWarning = unlessShared(warnings)
    await run('told', { steps: 1, onWarning })
    await run('told', { steps: 2, resume: true, onWarning })
    expect(warnings).toEqual([])
    const other = join(root, 'other-list.json')
    writeFileSync(other, readFileSync(list))
    await run('told', { steps: 3, resume: true, train: [list, other], test: undefined, onWarning })
    const output = join(root, 'told')
    expect(warnings.splice(0)).toEqual([
      `${output}: the run goes on with other data: its training data were ../list.json, and are ../list.json, ../other-list.json now`,
      `${output}: the run goes on with other data: its test data were ../list.json, and are none now`,
    ])
    // Whatever lies there, and the whole paths of older runs.
    for (const start of ['{"train":[1]}', '{}', JSON.stringify({ train: list, test: list })]) {
      writeFileSync(join(output, 'run.jsonl'), `${start}\n`)
      await run('told', { steps: 3, resume: true, onWarning })
      expect(warnings).toEqual([])
    }

    const set = ['solver.schedule=cosine', 'solver.max_iter=1', 'solver.early_stopping=2']
    await run('rateless', { steps: 2, set, onWarning })
    expect(warnings).toEqual([
      `${hypesFile}: from step 1 on the learning rate is 0 (solver.schedule is "cosine", and ends there): for a run of 2 steps, solver.max_iter=2`,
      `${hypesFile}: solver.early_stopping has no effect without looks at the whole test (a test list with boxes, and logging.validate_iter)`,
    ])
  })

  it('tells of boxes that are in the targets of no cell, and of a test that is trained on', async () => {
    const warnings: string[] = []
    const close = join(root, 'close.json')
    const at = (x1: number): object => ({ x1, y1: 2, x2: x1 + 5, y2: 9 })
    const entries = [...Array(10).keys()].map((n) => ({ image_path: `${n % 2}.png`, rects: [] as object[] }))
    entries[0]!.rects = [at(0), at(6), at(12)]
    const rest = { image_path: '3.png', rects: [at(0)] }
    writeFileSync(close, JSON.stringify([...entries, rest]))
    const end = join(root, 'end.json')
    writeFileSync(end, JSON.stringify([rest]))
    const onWarning = (warning: string): number => warnings.push(warning)
    await run('close', { train: close, test: end, steps: 0, onWarning })
    expect(warnings.splice(0)).toEqual([
      `${end}: the test shares 1 of 1 image (${root}/3.png) with the training: it does not tell how the model does on others`,
      `${close}: 1 of 4 boxes trains nothing where frames are shown as they are: 1 beyond rnn_len (2) in its cell`,
    ])
    // What data.truncate_data leaves out is not trained on.
    const set = ['data.truncate_data=true']
    await run('closeCut', { train: close, test: end, steps: 0, set, onWarning })
    expect(warnings).toEqual([
      `${close}: 1 of 3 boxes trains nothing where frames are shown as they are: 1 beyond rnn_len (2) in its cell`,
    ])
  })

  it('looks at the first frames of the test list alone where data.truncate_data says so', async () => {
    const long = join(root, 'long.json')
    const entries = JSON.parse(readFileSync(list, 'utf8')) as { image_path: string }[]
    const copies = entries.map((entry) => ({ ...entry, image_path: `copy-${entry.image_path}` }))
    for (const [n, { image_path: name }] of copies.entries())
      copyFileSync(join(root, entries[n]!.image_path), join(root, name))
    writeFileSync(long, JSON.stringify([...entries, ...copies, { image_path: 'absent.png', rects: [] }]))
    const set = ['data.truncate_data=true', 'logging.validate_iter=1']
    const { last } = await run('truncated', { test: long, steps: 2, set })
    expect(last!.testAp).toBeTypeOf('number')
  })

  it('refuses a test list that no look could judge before the first step; tells where there are no boxes to judge by', async () => {
    const entries = JSON.parse(readFileSync(list, 'utf8')) as object[]
    const twice = join(root, 'twice.json')
    writeFileSync(twice, JSON.stringify([...entries, entries[1]]))
    const set = ['logging.validate_iter=1']
    await expect(run('twice', { test: twice, steps: 2, set })).rejects.toMatchObject({
      code: 'FORMAT',
      path: twice,
      place: '/5/image_path',
    })
    expect(existsSync(join(root, 'twice'))).toBe(false)
    // Frames of 48 x 32 mm.
    const narrow = [...set, 'data.mm_per_pixel=0.5', 'data.tile_overlap_mm=32']
    await expect(run('twice', { steps: 2, set: narrow })).rejects.toMatchObject({
      code: 'FORMAT',
      path: hypesFile,
      place: 'data.tile_overlap_mm',
      expected:
        'less than a frame is wide and high, 32 mm, for looks at the whole test (logging.validate_iter)',
    })
    expect(existsSync(join(root, 'twice'))).toBe(false)
    await run('twice', { test: twice, steps: 1 })

    const bare = join(root, 'bare.json')
    writeFileSync(bare, JSON.stringify(entries.map((entry) => ({ ...entry, rects: [] }))))
    const warnings: string[] = []
    const onWarning = unlessShared(warnings)
    await run('bare', { test: bare, steps: 1, set: [...set, 'solver.early_stopping=2'], onWarning })
    const few = 'jitter.noise=0.1'
    await run('bareToo', {
      test: undefined,
      steps: 1,
      set: [...set, few, 'solver.use_jitter=false'],
      onWarning,
    })
    expect(warnings).toEqual([
      expect.stringContaining('solver.early_stopping has no effect'),
      `${hypesFile}: without effect: jitter.noise (solver.use_jitter is false)`,
      `${hypesFile}: logging.validate_iter has no effect without a test list`,
    ])
  })

  it('a seed is the same by the option and by the hypes', async () => {
    const set = ['data.mm_per_pixel=0.7', 'solver.use_jitter=false', 'logging.display_iter=1']
    const a = await run('bySeed', { seed: 8, steps: 2, set, test: undefined })
    const b = await run('byKey', { steps: 2, set: [...set, 'solver.rnd_seed=8'], test: undefined })
    const [one, two] = [await loadCheckpoint(a.checkpoint), await loadCheckpoint(b.checkpoint)]
    // No list of a hundred thousand differences.
    const bytes = ({ tensors }: typeof one): Buffer[] =>
      [...tensors.values()].map(({ data }) => Buffer.from(data.buffer))
    expect(Buffer.concat(bytes(one)).equals(Buffer.concat(bytes(two)))).toBe(true)
  })

  it('finds the newest checkpoint by its step', async () => {
    const folder = join(root, 'newest')
    expect(await checkpointsIn(folder)).toEqual([])
    const result = await run('newest', { steps: 1 })
    for (const step of [999999, 1000000])
      writeFileSync(join(root, 'newest', 'checkpoints', checkpointName(step)), '')
    expect((await checkpointsIn(join(root, 'newest', 'checkpoints')))[0]).toMatch(/step-1000000.safetensors$/)
    expect(result.checkpoint).toMatch(/step-000001.safetensors$/)
    // Empty, as a power loss may leave them: the run goes on from the newest that is whole.
    const warnings: string[] = []
    const after = await run('newest', {
      resume: true,
      steps: 2,
      onWarning: (warning) => warnings.push(warning),
    })
    expect(after.checkpoint).toMatch(/step-000002.safetensors$/)
    expect(warnings.join('\n')).toMatch(/step-1000000.safetensors.*; the run goes on from .*step-000001/)
  })

  it('keeps what it writes, whatever damaged checkpoints of later steps there are', async () => {
    await run('torn', { steps: 1 })
    writeFileSync(join(root, 'torn', 'checkpoints', checkpointName(5)), '')
    const set = ['logging.keep_checkpoints=1']
    const { checkpoint } = await run('torn', { steps: 2, resume: true, set })
    expect((await loadCheckpoint(checkpoint)).step).toBe(2)
    expect(existsSync(join(root, 'torn', 'checkpoints', checkpointName(1)))).toBe(false)
  })

  it('refuses a damaged checkpoint', async () => {
    const { checkpoint } = await run('damaged', { steps: 0 })
    const bytes = readFileSync(checkpoint)
    const change = (from: string, to: string): Promise<unknown> => {
      const path = join(root, 'changed.safetensors')
      writeFileSync(path, Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1'))
      return loadCheckpoint(path)
    }
    await expect(change('nodule-checkpoint/1', 'nodule-checkpoint/9')).rejects.toThrow(/__metadata__.format/)
    await expect(change('"step":"0"', '"step":"x"')).rejects.toThrow(/__metadata__.step/)
    await expect(change('\\"lstm_size\\":16', '\\"lstm_size\\":-1')).rejects.toThrow(/lstm_size/)
    await expect(change('conv1/weights', 'conv9/weights')).resolves.toBeDefined()
  })
})
