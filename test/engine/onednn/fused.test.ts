import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as layers from '../../../src/engine/fused.js'
import * as training from '../../../src/engine/fused_training.js'
import type { Move } from '../../../src/engine/fused_training.js'
import {
  describeFallbacks,
  registerNativeBackend,
  setNativeThreads,
} from '../../../src/engine/onednn/engine.js'
import { clearFallbacks } from '../../../src/engine/onednn/kernel.js'
import { requireTensorAddon, tensorAddonProblem } from '../../../src/engine/onednn/addon.js'
import type { NativeBackend } from '../../../src/engine/onednn/backend.js'
import { slotHeads, slotLayer } from '../../../src/engine/slots.js'
import { startEngine } from '../../../src/engine/start.js'
import { normal, withGradients } from './cases.js'

type Op = (...inputs: tf.Tensor[]) => tf.Tensor

/** All numbers of the results of `run`, on one backend. */
async function numbers(backend: string, run: () => tf.Tensor[]): Promise<number[][]> {
  await tf.setBackend(backend)
  const results: number[][] = []
  tf.tidy(() => run().forEach((tensor) => results.push([...(tensor.dataSync() as Float32Array)])))
  return results
}

function expectClose(actual: number[][], expected: number[][], tolerance = 2e-5): void {
  expect(actual.map((values) => values.length)).toEqual(expected.map((values) => values.length))
  actual.forEach((values, index) => {
    const wanted = expected[index]!
    const scale = wanted.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-20)
    const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0)
    expect(worst / scale, `output ${index}`).toBeLessThanOrEqual(tolerance)
  })
}

const problem = tensorAddonProblem()

const fused = { ...layers, ...training }

