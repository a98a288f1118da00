import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { moveAverages as moveAll } from '../../src/engine/fused_training.js'
import { ENGINES } from '../../src/engine/start.js'
import { NoduleError } from '../../src/errors.js'
import { moveAverages } from '../../src/model/backbone.js'
import { freeze } from '../../src/training/freeze.js'
import { gradientStep } from '../../src/training/gradient_step.js'
import { createOptimizer } from '../../src/training/optimizer.js'

beforeAll(() => tf.setBackend('cpu'))

const sgd = (solver: object = {}): ReturnType<typeof parseHypes> =>
  parseHypes({ clip_norm: 0, solver: { opt: 'SGD', ...solver } })

/** loss = sum(weight * x), whose gradient is x. */
function linear(start: number[]): {
  weights: Map<string, tf.Variable>
  updateAverages: () => void
  step: (batches: number[][], o: { step: number; hypes?: ReturnType<typeof sgd> }) => unknown
  seen: number[]
} {
  const weight = tf.variable(tf.tensor1d(start))
  const weights = new Map([['w', weight]])
  const seen: number[] = []
  const model = { weights, updateAverages: () => undefined }
  return {
    ...model,
    seen,
    step: (batches, { step, hypes = sgd() }) =>
      gradientStep(
        model,
        createOptimizer(hypes, weights),
        batches,
        { step, learningRate: 1 },
        (x, number) => {
          seen.push(number)
          const loss = tf.sum(tf.mul(weight, tf.tensor1d(x))) as tf.Scalar
          return { loss, statistics: [], numbers: { loss: loss.dataSync()[0]! } }
        },
      ),
  }
}

describe('gradientStep', () => {
  it('averages the gradients of several batches, and counts the batches through the run', () => {
    const model = linear([0, 0])
    const before = tf.memory().numTensors
    const result = model.step(
      [
        [1, 2],
        [3, 4],
        [8, 0],
      ],
      { step: 5 },
    )
    expect([...model.weights.get('w')!.dataSync()]).toEqual([-4, -2])
    expect(model.seen).toEqual([15, 16, 17])
    expect(result).toEqual({ loss: 0, gradientNorm: expect.closeTo(Math.hypot(4, 2), 5) })
    expect(tf.memory().numTensors).toBe(before)
  })

  it('hands all gradients out in one buffer: two machines that average them move as one with both batches', () => {
    // loss = sum(a * x) + sum(b * x), of two weights and one that no loss knows.
    const make = (): Map<string, tf.Variable> =>
      new Map([
        ['a', tf.variable(tf.zeros([2]))],
        ['unused', tf.variable(tf.zeros([3]))],
        ['b', tf.variable(tf.ones([1, 2]))],
      ])
    const step = (
      weights: Map<string, tf.Variable>,
      batches: number[][],
      reduce?: (flat: Float32Array) => void,
    ): number =>
      gradientStep(
        { weights, updateAverages: () => undefined },
        createOptimizer({ ...sgd(), clip_norm: 1 }, weights),
        batches,
        { step: 0, learningRate: 1, reduce },
        (x) => {
          const both = tf.add(weights.get('a')!, tf.mul(2, tf.reshape(weights.get('b')!, [2])))
          const loss = tf.sum(tf.mul(both, tf.tensor1d(x))) as tf.Scalar
          return { loss, statistics: [], numbers: { loss: loss.dataSync()[0]! } }
        },
      ).gradientNorm
    const values = (weights: Map<string, tf.Variable>): number[] =>
      [...weights.values()].flatMap((weight) => [...weight.dataSync()])

    const alone = make()
    const norm = step(alone, [
      [1, 2],
      [3, 8],
    ])
    // What the other machine would send: its own buffer, before the mean.
    let sent = new Float32Array()
    step(make(), [[3, 8]], (flat) => (sent = flat.slice()))
    expect([...sent]).toEqual([3, 8, 6, 16])
    const together = make()
    const before = tf.memory().numTensors
    expect(
      step(together, [[1, 2]], (flat) => flat.forEach((value, n) => (flat[n] = (value + sent[n]!) / 2))),
    ).toBeCloseTo(norm, 5)
    expect(values(together)).toEqual(values(alone))
    expect(tf.memory().numTensors).toBe(before)
  })

  it('leaves the weights as they were where a loss is not finite', () => {
    const model = linear([1, 1])
    const caught = (): NoduleError => {
      try {
        model.step(
          [
            [1, 2],
            [Number.NaN, 4],
          ],
          { step: 7 },
        )
      } catch (error) {
        return error as NoduleError
      }
      throw new Error('nothing was thrown')
    }
    expect(caught()).toBeInstanceOf(NoduleError)
    expect(caught().message).toBe(
      'step 7: the loss is not finite (a lower solver.learning_rate may help): expected finite numbers but received loss NaN',
    )
    expect([...model.weights.get('w')!.dataSync()]).toEqual([1, 1])
  })
})

