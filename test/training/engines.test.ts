import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { ENGINES, startEngine } from '../../src/engine/start.js'
import type { EngineName } from '../../src/engine/types.js'
import { createDetector } from '../../src/model/detector.js'
import { createRandom } from '../../src/random.js'
import { createOptimizer } from '../../src/training/optimizer.js'
import { trainStep } from '../../src/training/step.js'

const STEPS = 20
const reasons = await Promise.all(ENGINES.map((engine) => engine.probe()))
const names: EngineName[] = ENGINES.map((engine) => engine.name)
const present = names.filter((_, index) => reasons[index] === undefined)

/** The losses of the first steps on a fixed pair of frames with one disk each. */
async function losses(engine: EngineName, backbone: string): Promise<number[]> {
  await startEngine(engine)
  const hypes = parseHypes({
    image_width: 96,
    image_height: 64,
    grid_width: 3,
    grid_height: 2,
    slim_basename: backbone,
    lstm_size: 40,
    num_lstm_layers: 2,
    later_feat_channels: backbone === 'tiny' ? 0 : 832,
    avg_pool_size: 5,
    batch_size: 2,
  })
  const random = createRandom(6)
  const frames = Float32Array.from({ length: 2 * 64 * 96 * 3 }, () => random.uniform() * 255)
  const boxes = [[{ x1: 10, y1: 12, x2: 24, y2: 25 }], [{ x1: 60, y1: 30, x2: 75, y2: 52 }]]
  const detector = createDetector(hypes, 1)
  const optimizer = createOptimizer(hypes, detector.weights)
  const rate = hypes.solver.learning_rate
  const values = Array.from(
    { length: STEPS },
    (_, step) => trainStep(detector, optimizer, { frames, boxes }, { step, learningRate: rate }).loss,
  )
  optimizer.dispose()
  detector.dispose()
  return values
}

/**
 * The losses of the wasm engine, which takes minutes for the large backbones. Made by
 * `NODULE_WRITE_FIXTURES=1 npx vitest run test/training/engines.test.ts --testTimeout 600000`.
 */
const FILE = 'test/fixtures/training/losses.json'
const BACKBONES = ['tiny', 'InceptionV1', 'resnet_v1_101']
if (process.env['NODULE_WRITE_FIXTURES'] === '1') {
  const all: Record<string, number[]> = {}
  for (const backbone of BACKBONES) all[backbone] = await losses('wasm', backbone)
  writeFileSync(FILE, `${JSON.stringify(all, undefined, 2)}\n`)
}
const expected = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, number[]>

describe.each(names)('%s gives the losses of wasm over 20 steps', (name) => {
  const backbones = name === 'wasm' ? ['tiny'] : BACKBONES
  it.skipIf(!present.includes(name)).each(backbones)(
    '%s',
    async (backbone) => {
      const wanted = expected[backbone]!
      const actual = await losses(name, backbone)
      actual.forEach((loss, step) =>
        expect(Math.abs(loss / wanted[step]! - 1), `step ${step}: ${loss} for ${wanted[step]}`).toBeLessThan(
          1e-3,
        ),
      )
      expect(wanted.at(-1)).toBeLessThan(wanted[0]!)
    },
    180_000,
  )
})
