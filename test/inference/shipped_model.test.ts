import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { shippedModel } from '../../src/inference/index.js'

let root: string
beforeAll(async () => (root = await mkdtemp(join(tmpdir(), 'nodule-package-'))))
afterAll(async () => rm(root, { recursive: true }))

test('without a model in the package the error says how to get one', async () => {
  const path = join(root, 'models', 'lung.onnx')
  expect(() => shippedModel(root)).toThrow(NoduleError)
  expect(() => shippedModel(root)).toThrow(
    `${path}: no model is given, and the package holds none; possible solutions: name one (model); make one`,
  )
  await mkdir(join(root, 'models'))
  await writeFile(path, '')
  expect(shippedModel(root)).toBe(path)
})
