import { copyFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { startEngine } from '../../src/engine/index.js'
import { NoduleError } from '../../src/errors.js'
import { writeSafeTensors } from '../../src/formats/safetensors.js'
import type { HostTensor } from '../../src/formats/safetensors.js'
import { createDetector } from '../../src/model/detector.js'
import type { Detector } from '../../src/model/detector.js'
import { loadStart } from '../../src/training/start_weights.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-start-'))
const near = (path: string): string => join(folder, path)
const detectors: Detector[] = []

beforeAll(async () => {
  await startEngine()
})
afterAll(() => {
  for (const detector of detectors) detector.dispose()
})

function small(changes: object): Detector {
  const grid = { image_width: 64, image_height: 64, grid_width: 2, grid_height: 2 }
  const hypes = parseHypes({ ...grid, slim_basename: 'tiny', lstm_size: 4, rnn_len: 1, ...changes })
  const detector = createDetector(hypes, 1)
  detectors.push(detector)
  return detector
}

/** All weights of a detector's backbone as seven halves, under the file's names. */
function sevenHalves(detector: Detector, prefix: string, without = ''): Map<string, HostTensor> {
  return new Map(
    detector.specs
      .filter(({ name }) => name.startsWith('tiny/') && !(without !== '' && name.endsWith(without)))
      .map(({ name, shape }) => {
        const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(3.5)
        return [prefix + name, { shape, data }]
      }),
  )
}

const valueOf = (detector: Detector, name: string): number => detector.weights.get(name)!.dataSync()[0]!

async function caught(work: Promise<unknown>): Promise<NoduleError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NoduleError)
  return error as NoduleError
}

describe('slim_ckpt', () => {
  it.each(['', 'model/'])('takes the variables under "%s", and tells what is left over', async (prefix) => {
    const detector = small({ slim_ckpt: 'a.safetensors' })
    const tensors = sevenHalves(detector, prefix)
    tensors.set('logits/weights', { shape: [1], data: Float32Array.of(1) })
    await writeSafeTensors(near('a.safetensors'), { metadata: {}, tensors })
    const warnings: string[] = []
    const before = valueOf(detector, 'decoder/box_ip/0')
    await loadStart(detector, near, (warning) => warnings.push(warning))
    expect(valueOf(detector, 'tiny/conv3/weights')).toBe(3.5)
    expect(valueOf(detector, 'tiny/conv7/BatchNorm/moving_variance')).toBe(3.5)
    expect(valueOf(detector, 'decoder/box_ip/0')).toBe(before)
    expect(warnings).toEqual([
      `${near('a.safetensors')}: 35 variables of tiny from safetensors; left over: logits/weights`,
    ])
  })

  it('goes without scales of batch norms, as those of slim are', async () => {
    const detector = small({ slim_ckpt: 'b.safetensors' })
    const tensors = sevenHalves(detector, '', 'gamma')
    await writeSafeTensors(near('b.safetensors'), { metadata: {}, tensors })
    const warnings: string[] = []
    await loadStart(detector, near, (warning) => warnings.push(warning))
    expect(valueOf(detector, 'tiny/conv3/BatchNorm/gamma')).toBe(1)
    expect(warnings[0]).toMatch(/28 variables of tiny.*; 7 scales of batch norms are 1: the file has none$/)
  })

  it('lists what is missing and what else is there', async () => {
    const detector = small({ slim_ckpt: 'c.safetensors' })
    const tensors = new Map([...sevenHalves(detector, '')].filter(([name]) => !name.includes('conv5')))
    tensors.set('other/weights', { shape: [1], data: Float32Array.of(1) })
    await writeSafeTensors(near('c.safetensors'), { metadata: {}, tensors })
    const error = await caught(loadStart(detector, near))
    expect(error.code).toBe('FORMAT')
    expect(error.message).toMatch(
      /c\.safetensors: the file lacks weights of tiny: expected 34 variables such as tiny\/conv5\/weights, tiny\/conv5\/BatchNorm\/beta, .* and 1 more but received 30 of them, and 1 others such as other\/weights/,
    )
  })

  it('names a tensor of another shape', async () => {
    const detector = small({ slim_ckpt: 'd.safetensors', data: { channels: 5 } })
    await writeSafeTensors(near('d.safetensors'), { metadata: {}, tensors: sevenHalves(small({}), '') })
    expect((await caught(loadStart(detector, near))).message).toMatch(
      /d\.safetensors: tiny\/conv1\/weights: weights of another shape than tiny has.*expected \[3, 3, 5, 16\] but received \[3, 3, 3, 16\]/,
    )
  })

  it('says how to go on without a file', async () => {
    const error = await caught(loadStart(small({ slim_ckpt: 'inception_v1.ckpt' }), near))
    expect(error.code).toBe('FILE')
    expect(error.message).toMatch(
      /inception_v1\.ckpt: slim_ckpt: no such file of weights, beside the hypes file nor in the working directory: .*start from random weights \(set slim_ckpt=\)/,
    )
  })

  it('a checkpoint of something else', async () => {
    const fixture = fileURLToPath(new URL('../fixtures/weights/v1.ckpt', import.meta.url))
    copyFileSync(fixture, near('v1.ckpt'))
    expect((await caught(loadStart(small({ solver: { weights: 'v1.ckpt' } }), near))).message).toMatch(
      /v1\.ckpt: the file lacks weights of tiny.*received 0 of them, and 4 others such as /,
    )
  })
})