describe.skipIf(problem !== undefined)(`the native engine ${problem ?? ''}`, () => {
  beforeAll(() => {
    registerNativeBackend()
    setNativeThreads(2)
  })
  afterAll(() => tf.setBackend('cpu'))

  const shapes = [
    [1, 1, 1, 3],
    [2, 5, 7, 19],
    [1, 40, 50, 64],
    [300, 1],
    [4, 2000],
  ]
  test.each(shapes.flatMap((shape) => [true, false].map((relu) => ({ shape, relu }))))(
    'batch norm and gradients, $shape, ReLU $relu',
    async ({ shape, relu }) => {
      const channels = [shape.at(-1)!]
      const run = (): tf.Tensor[] => {
        const statistics: tf.Tensor[] = []
        const op = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor): tf.Tensor => {
          const result = fused.batchNormRelu(x, gamma, beta, 1e-3, relu)
          statistics.push(result.mean, result.variance)
          return result.y
        }
        // A mean far from 0: the variance must not cancel.
        const x = tf.add(normal(shape), 30)
        const outputs = withGradients(op as Op, [x, normal(channels, 'gamma'), normal(channels, 'beta')])
        return [...outputs, ...statistics.slice(0, 2)]
      }
      const native = await numbers('native', run)
      clearFallbacks()
      // At a single row the true dx is 0: compare the rest.
      const kept = (list: number[][]): number[][] =>
        shape.slice(0, -1).every((d) => d === 1) ? [list[0]!] : list
      expectClose(kept(native), kept(await numbers('cpu', run)), 2e-4)
    },
  )

  test.each([
    { rows: 1, width: 1, units: 1, steps: 1 },
    { rows: 5, width: 7, units: 3, steps: 4 },
    { rows: 88, width: 40, units: 25, steps: 5 },
  ])('LSTM layer and gradients %j', async ({ rows, width, units, steps }) => {
    for (const shape of [
      [rows, width],
      [steps, rows, width],
    ]) {
      const run = (): tf.Tensor[] =>
        withGradients(((x, kernel, bias) => fused.lstmLayer(x!, kernel!, bias!, steps)) as Op, [
          normal(shape),
          normal([width + units, 4 * units], 'kernel', 0.3),
          normal([4 * units], 'bias'),
        ])
      expectClose(await numbers('native', run), await numbers('cpu', run), 1e-4)
    }
  })

  test('sum and ReLU', async () => {
    const run = (): tf.Tensor[] =>
      withGradients(((a, b) => fused.addRelu(a!, b!)) as Op, [
        normal([2, 5, 7, 19]),
        normal([2, 5, 7, 19], 'b'),
      ])
    expectClose(await numbers('native', run), await numbers('cpu', run))
  })

  test.each([
    { m: 1, u: 1, w: 1, n: 1, slots: 1 },
    { m: 7, u: 5, w: 3, n: 4, slots: 3 },
    { m: 88, u: 50, w: 260, n: 128, slots: 2 },
  ])('layer and heads of the slots with gradients %j', async ({ m, u, w, n, slots }) => {
    const weights = (rows: number): tf.Tensor[] =>
      Array.from({ length: slots }, (_, k) => normal([rows, n], `weight${k}`))
    const layer = (): tf.Tensor[] =>
      withGradients(
        ((states: tf.Tensor3D, seen: tf.Tensor3D, ...all: tf.Tensor2D[]) =>
          slotLayer(states, seen, all)) as Op,
        [normal([slots, m, u], 'states'), normal([m, slots, w]), ...weights(u + w)],
      )
    const native = await numbers('native', layer)
    expect(native).toHaveLength(3 + slots)
    expectClose(native, await numbers('cpu', layer))

    for (const scale of [1, 50]) {
      const heads = (): tf.Tensor[] =>
        withGradients(((states: tf.Tensor3D, ...all: tf.Tensor2D[]) => slotHeads(states, all, scale)) as Op, [
          normal([slots, m, u], 'states'),
          ...weights(u),
        ])
      const ours = await numbers('native', heads)
      expect(ours).toHaveLength(2 + slots)
      expectClose(ours, await numbers('cpu', heads))
    }
  })

  test('max pooling over windows of more taps than the places of its maxima can tell apart', async () => {
    const run = (): tf.Tensor[] =>
      withGradients((x) => tf.maxPool(x as tf.Tensor4D, 16, 8, 'same'), [normal([1, 20, 24, 3])])
    expectClose(await numbers('native', run), await numbers('cpu', run), 1e-7)
    const addon = requireTensorAddon()
    const meta = Int32Array.from([1, 16, 16, 1, 1, 1, 16, 16, 1, 1, 1, 1, 0, 0])
    const [x, y, places] = [new Float32Array(256), new Float32Array(1), new Uint8Array(1)]
    const refused = 'argument 0: expected a window of at most 255 taps'
    expect(() => addon.maxPool(meta, x, y, places)).toThrow(refused)
    expect(() => addon.maxPoolGradient(meta, places, y, x)).toThrow(refused)
    meta[6] = 15
    expect(() => addon.maxPool(meta, x, y, new Uint8Array(0))).toThrow(
      'argument 3: expected Uint8Array that is long enough',
    )
  })

  test('softmax cross-entropy and its gradient', async () => {
    const run = (): tf.Tensor[] => {
      const labels = tf.softmax(normal([7, 10, 3], 'labels', 3))
      const weights = Float32Array.from({ length: 70 }, (_, row) => row % 4)
      const loss = (logits: tf.Tensor): tf.Tensor => fused.softmaxCrossEntropy(logits, labels, weights)
      return withGradients((logits) => loss(logits!), [normal([7, 10, 3], 'x', 4)])
    }
    expectClose(await numbers('native', run), await numbers('cpu', run))
  })

  test('dropout: the same mask as without the kernel, also in the gradient', async () => {
    const states = [0xfedcba98, 7, 0]
    const run = (): tf.Tensor[] => {
      const x = tf.add(normal([9, 4001]), 9)
      const drop = (of: tf.Tensor, ...by: number[]): tf.Tensor =>
        fused.dropElements(of, { states: by, limit: 0x4ccccccd, scale: 1 / 0.7 })
      // Of several states each has its part.
      const parts = tf.split(x, 3).map((part, k) => drop(part, states[k]!))
      return [...withGradients((of) => drop(of!, ...states), [x]), tf.concat(parts)]
    }
    const native = await numbers('native', run)
    expectClose(native, await numbers('cpu', run))
    expect(native[0]).toEqual(native.at(-1))
    const dropped = native[0]!.filter((value) => value === 0).length / native[0]!.length
    expect(dropped).toBeCloseTo(0.3, 1)
  })

  // One of them longer than what a thread takes at once, some that share a part.
  const SIZES = [[3], [70_001], [40, 50], [1], [9000]]

  test('moving averages in place', async () => {
    const run = (): tf.Tensor[] => {
      const averages = SIZES.map((shape) => tf.variable(normal(shape, 'a')))
      const all = averages.map((average, i) => ({ average, value: normal(SIZES[i]!, 'b') }))
      fused.moveAverages(all, 0.9)
      return averages
    }
    expectClose(await numbers('native', run), await numbers('cpu', run), 1e-7)
  })

  const MOVE: Move = {
    kind: 'RMS',
    learningRate: 1e-3,
    decay: 0.9,
    decay2: 0.999,
    epsilon: 1e-5,
    scale: 0.5,
    keep: 1,
  }
  test.each([
    { ...MOVE, slots: 1 },
    { ...MOVE, kind: 'SGD' as const, slots: 0 },
    { ...MOVE, kind: 'momentum' as const, slots: 1 },
    { ...MOVE, kind: 'Adam' as const, slots: 2 },
    { ...MOVE, kind: 'Adam' as const, slots: 2, keep: 0.75 },
  ])('$kind moves all weights at once, keep $keep', async ({ slots, ...move }) => {
    const run = (): tf.Tensor[] => {
      const all = SIZES.map((shape) => ({
        weight: tf.variable(normal(shape, 'w')),
        slots: ['m', 'v'].slice(0, slots).map((name) => tf.variable(tf.abs(normal(shape, name)))),
        gradient: normal(shape, 'g'),
      }))
      // Twice: the second time the variables' memory is ours.
      for (let step = 0; step < 2; step++) fused.moveWeights(all, move)
      return all.flatMap((one) => [one.weight, ...one.slots])
    }
    const native = await numbers('native', run)
    setNativeThreads(1)
    expect(await numbers('native', run)).toEqual(native)
    setNativeThreads(2)
    expectClose(native, await numbers('cpu', run), 2e-6)
  })

  test('the norm of all gradients', async () => {
    const norm = (): tf.Tensor[] => [tf.scalar(fused.globalNorm(SIZES.map((shape) => normal(shape, 'g'))))]
    const native = await numbers('native', norm)
    expectClose(native, await numbers('cpu', norm), 1e-6)
    setNativeThreads(3)
    expect(await numbers('native', norm)).toEqual(native)
    setNativeThreads(2)
  })

  test('lists of optimizers that do not fit together are refused', () => {
    const addon = requireTensorAddon()
    const [two, three, one] = [new Float32Array(2), new Float32Array(3), new Float32Array(1)]
    const move = (weights: Float32Array[], gradients: Float32Array[], slots: Float32Array[]): void =>
      addon.moveWeights(addon.optimizers.RMS, 1, 0.9, 0, 1, 1, one, weights, gradients, slots, [])
    const long = /^argument \d+: expected arrays as long as the weights$/
    expect(() => move([two], [three], [two])).toThrow(long)
    expect(() => move([two], [two], [])).toThrow(long)
    expect(() => move([two, two], [two, two], [two, two])).toThrow('argument 6: expected at least 2 elements')
    expect(() => addon.moveAverages(0.5, [two], [three])).toThrow(
      'argument 2: expected arrays as long as the averages',
    )
  })

  test('an optimizer leaves alone what others still see', async () => {
    await tf.setBackend('native')
    const initial: tf.Tensor = tf.tensor1d([1, 2, 3])
    const weight = tf.variable(initial)
    const slot: tf.Variable = tf.variable(tf.ones([3]))
    const step = (): void =>
      fused.moveWeights([{ weight, slots: [slot], gradient: tf.ones([3]) }], {
        ...MOVE,
        learningRate: 0.1,
        scale: 1,
      })
    step()
    const view = weight.clone()
    const before = [...view.dataSync()]
    step()
    expect([...initial.dataSync()]).toEqual([1, 2, 3])
    expect([...view.dataSync()]).toEqual(before)
    expect(weight.dataSync()[0]).toBeLessThan(before[0]!)
  })

  test('the wasm engine spreads the gradient of average pooling like the native one', async () => {
    await startEngine('wasm')
    const run = (): tf.Tensor[] =>
      withGradients((x) => tf.avgPool(x as tf.Tensor4D, 5, 1, 'same'), [normal([2, 8, 11, 6])])
    expectClose(await numbers('native', run), await numbers('wasm', run))
  })

  /** A small network with everything in it that holds memory. */
  function step([image, filter]: readonly Float32Array[]): number {
    return tf.tidy(() => {
      const x = tf.tensor4d(image!, [2, 8, 8, 8])
      const w: tf.Tensor = tf.tensor4d(filter!, [3, 3, 8, 16])
      const gradient = tf.grad((filter) => {
        const y = tf.maxPool(tf.relu(tf.conv2d(x, filter as tf.Tensor4D, 1, 'same')), 2, 2, 'same')
        return tf.sum(tf.square(tf.concat(tf.split(y, 2, 3), 3)))
      })(w)
      return gradient.dataSync()[0]!
    })
  }

  test('1,000 steps allocate nothing after the first ones', async () => {
    await tf.setBackend('native')
    const backend = tf.backend() as unknown as NativeBackend
    const arrays = tf.tidy(() =>
      [normal([2, 8, 8, 8]), normal([3, 3, 8, 16], 'w')].map((x) => x.dataSync() as Float32Array),
    )
    for (let i = 0; i < 10; i++) step(arrays)
    const { allocated } = backend.poolBytes()
    const tensors = tf.memory().numTensors
    const data = backend.numDataIds()
    for (let i = 0; i < 1000; i++) step(arrays)
    expect(backend.poolBytes().allocated).toBe(allocated)
    expect(tf.memory().numTensors).toBe(tensors)
    expect(backend.numDataIds()).toBe(data)
  })

  test('tensors whose elements are written: in pooled memory, and on any engine', async () => {
    const run = (): tf.Tensor[] =>
      fused.writeTensors([[2, 700], [3], [0]], (first, second, none) => {
        first!.fill(7)
        second!.set([1, 2, 3])
        expect(none).toHaveLength(0)
      })
    const native = await numbers('native', run)
    expect(native).toEqual([Array(1400).fill(7), [1, 2, 3], []])
    const backend = tf.backend() as unknown as NativeBackend
    const before = [tf.memory().numTensors, backend.numDataIds(), backend.poolBytes().allocated]
    expect(await numbers('native', run)).toEqual(native)
    expect([tf.memory().numTensors, backend.numDataIds(), backend.poolBytes().allocated]).toEqual(before)
    expect(await numbers('cpu', run)).toEqual(native)
  })

  test('what was read stays as it was when its memory is used again', async () => {
    await tf.setBackend('native')
    const a = tf.add(tf.ones([2048]), 1)
    const values = a.dataSync()
    a.dispose()
    tf.add(tf.ones([2048]), 5).dispose()
    expect(values[0]).toBe(2)
  })

  test('a part that a cpu kernel hands out does not die with its whole', async () => {
    await tf.setBackend('native')
    const whole = tf.add(tf.ones([64, 64]), 1)
    const part = tf.stridedSlice(whole, [1, 0], [3, 64], [1, 1])
    whole.dispose()
    tf.add(tf.ones([64, 64]), 5).dispose()
    expect(part.dataSync()[0]).toBe(2)
  })

  test('reductions do not depend on the number of threads', async () => {
    const run = (): tf.Tensor[] => {
      const x = normal([1000, 70], 'x')
      return [
        tf.sum(x),
        tf.sum(x, 0),
        tf.sum(x, 1),
        tf.scalar(fused.globalNorm([x])),
        fused.batchNormRelu(x, tf.ones([70]), tf.zeros([70]), 1e-3, true).y,
      ]
    }
    setNativeThreads(1)
    const one = await numbers('native', run)
    setNativeThreads(3)
    const three = await numbers('native', run)
    setNativeThreads(2)
    expect(three).toEqual(one)
  })

  test('counts and names what fell back to JavaScript', async () => {
    await tf.setBackend('native')
    clearFallbacks()
    tf.tidy(() => tf.cumsum(tf.add(tf.ones([5]), 1)))
    expect(describeFallbacks()).toHaveLength(1)
    expect(describeFallbacks()[0]).toMatch(/^Cumsum 1 calls/)
  })
})
