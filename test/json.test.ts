import { describe, expect, it } from 'vitest'
import { checkShape, parseJson } from '../src/json.js'
import type { Shape } from '../src/json.js'

describe('parseJson', () => {
  it('reads JSON, also behind a byte order mark', () => {
    expect(parseJson('\ufeff{"a": [1, "]}\\""]}', 'a.json')).toEqual({ a: [1, ']}"'] })
  })

  it.each([
    ['lists', '['.repeat(100_000)],
    ['whole lists', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['keys', '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)],
  ])('refuses %s nested 100,000 deep', (_, text) => {
    expect(() => parseJson(text, 'a.json')).toThrow(
      /^a\.json: JSON nested too deep: expected at most 200 levels$/,
    )
  })

  it('brackets in texts are no depth', () => {
    const text = JSON.stringify({ a: '['.repeat(1000), b: '\\"{'.repeat(1000) })
    expect(parseJson(text, 'a.json')).toEqual(JSON.parse(text))
  })

  it('names file and place', () => {
    expect(() => parseJson('{', 'a.jsonl', 'line 3')).toThrow(/^a\.jsonl: line 3: not JSON: received /)
  })
})

describe('checkShape', () => {
  const shape: Shape = {
    id: 'count',
    at: ['number', 2],
    names: ['text'],
    'k?': 'index',
    'rest?': { x: 'any' },
  }
  const good = { id: 3, at: [1, -2.5], names: ['a'], other: null }
  const place = (value: unknown): string => {
    try {
      checkShape(value, shape, 'f', 'wrong')
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }

  it.each([
    [good, ''],
    [{ ...good, k: null, rest: { x: 1 } }, ''],
    [[], 'f: wrong: expected object but received []'],
    [{ ...good, id: '3' }, 'f: /id: wrong: expected whole number from 0 on but received "3"'],
    [{ ...good, at: [1] }, 'f: /at: wrong: expected list of 2 but received [1]'],
    [{ ...good, at: [1, null] }, 'f: /at/1: wrong: expected finite number but received null'],
    [{ ...good, names: [1] }, 'f: /names/0: wrong: expected text but received 1'],
    [{ ...good, k: 1e9 }, 'f: /k: wrong: expected whole number from 0 to 99999 but received 1000000000'],
    [{ ...good, rest: 1 }, 'f: /rest: wrong: expected object but received 1'],
    [Object.create(good), 'f: /id: wrong: expected whole number from 0 on but received undefined'],
  ])('%j', (value, message) => {
    expect(place(value)).toBe(message)
  })
})
