import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { requireTensorAddon, tensorAddonProblem } from '../../../src/engine/onednn/addon.js'
import { registerNativeBackend, setNativeThreads } from '../../../src/engine/onednn/engine.js'
import { normal, withGradients } from './cases.js'
import { LARGE_CONVOLUTIONS } from './layer_cases.js'

const problem = tensorAddonProblem()

describe.skipIf(problem !== undefined)(`convolutions in pieces ${problem ?? ''}`, () => {
  beforeAll(async () => {
    registerNativeBackend()
    await tf.setBackend('native')
  })
  afterAll(async () => {
    setNativeThreads(2)
    await tf.setBackend('cpu')
  })

  const outputs = (c: (typeof LARGE_CONVOLUTIONS)[number], threads: number): number[][] => {
    setNativeThreads(threads)
    return tf.tidy(() =>
      withGradients(((x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(x, w, c.stride, c.pad)) as never, [
        normal(c.image),
        normal(c.filter, 'w'),
      ]).map((tensor) => [...tensor.dataSync()]),
    )
  }

  test.each(LARGE_CONVOLUTIONS)('%j: one thread, three, and three again', (c) => {
    const [whole, cut, again] = [outputs(c, 1), outputs(c, 3), outputs(c, 3)]
    expect(again).toEqual(cut)
    whole.forEach((values, index) => {
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      values.forEach((value, i) => {
        if (Math.abs(value - cut[index]![i]!) > 2e-5 * largest)
          expect.fail(`output ${index}, element ${i}: ${cut[index]![i]} for ${value}`)
      })
    })
  })

  test('are made of images, or of bands of rows, whose plans are made once', () => {
    const plans = (): string[] => requireTensorAddon().describePrimitives().split('\n')
    outputs({ image: [6, 20, 18, 16], filter: [3, 3, 16, 64], stride: 1, pad: 'same' }, 2)
    expect(plans().filter((line) => /^(forward|backward data) 1x20x18x16 -> 64 /.test(line))).toHaveLength(2)
    expect(plans().filter((line) => /^backward filter [12]x20x18x16 -> 64 /.test(line))).toHaveLength(2)
    outputs({ image: [1, 40, 18, 16], filter: [3, 3, 16, 96], stride: 1, pad: 'same' }, 2)
    // 40 rows in four bands; each reads a row above and below where there is one.
    const bands = plans().filter((line) => /^forward 1x\d+x18x16 -> 96 /.test(line))
    expect(bands.map((line) => line.split(' ')[1])).toEqual(['1x11x18x16', '1x11x18x16', '1x12x18x16'])
    const before = plans().length
    outputs({ image: [1, 40, 18, 16], filter: [3, 3, 16, 96], stride: 1, pad: 'same' }, 2)
    expect(plans()).toHaveLength(before)
  })

  test('of Winograd: the same bits each time, whoever does a part', () => {
    const c: (typeof LARGE_CONVOLUTIONS)[number] = {
      image: [3, 30, 27, 34],
      filter: [3, 3, 34, 51],
      stride: 1,
      pad: 'same',
    }
    const first = outputs(c, 2)
    for (let run = 0; run < 5; run++) expect(outputs(c, 2)).toEqual(first)
    // 3 images of 8 x 7 tiles in 4 chunks; for the filter all of them, and 12 or 13 channels.
    const plans = requireTensorAddon().describePrimitives().split('\n')
    for (const product of ['42x34 * 34x51', '42x51 * 51x34t', '34x168t * 168x12', '34x168t * 168x13'])
      expect(plans.filter((line) => line.startsWith(`product ${product} `))).toHaveLength(1)
    expect(plans.filter((line) => line.includes('30x27x34 -> 51'))).toEqual([])
  })

  test('of Winograd: more tiles than are in work at once are what the images are one by one', () => {
    setNativeThreads(2)
    const addon = requireTensorAddon()
    // 18 x 18 tiles an image; 227 of 64 channels together are in work at once.
    const [size, taps] = [72 * 72 * 32, 9 * 32 * 32]
    const filled = (length: number, seed: number): Float32Array =>
      Float32Array.from({ length }, (_, i) => Math.sin(seed + i * i))
    const [x, dy, filter] = [filled(2 * size, 1), filled(2 * size, 2), filled(taps, 3)]
    const run = (batch: number, image: number): Float32Array[] => {
      const meta = Int32Array.from([batch, 72, 72, 32, 72, 72, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1])
      const part = (all: Float32Array): Float32Array => all.slice(image * size, (image + batch) * size)
      const outs = [batch * size, batch * size, taps].map((length) => new Float32Array(length))
      addon.convForward(meta, part(x), filter, outs[0]!)
      addon.convBackwardData(meta, part(dy), filter, outs[1]!)
      addon.convBackwardFilter(meta, part(x), part(dy), outs[2]!)
      return outs
    }
    const [both, first, second] = [run(2, 0), run(1, 0), run(1, 1)]
    const sums = first[2]!.map((value, i) => value + second[2]![i]!)
    const expected = [[...first[0]!, ...second[0]!], [...first[1]!, ...second[1]!], [...sums]]
    expected.forEach((values, index) => {
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      values.forEach((value, i) => {
        if (Math.abs(value - both[index]![i]!) > 1e-5 * largest)
          expect.fail(`output ${index}, element ${i}: ${both[index]![i]} for ${value}`)
      })
    })
  })

  test('the number of threads stays where another thread loads the addon too', () => {
    setNativeThreads(2)
    // As src/engine/onednn/addon.ts does at first.
    expect(requireTensorAddon().threads(5, true)).toBe(2)
    expect(requireTensorAddon().threads(3)).toBe(3)
  })

  test('bad calls are refused: no pixels, buffers that are too short, sizes that no buffer has', () => {
    setNativeThreads(2)
    const addon = requireTensorAddon()
    const [a, b, c] = [new Float32Array(64), new Float32Array(64), new Float32Array(64)]
    expect(() => addon.convForward(new Int32Array(17), a, b, c)).toThrow(Error)
    const still = Int32Array.from([1, 64, 1, 1, 64, 1, 1, 1, 2, 0, 1, 1, 1, 0, 1, 0, 1])
    expect(() => addon.convBackwardData(still, a, b, c)).toThrow(Error)
    // Channels enough for one product.
    const wide = Int32Array.from([1, 4, 1, 16, 4, 1, 16, 1, 2, 0, 1, 1, 1, 0, 1, 0, 1])
    expect(() => addon.convBackwardData(wide, a, new Float32Array(512), c)).toThrow(Error)
    const product = (pitchA: number, pitchC: number): void =>
      addon.matMul(false, false, 8, 8, 8, a, 0, b, 0, c, 0, false, pitchA, pitchC)
    expect(() => product(7, 8)).toThrow('argument 12: expected pitch of at least a row')
    expect(() => product(9, 8)).toThrow('argument 5: expected at least 71 elements')
    expect(() => product(8, 9)).toThrow('argument 9: expected at least 71 elements')
    // Products that would be 0 in 64 bits.
    const [half, long] = [2 ** 32, /^argument \d+: expected sizes of at most 2\^40 elements together$/]
    expect(() => addon.softmax(a, half, half, b)).toThrow(
      'argument 1: expected sizes of at most 2^40 elements together',
    )
    expect(() => addon.softmaxCrossEntropy(a, b, half, half, c, c)).toThrow(long)
    expect(() => addon.softmaxCrossEntropyGradient(a, b, c, half, half, c)).toThrow(long)
    expect(() => addon.lstmCell(half, half, 0, a, b, c, c)).toThrow(long)
    expect(() => addon.lstmCellGradient(1, 4, 2 ** 39, a, b, c, a, b, c)).toThrow(long)
    expect(() => addon.reduce(0, a, 1, 2 ** 40, 2, b)).toThrow(long)
    const indices = new Int32Array(1)
    expect(() => addon.gather(a, indices, half, 1, 1, half, 1, b)).toThrow(long)
    expect(() => addon.segmentSum(a, indices, 0, half, half, b)).toThrow(long)
    expect(() => addon.matMul(false, false, half, half, half, a, 0, b, 0, c, 0, false)).toThrow(long)
    expect(() => addon.batchNormInference(half, half, 1, false, a, null, null, b, b, c)).toThrow(long)
    const dims = [2 ** 30, 2 ** 30, 16]
    expect(() => addon.binary(0, a, b, c, Int32Array.from([...dims, 0, 0, 0, 0, 0, 0]), 3)).toThrow(long)
    const far = Int32Array.from([2 ** 30, 1, 2 ** 30, 1, 1, 1])
    expect(() => addon.copyStrided(a, 0, b, 0, far, 2)).toThrow(
      'argument 4: expected dims and strides of at most 2^40 elements',
    )
    const images = Int32Array.from([1, 2 ** 30, 2 ** 30, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    expect(() => addon.convForward(images, a, b, c)).toThrow(long)
    expect(() => addon.averagePool(images.subarray(0, 14), a, b)).toThrow(long)
    const meta = Int32Array.from([8, 20, 20, 16, 20, 20, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1])
    const short = /^argument \d: expected at least \d+ elements$/
    const changed = (at: number): Int32Array => meta.map((value, n) => (n === at ? 0 : value))
    expect(() => addon.convForward(changed(9), a, b, c)).toThrow('argument 0: expected strides > 0')
    expect(() => addon.convForward(changed(7), a, b, c)).toThrow('argument 0: expected filter sides > 0')
    const pool = Int32Array.from([1, 4, 4, 1, 4, 4, 2, 2, 0, 1, 1, 1, 0, 0])
    expect(() => addon.averagePoolGradient(pool, a, b)).toThrow('argument 0: expected strides > 0')
    // One of both is spread over a row; two would be read as rows.
    expect(() => addon.binary(0, a, b, c, Int32Array.from([64, 0, 0]), 1)).toThrow(
      'argument 4: expected one last stride of 1',
    )
    expect(() => addon.convForward(meta, a, b, c)).toThrow(short)
    expect(() => addon.convBackwardFilter(meta, a, b, c)).toThrow(short)
    expect(() => addon.convBackwardData(meta, a, b, c)).toThrow(short)
  })

  // Parts of c: rows x columns, of which oneDNN makes plans.
  const PRODUCTS = [
    { transposeA: false, transposeB: false, rows: 88, columns: 500, parts: ['44x500'] },
    { transposeA: false, transposeB: false, rows: 163, columns: 500, parts: ['40x500', '41x500'] },
    { transposeA: false, transposeB: false, rows: 88, columns: 1100, parts: ['88x272', '88x288', '88x268'] },
    { transposeA: false, transposeB: true, rows: 88, columns: 500, parts: ['88x128', '88x112', '88x132'] },
    { transposeA: false, transposeB: true, rows: 301, columns: 500, parts: ['150x256', '151x244'] },
    { transposeA: true, transposeB: false, rows: 88, columns: 500, parts: ['48x500', '40x500'] },
    { transposeA: false, transposeB: true, rows: 89, columns: 510, parts: ['89x128'], more: 3 },
    { transposeA: true, transposeB: false, rows: 90, columns: 510, parts: ['48x510'], more: 3 },
    { transposeA: false, transposeB: false, rows: 91, columns: 21, parts: [], more: 3 },
    { transposeA: true, transposeB: true, rows: 163, columns: 500, parts: ['48x500', '35x500'] },
  ].map((product) => ({ inner: 250, more: 0, ...product }))
  /** Of matrices within rows that are `more` longer; what is there stays 1 in the result. */
  const productOf = (c: (typeof PRODUCTS)[number], threads: number, accumulate: boolean): Float32Array => {
    setNativeThreads(threads)
    const elements = (count: number, name: string): Float32Array =>
      normal([count], name).dataSync() as Float32Array
    const [height, width] = c.transposeA ? [c.inner, c.rows] : [c.rows, c.inner]
    const [a, b] = [elements(height * (width + c.more), 'a'), elements(c.inner * c.columns, 'b')]
    const pitch = c.columns + c.more
    const out = new Float32Array(7 + c.rows * pitch).fill(1)
    const sizes = [c.transposeA, c.transposeB, c.rows, c.columns, c.inner] as const
    const pitches = c.more === 0 ? ([] as const) : ([width + c.more, pitch] as const)
    requireTensorAddon().matMul(...sizes, a, 0, b, 0, out, 7, accumulate, ...pitches)
    return out
  }

  test.each(PRODUCTS)('a product %j in parts', (c) => {
    for (const accumulate of [false, true]) {
      const [whole, cut, again] = [1, 2, 2].map((threads) => productOf(c, threads, accumulate))
      expect(Buffer.compare(Buffer.from(again!.buffer), Buffer.from(cut!.buffer))).toBe(0)
      expect([...cut!.slice(0, 7)]).toEqual([1, 1, 1, 1, 1, 1, 1])
      const pitch = c.columns + c.more
      expect(cut!.every((value, i) => i < 7 || (i - 7) % pitch < c.columns || value === 1)).toBe(true)
      const largest = whole!.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      whole!.forEach((value, i) => {
        if (Math.abs(value - cut![i]!) > 2e-6 * largest) expect.fail(`element ${i}: ${cut![i]} for ${value}`)
      })
    }
    const plans = requireTensorAddon().describePrimitives().split('\n')
    for (const [rows, columns] of c.parts.map((part) => part.split('x'))) {
      const name = `product ${rows}x250${c.transposeA ? 't' : ''} * 250x${columns}${c.transposeB ? 't' : ''} `
      expect(plans.filter((line) => line.startsWith(name)).length, name).toBeGreaterThan(0)
    }
  })

  test('a loop is done whole, whoever helps: threads asleep, awake, more and fewer than before', () => {
    const addon = requireTensorAddon()
    const n = 70_001
    const x = Float32Array.from({ length: n }, (_, i) => i)
    const out = new Float32Array(n)
    const pause = new Int32Array(new SharedArrayBuffer(4))
    for (let round = 0; round < 600; round++) {
      setNativeThreads([2, 5, 3, 1][Math.floor(round / 10) % 4]!)
      if (round % 50 === 0) Atomics.wait(pause, 0, 0, 2)
      addon.unary(addon.unaryOps.affine, x, out, 2, round)
      if (out[0] !== round || out[n - 1] !== 2 * (n - 1) + round || out[35_000] !== 70_000 + round)
        expect.fail(`round ${round}: ${out[0]} ${out[35_000]} ${out[n - 1]}`)
    }
    expect([...out]).toEqual(Array.from(x, (value) => 2 * value + 599))
  })
})
