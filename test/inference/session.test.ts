import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { NoduleError } from '../../src/errors.js'
import { openSession } from '../../src/inference/index.js'
import type { Session } from '../../src/inference/index.js'
import { encodeModel } from '../../src/onnx/proto.js'
import type { OnnxModel } from '../../src/onnx/proto.js'
import { modelFolder, smallHypes, smallModel } from './small_model.js'

let folder: string
let model: string

beforeAll(async () => {
  ;({ folder, model } = await modelFolder())
})

afterAll(async () => rm(folder, { recursive: true }))

/** Opens the changed model and returns the error. */
async function errorOf(name: string, change: (model: OnnxModel) => void): Promise<NoduleError> {
  const changed = smallModel()
  change(changed)
  const path = join(folder, name)
  await writeFile(path, encodeModel(changed))
  const error: unknown = await openSession(path, { device: 'cpu' }).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NoduleError)
  expect((error as NoduleError).path).toBe(path)
  return error as NoduleError
}

describe('openSession', () => {
  let session: Session

  test('gives hypes and metadata and runs batches whose frames do not influence each other', async () => {
    session = await openSession(model, { device: 'cpu', threads: 1 })
    expect(session.hypes).toEqual(smallHypes)
    expect(session).toMatchObject({ device: 'cpu', threads: 1, anyFrame: false, metadata: { step: 1 } })
    const size = 3 * 64 * 96
    const frames = Uint8Array.from({ length: 2 * size }, (_, i) => (i * 7919) % 256)
    const both = await session.run(frames, 2)
    expect(both.boxes.length).toBe(2 * 12 * 4)
    expect(both.confidences.length).toBe(2 * 12)
    const second = await session.run(frames.subarray(size), 1)
    second.boxes.forEach((value, i) => expect(both.boxes[48 + i]).toBeCloseTo(value, 3))
    second.confidences.forEach((value, i) => expect(both.confidences[12 + i]).toBeCloseTo(value, 5))
  })

  test('a model of a fixed scale takes frames of any size, in whole cells', async () => {
    const hypes = parseHypes({ ...smallHypes, data: { ...smallHypes.data, mm_per_pixel: 0.7 } })
    const path = join(folder, 'any.onnx')
    await writeFile(path, encodeModel(smallModel(hypes)))
    const any = await openSession(path, { device: 'cpu', threads: 1 })
    expect(any.anyFrame).toBe(true)
    const size = 3 * 64 * 96
    const frames = Uint8Array.from({ length: 2 * size }, (_, i) => (i * 7919) % 256)
    const [fixed, free] = [await session.run(frames, 2), await any.run(frames, 2)]
    expect(free.boxes.length).toBe(fixed.boxes.length)
    fixed.boxes.forEach((value, i) => expect(free.boxes[i]).toBeCloseTo(value, 3))
    fixed.confidences.forEach((value, i) => expect(free.confidences[i]).toBeCloseTo(value, 5))
    const { boxes, confidences } = await any.run(new Uint8Array(2 * 3 * 128 * 160), 2, {
      width: 160,
      height: 128,
    })
    expect(confidences.length).toBe(2 * 5 * 4 * smallHypes.rnn_len)
    expect(boxes.length).toBe(4 * confidences.length)
    for (const [width, height] of [
      [100, 64],
      [96, 65],
      [0, 64],
    ] as const)
      await expect(any.run(new Uint8Array(10 ** 5), 1, { width, height })).rejects.toThrow(
        'Expected multiples of 32 px for size',
      )
    await any.release()
  })

  test('run checks its arguments', async () => {
    await expect(session.run(new Uint8Array(10), 1)).rejects.toThrow(
      'Expected 18432 bytes for frames but received Uint8Array(10)',
    )
    await expect(session.run(new Uint8Array(10), 0)).rejects.toThrow(
      'Expected integer between 1 and 65536 for n',
    )
    await expect(session.run(new Uint8Array(3 * 32 * 32), 1, { width: 32, height: 32 })).rejects.toThrow(
      'Expected 96 x 64 for size',
    )
    await session.release()
  })

  test('a session that several share may be released by each of them; later use is told as such', async () => {
    const shared = await openSession(model)
    const size = shared.hypes.image_width * shared.hypes.image_height * shared.hypes.data.channels
    const running = shared.run(new Uint8Array(size), 1).catch((error: unknown) => error)
    await Promise.all([shared.release(), shared.release()])
    // It may have come first.
    const error = await running
    if (error instanceof Error) expect(error.message).toContain('the session was released')
    await shared.release()
    await expect(shared.run(new Uint8Array(size), 1)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      path: model,
      message: expect.stringContaining('the session was released') as string,
    })
  })

  test('a missing file, options out of range', async () => {
    await expect(openSession(join(folder, 'none.onnx'))).rejects.toMatchObject({
      code: 'FILE',
      message: `${join(folder, 'none.onnx')}: cannot read model: no such file or folder`,
    })
    await expect(openSession(model, { device: 'tpu' as never })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: 'Expected one of auto, cpu, cuda for device but received "tpu"',
    })
    await expect(openSession(model, { threads: 0 })).rejects.toMatchObject({ code: 'INVALID_PARAMETER' })
  })

  test('files that are not ONNX, or cut off', async () => {
    const text = join(folder, 'text.onnx')
    await writeFile(text, 'not a model')
    await expect(openSession(text)).rejects.toMatchObject({
      code: 'FORMAT',
      message: expect.stringContaining(
        `${text}: not an ONNX model, or damaged: expected ONNX protobuf`,
      ) as string,
    })
    await writeFile(text, '')
    await expect(openSession(text)).rejects.toMatchObject({ code: 'FORMAT' })
    const whole = encodeModel(smallModel())
    for (const length of [100, whole.length >> 1, whole.length - 1]) {
      await writeFile(text, whole.subarray(0, length))
      await expect(openSession(text)).rejects.toMatchObject({ code: 'FORMAT', path: text })
    }
  })

  test('models that are not ours', async () => {
    const foreign = await errorOf('foreign.onnx', (m) => {
      m.metadata_props = []
      m.producer_name = 'pytorch'
    })
    expect(foreign.code).toBe('FORMAT')
    expect(foreign.message).toBe(
      `${join(folder, 'foreign.onnx')}: metadata_props/format: not a model that \`nodule export\` made: ` +
        'expected "nodule-model/1" but received no such property (producer "pytorch")',
    )
    const newer = await errorOf('newer.onnx', (m) => {
      m.metadata_props.find(({ key }) => key === 'format')!.value = 'nodule-model/9'
    })
    expect(newer.message).toContain('expected "nodule-model/1" but received "nodule-model/9"')
  })

  test('damaged metadata', async () => {
    const set = (key: string, value: string) => (m: OnnxModel) => {
      m.metadata_props.find((prop) => prop.key === key)!.value = value
    }
    expect((await errorOf('a.onnx', set('hypes', '{'))).message).toContain('metadata_props/hypes: not JSON')
    expect((await errorOf('b.onnx', set('hypes', '{"rnn_len": 0}'))).message).toContain(
      'rnn_len: wrong value',
    )
    const lacking = await errorOf('c.onnx', (m) => {
      m.metadata_props = m.metadata_props.filter(({ key }) => key !== 'step')
    })
    expect(lacking.message).toContain('metadata_props: damaged model: expected step')
  })

  test('hypes that do not fit the graph, and graphs that onnxruntime refuses', async () => {
    const size = await errorOf('d.onnx', (m) => {
      const hypes = { ...smallHypes, image_width: 192, grid_width: 6 }
      m.metadata_props.find(({ key }) => key === 'hypes')!.value = JSON.stringify(hypes)
    })
    expect(size.message).toContain('the model has other inputs or outputs than its format promises')
    expect(size.message).toContain('expected frames uint8 [N,3,64,192] -> boxes, confidences')
    const refused = await errorOf('e.onnx', (m) => {
      m.graph.node[0]!.op_type = 'NoSuchOperator'
    })
    expect(refused.code).toBe('FORMAT')
    expect(refused.message).toContain('onnxruntime refuses the model')
  })

  test('a model that gives NaN is an error, not a scan without nodules', async () => {
    const path = join(folder, 'nan.onnx')
    const changed = smallModel()
    const bias = changed.graph.initializer.find(({ name }) => name === 'decoder/lstm/layer_0/bias')!
    bias.raw_data = new Uint8Array(new Float32Array(bias.raw_data.length / 4).fill(NaN).buffer)
    await writeFile(path, encodeModel(changed))
    const broken = await openSession(path, { device: 'cpu', threads: 1 })
    await expect(broken.run(new Uint8Array(3 * 64 * 96), 1)).rejects.toMatchObject({
      code: 'NUMERIC',
      path,
      message: expect.stringMatching(/no numbers|the model fails/) as string,
    })
    await broken.release()
  })

  test('a device that is not there is named with what to do', async () => {
    const result = await openSession(model, { device: 'cuda' }).then(
      async (opened) => {
        await opened.release()
        return 'opened'
      },
      (error: unknown) => error,
    )
    if (result === 'opened') return // A machine with CUDA.
    expect(result).toMatchObject({ code: 'UNAVAILABLE' })
    expect((result as Error).message).toContain('onnxruntime cannot use CUDA')
    expect((result as Error).message).toContain('run on the CPU (device cpu)')
  })
})
