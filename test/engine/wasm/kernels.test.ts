import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import * as fused from '../../../src/engine/fused.js'
import { globalNorm, moveAverages, moveWeights } from '../../../src/engine/fused_training.js'
import { probeEngines, startEngine } from '../../../src/engine/start.js'
import { createRandom } from '../../../src/random.js'

type Arrays = Record<string, { shape: number[]; data: Float32Array }>

function random(shape: number[], label: string): { shape: number[]; data: Float32Array } {
  const source = createRandom(5).fork(label)
  const size = shape.reduce((a, b) => a * b, 1)
  return { shape, data: Float32Array.from({ length: size }, () => source.normal()) }
}

/** The outputs of an operation on both backends must agree within 1e-4 of the largest magnitude. */
async function expectParity(
  inputs: Arrays,
  operation: (x: Record<string, tf.Tensor>) => tf.Tensor[],
): Promise<void> {
  const results: Float32Array[][] = []
  for (const backend of ['cpu', 'wasm']) {
    await tf.setBackend(backend)
    results.push(
      tf.tidy(() => {
        const tensors = Object.fromEntries(
          Object.entries(inputs).map(([name, { shape, data }]) => [name, tf.tensor(data, shape)]),
        )
        return operation(tensors).map((tensor) => tensor.dataSync() as Float32Array)
      }),
    )
  }
  const [expected, actual] = results as [Float32Array[], Float32Array[]]
  expect(actual.map((values) => values.length)).toEqual(expected.map((values) => values.length))
  expected.forEach((values, index) => {
    const scale = Math.max(1e-6, ...values.map(Math.abs))
    values.forEach((value, i) => expect(Math.abs(value - actual[index]![i]!) / scale).toBeLessThan(1e-4))
  })
}

const engines = await probeEngines()

beforeAll(async () => {
  await startEngine('wasm')
})

