import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadCheckpoint, loadCheckpointOf } from '../../src/checkpoints/checkpoint.js'
import { stripCheckpoint } from '../../src/checkpoints/strip.js'
import { parseHypes } from '../../src/config/hypes.js'
import { parsePatchHypes } from '../../src/config/patch_hypes.js'
import { NoduleError } from '../../src/errors.js'
import { readSafeTensors, writeSafeTensors } from '../../src/formats/safetensors.js'

let folder: string
const at = (name: string): string => join(folder, `${name}.safetensors`)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-strip-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function write(name: string, hypes: unknown, more: Record<string, string> = {}): Promise<string> {
  const metadata = {
    format: 'nodule-checkpoint/1',
    hypes: JSON.stringify(hypes),
    ...{ step: '7', seed: '3', code_version: '0.1.0', engine: 'native', progress: '{}', averaged: '["a"]' },
    ...more,
  }
  const tensors = new Map([
    ['model/w', { shape: [2], data: Float32Array.of(1, 2) }],
    ['optimizer/m/w', { shape: [2], data: new Float32Array(2) }],
  ])
  await writeSafeTensors(at(name), { metadata, tensors })
  return at(name)
}

describe('stripCheckpoint', () => {
  it('keeps weights, step, seed and version; drops the optimizer, the log and folders', async () => {
    const file = await write('run', { solver: { weights: '/home/somebody/runs/first.safetensors' } })
    const { tensors, bytes, sha256 } = await stripCheckpoint(file, at('bare'))
    expect(tensors).toBe(1)
    expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    const raw = await readSafeTensors(at('bare'))
    expect([...raw.tensors.keys()]).toEqual(['model/w'])
    expect([...raw.tensors.get('model/w')!.data]).toEqual([1, 2])
    expect(raw.metadata['averaged']).toBe('["a"]')
    expect(JSON.stringify(raw.metadata)).not.toContain('somebody')
    expect(bytes).toBeGreaterThan(8)
    const { hypes, step, seed, codeVersion, engine, progress } = await loadCheckpoint(at('bare'))
    expect(hypes).toEqual(parseHypes({ solver: { weights: 'first.safetensors' } }, 'x'))
    expect({ step, seed, codeVersion, engine, progress }).toEqual({
      ...{ step: 7, seed: 3, codeVersion: '0.1.0', engine: 'native', progress: undefined },
    })
  })

  it('takes a second stage, and what it has stripped already', async () => {
    const file = await write('second', { kind: 'patches' }, { kind: 'patches' })
    await stripCheckpoint(file, at('once'))
    const { sha256 } = await stripCheckpoint(at('once'), at('twice'))
    expect((await stripCheckpoint(file, at('again'))).sha256).toBe(sha256)
    expect((await loadCheckpointOf(at('twice'), 'patches', parsePatchHypes)).step).toBe(7)
  })

  it('refuses what is no checkpoint and damaged hypes, names the place, and writes nothing', async () => {
    const refused = async (file: string): Promise<string> =>
      stripCheckpoint(file, at('none')).then(
        () => expect.fail('took it'),
        (error: unknown) => {
          expect(error).toBeInstanceOf(NoduleError)
          return (error as NoduleError).message
        },
      )
    const other = await write('other', {}, { format: 'else' })
    expect(await refused(other)).toContain(`${other}: __metadata__.format: not a checkpoint of nodule`)
    const damaged = await write('damaged', {}, { hypes: '{' })
    expect(await refused(damaged)).toContain(`${damaged}: __metadata__.hypes: not JSON`)
    expect(await refused(await write('odd', { image_width: -1 }))).toContain('image_width')
    await expect(readSafeTensors(at('none'))).rejects.toThrow('none.safetensors')
  })
})
