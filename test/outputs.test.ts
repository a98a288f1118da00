import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
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
import yargs from 'yargs'
import type { CommandModule } from 'yargs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PATHS } from '../src/commands/paths.js'
import { writeFileAtomic } from '../src/files.js'
import { isStdout } from '../src/terminal/output.js'
import { checkOutputs } from '../src/outputs.js'
import type { CommandPaths } from '../src/outputs.js'
import { PACKAGE_ROOT } from '../src/version.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-outputs-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Options that hold a text and name no file. */
const WORDS = new Set([
  ...[
    'action',
    'by',
    'case',
    'dates',
    'device',
    'encoding',
    'engine',
    'frame',
    'gpu',
    'kernel',
    'key',
    'magnify',
    'mismatch',
  ],
  ...[
    'name',
    'names',
    'part',
    'patient-id',
    'peer',
    'region',
    'set',
    'slices',
    'split',
    'stitch',
    'tensorflow',
    'title',
  ],
  ...['where'],
])

const commands = readdirSync(join(PACKAGE_ROOT, 'src/commands'))
  .map((name) => name.replace(/\.ts$/, ''))
  .filter((name) => name !== 'paths')

/** A command as yargs keeps it: what is called, and how its options are made. */
interface Made {
  original: string
  builder: unknown
}

/** What yargs' types leave out. */
interface Parser {
  getOptions: () => { string: string[]; alias: Record<string, string[]> }
  getInternalMethods: () => { getCommandInstance: () => { handlers: Record<string, Made> } }
}

/** The options of a command and of those below it that may name a file, by their first names, positional ones too. */
async function pathOptions(name: string): Promise<string[]> {
  const { command } = (await import(`../src/commands/${name}.ts`)) as { command: CommandModule }
  return [...new Set(optionsOf(name, { original: String(command.command), builder: command.builder }))]
}

function optionsOf(name: string, { original, builder }: Made): string[] {
  const parser = (builder as (parser: unknown) => Parser)(yargs([]))
  const { string, alias } = parser.getOptions()
  const second = new Set(Object.values(alias).flat())
  const positional = [...original.matchAll(/[<[](\w+)(?:\.\.)?[\]>]/g)].map(([, word]) => word!)
  const own = [...string, ...positional].filter(
    (option) =>
      !second.has(option) &&
      !/[A-Z]/.test(option) &&
      !WORDS.has(option) &&
      // The series that is wanted; elsewhere a file of them.
      !(name === 'convert' && option === 'series'),
  )
  const below = Object.values(parser.getInternalMethods().getCommandInstance().handlers)
  return [...own, ...below.flatMap((made) => optionsOf(name, made))]
}

it('nothing else is printed where a result goes to the standard output', () => {
  expect(['/dev/stdout', '/proc/self/fd/1'].every(isStdout)).toBe(true)
  expect([undefined, 'stdout', '/dev/stderr', '/dev/null'].some(isStdout)).toBe(false)
})

it('the mean of weights replaces none of them', async () => {
  const [a, b] = ['a', 'b'].map((name) => join(folder, `${name}.safetensors`)) as [string, string]
  for (const path of [a, b]) writeFileSync(path, 'x')
  for (const output of [a, b])
    await expect(checkOutputs(PATHS['weights']!({ file: a, others: [b], output }))).rejects.toThrow(
      'the result would replace its own input',
    )
})

