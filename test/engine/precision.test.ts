import * as tf from '@tensorflow/tfjs'
import { describe, expect, it } from 'vitest'
import { requireTensorAddon, tensorAddonProblem } from '../../src/engine/onednn/addon.js'
import { usePrecision } from '../../src/engine/precision.js'
import { startEngine } from '../../src/engine/start.js'
import { caught } from '../caught.js'

const problem = tensorAddonProblem()
const bfloat16 = problem === undefined && requireTensorAddon().hasBfloat16

describe('usePrecision', () => {
  it('refuses bfloat16 on other engines, and says what to do', async () => {
    await startEngine('wasm')
    expect(usePrecision('float32', 'h.json', 'solver.precision')()).toBeUndefined()
    const error = caught(() => usePrecision('bfloat16', 'h.json', 'solver.precision'))
    expect(error.code).toBe('UNAVAILABLE')
    expect(error.message).toBe(
      'h.json: solver.precision: bfloat16 cannot be computed here: expected the native engine on a processor with ' +
        'AVX512-BF16 but received the engine wasm; possible solutions: train in float32 (set solver.precision=float32)',
    )
  })

  it.skipIf(problem !== undefined || bfloat16)('refuses it on a processor without it', async () => {
    await startEngine('native')
    expect(caught(() => usePrecision('bfloat16', 'h.json', 'solver.precision')).message).toContain(
      'received a processor without it',
    )
  })

  it.skipIf(!bfloat16)(
    `computes products with 8 bits, until it is over${bfloat16 ? '' : ' (no native engine, or no AVX512-BF16)'}`,
    async () => {
      await startEngine('native')
      // 1 + 2^-10 needs 11 bits: bfloat16 drops the last one, float32 does not.
      const image = tf.mul(tf.ones<tf.Rank.R4>([1, 8, 8, 16]), 1 + 2 ** -10) as tf.Tensor4D
      const filter = tf.ones<tf.Rank.R4>([3, 3, 16, 16])
      const product = (): number => tf.tidy(() => tf.conv2d(image, filter, 1, 'valid').dataSync()[0]!)
      const exact = product()
      expect(exact).toBeCloseTo(144 * (1 + 2 ** -10), 4)
      const restore = usePrecision('bfloat16', 'h.json', 'solver.precision')
      expect(product()).toBe(144)
      restore()
      expect(product()).toBe(exact)
      tf.dispose([image, filter])
    },
  )
})
