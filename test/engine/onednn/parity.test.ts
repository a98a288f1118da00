import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  describeFallbacks,
  registerNativeBackend,
  setNativeThreads,
} from '../../../src/engine/onednn/engine.js'
import { clearFallbacks } from '../../../src/engine/onednn/kernel.js'
import { tensorAddonProblem } from '../../../src/engine/onednn/addon.js'
import { elementwiseCases, reduceCases } from './cases.js'
import type { Case } from './cases.js'
import { averagePoolCases, layerCases, layoutCases } from './layer_cases.js'

interface Result {
  shape: number[]
  dtype: string
  values: ArrayLike<number>
}

async function on(backend: 'cpu' | 'native', run: () => tf.Tensor[]): Promise<Result[]> {
  await tf.setBackend(backend)
  const results: Result[] = []
  tf.tidy(() => {
    for (const tensor of run()) {
      const { shape, dtype } = tensor
      results.push({ shape, dtype, values: tensor.dataSync() })
    }
  })
  return results
}

function compare(actual: Result[], expected: Result[], tolerance: number): void {
  expect(actual.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(
    expected.map(({ shape, dtype }) => ({ shape, dtype })),
  )
  actual.forEach(({ values }, index) => {
    const wanted = Array.from(expected[index]!.values)
    const finite = wanted.filter((v) => Number.isFinite(v)).map(Math.abs)
    const largest = finite.reduce((a, b) => Math.max(a, b), 0)
    wanted.forEach((value, i) => {
      const got = values[i]!
      const equal =
        Object.is(got, value) ||
        got === value ||
        Math.abs(got - value) <= tolerance * Math.max(largest, 1e-30)
      if (!equal) expect.fail(`output ${index}, element ${i}: expected ${value} but received ${got}`)
    })
  })
}

const problem = tensorAddonProblem()

describe.skipIf(problem !== undefined)(`native kernels like tfjs's cpu kernels ${problem ?? ''}`, () => {
  beforeAll(() => {
    registerNativeBackend()
    setNativeThreads(2)
  })
  afterAll(() => tf.setBackend('cpu'))

  const check = (cases: Case[]): void => {
    test.each(cases)('$name', async ({ run, tolerance }) => {
      const expected = await on('cpu', run)
      clearFallbacks()
      compare(await on('native', run), expected, tolerance ?? 1e-5)
      // Else the test would compare tfjs with itself.
      expect(describeFallbacks()).toEqual([])
    })
  }

  describe('elementwise', () => check(elementwiseCases))
  describe('reductions', () => check(reduceCases))
  describe('layers', () => check(layerCases))
  describe('layout', () => check(layoutCases))

  test('shapes that do not go together are refused, as by cpu', async () => {
    for (const backend of ['cpu', 'native'] as const)
      for (const [a, b] of [
        [[2], [3]],
        [
          [2, 3],
          [3, 3],
        ],
      ] as const)
        for (const op of [tf.add, tf.sub, tf.mul, tf.div, tf.maximum])
          await expect(on(backend, () => [op(tf.ones([...a]), tf.ones([...b]))])).rejects.toThrow(
            'Operands could not be broadcast together',
          )
  })

  test.each<[string, () => tf.Tensor, RegExp]>([
    [
      'concat of other rows',
      () => tf.concat([tf.ones([3, 3]), tf.ones([2, 3])], 1),
      /does not match the shape/,
    ],
    [
      'concat of empty rows',
      () => tf.concat([tf.ones([0, 3]), tf.ones([4, 5])], 0),
      /does not match the shape/,
    ],
    ['concat of ranks', () => tf.concat([tf.ones([2, 3]), tf.ones([2, 3, 1])], 1), /rank of tensors\[1\]/],
    ['slice of a fraction', () => tf.slice(tf.ones([4, 5]), [1, 0], [1.5, 2]), /positive integers/],
    [
      'more ids than rows',
      () => tf.unsortedSegmentSum(tf.ones([3, 2]), tf.tensor1d([0, 1, 0, 1], 'int32'), 2),
      /could not be broadcast/,
    ],
  ])('%s is refused, as by cpu', async (_, run, message) => {
    for (const backend of ['cpu', 'native'] as const)
      await expect(on(backend, () => [run()])).rejects.toThrow(message)
  })

  // tfjs's cpu kernels round such sizes each in its own way.
  test.each<[string, () => tf.Tensor]>([
    ['split', () => tf.split(tf.ones([5, 2]), [2.5, 2.5])[0]!],
    ['tile', () => tf.tile(tf.ones([2, 3]), [1.5, 1])],
    ['tile of less than one', () => tf.tile(tf.ones([2, 3]), [0.5, 1])],
  ])('%s: fractions are refused', async (_, run) => {
    await expect(on('native', () => [run()])).rejects.toThrow(/whole numbers|positive integers/)
  })

  test.each(averagePoolCases)('$name', async ({ native, expected }) => {
    compare(await on('native', native), await on('cpu', expected), 1e-5)
  })
})
