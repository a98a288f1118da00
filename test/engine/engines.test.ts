import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { describe, expect, test } from 'vitest'
import { readHypes } from '../../src/config/hypes.js'
import type { Hypes } from '../../src/config/hypes.js'
import { probeEngines, startEngine } from '../../src/engine/index.js'
import type { EngineName } from '../../src/engine/index.js'
import { describeFallbacks } from '../../src/engine/native.js'
import { clearFallbacks } from '../../src/engine/native/kernel.js'
import { createDetector } from '../../src/model/detector.js'
import { createRandom } from '../../src/random.js'
import { createOptimizer } from '../../src/training/optimizer.js'
import { trainStep } from '../../src/training/step.js'
import { PACKAGE_ROOT } from '../../src/version.js'

/** A model of the shipped hypes on small frames, so that the wasm engine can follow. */
function smallHypes(name: string): Hypes {
  const hypes = readHypes(join(PACKAGE_ROOT, 'hypes', `${name}.json`))
  return {
    ...hypes,
    image_width: 96,
    image_height: 64,
    grid_width: 3,
    grid_height: 2,
    batch_size: 2,
    lstm_size: 60,
  }
}

/** The losses of a training from a seed: weights, dropout and data are the same on every engine. */
async function losses(engine: EngineName, hypes: Hypes, steps: number): Promise<number[]> {
  await startEngine(engine)
  const detector = createDetector(hypes, 5)
  const optimizer = createOptimizer(hypes, detector.weights)
  const random = createRandom(6)
  const size = hypes.batch_size * hypes.image_width * hypes.image_height * 3
  const values: number[] = []
  for (let step = 0; step < steps; step++) {
    const frames = new Float32Array(size).map(() => random.integer(256))
    const boxes = Array.from({ length: hypes.batch_size }, () => {
      const [x1, y1] = [random.integer(70), random.integer(40)]
      return [{ x1, y1, x2: x1 + 8 + random.integer(16), y2: y1 + 8 + random.integer(14) }]
    })
    values.push(trainStep(detector, optimizer, { frames, boxes }, { step, learningRate: 1e-4 }).loss)
  }
  optimizer.dispose()
  detector.dispose()
  return values
}

const probes = await probeEngines()
const missing = (name: string): string | undefined => probes.find((probe) => probe.name === name)?.reason
const backbones = [
  { hypes: 'tiny', steps: 20 },
  { hypes: 'lstm_rezoom_lung', steps: 20 },
  // 20 steps by NODULE_SLOW_TESTS=1: the wasm engine takes seconds for each.
  { hypes: 'lstm_resnet_rezoom_lung', steps: process.env['NODULE_SLOW_TESTS'] === '1' ? 20 : 3 },
]

describe.each(backbones)('$hypes: engines give the same losses', ({ hypes: name, steps }) => {
  const hypes = smallHypes(name)
  const reference = missing('native') === undefined ? 'native' : 'wasm'
  let expected: number[] = []

  test(`${reference}, twice the same`, async () => {
    clearFallbacks()
    expected = await losses(reference, hypes, steps)
    expect(expected.every((value) => Number.isFinite(value))).toBe(true)
    if (reference === 'native') expect(describeFallbacks()).toEqual([])
    // ResNet-101 takes seconds to be made.
    if (name === 'tiny') expect(await losses(reference, hypes, steps)).toEqual(expected)
    expect(tf.memory().numTensors).toBeLessThan(10)
  })

  for (const engine of ['wasm', 'tensorflow'] as const) {
    const reason = missing(engine)
    test.skipIf(reason !== undefined || engine === reference)(
      `${engine}${reason === undefined ? '' : ` (${reason.slice(0, 80)})`}`,
      async () => {
        const actual = await losses(engine, hypes, steps)
        actual.forEach((loss, step) =>
          expect(Math.abs(loss - expected[step]!) / expected[step]!, `step ${step + 1}`).toBeLessThan(1e-3),
        )
      },
      600_000,
    )
  }
})
