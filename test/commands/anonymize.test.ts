import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../../src/version.js'
import { sliceFile } from '../dicom/bytes.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-anonymize-command-'))
afterAll(() => rmSync(root, { recursive: true }))

function anonymize(input: string): { status: number | null; stderr: string[] } {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), 'anonymize', input, '-o', join(root, 'out')],
    { cwd: PACKAGE_ROOT, encoding: 'utf8' },
  )
  return { status, stderr: stderr.split('\n').filter((line) => line !== '') }
}

describe('nodule anonymize', () => {
  it('names packed files, and fails where nothing is written', () => {
    const input = join(root, 'in')
    mkdirSync(input)
    expect(anonymize(input)).toEqual({ status: 1, stderr: ['nothing written: there are no files'] })
    const [packed, notes] = [join(input, 'scan.tar.gz'), join(input, 'notes.txt')]
    writeFileSync(packed, gzipSync('a scan'))
    writeFileSync(notes, 'notes')
    const said = [`${packed}: not copied: packed: unpack it first`, 'not copied: 1 file that is not DICOM']
    expect(anonymize(input)).toEqual({
      status: 1,
      stderr: [...said, 'nothing written: 2 files, but no DICOM'],
    })
    writeFileSync(join(input, '1.dcm'), sliceFile({ z: 0, instance: 1 }))
    const { status, stderr } = anonymize(input)
    expect(stderr.filter((line) => !line.startsWith('warning: '))).toEqual(said)
    expect(status).toBe(0)
  })
})
