/** The one way to read JSON that others may have written: bounded in depth, and checked before it is believed. */
import { show } from './check.js'
import { NoduleError, describeError } from './errors.js'

/** Nothing that nodule reads or writes is nested a tenth as deep; what goes through lists would overflow the stack. */
const MAX_DEPTH = 200

/** Parses JSON; a byte order mark is skipped. Throws NoduleError (FORMAT) with `path` and `place` for what is none. */
export function parseJson(content: string, path: string, place?: string): unknown {
  const text = content.charCodeAt(0) === 0xfeff ? content.slice(1) : content
  if (nestedDeeper(text, MAX_DEPTH))
    throw new NoduleError('FORMAT', 'JSON nested too deep', {
      path,
      place,
      expected: `at most ${MAX_DEPTH} levels`,
    })
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new NoduleError('FORMAT', 'not JSON', { path, place, actual: describeError(error), cause: error })
  }
}

const [QUOTE, BACKSLASH] = [34, 92]
const [OPEN, CLOSE, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125]

/** One pass, whatever the text. */
function nestedDeeper(text: string, limit: number): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      for (at++; at < text.length && text.charCodeAt(at) !== QUOTE; at++)
        if (text.charCodeAt(at) === BACKSLASH) at++
    } else if (code === OPEN || code === OPEN_OBJECT) {
      if (++depth > limit) return true
    } else if (code === CLOSE || code === CLOSE_OBJECT) depth--
  }
  return false
}

/**
 * What parsed JSON must be: a finite number, a whole number from 0 on, a place in a list (below 100,000), a text, a list of
 * a shape (of that length), an object with these keys. A key that ends with "?" may be absent or null; keys that are not
 * named may be anything.
 */
export type Shape =
  | 'number'
  | 'count'
  | 'index'
  | 'text'
  | 'any'
  | readonly [Shape]
  | readonly [Shape, number]
  | { readonly [key: string]: Shape }

const SINGLE: Readonly<Record<string, readonly [string, (value: unknown) => boolean]>> = {
  number: ['finite number', Number.isFinite],
  count: ['whole number from 0 on', (value) => Number.isSafeInteger(value) && Number(value) >= 0],
  index: ['whole number from 0 to 99999', (value) => Number.isInteger(value) && inList(Number(value))],
  text: ['text', (value) => typeof value === 'string'],
  any: ['anything', () => true],
}
const inList = (value: number): boolean => value >= 0 && value < 100_000

/**
 * Throws NoduleError (FORMAT) with the JSON pointer of the first value that is not of the shape.
 * @param what the file is not, in the error: "not a file of detections"
 */
export function checkShape(value: unknown, shape: Shape, path: string, what: string, place = ''): void {
  const fail = (expected: string): NoduleError =>
    new NoduleError('FORMAT', what, { path, place, expected, actual: show(value) })
  if (typeof shape === 'string') {
    const [expected, accepts] = SINGLE[shape]!
    if (!accepts(value)) throw fail(expected)
  } else if (isList(shape)) {
    const [item, length] = shape
    if (!Array.isArray(value) || (length !== undefined && value.length !== length))
      throw fail(length === undefined ? 'list' : `list of ${length}`)
    for (const [index, one] of value.entries()) checkShape(one, item, path, what, `${place}/${index}`)
  } else {
    if (!isObject(value)) throw fail('object')
    for (const [name, own] of Object.entries(shape)) {
      const key = name.replace(/\?$/, '')
      const found = Object.hasOwn(value, key) ? value[key] : undefined
      if (key !== name && (found === undefined || found === null)) continue
      checkShape(found, own, path, what, `${place}/${key}`)
    }
  }
}

const isList = (shape: Shape): shape is readonly [Shape] | readonly [Shape, number] => Array.isArray(shape)

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Takes the keys that are null out of parsed JSON, at any depth: other programs write so what is absent. */
export function dropNulls(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, one] of Object.entries(value as Record<string, unknown>)) {
    if (one === null && !Array.isArray(value)) delete (value as Record<string, unknown>)[key]
    else dropNulls(one)
  }
}
