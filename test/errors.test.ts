import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkInteger, checkNumber, invalidParameter, show } from '../src/check.js'
import {
  NoduleError,
  describeBriefly,
  describeError,
  fileError,
  reasonBeside,
  remedyText,
} from '../src/errors.js'
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

  const whole = new NoduleError('INVALID_PARAMETER', 'cannot choose', {
    ...{ fault: 'packed', path: 'a.dcm', place: '/3', parameter: ['series', 'xml'] },
    ...{ expected: 'one', actual: 'two', cause: new Error('why') },
    remedies: ['look', { do: 'choose one', parameter: 'series', value: '1.2' }],
  })

  it('has what its message says as data', () => {
    expect(whole.message).toBe(
      'a.dcm: /3: cannot choose (series, xml): expected one but received two; ' +
        'possible solutions: look; choose one (series 1.2)',
    )
    expect(whole).toMatchObject({ summary: 'cannot choose', fault: 'packed', parameters: ['series', 'xml'] })
    expect(whole).toMatchObject({ expected: 'one', actual: 'two', cause: new Error('why') })
    expect(whole.remedies).toHaveLength(2)
    expect(remedyText(whole.remedies[1]!)).toBe('choose one (series 1.2)')
    expect(new NoduleError('FILE', 'gone')).toMatchObject({ parameters: [], remedies: [], fault: undefined })
  })

  it('is told beside the name of its file, and in the words of the reader', () => {
    expect(whole.reason).toBe(whole.message.slice('a.dcm: '.length))
    expect(reasonBeside('a.dcm', whole)).toBe(whole.reason)
    // That of another file, as a file of voxels, is named.
    expect(reasonBeside('b.dcm', whole)).toBe(whole.message)
    expect(reasonBeside('b.dcm', new Error('c'))).toBe('c')
    expect(whole.inWords((name) => `--${name}`)).toContain('(--series, --xml): expected one')
    expect(whole.inWords((name) => `--${name}`)).toContain('choose one (--series 1.2)')
    expect(invalidParameter('iou', 'one', 3).inWords(() => '--iou')).toBe(
      'Expected one for --iou but received 3',
    )
    expect(describeBriefly(new Error('a\nb'))).toBe('a')
  })

  it('goes from thread to thread, and takes more details', () => {
    const there = NoduleError.fromData(structuredClone(whole.toData()))
    expect(there).toBeInstanceOf(NoduleError)
    expect(there.message).toBe(whole.message)
    expect(there.toData()).toEqual(whole.toData())
    const named = new NoduleError('NUMERIC', 'NaN', { cause: 1 }).with({ path: 'a' })
    expect(named).toMatchObject({ message: 'a: NaN', code: 'NUMERIC', path: 'a', cause: 1 })
  })

  it('keeps a NoduleError as it is and explains system errors', () => {
    const own = new NoduleError('FORMAT', 'x')
    expect(fileError('p', 'read', own)).toBe(own)
    const missing = fileError('p', 'read', Object.assign(new Error('raw'), { code: 'ENOENT' }))
    expect(missing.message).toBe('p: cannot read: no such file or folder')
    const closed = fileError('p', 'write', Object.assign(new Error('raw'), { code: 'EPIPE' }))
    expect(closed.message).toBe('p: cannot write: nobody reads from the pipe any more')
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
