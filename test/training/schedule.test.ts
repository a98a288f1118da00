import { describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { learningRate } from '../../src/training/schedule.js'

describe('learningRate', () => {
  it('is constant for three periods, then halved at each', () => {
    const { solver } = parseHypes({ solver: { learning_rate: 0.8, learning_rate_step: 100 } })
    const rates = [0, 99, 100, 299, 300, 399, 400, 500].map((step) => learningRate(solver, step))
    expect(rates).toEqual([0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.1])
  })
})