describe('every command', () => {
  it.each(commands)('%s tells what it reads and writes', async (name) => {
    const paths = PATHS[name]
    expect(paths, `src/commands/paths.ts has no ${name}`).toBeDefined()
    const named = await pathOptions(name)
    const flags = Object.fromEntries(named.map((option) => [option, `PATH/${option}`]))
    const { reads = [], files = [], folders = [] } = paths!(flags)
    const told = [...reads, ...files, ...folders.map(({ path }) => path)].filter((path) => path !== undefined)
    // Lists of mine are meant to be changed.
    const known = name === 'mine' ? [...told, 'PATH/lists'] : told
    expect([...new Set(known)].sort()).toEqual(Object.values(flags).sort())
  })

  it.each(commands)('%s refuses a result that would replace an input', async (name) => {
    const input = join(folder, `${name}.input`)
    writeFileSync(input, 'x')
    const named = await pathOptions(name)
    const flags = Object.fromEntries(named.map((option) => [option, join(folder, name, option)]))
    const { reads = [], files = [], folders = [] } = PATHS[name]!(flags)
    for (const read of reads)
      for (const write of files) {
        const same = Object.fromEntries(
          Object.entries(flags).map(([option, path]) => [
            option,
            [read, write].includes(path) ? input : path,
          ]),
        )
        await expect(checkOutputs(PATHS[name]!(same)), `${read} ${write}`).rejects.toThrow(
          /\.input: the result would replace its own input: expected another name$/,
        )
      }
    for (const { path: write, shared } of folders) {
      if (shared === true || reads.length === 0) continue
      const same = Object.fromEntries(
        Object.entries(flags).map(([option, path]) => [
          option,
          [reads[0], write].includes(path) ? folder : path,
        ]),
      )
      await expect(checkOutputs(PATHS[name]!(same)), write).rejects.toThrow(
        /: the results would lie among the inputs: expected another folder$/,
      )
    }
  })

  it('is asked before it works', () => {
    const list = join(folder, 'list.json')
    writeFileSync(list, '[]')
    const args = ['evaluate', '--predictions', list, '--truth', list, '-o', list]
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args],
      { cwd: PACKAGE_ROOT, encoding: 'utf8' },
    )
    expect(stderr).toContain(`${list}: the result would replace its own input`)
    expect(status).toBe(1)
    expect(readFileSync(list, 'utf8')).toBe('[]')
  })
})

describe('checkOutputs', () => {
  it('knows a file by all of its names', async () => {
    const file = join(folder, 'one.bin')
    writeFileSync(file, 'x')
    linkSync(file, join(folder, 'hard.bin'))
    symlinkSync(file, join(folder, 'soft.bin'))
    for (const name of ['one.bin', 'hard.bin', 'soft.bin', 'none/../one.bin'])
      await expect(checkOutputs({ reads: [file], files: [join(folder, name)] }), name).rejects.toThrow(
        /the result would replace its own input/,
      )
    await checkOutputs({ reads: [file, undefined], files: [join(folder, 'other.bin'), undefined] })
  })

  it('replaces no file in a folder of inputs but results of its own kind', async () => {
    const scans = join(folder, 'scans')
    mkdirSync(scans)
    for (const name of ['a.dcm', 'a.json']) writeFileSync(join(scans, name), 'x')
    await expect(
      checkOutputs({ reads: [scans], files: [join(scans, 'a.dcm')], results: /\.json$/ }),
    ).rejects.toThrow(
      /a\.dcm: the result would replace a file among the inputs \(.*scans\): expected another/,
    )
    await checkOutputs({ reads: [scans], files: [join(scans, 'a.json')], results: /\.json$/ })
    await checkOutputs({ reads: [scans], files: [join(scans, 'new.bin')] })
  })

  it('keeps results out of folders of inputs, and inputs out of those of results', async () => {
    const file = join(folder, 'scans', 'a.dcm')
    await expect(checkOutputs({ reads: [file], folders: [{ path: folder }] })).rejects.toThrow(
      /the results could replace an input \(.*a\.dcm\): expected another folder$/,
    )
    await checkOutputs({ reads: [file], folders: [{ path: folder, writes: /\.json$/ }] })
    await checkOutputs({ reads: [folder], folders: [{ path: join(folder, 'results') }] })
  })

  it('two results need two names, but for devices', async () => {
    const path = join(folder, 'twice.csv')
    await expect(checkOutputs({ files: [path, `${folder}/x/../twice.csv`] })).rejects.toThrow(
      /twice\.csv: two results would have one name: expected a name each$/,
    )
    await checkOutputs({ files: ['/dev/null', '/dev/null'] })
  })
})

