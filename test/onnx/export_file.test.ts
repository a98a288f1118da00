import { createHash } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { readSafeTensors, writeSafeTensors } from '../../src/formats/safetensors.js'
import { encodeFrame } from '../../src/formats/images.js'
import { encodePng } from '../../src/formats/index.js'
import { writeList } from '../../src/dataset/index.js'
import { startEngine } from '../../src/engine/start.js'
import { writeFileAtomic } from '../../src/files.js'
import { detectList, openSession } from '../../src/inference/index.js'
import { createDetector } from '../../src/model/detector.js'
import { NoduleError } from '../../src/errors.js'
import { exportOnnx } from '../../src/onnx/index.js'
import { metadataProps, modelMetadata } from '../../src/onnx/metadata.js'
import { decodeModel } from '../../src/onnx/proto.js'
import { verifyExport } from '../../src/onnx/verify.js'
import { loadCheckpoint, saveCheckpoint } from '../../src/checkpoints/checkpoint.js'
import { train } from '../../src/training/train.js'

const hypes = parseHypes({
  slim_basename: 'tiny',
  image_width: 64,
  image_height: 64,
  grid_width: 2,
  grid_height: 2,
  lstm_size: 16,
  rnn_len: 2,
})
type Tensors = Awaited<ReturnType<typeof readSafeTensors>>['tensors']
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

  test.each([
    {
      what: 'a variance below 0',
      change: (tensors: Tensors) =>
        (tensors.get('model/tiny/conv1/BatchNorm/moving_variance')!.data[1] = -0.5),
      message:
        'model/tiny/conv1/BatchNorm/moving_variance[1]: a variance is below 0: expected 0 or more but received -0.5',
    },
    {
      what: 'tensors besides',
      change: (tensors: Tensors) =>
        tensors.set('model/decoder/box_ip/2', tensors.get('model/decoder/box_ip/1')!),
      message:
        /^model\/decoder\/box_ip\/2: a checkpoint of other hypes than it names: expected only the \d+ weights that the hypes make but received 1 more$/,
    },
    {
      what: 'another shape',
      change: (tensors: Tensors) =>
        tensors.set('model/decoder/box_ip/1', { shape: [1], data: new Float32Array(1) }),
      message: 'model/decoder/box_ip/1: a tensor has the wrong shape: expected [16,4] but received [1]',
    },
    {
      what: 'a weight less',
      change: (tensors: Tensors) => tensors.delete('model/decoder/box_ip/1'),
      message: 'model/decoder/box_ip/1: a tensor is missing: expected [16,4]',
    },
    {
      what: 'weights that make no boxes',
      change: (tensors: Tensors) => tensors.get('model/decoder/box_ip/1')!.data.fill(3e38),
      code: 'NUMERIC',
      message: /^the exported model cannot be run: received /,
    },
  ])('a checkpoint with $what is refused with its name', async ({ change, message, code = 'FORMAT' }) => {
    const path = join(folder, 'changed.safetensors')
    const file = await readSafeTensors(checkpoint)
    change(file.tensors)
    await writeSafeTensors(path, file)
    const error = await exportOnnx(path, join(folder, 'other.onnx'), { engine: 'wasm' }).catch(
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ name: 'NoduleError', code, path })
    if (typeof message === 'string') expect((error as NoduleError).reason).toBe(message)
    else expect((error as NoduleError).reason).toMatch(message)
    expect(await readdir(folder)).not.toContain('other.onnx')
  })

  test('names the weights that training started from without their folders', () => {
    const began = {
      ...hypes,
      slim_ckpt: '/home/me/v1.ckpt',
      solver: { ...hypes.solver, weights: 'a/b.safetensors' },
    }
    const origin = { step: 1, seed: 1, codeVersion: '', checkpointSha256: '', precision: 'float32' } as const
    const props = metadataProps({ ...origin, hypes: began })
    expect(JSON.parse(props.find(({ key }) => key === 'hypes')!.value)).toMatchObject({
      slim_ckpt: 'v1.ckpt',
      solver: { weights: 'b.safetensors' },
    })
  })

  test('five channels, trained two steps; another frame, in the metadata and verified', async () => {
    const data = Uint8Array.from({ length: 150 * 120 * 5 }, (_, n) => (n * 7 + (n % 150) ** 2) % 251)
    const small = { width: 64, height: 64, channels: 5, data: data.subarray(0, 64 * 64 * 5) }
    await writeFileAtomic(join(folder, 'five.png'), await encodeFrame(small))
    await writeFileAtomic(
      join(folder, 'canvas.png'),
      await encodeFrame({ width: 150, height: 120, channels: 5, data }),
    )
    const entry = (image_path: string) => ({
      image_path,
      rects: [{ x1: 20, y1: 20, x2: 40, y2: 44 }],
      nodule: { channels: 5 },
    })
    await writeFileAtomic(join(folder, 'five.json'), JSON.stringify([entry('five.png'), entry('five.png')]))
    await writeFileAtomic(join(folder, 'canvas.json'), JSON.stringify([entry('canvas.png')]))
    const five = { ...hypes, data: { ...hypes.data, channels: 5 } }
    await writeFileAtomic(join(folder, 'five.hypes.json'), JSON.stringify(five))
    const { checkpoint: trained } = await train({
      hypes: join(folder, 'five.hypes.json'),
      train: join(folder, 'five.json'),
      output: join(folder, 'run'),
      steps: 2,
      engine: 'wasm',
    })
    const path = join(folder, 'five.onnx')
    const plain = await exportOnnx(trained, path, { engine: 'wasm', frames: join(folder, 'five.json') })
    expect(plain).toMatchObject({ step: 2, verification: { frames: 4 } })

    // The same weights for tiles of a fixed scale, larger than the crops of training.
    const checkpointOfCrops = join(folder, 'crops.safetensors')
    const { weights } = createDetector(five, 4)
    await saveCheckpoint(checkpointOfCrops, {
      hypes: { ...five, data: { ...five.data, mm_per_pixel: 0.7, tile_overlap_mm: 21 } },
      step: 2,
      seed: 4,
      engine: 'wasm',
      weights,
      slots: new Map(),
    })
    const frame = { width: 128, height: 96 }
    const result = await exportOnnx(checkpointOfCrops, path, {
      engine: 'wasm',
      frame,
      frames: join(folder, 'canvas.json'),
    })
    // Two frames of another size as well: it takes any.
    expect(result.verification.frames).toBe(5)
    const written = modelMetadata(decodeModel(await readFile(path), path), path).hypes
    expect(written).toMatchObject({ image_width: 128, image_height: 96, grid_width: 4, grid_height: 3 })
    const session = await openSession(path, { device: 'cpu', threads: 1 })
    try {
      expect(session.anyFrame).toBe(true)
      const found = await detectList(join(folder, 'canvas.json'), session, join(folder, 'found.json'), {
        parameters: { stitch: 'greedy', minScore: 0, overlap: 0.3 },
      })
      expect(found.failed).toBe(0)
      expect(found.boxes).toBeGreaterThan(0)
      for (const { x1, y1, x2, y2 } of found.entries[0]!.rects)
        expect(Math.min(x1, y1, 150 - x2, 120 - y2)).toBeGreaterThanOrEqual(0)
    } finally {
      await session.release()
    }
    await expect(exportOnnx(trained, path, { frame: { width: 100, height: 96 } })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: expect.stringContaining("multiple of the cell's 32 px") as string,
    })
    await exportOnnx(trained, path, {
      changes: ['box_margin_px=0.5', 'data.slice_step_mm=2.5', 'data.tile_overlap_mm=30'],
    })
    const other = await openSession(path)
    await other.release()
    expect(other.hypes).toMatchObject({
      box_margin_px: 0.5,
      data: { slice_step_mm: 2.5, tile_overlap_mm: 30 },
    })
    for (const [change, message] of [
      [
        'data.channels=5',
        'Expected box_margin_px, data.slice_step_mm, data.tile_overlap_mm, data.min_lung_share, data.lung_margin_mm for set',
      ],
      ['data.slice_step_mm', 'Expected key=value'],
      ['data.slice_step_mm=far', 'data.slice_step_mm'],
    ] as const) {
      const work = exportOnnx(trained, path, { changes: [change] })
      await expect(work).rejects.toThrow(NoduleError)
      await expect(work).rejects.toThrow(message)
    }
  })
})
