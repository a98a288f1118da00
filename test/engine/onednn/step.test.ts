import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readHypes } from '../../../src/config/hypes.js'
import type { Hypes } from '../../../src/config/hypes.js'
import { startEngine } from '../../../src/engine/start.js'
import { describeFallbacks } from '../../../src/engine/onednn/engine.js'
import { tensorAddonProblem } from '../../../src/engine/onednn/addon.js'
import { clearFallbacks } from '../../../src/engine/onednn/kernel.js'
import { createDetector } from '../../../src/model/detector.js'
import { createRandom } from '../../../src/random.js'
import { createOptimizer } from '../../../src/training/optimizer.js'
import { testStep, trainStep } from '../../../src/training/step.js'
import { PACKAGE_ROOT } from '../../../src/version.js'

/** A model of the shipped hypes on small frames. */
function smallHypes(name: string, more: Partial<Hypes> = {}): Hypes {
  const hypes = readHypes(join(PACKAGE_ROOT, 'hypes', `${name}.json`))
  const size = { image_width: 96, image_height: 64, grid_width: 3, grid_height: 2, batch_size: 2 }
  return { ...hypes, ...size, lstm_size: 40, ...more }
}

/** Some training steps and a test step; the losses. */
function train(hypes: Hypes, steps: number): number[] {
  const detector = createDetector(hypes, 5)
  const optimizer = createOptimizer(hypes, detector.weights)
  const random = createRandom(6)
  const size = hypes.batch_size * hypes.image_width * hypes.image_height * 3
  const frames = new Float32Array(size).map(() => random.integer(256))
  const boxes = [[{ x1: 10, y1: 12, x2: 24, y2: 25 }], [{ x1: 60, y1: 30, x2: 75, y2: 52 }]]
  const losses = Array.from(
    { length: steps },
    (_, step) => trainStep(detector, optimizer, { frames, boxes }, { step, learningRate: 1e-4 }).loss,
  )
  losses.push(testStep(detector, { frames, boxes }).loss)
  optimizer.dispose()
  detector.dispose()
  return losses
}

const problem = tensorAddonProblem()

describe.skipIf(problem !== undefined)(`steps on the native engine ${problem ?? ''}`, () => {
  beforeAll(() => startEngine('native'))
  beforeEach(() => clearFallbacks())
  afterAll(() => tf.setBackend('cpu'))

  test.each([
    { name: 'tiny', more: {} },
    { name: 'lstm_rezoom_lung', more: {} },
    { name: 'overfeat_rezoom', more: { solver: { opt: 'SGD' } } },
    { name: 'lstm', more: { deconv: true } },
    { name: 'lstm_resnet_rezoom', more: {} },
  ])('$name $more: no kernel is left to JavaScript, no tensor stays', ({ name, more }) => {
    const hypes = smallHypes(name, more as Partial<Hypes>)
    hypes.solver = { ...readHypes(join(PACKAGE_ROOT, 'hypes', `${name}.json`)).solver, ...hypes.solver }
    const before = tf.memory().numTensors
    for (const loss of train(hypes, 1)) expect(Number.isFinite(loss)).toBe(true)
    expect(describeFallbacks()).toEqual([])
    expect(tf.memory().numTensors).toBe(before)
  })

  test('a seed gives the same losses, bit for bit', () => {
    const hypes = smallHypes('tiny')
    expect(train(hypes, 10)).toEqual(train(hypes, 10))
  })
})
