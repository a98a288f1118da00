import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { command } from '../../src/commands/export.js'
import { openPatchSession } from '../../src/inference/index.js'
import { exportPatches } from '../../src/onnx/index.js'
import { patchMetadata } from '../../src/onnx/patch_metadata.js'
import { decodeModel } from '../../src/onnx/proto.js'
import { innerCube, openCubes } from '../../src/patches/index.js'
import { trainPatches } from '../../src/training/train_patches.js'
import { SMALL, smallHypes, temporaryFolder, writeHypes, writeSmallCubes } from './small_cubes.js'

const root = temporaryFolder()
const [float, int8] = [join(root, 'float.onnx'), join(root, 'int8.onnx')]
let checkpoint: string
let cubes: string

beforeAll(async () => {
  cubes = await writeSmallCubes(join(root, 'cubes'), 40, 1)
  const hypes = writeHypes(root, { solver: { ...SMALL.solver, max_iter: 60 } })
  checkpoint = (await trainPatches({ hypes, train: cubes, output: join(root, 'run'), engine: 'wasm' }))
    .checkpoint
}, 60_000)
afterAll(() => rmSync(root, { recursive: true }))

async function logits(path: string): Promise<number[]> {
  const session = await openPatchSession(path, { device: 'cpu', threads: 1 })
  const store = await openCubes(await writeSmallCubes(join(root, `unseen-${path.length}`), 30, 9))
  const values: number[] = []
  for (let n = 0; n < store.cubes.length; n++)
    values.push((await session.run(innerCube(store.read(n), session.spec)))[0]!)
  store.close()
  await session.release()
  return values
}

describe('a second stage in int8', () => {
  it('judges cubes that it has not seen as the float one does, and says what it is', async () => {
    await exportPatches(checkpoint, float, { engine: 'wasm' })
    const result = await exportPatches(checkpoint, int8, { engine: 'wasm', quantize: [cubes] })
    expect(result.quantization).toMatchObject({ calibrationCubes: 20, comparedCubes: 20 })
    const { mean, max } = result.quantization!.outputs
    expect(mean).toBeGreaterThan(0)
    expect(mean).toBeLessThan(0.2)
    expect(max).toBeLessThan(1)
    const [exact, rounded] = [await logits(float), await logits(int8)]
    const spread = Math.max(...exact) - Math.min(...exact)
    expect(spread).toBeGreaterThan(3)
    for (const [n, value] of exact.entries()) expect(Math.abs(value - rounded[n]!)).toBeLessThan(0.1 * spread)
    const model = decodeModel(readFileSync(int8), int8)
    expect(patchMetadata(model, int8).precision).toBe('int8')
    expect(patchMetadata(decodeModel(readFileSync(float), float), float).precision).toBe('float32')
    expect(model.graph.node.filter(({ op_type: op }) => op === 'QuantizeLinear').length).toBeGreaterThan(3)
  })

  it('is made of --quantize and --cubes together', async () => {
    const flags = { checkpoint, output: join(root, 'never.onnx'), set: [] }
    for (const given of [{ quantize: true }, { quantize: false, cubes: [cubes] }])
      await expect(command.handler({ ...flags, ...given } as never)).rejects.toThrow(
        '--quantize and --cubes of a second stage go together',
      )
  })

  it('needs cubes of its own grid', async () => {
    const other = await writeSmallCubes(
      join(root, 'other'),
      8,
      2,
      undefined,
      smallHypes({ cube: { ...SMALL.cube, planes: 7 } }),
    )
    const path = join(root, 'never.onnx')
    await expect(exportPatches(checkpoint, path, { engine: 'wasm', quantize: [other] })).rejects.toThrow(
      'the cubes were made for other hypes',
    )
    expect(existsSync(path)).toBe(false)
  })
})
