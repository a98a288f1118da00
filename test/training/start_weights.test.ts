import { copyFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { saveCheckpoint } from '../../src/checkpoints/checkpoint.js'
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

  it.each(['', 'c.safetensors'])('draws what "%s" leaves as a detector without it is drawn', async (file) => {
    const drawn = small({ slim_ckpt: file })
    await writeSafeTensors(near('c.safetensors'), { metadata: {}, tensors: sevenHalves(drawn, '') })
    const detector = createDetector(drawn.hypes, 1, { draw: false })
    detectors.push(detector)
    expect(valueOf(detector, 'tiny/conv3/weights')).toBe(0)
    expect(valueOf(detector, 'tiny/conv3/BatchNorm/gamma')).toBe(1)
    detector.draw(await loadStart(detector, near))
    for (const { name, shape } of drawn.specs) {
      const size = shape.reduce((a, b) => a * b, 1)
      const given = file !== '' && name.startsWith('tiny/')
      const expected = given ? new Float32Array(size).fill(3.5) : drawn.weights.get(name)!.dataSync()
      const bytes = [expected, detector.weights.get(name)!.dataSync()].map((x) => Buffer.from(x.buffer))
      expect(Buffer.compare(bytes[0]!, bytes[1]!), name).toBe(0)
    }
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
      /inception_v1\.ckpt: slim_ckpt: no such file of weights: neither beside the hypes file, nor in the working directory or its data\/: .*start from random weights \(set slim_ckpt=\)/,
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

describe("solver.weights of this package's checkpoints", () => {
  const options = { solver: { weights: 'own.safetensors' } }
  const saved = async (changes: object): Promise<Detector> => {
    const detector = small(changes)
    const { hypes, weights } = detector
    const state = { hypes, step: 3, seed: 1, engine: 'wasm', weights, slots: new Map() }
    await saveCheckpoint(near('own.safetensors'), state)
    return detector
  }

  it('gives all weights, whatever the training and the frame are', async () => {
    const first = await saved({ batch_size: 3, image_width: 96, grid_width: 3, solver: { opt: 'Adam' } })
    first.weights.get('decoder/box_ip/0')!.dataSync()
    const second = createDetector(
      parseHypes({ ...first.hypes, image_width: 64, grid_width: 2, ...options }),
      9,
    )
    detectors.push(second)
    const warnings: string[] = []
    await loadStart(second, near, (warning) => warnings.push(warning))
    expect(warnings).toEqual([])
    for (const name of ['decoder/box_ip/0', 'tiny/conv3/weights'])
      expect(second.weights.get(name)!.dataSync()).toEqual(first.weights.get(name)!.dataSync())
  })

  it('names every key and every tensor that differs, both ways, and what to do', async () => {
    await saved({ lstm_size: 6, rnn_len: 2, reregress: false, box_scale: 40, dropout: 0.1 })
    const error = await caught(loadStart(small(options), near))
    expect(error.code).toBe('FORMAT')
    expect(error.message).toBe(
      `${near('own.safetensors')}: solver.weights: a checkpoint of other hypes: ` +
        'lstm_size (6 there, 4 here), rnn_len (2 there, 1 here), reregress (false there, true here), box_scale (40 there, 50 here): ' +
        'expected the 42 weights that the hypes make but received a file that lacks decoder/delta_ip_boxes/0; ' +
        'has besides decoder/box_ip/1, decoder/conf_ip/1, decoder/delta_ip1/1, decoder/delta_ip2/1; has in another shape ' +
        'decoder/lstm/layer_0/kernel ([134, 24] there, [132, 16] here), decoder/lstm/layer_0/bias ([24] there, [16] here), ' +
        'decoder/box_ip/0 ([6, 4] there, [4, 4] here), decoder/conf_ip/0 ([6, 2] there, [4, 2] here), ' +
        'decoder/delta_ip1/0 ([262, 128] there, [260, 128] here); possible solutions: ' +
        'give the keys the values that they have there; ' +
        `take the backbone alone (set solver.weights= slim_ckpt=${near('own.safetensors')})`,
    )
    expect(error.remedies).toHaveLength(2)
  })

  it('gathers the names of whole layers', async () => {
    await saved({ slim_basename: 'lung', region_size: 8, grid_width: 8, grid_height: 8 })
    expect((await caught(loadStart(small(options), near))).message).toMatch(
      /slim_basename \("lung" there, "tiny" here\): expected .* lacks tiny\/\* \(35\); has besides lung\/\* \(\d+\); has in another shape/,
    )
  })

  it('tells of keys that change no shape', async () => {
    await saved({ box_scale: 40 })
    const warnings: string[] = []
    await loadStart(small(options), near, (warning) => warnings.push(warning))
    expect(warnings).toEqual([
      `${near('own.safetensors')}: other hypes, though the weights fit: box_scale (40 there, 50 here)`,
    ])
  })
})
