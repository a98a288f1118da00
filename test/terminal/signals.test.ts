import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../../src/version.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-signals-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(process.platform === 'win32')('a signal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s leaves no file that is not whole', async (signal, code) => {
    const program = join(folder, `${signal}.mts`)
    const source = (name: string): string => JSON.stringify(join(PACKAGE_ROOT, 'src', name))
    writeFileSync(
      program,
      `import { writeFileSync } from 'node:fs'
      import { temporaryFor } from ${source('temporaries.ts')}
      import { guardSignals } from ${source('terminal/interrupt.ts')}
      guardSignals()
      writeFileSync(temporaryFor(${JSON.stringify(join(folder, 'result'))}), 'half')
      setTimeout(() => undefined, 600000)
      process.stdout.write('writing')`,
    )
    const child = spawn(process.execPath, ['--import', 'tsx', program], { cwd: PACKAGE_ROOT })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toHaveLength(1)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    expect(await ended).toBe(code)
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
  })
})