describe('wasm engine', () => {
  const pads: (number | 'same' | 'valid' | tf.backend_util.ExplicitPadding)[] = ['same', 'valid', 1]
  const shapes: [n: number, h: number, w: number, cin: number, cout: number, k: number, stride: number][] = [
    [1, 5, 7, 3, 4, 3, 1],
    [2, 6, 6, 2, 5, 3, 2],
    [1, 8, 9, 4, 3, 1, 1],
    [3, 7, 5, 1, 2, 1, 2],
    [1, 10, 11, 3, 2, 7, 2],
    [2, 4, 4, 33, 35, 3, 1],
    [1, 5, 6, 2, 3, 3, 3],
    [1, 6, 5, 2, 3, 2, 2],
    // A stride larger than the filter.
    [1, 6, 6, 2, 3, 2, 3],
    [1, 8, 9, 2, 3, 3, 4],
    [2, 9, 7, 2, 3, 1, 3],
  ]
  it.each(shapes.flatMap((shape) => pads.map((pad) => ({ shape, pad }))))(
    'gradients of a convolution: $shape, padding $pad',
    async ({ shape: [n, h, w, cin, cout, k, stride], pad }) => {
      if (pad === 'valid' && h < k) return
      await expectParity(
        { x: random([n, h, w, cin], 'x'), filter: random([k, k, cin, cout], 'filter') },
        ({ x, filter }) => {
          const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
            tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, stride, pad as 'same')
          const y = convolve(x!, filter!)
          const dy = tf.tensor(random(y.shape, 'dy').data, y.shape)
          return [y, ...tf.grads(convolve)([x!, filter!], dy)]
        },
      )
    },
  )

  it.each([
    { image: [2, 7, 6, 5], filter: [3, 3, 5, 1], stride: 1, pad: 'same' as const },
    { image: [1, 8, 9, 4], filter: [5, 5, 4, 1], stride: 2, pad: 'same' as const },
    { image: [2, 9, 8, 3], filter: [3, 2, 3, 2], stride: 2, pad: 'valid' as const },
    { image: [1, 8, 8, 3], filter: [2, 2, 3, 1], stride: 4, pad: 'same' as const },
    { image: [1, 9, 8, 3], filter: [3, 2, 3, 2], stride: 4, pad: 'same' as const },
  ])(
    'gradients of a depthwise convolution: $image, $filter, stride $stride, padding $pad',
    async ({ image, filter, stride, pad }) => {
      await expectParity({ x: random(image, 'x'), w: random(filter, 'w') }, ({ x, w }) => {
        const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
          tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, stride, pad)
        const y = convolve(x!, w!)
        const dy = tf.tensor(random(y.shape, 'dy').data, y.shape)
        return [y, ...tf.grads(convolve)([x!, w!], dy)]
      })
    },
  )

  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('matrix products, transposed: %s, %s', async (transposeA, transposeB) => {
    const a = random(transposeA ? [37, 5] : [5, 37], 'a')
    const b = random(transposeB ? [70, 37] : [37, 70], 'b')
    await expectParity({ a, b }, (t) => [tf.matMul(t['a']!, t['b']!, transposeA, transposeB)])
    const batch = (x: typeof a): typeof a => random([2, ...x.shape], 'batch')
    await expectParity({ a: batch(a), b: batch(b) }, (t) => [
      tf.matMul(t['a']!, t['b']!, transposeA, transposeB),
    ])
    const one = (x: typeof a): typeof a => ({ ...x, shape: [1, ...x.shape] })
    await expectParity({ a: one(a), b: one(b) }, (t) => [tf.matMul(t['a']!, t['b']!, transposeA, transposeB)])
  })

  it('sums of segments', async () => {
    await expectParity({ x: random([5, 3], 'x') }, ({ x }) => {
      const ids = tf.tensor1d([0, 2, 2, 1, 0], 'int32')
      return [tf.unsortedSegmentSum(x!, ids, 4)]
    })
  })

  it.each([true, false])('pooling and its gradient, maximum: %s', async (max) => {
    await expectParity({ x: random([2, 7, 8, 5], 'x') }, ({ x }) => {
      const pool = (a: tf.Tensor): tf.Tensor =>
        max ? tf.maxPool(a as tf.Tensor4D, 3, 2, 'same') : tf.avgPool(a as tf.Tensor4D, 5, 1, 'same')
      const y = pool(x!)
      // The gradient of an average is tested in native_fused.test.ts: tfjs's cpu kernel has it wrong at the border.
      return max ? [y, tf.grad(pool)(x!, tf.tensor(random(y.shape, 'dy').data, y.shape))] : [y]
    })
  })

  const native = engines.find(({ name }) => name === 'native')?.reason
  it.skipIf(native !== undefined)('NaN is the maximum of its window, as in the native engine', async () => {
    // Alone, several in a window, at the border, and beside infinities.
    const { shape, data } = random([2, 9, 10, 17], 'x')
    for (const at of [0, 1, 17, 40, 700, 701, 1500, 2900, data.length - 1]) data[at] = NaN
    data.set([Infinity, -Infinity, NaN, Infinity], 2000)
    const seen: number[][] = []
    for (const engine of ['native', 'wasm'] as const) {
      await startEngine(engine)
      const pool = (a: tf.Tensor): tf.Tensor => tf.maxPool(a as tf.Tensor4D, 3, 2, 'same')
      seen.push(
        tf.tidy(() => {
          const x = tf.tensor(data, shape)
          const y = pool(x)
          // Whole numbers: sums do not depend on their order.
          const dy = tf.round(tf.mul(tf.tensor(random(y.shape, 'dy').data, y.shape), 100))
          return [y, tf.grad(pool)(x, dy)].flatMap((tensor) => [...tensor.dataSync()])
        }),
      )
    }
    expect(seen[1]).toEqual(seen[0])
    expect(seen[0]!.filter(Number.isNaN).length).toBeGreaterThan(8)
  })

  it.each([true, false])('batch norm with relu %s, forward and backward', async (relu) => {
    const inputs = { x: random([2, 3, 5, 7], 'x'), gamma: random([7], 'gamma'), beta: random([7], 'beta') }
    await expectParity(inputs, ({ x, gamma, beta }) => {
      const statistics: tf.Tensor[] = []
      const run = (a: tf.Tensor, g: tf.Tensor, b: tf.Tensor): tf.Tensor => {
        const result = fused.batchNormRelu(a, g, b, 1e-3, relu)
        statistics.push(result.mean, result.variance)
        return result.y
      }
      const y = run(x!, gamma!, beta!)
      const gradients = tf.grads(run)([x!, gamma!, beta!], tf.tensor(random(y.shape, 'dy').data, y.shape))
      return [y, ...gradients, ...statistics]
    })
  })

  it('optimizer steps and norms', async () => {
    const inputs = {
      weight: random([3, 4], 'weight'),
      m: random([3, 4], 'm'),
      v: { shape: [3, 4], data: random([3, 4], 'v').data.map(Math.abs) },
      gradient: random([3, 4], 'gradient'),
    }
    const move = { learningRate: 0.1, decay: 0.9, decay2: 0.99, epsilon: 1e-5, scale: 0.5, keep: 0.75 }
    const kinds = [
      { kind: 'SGD', slots: [] },
      { kind: 'momentum', slots: ['m'] },
      { kind: 'RMS', slots: ['v'] },
      { kind: 'Adam', slots: ['m', 'v'] },
    ] as const
    await expectParity(inputs, (x) => {
      const moved = kinds.flatMap(({ kind, slots }) => {
        const weight = tf.variable(x['weight']!)
        const variables = slots.map((name) => tf.variable(x[name]!))
        moveWeights([{ weight, slots: variables, gradient: x['gradient']! }], { ...move, kind })
        return [weight, ...variables]
      })
      const average = tf.variable(x['m']!)
      moveAverages([{ average, value: x['v']! }], 0.9)
      return [...moved, average, tf.scalar(globalNorm([x['weight']!, x['gradient']!]))]
    })
  })
})

