import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkInteger, checkNumber, invalidParameter, show } from '../src/check.js'
import { NoduleError, describeError, fileError } from '../src/errors.js'
import { writeFileAtomic } from '../src/files.js'

describe('NoduleError', () => {
  it('names file, place, expectation and finding in one line', () => {
    const error = new NoduleError('FORMAT', 'wrong value', {
      path: 'a.json',
      place: '/3/rects',
      expected: 'array',
      actual: '7',
    })
    expect(error.message).toBe('a.json: /3/rects: wrong value: expected array but received 7')
    expect(error).toMatchObject({ name: 'NoduleError', code: 'FORMAT', path: 'a.json', place: '/3/rects' })
  })

  it('leaves out what is not known', () => {
    expect(new NoduleError('FILE', 'gone').message).toBe('gone')
    expect(new NoduleError('FORMAT', 'bad', { actual: '1' }).message).toBe('bad: received 1')
  })

  it('keeps a NoduleError as it is and explains system errors', () => {
    const own = new NoduleError('FORMAT', 'x')
    expect(fileError('p', 'read', own)).toBe(own)
    const missing = fileError('p', 'read', Object.assign(new Error('raw'), { code: 'ENOENT' }))
    expect(missing.message).toBe('p: cannot read: no such file or folder')
    expect(describeError('text')).toBe('text')
  })
})

describe('argument checks', () => {
  it('reports name, expectation and value', () => {
    expect(invalidParameter('iou', 'number between 0 and 1', 3).message).toBe(
      'Expected number between 0 and 1 for iou but received 3',
    )
    expect(() => checkInteger('n', 1.5, 0, 4)).toThrow(
      'Expected integer between 0 and 4 for n but received 1.5',
    )
    expect(() => checkNumber('x', Number.NaN, 0, 4)).toThrow(
      'Expected number between 0 and 4 for x but received NaN',
    )
    expect(checkInteger('n', 4, 0, 4)).toBe(4)
  })

  it('prints long and odd values briefly', () => {
    expect(show('a'.repeat(200))).toHaveLength(82)
    expect(show(new Float32Array(7))).toBe('Float32Array(7)')
    const loop: Record<string, unknown> = {}
    loop['self'] = loop
    expect(show(loop)).toBe('[object Object]')
    expect(show(undefined)).toBe('undefined')
  })
})

describe('writeFileAtomic', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nodule-files-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('makes folders, writes, and leaves nothing else behind', async () => {
    await writeFileAtomic(join(folder, 'a/b.txt'), 'hello')
    await writeFileAtomic(join(folder, 'a/b.txt'), 'again')
    expect(await readFile(join(folder, 'a/b.txt'), 'utf8')).toBe('again')
    expect(await readdir(join(folder, 'a'))).toEqual(['b.txt'])
  })

  it('names the file where it cannot write', async () => {
    await writeFileAtomic(join(folder, 'file'), '')
    await expect(writeFileAtomic(join(folder, 'file/below'), '')).rejects.toThrow(/file\/below: cannot write/)
  })
})

describe.skipIf(process.platform !== 'linux')('a folder that cannot be', () => {
  it('is an error, not an endless wait', async () => {
    await expect(writeFileAtomic('/proc/nope/a.txt', '')).rejects.toThrow(
      '/proc/nope/a.txt: cannot write: no such file or folder',
    )
  })
})
