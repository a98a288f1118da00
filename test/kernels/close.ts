import { expect } from 'vitest'

/** The stated tolerance: 1e-5 of the largest magnitude; NaN must meet NaN. */
export function expectClose(actual: Float32Array, expected: Float32Array, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length)
  const scale = expected.reduce((high, v) => (Number.isNaN(v) ? high : Math.max(high, Math.abs(v))), 1e-3)
  let worst = 0
  for (const [i, value] of expected.entries()) {
    const difference = Math.abs((actual[i] as number) - value)
    if (Number.isNaN(value)) expect(actual[i], `element ${i}`).toBeNaN()
    else if (!(difference <= worst)) worst = difference
  }
  expect(worst / scale).toBeLessThanOrEqual(tolerance)
}
