import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENGINES, startEngine } from '../../src/engine/start.js'
import { NoduleError } from '../../src/errors.js'
import { createEma } from '../../src/training/ema.js'
import { createOptimizer } from '../../src/training/optimizer.js'
import { parseHypes } from '../../src/config/hypes.js'

const values = (variable: tf.Tensor): number[] => [...variable.dataSync()]

const reasons = await Promise.all(ENGINES.map((engine) => engine.probe()))
const present = ENGINES.map(({ name }) => name).filter((_, index) => reasons[index] === undefined)

describe.each(present)('the moving average of weights on %s', (engine) => {
  let weight: tf.Variable
  beforeAll(async () => {
    await startEngine(engine)
    weight = tf.variable(tf.tensor1d([1, -2, 3]))
  })
  afterAll(() => weight.dispose())

  test('follows the weights by the formula, and forgets the start soon', () => {
    const ema = createEma(new Map([['w', weight]]), 0.5)
    const expected = values(weight)
    for (let step = 0; step < 12; step++) {
      weight.assign(tf.tensor1d([step, 2 * step, -step]))
      ema.update(step)
      const d = Math.min(0.5, (1 + step) / (10 + step))
      values(weight).forEach((value, index) => (expected[index] = d * expected[index]! + (1 - d) * value))
    }
    values(ema.averages.get('w')!).forEach((value, index) => expect(value).toBeCloseTo(expected[index]!, 4))
    expect(values(weight)).toEqual([11, 22, -11])
    ema.dispose()
  })

  test('stands in for the weights only while it is used, also where the work throws', async () => {
    weight.assign(tf.tensor1d([1, 1, 1]))
    const ema = createEma(new Map([['w', weight]]), 0.9)
    weight.assign(tf.tensor1d([5, 6, 7]))
    expect(await ema.use(async () => values(weight))).toEqual([1, 1, 1])
    expect(values(weight)).toEqual([5, 6, 7])
    const failing = ema.use(async () => {
      throw new Error('inside')
    })
    await expect(failing).rejects.toThrow('inside')
    expect(values(weight)).toEqual([5, 6, 7])
    expect(values(ema.averages.get('w')!)).toEqual([1, 1, 1])
    ema.dispose()
  })

  test('shares no memory with weights that an optimizer moves in place', async () => {
    weight.assign(tf.tensor1d([1, 2, 3]))
    const weights = new Map([['w', weight]])
    const ema = createEma(weights, 0.9)
    const optimizer = createOptimizer(parseHypes({ solver: { opt: 'Adam' } }), weights)
    await ema.use(async () => values(weight))
    const gradient = tf.tensor1d([1, 1, 1])
    optimizer.apply(new Map([['w', gradient]]), 0.1, 0)
    expect(values(ema.averages.get('w')!)).toEqual([1, 2, 3])
    expect(values(weight)[0]).toBeLessThan(0.95)
    tf.dispose(gradient)
    optimizer.dispose()
    ema.dispose()
  })

  test('refuses a decay of 1', () => {
    expect(() => createEma(new Map([['w', weight]]), 1)).toThrow(NoduleError)
    expect(() => createEma(new Map([['w', weight]]), 1)).toThrow(
      'Expected number between 0 and 0.999999 for decay but received 1',
    )
  })
})
