import { NoduleError } from '../errors.js'
import { show } from '../check.js'

/** One key of a configuration file: its meaning, unit, default and check. */
export interface Key<T> {
  doc: string
  unit: string
  default: T
  /** What a value must be, in words, for the error message. */
  expected: string
  accepts: (value: unknown) => value is T
}

export type Keys = { readonly [name: string]: Key<unknown> | Keys }

/** The parsed type of a table of keys. */
export type Parsed<K> = K extends Key<infer T> ? T : { -readonly [N in keyof K]: Parsed<K[N]> }

export function number(doc: string, fallback: number, unit: string, low: number, high: number): Key<number> {
  return {
    doc,
    unit,
    default: fallback,
    expected: `number between ${low} and ${high}`,
    accepts: (value): value is number => typeof value === 'number' && value >= low && value <= high,
  }
}

export function integer(doc: string, fallback: number, unit: string, low: number, high: number): Key<number> {
  return {
    doc,
    unit,
    default: fallback,
    expected: `integer between ${low} and ${high}`,
    accepts: (value): value is number =>
      Number.isInteger(value) && Number(value) >= low && Number(value) <= high,
  }
}

export function flag(doc: string, fallback: boolean): Key<boolean> {
  return {
    doc,
    unit: '',
    default: fallback,
    expected: 'true or false',
    accepts: (value): value is boolean => typeof value === 'boolean',
  }
}

export function text(doc: string, fallback: string): Key<string> {
  return {
    doc,
    unit: '',
    default: fallback,
    expected: 'string',
    accepts: (value): value is string => typeof value === 'string',
  }
}

/** Any number of texts. */
export function texts(doc: string, fallback: string[]): Key<string[]> {
  return {
    doc,
    unit: '',
    default: fallback,
    expected: 'array of strings',
    accepts: (value): value is string[] =>
      Array.isArray(value) && value.every((item) => typeof item === 'string'),
  }
}

export function choice<const T extends string>(
  doc: string,
  fallback: NoInfer<T>,
  choices: readonly T[],
): Key<T> {
  return {
    doc,
    unit: '',
    default: fallback,
    expected: `one of ${choices.map((item) => JSON.stringify(item)).join(', ')}`,
    accepts: (value): value is T => choices.some((item) => item === value),
  }
}

export function numbers(
  doc: string,
  fallback: number[],
  unit: string,
  lengths: readonly [number, number],
): Key<number[]> {
  return {
    doc,
    unit,
    default: fallback,
    expected: `array of ${lengths[0] === lengths[1] ? lengths[0] : lengths.join(' to ')} numbers`,
    accepts: (value): value is number[] =>
      Array.isArray(value) &&
      value.length >= lengths[0] &&
      value.length <= lengths[1] &&
      value.every((item) => typeof item === 'number' && Number.isFinite(item)),
  }
}

/** One or more of the choices, each once. */
export function choices<const T extends string>(
  doc: string,
  fallback: NoInfer<T>[],
  all: readonly T[],
): Key<T[]> {
  return {
    doc,
    unit: '',
    default: fallback,
    expected: `array of one or more of ${all.map((item) => JSON.stringify(item)).join(', ')}, each once`,
    accepts: (value): value is T[] =>
      Array.isArray(value) &&
      value.length > 0 &&
      new Set(value).size === value.length &&
      value.every((item) => all.some((choice) => choice === item)),
  }
}

function isKey(entry: Key<unknown> | Keys): entry is Key<unknown> {
  return typeof entry.accepts === 'function'
}

/**
 * Checks an object against a table of keys and fills in defaults. Unknown keys and wrong types are errors that name
 * file, key, what was expected and what was received.
 */
export function parseKeys<K extends Keys>(
  keys: K,
  value: unknown,
  path: string,
  place = '',
  all: Keys = keys,
): Parsed<K> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new NoduleError('FORMAT', 'wrong type', {
      path,
      place: place.replace(/\.$/, ''),
      expected: 'object',
      actual: show(value),
    })
  const given = value as Record<string, unknown>
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(keys, name)) {
      throw new NoduleError('FORMAT', 'unknown key', {
        path,
        place: place + (name.length > 80 ? `${name.slice(0, 77)}...` : name),
        expected: closest(name, Object.keys(keys), all),
        actual: show(name),
      })
    }
  }
  const result: Record<string, unknown> = {}
  for (const [name, entry] of Object.entries(keys)) {
    if (!isKey(entry)) {
      // null is no group: the keys that it replaces would be lost without a word.
      const group = given[name] === undefined ? {} : given[name]
      result[name] = parseKeys(entry, group, path, `${place}${name}.`, all)
    } else if (!Object.hasOwn(given, name)) result[name] = structuredClone(entry.default)
    else if (entry.accepts(given[name])) result[name] = given[name]
    else {
      throw new NoduleError('FORMAT', 'wrong value', {
        path,
        place: place + name,
        expected: entry.expected,
        actual: show(given[name]),
      })
    }
  }
  return result as Parsed<K>
}

/**
 * The names that somebody may have meant: those here within an edit distance of 3, but no more than half of the letters,
 * else such names of other groups (as "solver.learning_rate"), else all that are here.
 */
function closest(name: string, names: string[], all: Keys): string {
  const isNear = (candidate: string): boolean => {
    const most = Math.min(3, Math.floor(Math.max(name.length, candidate.length) / 2))
    return Math.abs(name.length - candidate.length) <= most && editDistance(name, candidate) <= most
  }
  const near = names.filter(isNear)
  const elsewhere = keyPaths(all).filter((path) => isNear(path.slice(path.lastIndexOf('.') + 1)))
  const meant = [near, elsewhere, names].find((list) => list.length > 0) ?? []
  return `one of ${meant.map((item) => JSON.stringify(item)).join(', ')}`
}

/** All keys as a.b. */
function keyPaths(keys: Keys, place = ''): string[] {
  return Object.entries(keys).flatMap(([name, entry]) =>
    isKey(entry) ? [place + name] : keyPaths(entry, `${place}${name}.`),
  )
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}
