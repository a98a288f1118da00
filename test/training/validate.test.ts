import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadCheckpoint } from '../../src/checkpoints/checkpoint.js'
import { readList } from '../../src/dataset/index.js'
import { evaluateSlices } from '../../src/evaluation/index.js'
import { detectList, openSession } from '../../src/inference/index.js'
import { exportOnnx } from '../../src/onnx/index.js'
import { train } from '../../src/training/train.js'
import { readEvents } from './read_events.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-validate-'))
const list = join(root, 'list.json')
const hypes = join(root, 'hypes.json')
const output = join(root, 'run')
afterAll(() => rmSync(root, { recursive: true }))

beforeAll(async () => {
  const entries = []
  for (let n = 0; n < 6; n++) {
    const pixels = Buffer.alloc(96 * 64 * 3, 40)
    const [x, y] = [14 + n * 11, 12 + n * 6]
    for (let j = 0; j < 14; j++) pixels.fill(220, ((y + j) * 96 + x) * 3, ((y + j) * 96 + x + 14) * 3)
    await sharp(pixels, { raw: { width: 96, height: 64, channels: 3 } })
      .png()
      .toFile(join(root, `${n}.png`))
    entries.push({ image_path: `${n}.png`, rects: [{ x1: x, y1: y, x2: x + 14, y2: y + 14 }] })
  }
  writeFileSync(list, JSON.stringify(entries))
  writeFileSync(
    hypes,
    JSON.stringify({
      ...{ image_width: 96, image_height: 64, grid_width: 3, grid_height: 2, focus_size: 0.6 },
      ...{
        slim_basename: 'tiny',
        lstm_size: 16,
        rnn_len: 1,
        batch_size: 3,
        use_rezoom: false,
        reregress: false,
      },
      ...{ lstm_input_scale: 1, dropout: 0, batch_norm_momentum: 0.5 },
      logging: { display_iter: 40, save_iter: 100, validate_iter: 50, histogram_iter: 40 },
      solver: { opt: 'Adam', learning_rate: 0.005, rnd_seed: 3, max_iter: 101 },
    }),
  )
}, 60_000)

interface Entry {
  step: number
  testAp?: number
  testRecall?: number
}

describe('validation', () => {
  it('looks at the whole test list when it is due and at the end; its figures are those of detect and evaluate', async () => {
    const { checkpoint } = await train({ hypes, train: list, test: list, output, engine: 'wasm' })
    const log = readFileSync(join(output, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry)
    expect(log.map(({ step, testAp }) => [step, testAp !== undefined])).toEqual([
      [0, false],
      [40, false],
      [50, true],
      [80, false],
      [100, true],
    ])
    const model = join(root, 'model.onnx')
    await exportOnnx(checkpoint, model, { engine: 'wasm' })
    const session = await openSession(model)
    const found = join(root, 'found.json')
    await detectList(list, session, found)
    await session.release()
    const { ap, recallAtPrecision } = evaluateSlices(readList(list).entries, readList(found).entries)
    expect(log.at(-1)!.testAp).toBeCloseTo(ap!, 6)
    expect(ap).toBeGreaterThan(0)
    const recall = recallAtPrecision.find(({ target }) => target === 0.735)!.value ?? 0
    expect(log.at(-1)!.testRecall).toBeCloseTo(recall, 6)
    const best = await loadCheckpoint(join(output, 'checkpoints', 'best.safetensors'))
    const highest = Math.max(...log.map(({ testAp }) => testAp ?? 0))
    expect(best.progress!.best!.score).toBe(highest)
  }, 120_000)

  it('leaves pictures, curves, histograms, the graph and the hypes in the event files', () => {
    const events = readEvents(join(output, 'events'))
    const of = (tag: string): number[] =>
      events.filter(({ values }) => values.some((value) => value.tag === tag)).map(({ step }) => step)
    expect(of('test/pred_boxes')).toEqual([0, 40, 50, 80, 100])
    expect(of('test/true_boxes')).toEqual([0, 40, 50, 80, 100])
    expect(of('test/pr_curve')).toEqual([50, 100])
    expect(of('test/ap')).toEqual([50, 100])
    for (const tag of ['weights/tiny/conv1/weights', 'gradients/tiny/conv1/weights'])
      expect(of(tag)).toEqual([0, 40, 80])
    for (const name of ['loss', 'confidences_loss', 'regression_loss', 'accuracy'])
      for (const phase of ['train', 'test'])
        for (const tag of [`${phase}/${name}`, `${phase}/${name}/smooth`])
          expect(of(tag), tag).toHaveLength(5)
    expect(of('hypes')).toEqual([0])
    expect(of('_hparams_/experiment')).toEqual([0])
    expect(events.filter(({ graph }) => graph)).toHaveLength(1)
    const pictures = readdirSync(output).filter((name) => name.endsWith('.jpg'))
    // Steps 0, 40 and 50, 80, 100 over display_iter 40.
    expect(pictures.sort()).toEqual([
      '0_pred.jpg',
      '0_true.jpg',
      '1_pred.jpg',
      '1_true.jpg',
      '2_pred.jpg',
      '2_true.jpg',
    ])
    expect(existsSync(join(output, 'events'))).toBe(true)
  })
})
