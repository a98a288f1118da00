import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { longWork } from '../../src/terminal/long_work.js'
import { printFailure, printLine, printNote, printResult, setOutputStyle } from '../../src/terminal/output.js'
import { timeLeft } from '../../src/terminal/progress.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { screenOf } from '../screen.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-output-'))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => {
  setOutputStyle({ json: false, quiet: false })
  process.exitCode = undefined
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

/** What goes to both streams of a terminal of 60 columns, in order. */
function terminal(): { text: () => string } {
  let text = ''
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((piece) => {
      text += String(piece)
      return true
    })
  }
  vi.stubEnv('TERM', 'xterm')
  Object.defineProperty(process.stderr, 'isTTY', { value: true, configurable: true })
  Object.defineProperty(process.stderr, 'columns', { value: 60, configurable: true })
  return { text: () => text }
}

describe('lines and the bar', () => {
  it('lines of both streams stand above the bar, which stays the last line and then goes away', async () => {
    const { text } = terminal()
    vi.spyOn(performance, 'now').mockImplementation(() => clock)
    let clock = 0
    await longWork('train', async ({ onProgress, onWarning }) => {
      for (let step = 1; step <= 3; step++) {
        clock += 2000
        printLine(`loss of step ${step}`)
        onProgress(step, 10, 'a note that is longer than what is left of the line')
      }
      onWarning('late')
      process.stderr.write('^C')
      process.emit('SIGINT')
      const screen = screenOf(text())
      expect(screen.slice(0, -1)).toEqual([
        'loss of step 1',
        'loss of step 2',
        'loss of step 3',
        'warning: late',
        'stopping after the item at hand; press Ctrl-C again to stop at once',
      ])
      expect(screen.at(-1)).toMatch(/^train █{9}░{21} 3\/10 14 s left a not/)
      expect(screen.at(-1)!.length).toBeLessThan(60)
    })
    expect(screenOf(text()).slice(-2)).toEqual(['interrupted: what follows is not all', ''])
  })

  it('a name that holds control characters, in the bar, moves no cursor and sets no title', async () => {
    const { text } = terminal()
    await longWork('lungs', async ({ onProgress }) => onProgress(1, 1, 'ev\u001b]0;t\u0007il'))
    expect(text()).toContain('1/1 ev\\u001b]0;t')
    expect(text()).not.toContain('\u001b]')
    expect(text()).not.toContain('\u0007')
  })

  it('there is no bar with --quiet; only results and failures are told', async () => {
    const { text } = terminal()
    setOutputStyle({ json: false, quiet: true })
    await longWork('train', async ({ onProgress, onWarning }) => {
      onProgress(1, 2)
      onWarning('a warning')
      printLine('a line')
      printNote('a note')
      printFailure('a failure')
    })
    printResult({}, 'a result\n')
    expect(text()).toBe('a failure\na result\n')
  })

  it('with --json stdout holds the document only', () => {
    const [out, err] = [process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, 'write').mockReturnValue(true),
    )
    setOutputStyle({ json: true, quiet: false })
    printLine('a line')
    printResult({ scans: 1 }, () => expect.unreachable())
    expect(out!.mock.calls).toEqual([['{\n  "scans": 1\n}\n']])
    expect(err!.mock.calls).toEqual([['a line\n']])
  })
})

describe('timeLeft', () => {
  it('goes by the rate of late, and is silent without one', () => {
    const left = timeLeft()
    expect(left(0, 100, 0)).toBe('')
    expect(left(0, 100, 900)).toBe('')
    expect(left(10, 100, 10_000)).toBe('1 min 30 s left')
    // Results of an earlier run came in a heap; it does not count for long.
    for (let second = 11; second <= 100; second++) left(10 + (second - 10) / 10, 100, second * 1000)
    expect(left(19, 100, 101_000)).toMatch(/^1[34] min \d\d s left$/)
    expect(left(100, 100, 102_000)).toBe('')
    // The next phase counts something else.
    expect(left(1, 7, 103_000)).toBe('')
    expect(timeLeft()(5, Infinity, 0)).toBe('')
    const slow = timeLeft()
    slow(0, 1000, 0)
    expect(slow(1, 1000, 10_000)).toBe('2 h 46 min left')
  })
})

function nodule(stdout: 'pipe' | number, ...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args], {
    cwd: PACKAGE_ROOT,
    stdio: ['ignore', stdout, 'pipe'],
  })
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, stderr }
}

describe('output that nobody takes', () => {
  const xml = join(folder, 'a.xml')
  writeFileSync(xml, '<?xml version="1.0"?><LidcReadMessage><ResponseHeader/></LidcReadMessage>')
  const calls = [
    ['--help'],
    ['completion'],
    ['series', folder],
    ['annotations', folder, '--summary', '--json'],
    ['doctor'],
  ]

  it.each(calls)('a closed pipe ends quietly: %s', async (...args) => {
    const child = nodule('pipe', ...args)
    child.stdout!.destroy()
    const { code, stderr } = await ended(child)
    expect(stderr).not.toMatch(/EPIPE|at .*:\d+|bug/)
    expect([0, 1]).toContain(code)
  })

  it.skipIf(process.platform !== 'linux').each(calls)('a full device is one line: %s', async (...args) => {
    const full = openSync('/dev/full', 'w')
    const { code, stderr } = await ended(nodule(full, ...args))
    closeSync(full)
    expect(stderr).toContain('nodule: standard output: cannot write: no space left on the device\n')
    expect(stderr).not.toMatch(/ENOSPC|at .*:\d+|bug/)
    expect(code).toBe(1)
  })
})

it('commands print through output.ts only, which a closed pipe cannot break', () => {
  const sources = readdirSync(join(PACKAGE_ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  // files.ts writes to standard output where that is the file that was asked for, and hears its errors.
  const own = /^(terminal\/(output|progress)|files)\.ts$/
  const others = sources.filter((name) => name.endsWith('.ts') && !own.test(name))
  expect(others.length).toBeGreaterThan(100)
  for (const name of others) {
    const text = readFileSync(join(PACKAGE_ROOT, 'src', name), 'utf8')
    expect(/process\.std(out|err)\.write|^\s*console\.\w+\(/m.test(text), name).toBe(false)
  }
})
