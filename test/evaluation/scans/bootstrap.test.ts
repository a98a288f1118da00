import { describe, expect, test } from 'vitest'
import { bootstrapFroc } from '../../../src/evaluation/scans/bootstrap.js'
import type { FrocVectors } from '../../../src/evaluation/scans/froc.js'
import { createRandom } from '../../../src/random.js'

const SCANS = 12
const random = createRandom(4)
const entries = Array.from({ length: 90 }, () => random.uniform())
const vectors: FrocVectors = {
  scan: entries.map((_, i) => i % SCANS),
  nodule: entries.map((value) => value > 0.6),
  found: entries.map((_, i) => i % 7 !== 0),
  score: entries.map((value, i) => Math.round(20 * (0.5 * value + random.uniform())) / 20 + (i % 2) / 40),
}
const scanOfDraw = Int32Array.from({ length: SCANS }, (_, scan) => scan)

describe('bootstrapFroc', () => {
  const options = { samples: 60, seed: 9, confidence: 0.95, points: 40 }
  const whole = bootstrapFroc(vectors, scanOfDraw, options)

  test('varies with the scans that are drawn', () => {
    expect(whole.cpm.low).toBeLessThan(whole.cpm.mean)
    expect(whole.cpm.high).toBeGreaterThan(whole.cpm.mean)
    expect(whole.rates).toHaveLength(7)
    expect(whole.band.mean).toHaveLength(40)
  })

  test.each([1, 60, 7 * 60, 60 * 1000])('is the same with %d values held at a time', (held) => {
    expect(bootstrapFroc(vectors, scanOfDraw, { ...options, held })).toEqual(whole)
  })
})
