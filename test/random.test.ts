import { describe, expect, it } from 'vitest'
import { createRandom } from '../src/random.js'

describe('createRandom', () => {
  it('repeats for a seed and differs between seeds', () => {
    const draw = (seed: number): number[] => {
      const random = createRandom(seed)
      return Array.from({ length: 5 }, () => random.uniform())
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  it('forks do not depend on how far the parent was read', () => {
    const a = createRandom(3)
    const b = createRandom(3)
    a.uniform()
    expect(a.fork('x').uniform()).toBe(b.fork('x').uniform())
    expect(a.fork('x').uniform()).not.toBe(a.fork('y').uniform())
  })

  it('is uniform and normal to three standard errors', () => {
    const random = createRandom(11)
    const n = 40_000
    let mean = 0
    let normalMean = 0
    let normalSquare = 0
    const buckets = Array.from({ length: 10 }, () => 0)
    for (let i = 0; i < n; i++) {
      mean += random.uniform() / n
      const z = random.normal()
      normalMean += z / n
      normalSquare += (z * z) / n
      buckets[random.integer(10)]! += 1
    }
    expect(Math.abs(mean - 0.5)).toBeLessThan(3 / Math.sqrt(12 * n))
    expect(Math.abs(normalMean)).toBeLessThan(3 / Math.sqrt(n))
    expect(Math.abs(normalSquare - 1)).toBeLessThan((3 * Math.SQRT2) / Math.sqrt(n))
    const chi2 = buckets.reduce((sum, count) => sum + (count - n / 10) ** 2 / (n / 10), 0)
    expect(chi2).toBeLessThan(27.9) // 9 degrees of freedom, p = 0.001
  })

  it('refuses a seed that is not a 32-bit integer', () => {
    expect(() => createRandom(-1)).toThrow(
      'Expected integer between 0 and 4294967295 for seed but received -1',
    )
  })
})