describe('batch norm', () => {
  it('has the gradient that differences give', async () => {
    await tf.setBackend('cpu')
    const x = random([4, 3], 'bn')
    const dy = random([4, 3], 'bn dy')
    const value = (data: Float32Array): number =>
      tf.tidy(() => {
        const { y, mean, variance } = fused.batchNormRelu(
          tf.tensor(data, x.shape),
          tf.tensor1d([1.5, -0.5, 2]),
          tf.tensor1d([0.1, 0.2, 0.3]),
          1e-3,
          true,
        )
        tf.dispose([mean, variance])
        return tf.sum(tf.mul(y, tf.tensor(dy.data, dy.shape))).dataSync()[0]!
      })
    const gradient = tf.tidy(() =>
      tf
        .grad((t: tf.Tensor) => {
          const { y } = fused.batchNormRelu(
            t,
            tf.tensor1d([1.5, -0.5, 2]),
            tf.tensor1d([0.1, 0.2, 0.3]),
            1e-3,
            true,
          )
          return tf.sum(tf.mul(y, tf.tensor(dy.data, dy.shape)))
        })(tf.tensor(x.data, x.shape))
        .dataSync(),
    )
    for (let i = 0; i < x.data.length; i++) {
      const moved = (by: number): Float32Array => x.data.map((v, at) => (at === i ? v + by : v))
      expect(gradient[i]).toBeCloseTo((value(moved(1e-2)) - value(moved(-1e-2))) / 2e-2, 2)
    }
  })
})

describe('startEngine', () => {
  it('refuses an unknown name and names what an absent engine lacks', async () => {
    await expect(startEngine('fast' as 'wasm')).rejects.toThrow(/one of auto, tensorflow, native, wasm/)
    for (const { name, reason } of await probeEngines()) {
      if (reason === undefined) continue
      expect(reason).not.toMatch(/\n/)
      await expect(startEngine(name as 'wasm')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    }
  })
})
