import { createHash } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { encodePng, writeList } from '../../src/dataset/index.js'
import { startEngine } from '../../src/engine/index.js'
import { writeFileAtomic } from '../../src/files.js'
import { createDetector } from '../../src/model/detector.js'
import { exportOnnx } from '../../src/onnx/index.js'
import { modelMetadata } from '../../src/onnx/metadata.js'
import { decodeModel } from '../../src/onnx/proto.js'
import { verifyExport } from '../../src/onnx/verify.js'
import { loadCheckpoint, saveCheckpoint } from '../../src/training/checkpoint.js'

const hypes = parseHypes({
  slim_basename: 'tiny',
  image_width: 64,
  image_height: 64,
  grid_width: 2,
  grid_height: 2,
  lstm_size: 16,
  rnn_len: 2,
})
let folder: string
let checkpoint: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-export-'))
  checkpoint = join(folder, 'step-000007.safetensors')
  await startEngine('wasm')
  const { weights } = createDetector(hypes, 3)
  await saveCheckpoint(checkpoint, { hypes, step: 7, seed: 3, engine: 'wasm', weights, slots: new Map() })
})

afterAll(async () => rm(folder, { recursive: true }))

describe('exportOnnx', () => {
  test('writes a verified model that says where it comes from', async () => {
    const image = { width: 64, height: 64, data: new Uint8Array(64 * 64 * 3).map((_, i) => i % 251) }
    await writeFileAtomic(join(folder, 'frame.png'), await encodePng(image))
    await writeList(join(folder, 'list.json'), [{ image_path: 'frame.png', rects: [] }])
    const path = join(folder, 'model.onnx')
    const result = await exportOnnx(checkpoint, path, { engine: 'wasm', frames: join(folder, 'list.json') })
    expect(result.verification.frames).toBe(3)
    expect(result.verification.boxes.difference).toBeLessThan(1e-3)
    const bytes = await readFile(path)
    const sha = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')
    expect(result.sha256).toBe(sha(bytes))
    const model = decodeModel(bytes, path)
    expect(modelMetadata(model, path)).toEqual({
      hypes,
      step: 7,
      seed: 3,
      codeVersion: expect.any(String) as string,
      checkpointSha256: sha(await readFile(checkpoint)),
      precision: 'float32',
    })
    expect((await readdir(folder)).filter((name) => name.includes('.part'))).toEqual([])
  })

  test('a model that computes something else is refused', async () => {
    const { tensors } = await loadCheckpoint(checkpoint)
    const path = join(folder, 'model.onnx')
    const bytes = await readFile(path)
    const changed = new Map(tensors)
    const name = 'model/decoder/box_ip/0'
    const { shape, data } = changed.get(name)!
    changed.set(name, { shape, data: data.map((value) => value * 1.01) })
    await expect(verifyExport(bytes, hypes, tensors, checkpoint)).resolves.toMatchObject({ frames: 2 })
    await expect(verifyExport(bytes, hypes, changed, checkpoint)).rejects.toMatchObject({
      code: 'NUMERIC',
      message: expect.stringMatching(
        /step-000007\.safetensors: the exported model computes other boxes than the checkpoint: expected difference up to/,
      ) as string,
    })
  })

  test('a checkpoint that is none is refused, and nothing is written', async () => {
    const path = join(folder, 'other.onnx')
    await expect(exportOnnx(join(folder, 'frame.png'), path)).rejects.toMatchObject({ code: 'FORMAT' })
    await expect(exportOnnx(join(folder, 'missing'), path)).rejects.toMatchObject({ code: 'FILE' })
    expect(await readdir(folder)).not.toContain('other.onnx')
  })
})
