import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { calibrateLike } from '../../src/mining/index.js'
import { exportPatches } from '../../src/onnx/index.js'
import { patchMetadata, patchProps } from '../../src/onnx/patch_metadata.js'
import type { Calibration } from '../../src/onnx/patch_metadata.js'
import { decodeModel, encodeModel } from '../../src/onnx/proto.js'
import { trainPatches } from '../../src/training/train_patches.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { sha256 } from '../../src/hash.js'
import { smallModel } from '../inference/small_model.js'
import { temporaryFolder, writeHypes, writeSmallCubes } from '../patches/small_cubes.js'

const root = temporaryFolder()
const plain = join(root, 'plain.onnx')
const MODEL = 'a'.repeat(64)
const twinOf = (
  first: number,
  second: number,
  size: number,
  offset: number,
  nodules: number,
): Calibration => ({
  ...{ first, second, size, offset, model: MODEL, checkpoint: 'c' },
  ...{ nodules, others: 3 * nodules },
})
const one = join(root, 'one.onnx')
const two = join(root, 'two.onnx')
const MEAN = { ...twinOf(0.75, 2, 0.5, -1, 30), others: 90 }

function calibrated(path: string, calibration: Calibration): string {
  const model = decodeModel(readFileSync(plain), plain)
  const metadata = patchMetadata(model, plain)
  writeFileSync(path, encodeModel({ ...model, metadata_props: patchProps({ ...metadata, calibration }) }))
  return path
}

function calibrationOf(path: string): Calibration | undefined {
  return patchMetadata(decodeModel(readFileSync(path), path), path).calibration
}

async function refused(work: Promise<unknown>): Promise<NoduleError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NoduleError)
  return error as NoduleError
}

beforeAll(async () => {
  const cubes = await writeSmallCubes(join(root, 'cubes'), 20, 1)
  const run = { hypes: writeHypes(root), train: cubes, output: join(root, 'run'), engine: 'wasm' } as const
  const { checkpoint } = await trainPatches({ ...run, steps: 1 })
  await exportPatches(checkpoint, plain, { engine: 'wasm' })
  calibrated(one, twinOf(0.5, 1, 0.25, -2, 10))
  calibrated(two, twinOf(1, 3, 0.75, 0, 20))
}, 60_000)
afterAll(() => rmSync(root, { recursive: true }))

describe('calibrateLike', () => {
  it("writes the mean of the twins' constants and the sum of their marks", async () => {
    const output = join(root, 'mean.onnx')
    expect(await calibrateLike(plain, [one, two], output)).toEqual(MEAN)
    expect(calibrationOf(output)).toEqual(MEAN)
    expect(calibrationOf(plain)).toBeUndefined()
    // The network is the second stage's own.
    const graph = (path: string): unknown => decodeModel(readFileSync(path), path).graph
    expect(graph(output)).toEqual(graph(plain))
  })

  it('refuses no twin, one that is not calibrated, and those of different first stages', async () => {
    const before = readFileSync(plain)
    const none = await refused(calibrateLike(plain, []))
    expect(none.code).toBe('INVALID_PARAMETER')
    expect(none.message).toContain('at least one second stage')
    const without = await refused(calibrateLike(plain, [one, plain]))
    expect(without.code).toBe('FORMAT')
    expect(without.message).toContain(`${plain}: metadata_props/calibration`)
    expect(without.message).toContain('received none')
    const other = calibrated(join(root, 'other.onnx'), { ...MEAN, model: 'b'.repeat(64) })
    const mixed = await refused(calibrateLike(plain, [one, other]))
    expect(mixed.code).toBe('FORMAT')
    expect(mixed.message).toContain(`${other}: metadata_props/calibration`)
    expect(mixed.message).toContain('expected fitted to the first stage aaaaaaaaaaaaaaaa...')
    expect(mixed.message).toContain('received bbbbbbbbbbbbbbbb...')
    expect(readFileSync(plain)).toEqual(before)
  })

  it('fits the constants to another first stage where one is given', async () => {
    const model = join(root, 'first.onnx')
    const bytes = encodeModel(smallModel())
    writeFileSync(model, bytes)
    const output = join(root, 'other_first.onnx')
    const expected = { ...MEAN, model: sha256(bytes), checkpoint: '' }
    expect(await calibrateLike(plain, [one, two], output, model)).toEqual(expected)
    expect(calibrationOf(output)).toEqual(expected)
  })

  it('is nodule calibrate --like', () => {
    const output = join(root, 'command.onnx')
    const cli = ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), 'calibrate', plain]
    const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(process.execPath, [...cli, ...args], { cwd: PACKAGE_ROOT, encoding: 'utf8' })
    const done = run('--like', one, two, '-o', output)
    const absent = run('--like', one, two, '-m', join(root, 'absent.onnx'), '-o', join(root, 'none.onnx'))
    expect(absent.stderr).toContain('absent.onnx: cannot read model')
    expect(absent.status).toBe(1)
    expect(done.stderr).toBe('')
    expect(done.stdout).toContain(
      '0.750 * logit(first) + 2.000 * second + 0.500 * ln(diameter / 8 mm) - 1.000',
    )
    expect(calibrationOf(output)).toEqual(MEAN)
    const neither = run()
    expect(neither.status).toBe(2)
    expect(neither.stderr).toContain('nodule calibrate: Name --cubes or --like (nodule calibrate --help)')
  })
})
