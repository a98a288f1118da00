import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { averageCheckpoints } from '../../src/checkpoints/average.js'
import { readSafeTensors, writeSafeTensors } from '../../src/formats/safetensors.js'
import { NoduleError } from '../../src/errors.js'

let folder: string
const at = (name: string): string => join(folder, `${name}.safetensors`)
const METADATA = { format: 'nodule-checkpoint/1', kind: 'detector', hypes: '{}', step: '7', progress: '{}' }

async function write(name: string, values: number[], metadata = {}, weight = 'model/w'): Promise<string> {
  const tensors = new Map([
    [weight, { shape: [values.length], data: Float32Array.from(values) }],
    ['optimizer/m/w', { shape: [1], data: new Float32Array(1) }],
  ])
  await writeSafeTensors(at(name), { metadata: { ...METADATA, ...metadata }, tensors })
  return at(name)
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-average-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function refused(...files: string[]): Promise<NoduleError> {
  return averageCheckpoints(files, at('none')).then(
    () => expect.fail('took them'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(NoduleError)
      return error as NoduleError
    },
  )
}

describe('averageCheckpoints', () => {
  it("writes the weights' means, the last one's metadata, and what they are means of", async () => {
    const files = [
      await write('a', [1, 2]),
      await write('b', [3, 5]),
      await write('c', [5, 5], { step: '9' }),
    ]
    const { sources, tensors } = await averageCheckpoints(files, at('mean'))
    expect(tensors).toBe(1)
    const mean = await readSafeTensors(at('mean'))
    expect([...mean.tensors.keys()]).toEqual(['model/w'])
    expect([...mean.tensors.get('model/w')!.data]).toEqual([3, 4])
    expect(mean.metadata).toEqual({
      ...{ format: 'nodule-checkpoint/1', kind: 'detector', hypes: '{}', step: '9' },
      averaged: JSON.stringify(sources),
    })
    expect(new Set(sources).size).toBe(3)
  })

  it('refuses one file, another network, another kind and what is no checkpoint, and names the file', async () => {
    const a = await write('a', [1, 2])
    expect((await refused(a)).message).toContain('Expected two checkpoints or more for files but received 1')
    const longer = await refused(a, await write('longer', [1, 2, 3]))
    expect(longer.message).toContain(`${at('longer')}: model/w: a checkpoint of another network`)
    expect(longer.message).toContain('expected 2 but received 3')
    const other = await refused(a, await write('other', [1, 2], {}, 'model/v'))
    expect(other.message).toContain('model/w: a checkpoint of another network: expected 2 but received none')
    const notFinite = await refused(a, await write('nan', [1, Number.NaN]))
    expect(notFinite.message).toBe(
      `${at('nan')}: model/w[1]: a tensor holds what is not a number: received NaN`,
    )
    const kind = await refused(a, await write('cubes', [1, 2], { kind: 'patches' }))
    expect(kind.message).toContain('__metadata__.kind: not a checkpoint of the same kind')
    const foreign = await refused(await write('foreign', [1], { format: 'pt' }), a)
    expect(foreign.message).toContain('expected "nodule-checkpoint/1" but received "pt"')
  })

  it('refuses hypes by which equal weights mean another network, and takes those that were trained otherwise', async () => {
    const a = await write('a', [1, 2])
    const scaled = await refused(
      a,
      await write('scaled', [3, 4], { hypes: '{"box_scale": 5, "dropout": 0}' }),
    )
    expect(scaled.message).toBe(
      `${at('scaled')}: box_scale: a checkpoint of another network: expected box_scale 50, as in the first but received box_scale 5`,
    )
    const otherwise = { hypes: '{"batch_size": 9, "solver": {"opt": "Adam"}}' }
    await averageCheckpoints([a, await write('otherwise', [3, 4], otherwise)], at('mean'))
    expect([...(await readSafeTensors(at('mean'))).tensors.get('model/w')!.data]).toEqual([2, 3])
    const [grid, wider] = [0.7, 1].map((pixel_mm) => JSON.stringify({ kind: 'patches', cube: { pixel_mm } }))
    const cubes = { kind: 'patches' }
    const patches = await write('patches', [1], { ...cubes, hypes: grid })
    const zoomed = await refused(patches, await write('zoomed', [1], { ...cubes, hypes: wider }))
    expect(zoomed.message).toContain('cube.pixel_mm: a checkpoint of another network')
  })
})
