import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../../src/version.js'

const { libraryFaults } = (await import(
  pathToFileURL(join(PACKAGE_ROOT, 'scripts/check-libraries.mjs')).href
)) as { libraryFaults: (file: string, content: string, flags: ReadonlySet<string>) => string[] }
const flags = new Set(['model'])
const faults = (file: string, content: string): string[] => libraryFaults(file, content, flags)

describe('the check of library code', () => {
  it.each([
    ["process.stderr.write('x')", 'the process and its terminal'],
    ["process.on('SIGINT', stop)", 'the process and its terminal'],
    ['process.exit(1)', 'the process and its terminal'],
    ['console.warn(1)', 'prints nothing'],
    ["error.message.includes('not DICOM')", 'a message is for people'],
    ["error.message\n  .replace(`${path}: `, '')", 'a message is for people'],
    ["describeError(error).split('\\n')[0]", 'a message is for people'],
    ['/memory/.test(error.message)', 'a message is for people'],
    ["reason.startsWith('packed')", 'a message is for people'],
    ["'name one with --model'", 'names the parameter'],
    ['`one, or --${key} to name it`', 'names the parameter'],
  ])('%s is a fault', (content, why) => {
    expect(faults('dicom/a.ts', content)).toEqual([expect.stringMatching(`^src/dicom/a\\.ts: .*${why}`)])
  })

  it('commands and the terminal may print and name flags, but not read messages either', () => {
    for (const file of ['commands/a.ts', 'terminal/output.ts', 'cli.ts', 'dataset/prepare/scan_worker.ts'])
      expect(faults(file, "process.exit(1); console.log('--model')")).toEqual([])
    expect(faults('commands/a.ts', "error.message.includes('x')")).toHaveLength(1)
  })

  it('comments, other flags and the fields of errors are none', () => {
    expect(faults('dicom/a.ts', '// --model\n/** process.exit */\nerror.fault; `pip --quiet`')).toEqual([])
  })
})
