import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { writeFileAtomic } from '../src/files.js'
import { forgetTemporary, temporaryFor } from '../src/temporaries.js'
import { PACKAGE_ROOT } from '../src/version.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-temporaries-'))
afterAll(() => rmSync(root, { recursive: true }))

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(root, 'folder-'))
})

/** Another process that has written half a file there. */
async function writing(): Promise<{ kill: () => Promise<void> }> {
  const module = JSON.stringify(join(PACKAGE_ROOT, 'src/temporaries.ts'))
  const program = join(folder, 'program.mts')
  writeFileSync(
    program,
    `import { writeFileSync } from 'node:fs'
    import { temporaryFor } from ${module}
    writeFileSync(temporaryFor(${JSON.stringify(join(folder, 'slice.dcm'))}), 'half')
    process.stdout.write('written')
    setInterval(() => undefined, 1000)`,
  )
  const child = spawn(process.execPath, ['--import', 'tsx', program], { cwd: PACKAGE_ROOT })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return {
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

const parts = (): string[] => readdirSync(folder).filter((name) => name.endsWith('.part'))

describe.skipIf(process.platform !== 'linux')('half written files', () => {
  it('of a process that was killed go with the next file that is written there', async () => {
    const { kill } = await writing()
    expect(parts()).toHaveLength(1)
    await kill()
    expect(parts()).toHaveLength(1)
    await writeFileAtomic(join(folder, 'other.dcm'), 'whole')
    expect(readdirSync(folder).sort()).toEqual(['other.dcm', 'program.mts'])
  })

  it('of a process that is at work stay', async () => {
    const { kill } = await writing()
    await writeFileAtomic(join(folder, 'other.dcm'), 'whole')
    expect(parts()).toHaveLength(1)
    await kill()
  })

  it('of another machine stay for an hour; other files stay', async () => {
    const name = basename(temporaryFor(join(root, 'a.json')))
    forgetTemporary(join(root, name))
    const [, system] = /-(....)......\.part$/.exec(name)!
    const other = name.replace(`-${system}`, system === '0000' ? '-1111' : '-0000')
    const old = other.replace('a.json', 'b.json')
    const kept = [other, 'cubes.bin.part', 'notes.12-abc.part']
    for (const file of [old, ...kept]) writeFileSync(join(folder, file), 'half')
    const hours = new Date(Date.now() - 2 * 3600_000)
    for (const file of [old, 'cubes.bin.part']) utimesSync(join(folder, file), hours, hours)
    await writeFileAtomic(join(folder, 'whole.json'), '{}')
    expect(parts().sort()).toEqual(kept.sort())
  })

  it('have names that fit, whatever the file is called', async () => {
    for (const name of [`${'n'.repeat(251)}.dcm`, 'ü'.repeat(127), 'n'.repeat(234), 'a']) {
      const path = join(folder, name)
      await writeFileAtomic(path, name)
      expect(readFileSync(path, 'utf8')).toBe(name)
    }
    expect(readdirSync(folder)).toHaveLength(4)
    await expect(writeFileAtomic(join(folder, 'n'.repeat(256)), '')).rejects.toThrow(
      /n: cannot write: the name is too long$/,
    )
  })
})
