import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import sharp from 'sharp'
import { afterAll, expect, it } from 'vitest'
import type { LogEntry } from '../../src/training/log.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { readScalars } from './read_events.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-killed-'))
afterAll(() => rmSync(root, { recursive: true }))

const HYPES = {
  ...{ image_width: 96, image_height: 64, grid_width: 3, grid_height: 2 },
  ...{ slim_basename: 'tiny', lstm_size: 16, rnn_len: 2, batch_size: 1 },
  logging: { display_iter: 1, save_iter: 4 },
  solver: { opt: 'Adam', rnd_seed: 3, max_iter: 1e6 },
}

it('after SIGKILL and --resume, log and events hold every step once', async () => {
  await sharp({ create: { width: 96, height: 64, channels: 3, background: 'gray' } })
    .png()
    .toFile(join(root, 'a.png'))
  const list = join(root, 'list.json')
  writeFileSync(list, JSON.stringify([{ image_path: 'a.png', rects: [{ x1: 9, y1: 9, x2: 30, y2: 30 }] }]))
  const hypes = join(root, 'hypes.json')
  writeFileSync(hypes, JSON.stringify(HYPES))
  const run = join(root, 'run')
  const cli = ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), 'train', hypes]
  const args = [...cli, '--train', list, '-o', run, '--engine', 'wasm']

  // Killed when steps after a checkpoint are logged: they will be done again.
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)))
  for await (const line of createInterface({ input: child.stdout }))
    if (line.startsWith('Step: 6,')) child.kill('SIGKILL')
  expect(await ended).toBe('SIGKILL')
  const checkpoints = readdirSync(join(run, 'checkpoints')).filter((name) => /^step-\d+\.saf/.test(name))
  const saved = Math.max(...checkpoints.map((name) => Number.parseInt(name.slice(5), 10)))
  const logged = (): number[] =>
    readFileSync(join(run, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as LogEntry).step)
  expect(saved % 4).toBe(0)
  const steps = Math.max(saved, ...logged()) + 2

  const resumed = spawnSync(process.execPath, [...args, '--resume', '--steps', String(steps)], {
    encoding: 'utf8',
  })
  expect(resumed.stderr).toBe('')
  expect(resumed.stdout).toContain(`Step: ${saved},`)
  const all = Array.from({ length: steps }, (_, step) => step)
  expect(logged()).toEqual(all)
  const scalars = readScalars(join(run, 'events'))
  expect(scalars['train/loss']!.map(([step]) => step)).toEqual(all)
  expect(scalars['learning_rate']).toHaveLength(steps)
})
