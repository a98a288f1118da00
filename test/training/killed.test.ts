import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createRandom } from '../../src/random.js'
import { loadCheckpoint } from '../../src/checkpoints/checkpoint.js'
import { train } from '../../src/training/train.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { readScalars } from './read_events.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-killed-'))
afterAll(() => rmSync(root, { recursive: true }))

const STEPS = 60
const HYPES = {
  ...{ image_width: 96, image_height: 64, grid_width: 3, grid_height: 2 },
  ...{ slim_basename: 'tiny', lstm_size: 16, rnn_len: 2, batch_size: 1 },
  // No entry falls on a checkpoint: the means go on over the gap.
  logging: { display_iter: 7, save_iter: 5 },
  solver: { opt: 'Adam', rnd_seed: 3, max_iter: STEPS, use_jitter: true, ema_decay: 0.9 },
}
const list = join(root, 'list.json')
const hypes = join(root, 'hypes.json')

beforeAll(async () => {
  const entries = []
  for (let n = 0; n < 5; n++) {
    await sharp({ create: { width: 96, height: 64, channels: 3, background: { r: 40 * n, g: 99, b: 9 } } })
      .png()
      .toFile(join(root, `${n}.png`))
    entries.push({ image_path: `${n}.png`, rects: [{ x1: 9 + n, y1: 9, x2: 30 + n, y2: 30 }] })
  }
  writeFileSync(list, JSON.stringify(entries))
  writeFileSync(hypes, JSON.stringify(HYPES))
})

/** The command in a process of its own, killed some milliseconds after its first step; true where it was. */
async function runAndKill(args: readonly string[], afterMs: number): Promise<boolean> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  let timer: Promise<unknown> | undefined
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece) => {
      text += String(piece)
      if (/Step: \d/.test(text)) timer ??= pause(afterMs).then(() => child.kill('SIGKILL'))
    })
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once('exit', (...how) => resolve(how)),
  )
  await timer
  if (signal !== 'SIGKILL') expect([code, text]).toEqual([0, expect.any(String)])
  return signal === 'SIGKILL'
}

type Entry = Record<string, number>

function logOf(folder: string): Entry[] {
  return readFileSync(join(folder, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { msPerImage: _, ...entry } = JSON.parse(line) as Entry
      return entry
    })
}

function eventsOf(folder: string): Record<string, [number, number][]> {
  const { ms_per_image: _, ...scalars } = readScalars(join(folder, 'events'))
  return scalars
}

async function checkpointsOf(folder: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for (const name of readdirSync(join(folder, 'checkpoints')).sort()) {
    const { step, tensors, progress } = await loadCheckpoint(join(folder, 'checkpoints', name))
    const means = { ...progress!.means, ms: 0 }
    found[name] = { step, tensors: [...tensors], progress: { ...progress!, means } }
  }
  return found
}

it('after SIGKILL at random moments and --resume, checkpoints, averages, log and events are those of an undisturbed run', async () => {
  const whole = join(root, 'whole')
  await train({ hypes, train: list, test: list, output: whole, engine: 'wasm' })
  const run = join(root, 'run')
  const cli = ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), 'train', hypes]
  const args = [...cli, '--train', list, '--test', list, '-o', run, '--engine', 'wasm']
  const random = createRandom(20261126)
  let kills = 0
  for (let call = 0; call < 5; call++) {
    const resume = existsSync(join(run, 'hypes.json')) ? ['--resume'] : []
    if (!(await runAndKill([...args, ...resume], random.uniform() * 250))) break
    kills++
  }
  expect(kills).toBeGreaterThan(1)
  await train({ hypes, train: list, test: list, output: run, engine: 'wasm', resume: true })

  expect(logOf(run)).toEqual(logOf(whole))
  expect(eventsOf(run)).toEqual(eventsOf(whole))
  expect(await checkpointsOf(run)).toEqual(await checkpointsOf(whole))
  expect(logOf(run).map(({ step }) => step)).toEqual([
    ...Array.from({ length: Math.ceil(STEPS / 7) }, (_, n) => 7 * n),
    STEPS - 1,
  ])
}, 420_000)

it('an interrupted run that goes on leaves no entry of its interruption', async () => {
  const o = { hypes, train: list, test: list, engine: 'wasm', steps: 20 } as const
  const [whole, parts] = [join(root, 'whole20'), join(root, 'parts20')]
  await train({ ...o, output: whole })
  await train({ ...o, output: parts, steps: 3 })
  expect(logOf(parts).map(({ step }) => step)).toEqual([0, 2])
  const stop = new AbortController()
  const onProgress = (done: number): void => {
    if (done === 12) stop.abort()
  }
  const cut = await train({ ...o, output: parts, resume: true, signal: stop.signal, onProgress })
  expect([cut.step, cut.interrupted]).toEqual([12, true])
  await train({ ...o, output: parts, resume: true })
  expect(logOf(parts)).toEqual(logOf(whole))
  expect(eventsOf(parts)).toEqual(eventsOf(whole))
})

it('a run that was killed before its first checkpoint begins anew', async () => {
  const output = join(root, 'early')
  const o = { hypes, train: list, engine: 'wasm', steps: 2, output } as const
  await train(o)
  rmSync(join(output, 'checkpoints'), { recursive: true })
  const warnings: string[] = []
  const result = await train({ ...o, resume: true, onWarning: (warning) => warnings.push(warning) })
  expect(result.step).toBe(2)
  expect(warnings).toEqual([`${output}: the run ended before its first checkpoint: it begins anew`])
  expect(logOf(output).map(({ step }) => step)).toEqual([0, 1])
})
