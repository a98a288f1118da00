import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { checkOutside, hideFolders, makeOutputFolder, writeFileAtomic } from '../src/files.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-files-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('makeOutputFolder', () => {
  it('makes what is missing, and takes what is there', async () => {
    await makeOutputFolder(join(folder, 'a/b/c'))
    await makeOutputFolder(join(folder, 'a/b/c'))
    expect(existsSync(join(folder, 'a/b/c'))).toBe(true)
  })

  it('is made by several writers at a time', async () => {
    for (let n = 0; n < 50; n++) {
      const names = [1, 2, 3, 4].map((name) => join(folder, `together-${n}/a/b/${name}`))
      await Promise.all(names.map((name) => writeFileAtomic(name, 'text')))
    }
  })

  it('refuses files, what lies below them, and what may not be written', async () => {
    writeFileSync(join(folder, 'file'), '')
    await expect(makeOutputFolder(join(folder, 'file'))).rejects.toThrow(
      /file: cannot write results: is not a folder/,
    )
    await expect(makeOutputFolder(join(folder, 'file/x'))).rejects.toThrow(
      /x: cannot write results: is not a folder/,
    )
    // The super-user may write anywhere.
    if (process.getuid?.() === 0) return
    mkdirSync(join(folder, 'closed'))
    chmodSync(join(folder, 'closed'), 0o555)
    await expect(makeOutputFolder(join(folder, 'closed'))).rejects.toThrow(/permission denied/)
  })
})

describe('checkOutside', () => {
  it('refuses an output among the inputs, links followed, also where it does not exist yet', async () => {
    mkdirSync(join(folder, 'scans/one'), { recursive: true })
    symlinkSync(join(folder, 'scans'), join(folder, 'link'))
    const inputs = [join(folder, 'a'), join(folder, 'scans')]
    for (const output of ['scans', 'scans/new/deep', 'link', 'link/one', 'other/../scans/x'])
      await expect(checkOutside(join(folder, output), inputs), output).rejects.toThrow(/among the inputs/)
    for (const output of ['scans2', 'new/deep', '.', 'link/../copies'])
      await expect(checkOutside(join(folder, output), inputs), output).resolves.toBeUndefined()
    await expect(checkOutside(join(folder, 'scans/new'), [join(folder, 'link')])).rejects.toThrow(/link/)
  })
})

describe('hideFolders', () => {
  it('takes the folders of a machine out of a text', () => {
    const paths = ['/home/a/scans/x.json', '/home/a/b.json', 'near/c.json', '/d.json']
    expect(hideFolders('/home/a/scans/x.json and /home/a/b.json: near/c.json, /d.json', paths)).toBe(
      'x.json and b.json: near/c.json, /d.json',
    )
  })
})
