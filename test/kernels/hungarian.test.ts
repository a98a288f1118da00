import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Match, MatchInput } from '../../src/kernels/index.js'
import { hungarianMatch, hungarianMatchSync, linearSumAssignment } from '../../src/kernels/index.js'
import { matchCost } from '../../src/kernels/reference/hungarian.js'
import { createRandom } from '../../src/random.js'
import { assignmentCases, assignmentInput, matchCases, matchInput } from '../../benchmarks/cases/kernels.js'
import { devices } from './devices.js'

/** The least total of any assignment, by trying all of them: min(rows, columns) pairs. */
function bruteForce(cost: Float64Array, rows: number, columns: number): number {
  if (rows > columns) {
    const turned = cost.map((_, k) => cost[(k % rows) * columns + Math.floor(k / rows)] as number)
    return bruteForce(turned, columns, rows)
  }
  const place = (row: number, used: number): number => {
    if (row === rows) return 0
    let least = Infinity
    for (let j = 0; j < columns; j++)
      if ((used & (1 << j)) === 0)
        least = Math.min(least, (cost[row * columns + j] as number) + place(row + 1, used | (1 << j)))
    return least
  }
  return place(0, 0)
}

/** Every prediction and truth at most once, and as many pairs as possible. */
function expectValid({ assignment }: Match, input: MatchInput): void {
  for (const [cell, count] of input.counts.entries()) {
    const used = [...assignment.subarray(cell * input.p, (cell + 1) * input.p)].filter((j) => j !== -1)
    expect(new Set(used).size).toBe(used.length)
    expect(used.length).toBe(Math.min(input.p, count))
    expect(used.every((j) => j >= 0 && j < count)).toBe(true)
  }
}

/**
 * Whether the cell's least cost has one assignment only: barring any of its pairs must cost more. (Sums of |delta| often
 * tie: two predictions left of two truths may swap.)
 */
function isUnique(input: MatchInput, match: Match, cell: number): boolean {
  const { p, t, predictions, truths, minIou } = input
  const count = input.counts[cell] as number
  const box = (boxes: Float32Array, i: number): Float32Array => boxes.subarray(i * 4, i * 4 + 4)
  const costs = Float64Array.from({ length: p * count }, (_, k) => {
    const i = Math.floor(k / count)
    return matchCost(box(predictions, cell * p + i), box(truths, cell * t + (k % count)), i, minIou)
  })
  const least = match.cost[cell] as number
  for (let i = 0; i < p; i++) {
    const j = match.assignment[cell * p + i] as number
    if (j === -1) continue
    const barred = costs.slice()
    barred[i * count + j] = 1e6
    if (linearSumAssignment(barred, p, count, { device: 'reference' }).cost < least + 1e-7) return false
  }
  return true
}

/** The same cost everywhere; the same assignment where it is the only one. Returns how many assignments were compared. */
function expectSame(actual: Match, expected: Match, input: MatchInput): number {
  const { p } = input
  let compared = 0
  expectValid(actual, input)
  for (const [cell, cost] of expected.cost.entries()) {
    expect(actual.cost[cell]).toBeCloseTo(cost, 9)
    if (!isUnique(input, expected, cell)) continue
    compared++
    expect(actual.assignment.subarray(cell * p, (cell + 1) * p)).toEqual(
      expected.assignment.subarray(cell * p, (cell + 1) * p),
    )
  }
  return compared
}

describe('the reference', () => {
  it('computes ReInspect’s cost', () => {
    // The second prediction lies on the true box, the first does not overlap it.
    const input: MatchInput = {
      predictions: Float32Array.of(100, 0, 8, 8, 1, 0, 8, 8),
      truths: Float32Array.of(0, 0, 8, 8, NaN, NaN, NaN, NaN),
      counts: Int32Array.of(1),
      p: 2,
      t: 2,
      minIou: 0.25,
    }
    const match = hungarianMatchSync(input, { device: 'reference' })
    expect([...match.assignment]).toEqual([-1, 0])
    expect(match.cost[0]).toBeCloseTo(1 + 1 / 2000, 12)
    const far = { ...input, predictions: Float32Array.of(100, 0, 8, 8, 101, 0, 8, 8) }
    expect(hungarianMatchSync(far, { device: 'reference' }).cost[0]).toBeCloseTo(100 + 100 / 2000, 12)
  })

  it('finds the least total: brute force', () => {
    const costs = fc
      .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 }))
      .chain(([rows, columns]) =>
        fc.tuple(
          fc.constant(rows),
          fc.constant(columns),
          fc.oneof(
            fc.array(fc.integer({ min: -3, max: 3 }), {
              minLength: rows * columns,
              maxLength: rows * columns,
            }),
            fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), {
              minLength: rows * columns,
              maxLength: rows * columns,
            }),
          ),
        ),
      )
    fc.assert(
      fc.property(costs, ([rows, columns, numbers]) => {
        const cost = Float64Array.from(numbers)
        expect(linearSumAssignment(cost, rows, columns, { device: 'reference' }).cost).toBeCloseTo(
          bruteForce(cost, rows, columns),
          6,
        )
      }),
      { numRuns: 500, seed: 2 },
    )
  })
})

