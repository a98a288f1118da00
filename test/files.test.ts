import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  checkCanWrite,
  checkCanWriteInto,
  checkOutside,
  hideFolders,
  makeOutputFolder,
  readText,
  writeFileAtomic,
} from '../src/files.js'
import { parseJson } from '../src/json.js'

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

describe('links', () => {
  const at = (name: string): string => join(folder, 'links', name)
  const link = (target: string, name: string): string => {
    symlinkSync(target, at(name))
    return at(name)
  }
  beforeAll(() => mkdirSync(at('elsewhere'), { recursive: true }))

  it('stay: the file that they lead to is written, also where it is not there yet', async () => {
    writeFileSync(at('elsewhere/old'), 'old')
    for (const name of ['old', 'new']) {
      const path = link(link(`elsewhere/${name}`, `second-${name}`), name)
      await checkCanWrite(path)
      await writeFileAtomic(path, 'text')
      expect(lstatSync(path).isSymbolicLink()).toBe(true)
      expect(readFileSync(at(`elsewhere/${name}`), 'utf8')).toBe('text')
    }
    expect(readdirSync(at('elsewhere')).sort()).toEqual(['new', 'old'])
    await expect(checkOutside(link('elsewhere/later', 'later'), [at('elsewhere')])).rejects.toThrow(/among/)
  })

  it('that lead nowhere are told of', async () => {
    const file = link('gone/file', 'file')
    const isDangling = /file: cannot write: is a link to gone\/file, which is not there$/
    await expect(checkCanWrite(file)).rejects.toThrow(isDangling)
    await expect(writeFileAtomic(file, '')).rejects.toThrow(isDangling)
    expect(existsSync(at('gone'))).toBe(false)
    const out = link('notyet', 'out')
    const message = `${out}: cannot write results: is a link to notyet, which is not there`
    for (const path of [out, join(out, 'below')]) {
      await expect(checkCanWriteInto(path)).rejects.toThrow(message)
      await expect(makeOutputFolder(path)).rejects.toThrow(message)
    }
    await expect(checkCanWrite(join(out, 'a.json'))).rejects.toThrow(/out: cannot write: is a link to notyet/)
    await expect(writeFileAtomic(link('circle', 'circle'), '')).rejects.toThrow(
      /circle: cannot write: its links go in a circle$/,
    )
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

it.each(['utf16le', 'utf16be'] as const)(
  'text that Windows wrote as %s is read as what it says',
  (encoding) => {
    const path = join(folder, encoding)
    const bytes = Buffer.from('\ufeff{"ä": 1}\r\n', 'utf16le')
    writeFileSync(path, encoding === 'utf16le' ? bytes : bytes.swap16())
    expect(parseJson(readText(path, 'read hypes'), path)).toEqual({ ä: 1 })
  },
)