describe('checkOutputs of places that take no result', () => {
  const refused = async (paths: CommandPaths, message: RegExp): Promise<void> => {
    await expect(checkOutputs(paths)).rejects.toThrow(message)
  }

  it('a file needs a name that no folder has, in a folder or in one that can be made', async () => {
    const [taken, file] = [join(folder, 'taken'), join(folder, 'file.bin')]
    mkdirSync(taken)
    writeFileSync(file, 'x')
    const isFolder = /(taken|taken\/|new\/): cannot write: is a folder: expected the name of a file$/
    for (const path of [taken, `${taken}/`, join(folder, 'new/')]) await refused({ files: [path] }, isFolder)
    for (const path of [join(file, 'a.json'), join(file, 'b', 'a.json')])
      await refused({ files: [path] }, /a\.json: cannot write: is not a folder$/)
    const made = join(folder, 'made')
    await checkOutputs({ files: [join(made, 'a', 'b.json'), file], folders: [{ path: join(made, 'c') }] })
    expect(existsSync(made)).toBe(false)
    const link = join(folder, 'fd-link')
    symlinkSync('/dev/null', link)
    await checkOutputs({ files: [link, '/dev/stdout', '/dev/fd/1'] })
  })

  it('a folder needs a name that no file has', async () => {
    const file = join(folder, 'no folder.bin')
    writeFileSync(file, 'x')
    for (const path of [file, join(file, 'below')])
      await refused({ folders: [{ path }] }, /(bin|below): cannot write results: is not a folder$/)
  })

  it.skipIf(process.getuid?.() === 0)('a folder that is not to be written to', async () => {
    const closed = join(folder, 'closed')
    mkdirSync(closed, { mode: 0o500 })
    const denied = /cannot write.*: permission denied$/
    for (const path of [closed, join(closed, 'below')]) await refused({ folders: [{ path }] }, denied)
    await refused({ files: [join(closed, 'a.json')] }, denied)
  })

  it('is asked before detect opens its model', () => {
    const list = join(folder, 'images.json')
    writeFileSync(list, '[]')
    const args = ['detect', '--list', list, '-m', join(folder, 'no.onnx'), '-o', folder]
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args],
      { cwd: PACKAGE_ROOT, encoding: 'utf8' },
    )
    expect(stderr).toContain(`${folder}: cannot write: is a folder`)
    expect(status).toBe(1)
  })
})

describe.skipIf(process.platform === 'win32')('results into devices and pipes', () => {
  it('are written through, never renamed over', async () => {
    await writeFileAtomic('/dev/null', 'x')
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true)
    const link = join(folder, 'null-link')
    symlinkSync('/dev/null', link)
    await writeFileAtomic(link, 'x')
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    await expect(writeFileAtomic(link.replace('null-link', 'none/\0'), 'x')).rejects.toThrow(/cannot write/)
  })

  it.skipIf(!existsSync('/dev/full'))('a full device is an error, and stays a device', async () => {
    await expect(writeFileAtomic('/dev/full', 'x')).rejects.toThrow(
      /^\/dev\/full: cannot write: no space left on the device$/,
    )
    expect(lstatSync('/dev/full').isCharacterDevice()).toBe(true)
  })

  it('a pipe that nobody reads is an error, one that is read gets all', async () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    await expect(writeFileAtomic(pipe, 'x')).rejects.toThrow(
      /pipe: cannot write: nobody reads from the pipe$/,
    )
    expect(lstatSync(pipe).isFIFO()).toBe(true)
    const program = `
      import { writeFileAtomic } from ${JSON.stringify(join(PACKAGE_ROOT, 'src/files.ts'))}
      await writeFileAtomic('/dev/stdout', 'a'.repeat(300000))
      await writeFileAtomic('/proc/self/fd/1', 'b')`
    const file = join(folder, 'program.mts')
    writeFileSync(file, program)
    const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', file], {
      cwd: PACKAGE_ROOT,
      encoding: 'utf8',
      maxBuffer: 1e6,
    })
    expect(stderr).toBe('')
    expect(stdout).toBe(`${'a'.repeat(300000)}b`)
  })
})