const engines = await Promise.all(
  ENGINES.map(async (engine) => ({ engine, name: engine.name, absent: await engine.probe() })),
)
describe.each(engines)('the averages of batch norms, on $name', ({ engine, absent }) => {
  afterAll(() => tf.setBackend('cpu'))

  it.skipIf(absent !== undefined)('move once for every batch, in order', async () => {
    await engine.start()
    const weight = tf.variable(tf.tensor1d([0]))
    const [mean, variance] = [tf.variable(tf.tensor1d([0])), tf.variable(tf.tensor1d([1]))]
    const averages = new Map([
      ['c/BatchNorm/moving_mean', mean],
      ['c/BatchNorm/moving_variance', variance],
    ])
    const model = {
      weights: new Map([['w', weight]]),
      updateAverages: (found: Parameters<typeof moveAverages>[1]) => moveAverages(averages, found, 0.5),
    }
    const optimizer = createOptimizer(sgd(), model.weights)
    const tensors = tf.memory().numTensors
    const found: number[] = []
    // The second step finds the memory of the averages in the engine's hands.
    for (const step of [0, 1]) {
      gradientStep(
        model,
        optimizer,
        [
          [8, 4],
          [2, 2],
        ],
        { step, learningRate: 1 },
        ([a, b]) => ({
          loss: tf.sum(weight) as tf.Scalar,
          statistics: [{ name: 'c', mean: tf.keep(tf.tensor1d([a!])), variance: tf.keep(tf.tensor1d([b!])) }],
          numbers: { loss: 0 },
        }),
      )
      found.push(mean.dataSync()[0]!, variance.dataSync()[0]!)
    }
    expect(found).toEqual([3, 2.25, 3.75, 2.5625])
    expect(tf.memory().numTensors).toBe(tensors)
  })
})

it('one average is not moved twice in one call', () => {
  const average = tf.variable(tf.tensor1d([0]))
  const one = { average, value: tf.tensor1d([1]) }
  expect(() => moveAll([one, one], 0.5)).toThrow('an average is to be moved twice in one call')
})

it('SGD with momentum goes on as TensorFlow has it: velocity = momentum * velocity + gradient', () => {
  const weights = new Map([['w', tf.variable(tf.tensor1d([0, 0]))]])
  const optimizer = createOptimizer(sgd({ momentum: 0.5 }), weights)
  expect([...optimizer.slots.keys()]).toEqual(['velocity/w'])
  const gradient = new Map([['w', tf.tensor1d([1, -2])]])
  optimizer.apply(gradient, 0.1, 0)
  optimizer.apply(gradient, 0.2, 1)
  const found = [...weights.get('w')!.dataSync()]
  expect(found[0]).toBeCloseTo(-(0.1 * 1 + 0.2 * 1.5), 6)
  expect(found[1]).toBeCloseTo(0.1 * 2 + 0.2 * 3, 6)
  expect([...optimizer.slots.get('velocity/w')!.dataSync()]).toEqual([1.5, -3])
  expect([...createOptimizer(sgd(), weights).slots.keys()]).toEqual([])
})

describe('freeze', () => {
  const weights = (): Map<string, tf.Variable> =>
    new Map(
      ['tiny/conv1/weights', 'tiny/conv1/biases', 'tiny/conv2/weights', 'decoder/a'].map((name) => [
        name,
        tf.variable(tf.scalar(0)),
      ]),
    )
  const trained = (all: Map<string, tf.Variable>): string[] =>
    [...all].filter(([, weight]) => weight.trainable).map(([name]) => name)

  it('takes names by their beginning, * for any letters', () => {
    const [a, b, c] = [weights(), weights(), weights()]
    freeze(a, ['tiny/conv1'], 'h.json')
    expect(trained(a)).toEqual(['tiny/conv2/weights', 'decoder/a'])
    freeze(b, ['tiny/*/weights', 'dec'], 'h.json')
    expect(trained(b)).toEqual(['tiny/conv1/biases'])
    freeze(c, [], 'h.json')
    expect(trained(c)).toHaveLength(4)
  })

  it('refuses a pattern that fits nothing, and to freeze all', () => {
    expect(() => freeze(weights(), ['tiny', 'conv1'], 'h.json')).toThrow(
      'h.json: solver.freeze[1]: no layer has such a name: expected the beginning of a name, such as tiny/conv1, tiny/conv2, decoder/a but received "conv1"',
    )
    expect(() => freeze(weights(), ['*'], 'h.json')).toThrow(/nothing is left to train/)
  })
})
