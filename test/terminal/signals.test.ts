import { fork, spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../../src/version.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-signals-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const source = (name: string): string => JSON.stringify(join(PACKAGE_ROOT, 'src', name))
const parts = (): string[] => readdirSync(folder).filter((name) => name.endsWith('.part'))

/** A program of ours in a process of its own. */
function start(...flags: string[]): { child: ChildProcessWithoutNullStreams; ended: Promise<unknown> } {
  const child = spawn(process.execPath, ['--import', 'tsx', ...flags], { cwd: PACKAGE_ROOT })
  return { child, ended: new Promise((resolve) => child.once('exit', resolve)) }
}

const SIGNALS = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const

describe.skipIf(process.platform === 'win32')('a signal', () => {
  it.each(SIGNALS)('%s leaves no file that is not whole, of a thread neither', async (signal, code) => {
    const write = (name: string): string =>
      `import { writeFileSync } from 'node:fs'
      import { temporaryFor } from ${source('temporaries.ts')}
      writeFileSync(temporaryFor(${JSON.stringify(join(folder, name))}), 'half')
      `
    const thread = join(folder, `${signal}-thread.mts`)
    writeFileSync(
      thread,
      `${write('of-a-thread')}
      import { parentPort } from 'node:worker_threads'
      parentPort.on('message', () => undefined)
      parentPort.postMessage('written')`,
    )
    const program = join(folder, `${signal}.mts`)
    writeFileSync(
      program,
      `${write('result')}
      import { Worker } from 'node:worker_threads'
      import { guardSignals } from ${source('terminal/interrupt.ts')}
      guardSignals()
      const begin = \`import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(thread)}) })\`
      new Worker(begin, { eval: true }).on('message', () => process.stdout.write('writing'))`,
    )
    const { child, ended } = start(program)
    await new Promise((resolve) => child.stdout.once('data', resolve))
    expect(parts()).toHaveLength(2)
    child.kill(signal)
    expect(await ended).toBe(code)
    expect(parts()).toEqual([])
  })

  it('a second Ctrl-C ends phantom -j 1 in the middle of a patient', async () => {
    const output = join(folder, 'phantoms')
    const { child, ended } = start('src/cli.ts', 'phantom', '-o', output, '-j', '1', '--matrix', '512')
    while (!existsSync(output)) await new Promise((resolve) => setTimeout(resolve, 20))
    child.kill('SIGINT')
    // Said at once: this thread makes no patient.
    await new Promise((resolve) => child.stderr.once('data', resolve))
    child.kill('SIGINT')
    expect(await ended).toBe(130)
    const files = readdirSync(output, { recursive: true, encoding: 'utf8' })
    expect(files.filter((name) => /\.(json|xml|part)$/.test(name))).toEqual([])
  })

  it('a process of detect -j waits for what its parent decides, and ends with it', async () => {
    const worker = fork(join(PACKAGE_ROOT, 'src/inference/job_worker.ts'), {
      ...{ cwd: PACKAGE_ROOT, execArgv: ['--import', 'tsx'], serialization: 'advanced' as const },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const ended = new Promise((resolve) => worker.once('exit', (code, signal) => resolve(code ?? signal)))
    // It answers (that there is no such model): it is at work.
    const answer = new Promise<{ kind: string }>((resolve) =>
      worker.once('message', (message) => resolve(message as { kind: string })),
    )
    worker.send({
      kind: 'start',
      model: join(folder, 'none.onnx'),
      second: 'none',
      device: 'cpu',
      threads: 1,
    })
    worker.send({ kind: 'scan', task: { scan: { paths: [] } } })
    expect(['error', 'bug', 'note', 'done']).toContain((await answer).kind)
    for (const [signal] of SIGNALS) {
      worker.kill(signal)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect([worker.exitCode, worker.signalCode]).toEqual([null, null])
    worker.disconnect()
    expect(await ended).toBe(0)
    // Most of it is loading the process's modules.
  }, 180_000)
})
