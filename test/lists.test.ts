import { expect, it } from 'vitest'
import { append, greatest, least } from '../src/lists.js'

it('lists of any length', () => {
  const many = Array.from({ length: 300_000 }, (_, n) => n)
  const list = [1]
  append(list, many)
  expect(list).toHaveLength(300_001)
  expect([least(many), greatest(many)]).toEqual([0, 299_999])
  expect([least([]), greatest([]), greatest([], 3), greatest([7], 3)]).toEqual([Infinity, -Infinity, 3, 7])
  expect([least([1, NaN, 0]), greatest(Float64Array.of(1, 2))]).toEqual([NaN, 2])
})
