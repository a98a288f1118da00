import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { readSafeTensors, writeSafeTensors } from '../../src/formats/safetensors.js'
import { openPatchSession } from '../../src/inference/index.js'
import { exportPatches } from '../../src/onnx/index.js'
import { patchMetadata } from '../../src/onnx/patch_metadata.js'
import { decodeModel, encodeModel } from '../../src/onnx/proto.js'
import { cubeBytes } from '../../src/patches/index.js'
import { createRandom } from '../../src/random.js'
import { trainPatches } from '../../src/training/train_patches.js'
import { SMALL, smallHypes, temporaryFolder, writeHypes, writeSmallCubes } from './small_cubes.js'

const root = temporaryFolder()
const together = join(root, 'together.onnx')
let one: string
let wider: string
let otherCube: string

async function trained(name: string, seed: number, changes: object = {}): Promise<string> {
  const solver = { ...SMALL.solver, max_iter: 3, rnd_seed: seed }
  const hypes = writeHypes(root, { ...changes, solver })
  const own = smallHypes({ ...changes, solver })
  const train = await writeSmallCubes(join(root, `cubes-${name}`), 8, seed, undefined, own)
  return (await trainPatches({ hypes, train, output: join(root, name), engine: 'wasm' })).checkpoint
}

beforeAll(async () => {
  one = await trained('one', 1)
  wider = await trained('wider', 2, { widths: [8, 24] })
  otherCube = await trained('other-cube', 3, { cube: { ...SMALL.cube, planes: 7 } })
}, 60_000)
afterAll(() => rmSync(root, { recursive: true }))

async function logits(path: string): Promise<Float32Array> {
  const session = await openPatchSession(path, { device: 'cpu', threads: 1 })
  const random = createRandom(5)
  const cubes = Uint8Array.from({ length: 3 * cubeBytes(session.spec) }, () => random.integer(256))
  const result = await session.run(cubes)
  await session.release()
  return result
}

describe('several second stages as one', () => {
  it('give the mean of what each gives, and name all', async () => {
    const alone = await Promise.all(
      [one, wider].map(async (checkpoint, n) => {
        const path = join(root, `alone-${n}.onnx`)
        await exportPatches(checkpoint, path, { engine: 'wasm' })
        return logits(path)
      }),
    )
    const result = await exportPatches(one, together, { engine: 'wasm', others: [wider] })
    expect(result).toMatchObject({ networks: 2, step: 3 })
    const mean = await logits(together)
    expect(mean).toHaveLength(3)
    expect(alone[0]![0]).not.toBeCloseTo(alone[1]![0]!, 3)
    mean.forEach((value, n) => expect(value).toBeCloseTo((alone[0]![n]! + alone[1]![n]!) / 2, 4))

    const metadata = patchMetadata(decodeModel(readFileSync(together), together), together)
    expect(metadata.seed).toBe(1)
    expect(metadata.others).toMatchObject([{ step: 3, seed: 2, hypes: { widths: [8, 24] } }])
    expect(metadata.others![0]!.checkpointSha256).not.toBe(metadata.checkpointSha256)
  })

  it('must look at the same cube', async () => {
    const path = join(root, 'never.onnx')
    const error = await exportPatches(one, path, { engine: 'wasm', others: [otherCube] }).catch(
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(NoduleError)
    expect(error).toMatchObject({ code: 'FORMAT' })
    expect((error as NoduleError).message).toContain('a second stage of another cube or other targets')
    expect((error as NoduleError).message).toContain('"planes":7')
    expect(() => readFileSync(path)).toThrow('ENOENT')
  })

  it('must hold the weights of its hypes and no others', async () => {
    const path = join(root, 'more.safetensors')
    const file = await readSafeTensors(wider)
    file.tensors.set('model/head/more/biases', { shape: [1], data: new Float32Array(1) })
    await writeSafeTensors(path, file)
    const work = exportPatches(one, join(root, 'never.onnx'), { engine: 'wasm', others: [path] })
    await expect(work).rejects.toMatchObject({ code: 'FORMAT', path, place: 'model/head/more/biases' })
  })

  it.each(['{}', '[1]', '[{"step":1}]'])('whose list of networks is damaged are refused: %s', (others) => {
    const model = decodeModel(readFileSync(together), together)
    const props = model.metadata_props.map(({ key, value }) => ({
      key,
      value: key === 'others' ? others : value,
    }))
    writeFileSync(together, encodeModel({ ...model, metadata_props: props }))
    expect(() => patchMetadata(decodeModel(readFileSync(together), together), together)).toThrow(
      'damaged model',
    )
  })
})
