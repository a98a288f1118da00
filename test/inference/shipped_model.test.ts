import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { exportOnnx, exportPatches } from '../../src/onnx/index.js'
import { openStages, shippedModel } from '../../src/inference/index.js'
import { hasCudaProvider } from '../../src/inference/session.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { readOnnxWeights } from '../../src/weights/onnx.js'

let root: string
beforeAll(async () => (root = await mkdtemp(join(tmpdir(), 'nodule-package-'))))
afterAll(async () => rm(root, { recursive: true }))

test('without a model in the package the error says how to get one', async () => {
  const path = join(root, 'models', 'lung.onnx')
  expect(() => shippedModel('cpu', root)).toThrow(NoduleError)
  expect(() => shippedModel('cpu', root)).toThrow(
    `${path}: no model is given, and the package holds none; possible solutions: name one (model); make one`,
  )
  await mkdir(join(root, 'models'))
  await writeFile(path, '')
  expect(shippedModel('cpu', root)).toBe(path)
})

test('int8 on the CPU, float32 on CUDA', async () => {
  const [path, int8] = ['lung.onnx', 'lung_int8.onnx'].map((name) => join(root, 'models', name))
  await writeFile(int8!, '')
  expect(shippedModel('cpu', root)).toBe(int8)
  expect(shippedModel('cuda', root)).toBe(path)
  expect(shippedModel('auto', root)).toBe(hasCudaProvider() ? path : int8)
})

test('the package holds both, of one checkpoint, for frames of any size, with second stages of one calibration', async () => {
  const [checkpoints, calibrations] = [new Set<string>(), new Set<string>()]
  for (const [device, precision, second] of [
    ['cpu', 'int8', 'lung_int8_second.onnx'],
    ['cuda', 'float32', 'lung_second.onnx'],
  ] as const) {
    const path = shippedModel(device)
    expect(existsSync(path)).toBe(true)
    const session = await openStages(path, undefined, { device: 'cpu', threads: 1 })
    expect(session).toMatchObject({ anyFrame: true, metadata: { precision } })
    expect(basename(session.second!.path)).toBe(second)
    expect(session.second!.metadata.precision).toBe(precision)
    const { first, second: weight, size, offset, model } = session.second!.calibration
    calibrations.add(JSON.stringify({ first, weight, size, offset, model }))
    checkpoints.add(session.metadata.checkpointSha256)
    for (const { solver } of [session.metadata.hypes, session.second!.metadata.hypes])
      expect(solver.weights).toMatch(/^[\w.-]*$/)
    await session.release()
  }
  expect(checkpoints.size).toBe(1)
  expect(calibrations.size).toBe(1)
})

test.each([
  ['lung', exportOnnx],
  ['lung_second', exportPatches],
] as const)('the weights beside it, %s.safetensors, make the model', async (name, write) => {
  const models = join(PACKAGE_ROOT, 'models')
  const made = join(root, `${name}_made.onnx`)
  await write(join(models, `${name}.safetensors`), made)
  const [shipped, own] = [await readOnnxWeights(join(models, `${name}.onnx`)), await readOnnxWeights(made)]
  let compared = 0
  for (const [key, tensor] of shipped.tensors) {
    // What the frame's size makes, and whole numbers, are no weights.
    if (tensor.type !== 'float32' || tensor.shape.length === 0) continue
    const values = await tensor.read()
    const others = await own.tensors.get(key)!.read()
    const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    const worst = values.reduce((a, b, n) => Math.max(a, Math.abs(b - others[n]!)), 0)
    expect({ key, share: worst / most < 1e-6 }).toEqual({ key, share: true })
    compared++
  }
  expect(compared).toBeGreaterThan(18)
})
