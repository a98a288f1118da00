import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { checkpointName, loadCheckpoint } from '../../src/checkpoints/checkpoint.js'
import type { NoduleError } from '../../src/errors.js'
import { digestsOf } from '../../src/training/digests.js'
import { train } from '../../src/training/train.js'
import type { TrainOptions } from '../../src/training/train.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-own-start-'))
const [hypesFile, list, test] = ['hypes.json', 'list.json', 'test.json'].map((name) => join(root, name)) as [
  string,
  string,
  string,
]
beforeAll(async () => {
  const hypes = {
    ...{ image_width: 96, image_height: 64, grid_width: 3, grid_height: 2, slim_basename: 'tiny' },
    ...{ lstm_size: 16, rnn_len: 2, solver: { use_jitter: true, max_iter: 6 } },
  }
  writeFileSync(hypesFile, JSON.stringify(hypes))
  for (const [n, path] of [list, test].entries()) {
    const noise = { type: 'gaussian', mean: 90 + 40 * n, sigma: 20 } as const
    const image = sharp({ create: { width: 96, height: 64, channels: 3, background: '#444', noise } })
    await image.png().toFile(join(root, `${n}.png`))
    const rects = [{ x1: 20, y1: 20, x2: 30, y2: 32 }]
    writeFileSync(path, JSON.stringify([{ image_path: `${n}.png`, rects }]))
  }
})
afterAll(() => rmSync(root, { recursive: true }))

async function refused(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
}

const run = (output: string, change: Partial<TrainOptions> = {}): ReturnType<typeof train> =>
  train({ hypes: hypesFile, train: list, test, output: join(root, output), engine: 'wasm', ...change })

it('goes on by the hypes and the data that it was started with where none are given', async () => {
  const warnings: string[] = []
  const onWarning = (warning: string): number => warnings.push(warning)
  const set = ['solver.learning_rate=0.01', 'logging.display_iter=1']
  const output = join(root, 'own')
  const whole = await run('ownWhole', { set })
  await run('own', { set, steps: 3 })
  const resumed = await train({ output, resume: true, engine: 'wasm', onWarning })
  expect(warnings).toEqual([])
  const [a, b] = [await loadCheckpoint(whole.checkpoint), await loadCheckpoint(resumed.checkpoint)]
  for (const [name, tensor] of a.tensors) expect(b.tensors.get(name), name).toEqual(tensor)
  expect(b.hypes).toEqual(a.hypes)
  const starts = readFileSync(join(output, 'run.jsonl'), 'utf8').trim().split('\n')
  const data = starts.map((line) => JSON.parse(line) as { train: string; test: string })
  expect(data.map((one) => [one.train, one.test])).toEqual([
    ['../list.json', '../test.json'],
    ['../list.json', '../test.json'],
  ])
  // Other data and keys that may change are taken.
  const longer = { steps: 7, set: ['solver.max_iter=7'], test: join(root, 'copy.json') }
  writeFileSync(longer.test, readFileSync(test))
  await expect(train({ output, resume: true, engine: 'wasm', ...longer })).resolves.toMatchObject({
    step: 7,
  })

  // With hypes that lack what was set: the way on is told.
  const { message } = (await refused(run('own', { resume: true }))) as NoduleError
  const path = join(output, 'checkpoints', checkpointName(7))
  expect(message).toContain(
    `solver.learning_rate: the run to resume had other hypes: expected solver.learning_rate 0.01 as in ${path} but ` +
      `received solver.learning_rate 0.001; possible solutions: name no hypes: the run has its own, ${output}/hypes.json; ` +
      'give the keys what they had (set solver.learning_rate=0.01); ' +
      `begin another run with its weights (set solver.weights=${path})`,
  )
  const other = train({ output, resume: true, engine: 'wasm', set: ['clip_norm=3'] })
  const error = (await refused(other)) as NoduleError
  expect([error.path, error.place, error.remedies.length]).toEqual([
    join(output, 'hypes.json'),
    'clip_norm',
    2,
  ])
  await expect(train({ output })).rejects.toThrow(/Expected hypes file for hypes but received undefined/)
  await expect(train({ output: join(root, 'nobody'), resume: true })).rejects.toThrow(
    /there is no run to go on with: expected/,
  )
})

it('tells of a list whose content is another than at the last start', async () => {
  const warnings: string[] = []
  const output = join(root, 'told')
  const own = join(root, 'changing.json')
  const entry = { image_path: '0.png', rects: [{ x1: 20, y1: 20, x2: 30, y2: 32 }] }
  writeFileSync(own, JSON.stringify([entry]))
  await run('told', { train: own, steps: 1 })
  const resume = async (steps: number): Promise<string[]> => {
    warnings.length = 0
    await train({ output, resume: true, engine: 'wasm', steps, onWarning: (line) => warnings.push(line) })
    return warnings.filter((line) => line.includes('other data'))
  }
  expect(await resume(2)).toEqual([])
  writeFileSync(own, JSON.stringify([entry, { ...entry, image_path: '1.png' }]))
  const told = `${output}: the run goes on with other data: ../changing.json has changed since its last start`
  expect(await resume(3)).toEqual([told])
  expect(await resume(4)).toEqual([])
  // As runs of earlier versions left it, and whatever else lies there.
  const starts = join(output, 'run.jsonl')
  const { digests, ...before } = JSON.parse(readFileSync(starts, 'utf8').trim().split('\n').at(-1)!) as {
    digests: object
  }
  expect(Object.keys(digests)).toEqual(['../changing.json', '../test.json'])
  for (const other of [undefined, null, 7, { '../changing.json': 7 }]) {
    writeFileSync(starts, `${JSON.stringify({ ...before, digests: other, skipMissing: 'yes' })}\n`)
    expect(await resume(4)).toEqual([])
  }
})

it('knows a folder of cubes by its index, and nothing of what cannot be read', async () => {
  const cubes = join(root, 'cubes')
  mkdirSync(cubes)
  writeFileSync(join(cubes, 'cubes.jsonl'), 'abc')
  const data = { train: [cubes, join(root, 'gone.json')], test: root }
  expect(await digestsOf(join(root, 'run'), data)).toEqual({
    '../cubes': 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  })
})

it('leaves out images that are not there where it did so before', async () => {
  const own = join(root, 'half.json')
  const entries = ['0.png', 'gone.png'].map((image_path) => ({ image_path, rects: [] }))
  writeFileSync(own, JSON.stringify(entries))
  const output = join(root, 'half')
  await expect(run('half', { train: own, steps: 1 })).rejects.toThrow(/gone\.png/)
  await run('half', { train: own, steps: 1, skipMissing: true })
  const warnings: string[] = []
  const more = { steps: 2, onWarning: (line: string) => warnings.push(line) }
  await train({ output, resume: true, engine: 'wasm', ...more })
  await run('half', { train: own, resume: true, ...more })
  expect(warnings.filter((line) => line.includes('1 image is missing and skipped'))).toHaveLength(2)
  const strict = train({ output, resume: true, engine: 'wasm', skipMissing: false })
  await expect(strict).rejects.toThrow(/gone\.png/)
})
