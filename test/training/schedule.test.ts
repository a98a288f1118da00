import { describe, expect, it } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import { learningRate } from '../../src/training/schedule.js'

describe('learningRate', () => {
  it('is constant for three periods, then halved at each', () => {
    const { solver } = parseHypes({ solver: { learning_rate: 0.8, learning_rate_step: 100 } })
    const rates = [0, 99, 100, 299, 300, 399, 400, 500].map((step) => learningRate(solver, step))
    expect(rates).toEqual([0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.1])
  })

  it('cosine: rises in warmup_steps, then falls to 0 at max_iter', () => {
    const { solver } = parseHypes({
      solver: { learning_rate: 0.8, schedule: 'cosine', warmup_steps: 3, max_iter: 103 },
    })
    const rates = [0, 1, 2, 3, 53, 103, 200].map((step) => learningRate(solver, step))
    ;[0.2, 0.4, 0.6, 0.8, 0.4, 0, 0].forEach((rate, index) => expect(rates[index]).toBeCloseTo(rate, 6))
  })

  it('step: times step_factor at each period, after a warm-up', () => {
    const { solver } = parseHypes({
      solver: {
        ...{ learning_rate: 0.8, schedule: 'step', learning_rate_step: 100, step_factor: 0.5 },
        warmup_steps: 1,
      },
    })
    const rates = [0, 1, 99, 100, 199, 200].map((step) => learningRate(solver, step))
    expect(rates).toEqual([0.4, 0.8, 0.8, 0.4, 0.4, 0.2])
  })
})