for (const { device, skip, title } of devices)
  describe.skipIf(skip)(title, () => {
    it.each(matchCases)('$name', async (c) => {
      const input = matchInput(c)
      const expected = hungarianMatchSync(input, { device: 'reference' })
      expectValid(expected, input)
      const compared = expectSame(hungarianMatchSync(input, { device }), expected, input)
      if (c.cells > 0 && c.ties !== true) expect(compared).toBeGreaterThan(0)
      expectSame(await hungarianMatch(input, { device }), expected, input)
    })

    it('any boxes', () => {
      const box = fc.tuple(
        ...Array.from({ length: 4 }, () => fc.integer({ min: -12, max: 12 }).map((n) => n / 2)),
      )
      fc.assert(
        fc.property(
          fc.array(box, { minLength: 0, maxLength: 6 }),
          fc.array(box, { minLength: 0, maxLength: 6 }),
          fc.double({ min: 0, max: 1, noNaN: true }),
          (predictions, truths, minIou) => {
            const input = {
              predictions: Float32Array.from(predictions.flat()),
              truths: Float32Array.from(truths.flat()),
              counts: Int32Array.of(truths.length),
              p: predictions.length,
              t: truths.length,
              minIou,
            }
            const expected = hungarianMatchSync(input, { device: 'reference' })
            expectSame(hungarianMatchSync(input, { device }), expected, input)
          },
        ),
        { numRuns: 300, seed: 3 },
      )
    })

    it('has the least cost in 100,000 random cells, half of them with ties', () => {
      for (const [p, t, ties] of [
        [5, 5, false],
        [5, 5, true],
        [6, 4, true],
        [3, 3, false],
        [8, 5, false],
        [4, 6, true],
      ] as const) {
        const cells = Math.ceil(100_000 / 6)
        const input = matchInput({ name: '', cells, p, t, ties, minIou: 0.25 })
        const actual = hungarianMatchSync(input, { device })
        const expected = hungarianMatchSync(input, { device: 'reference' })
        const worst = actual.cost.reduce(
          (high, cost, i) => Math.max(high, Math.abs(cost - expected.cost[i]!)),
          0,
        )
        expect(worst).toBeLessThan(1e-9)
      }
    })

    it.each(['predictions', 'truths'] as const)('refuses NaN and infinity in %s', async (key) => {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const input = matchInput({ name: '', cells: 2, p: 3, t: 3, minIou: 0.25 })
        input.counts.set([3, 3])
        input[key][13] = bad
        const error = { code: 'INVALID_PARAMETER', message: expect.stringContaining(`${key}[13]`) as string }
        expect(() => hungarianMatchSync(input, { device })).toThrow(expect.objectContaining(error))
        expect(() => hungarianMatchSync(input, { device: 'reference' })).toThrow(
          expect.objectContaining(error),
        )
        await expect(hungarianMatch(input, { device })).rejects.toMatchObject(error)
      }
    })
  })

const cpu = devices[0]

describe.skipIf(cpu?.skip)(`linearSumAssignment on ${cpu?.title}`, () => {
  // The largest is for benchmarks only: the reference would take minutes.
  it.each(assignmentCases.filter(({ rows }) => rows <= 1000))('$name', (c) => {
    const cost = assignmentInput(c)
    const expected = linearSumAssignment(cost, c.rows, c.columns, { device: 'reference' })
    const actual = linearSumAssignment(cost, c.rows, c.columns, { device: 'cpu' })
    expect(actual.cost).toBeCloseTo(expected.cost, 8)
    const used = [...actual.rowToColumn].filter((j) => j !== -1)
    expect(new Set(used).size).toBe(Math.min(c.rows, c.columns))
    if (c.levels === 0) expect(actual.rowToColumn).toEqual(expected.rowToColumn)
  })

  it('finds the least total: 20,000 small problems, half of them with ties, by brute force', () => {
    const random = createRandom(5)
    for (let round = 0; round < 20_000; round++) {
      const rows = random.integer(5)
      const columns = random.integer(5)
      const ties = round % 2 === 0
      const cost = Float64Array.from({ length: rows * columns }, () =>
        ties ? random.integer(4) - 1 : random.normal(),
      )
      const total = linearSumAssignment(cost, rows, columns, { device: 'cpu' }).cost
      const least = bruteForce(cost, rows, columns)
      if (Math.abs(total - least) > 1e-9)
        expect.fail(`${rows}x${columns} ${[...cost].join()}: ${total}, not ${least}`)
    }
  })
})
