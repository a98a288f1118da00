import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LOCK_NAME, lockFolder } from '../src/lock.js'
import { PACKAGE_ROOT } from '../src/version.js'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-lock-'))
  path = join(folder, LOCK_NAME)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const change = (values: object): void =>
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), token: 'x', ...values }))

describe('lockFolder', () => {
  it('gives a folder to one at a time', async () => {
    const release = await lockFolder(folder, 'training')
    await expect(lockFolder(folder, 'training')).rejects.toThrow(
      new RegExp(
        `in-use\\.lock: the folder is in use: expected one process that is training there at a time but received process ${process.pid} since 2.*; possible solutions: wait until it ends; remove the file`,
      ),
    )
    await expect(lockFolder(folder, 'training')).rejects.toMatchObject({ name: 'NoduleError', code: 'FILE' })
    release()
    expect(readdirSync(folder)).toEqual([])
    const again = await lockFolder(folder, 'training')
    again()
  })

  it('of many that begin at once one gets it', async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, async () => lockFolder(folder, 'training')),
    )
    const got = all.filter((one) => one.status === 'fulfilled')
    expect(got).toHaveLength(1)
    got[0]!.value()
    expect(readdirSync(folder)).toEqual([])
  })

  const writeProgram = (): string => {
    const program = join(folder, 'program.mts')
    writeFileSync(
      program,
      `import { lockFolder } from ${JSON.stringify(join(PACKAGE_ROOT, 'src/lock.ts'))}
      await lockFolder(${JSON.stringify(folder)}, 'training')
      process.stdout.write('locked')
      setTimeout(() => undefined, 600000)`,
    )
    return program
  }

  it('a killed process keeps nothing', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', writeProgram()], { cwd: PACKAGE_ROOT })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    await expect(lockFolder(folder, 'training')).rejects.toThrow(/the folder is in use/)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
    expect(existsSync(path)).toBe(true)
    const release = await lockFolder(folder, 'training')
    release()
  })

  it.skipIf(process.platform !== 'linux')('nor does one whose parent never asks for it', async () => {
    const script = '"$0" --import tsx "$1" & exec sleep 600'
    const parent = spawn('bash', ['-c', script, process.execPath, writeProgram()], { cwd: PACKAGE_ROOT })
    await new Promise((resolve) => parent.stdout.once('data', resolve))
    const { pid } = JSON.parse(readFileSync(path, 'utf8')) as { pid: number }
    process.kill(pid, 'SIGKILL')
    const state = (): string => / [A-Z] /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))![0].trim()
    await expect.poll(state).toBe('Z')
    const release = await lockFolder(folder, 'training')
    release()
    parent.kill('SIGKILL')
  })

  it('nor does an earlier process of the same number, nor a lock that says nothing', async () => {
    await lockFolder(folder, 'training')
    change({ started: '1' })
    ;(await lockFolder(folder, 'training'))()
    writeFileSync(path, '{"pid"')
    ;(await lockFolder(folder, 'training'))()
    expect(readdirSync(folder)).toEqual([])
  })

  it('a process of another machine keeps it as long as it touches it', async () => {
    const release = await lockFolder(folder, 'training')
    change({ system: 'another machine' })
    await expect(lockFolder(folder, 'training')).rejects.toThrow(/the folder is in use/)
    const before = new Date(Date.now() - 300_000)
    utimesSync(path, before, before)
    ;(await lockFolder(folder, 'training'))()
    release()
  })
})
