import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { checkText, invalidParameter, show } from '../check.js'
import { NoduleError } from '../errors.js'
import { readText } from '../files.js'
import { parseJson } from '../json.js'
import { PACKAGE_ROOT } from '../version.js'

const MAX_BASE_DEPTH = 8
/** The longest of TensorBox's has 4 KB. */
const MAX_BYTES = 1024 * 1024

/** The object of a hypes file of any kind, laid over those that it names as its "base", with changes of single keys. */
export function readChanged(path: string, changes: readonly string[] = []): Record<string, unknown> {
  checkText('path', path)
  let value = readMerged(path, [])
  for (const change of changes) value = changeKey(value, change)
  return value
}

/** The object with the change of a key. Throws NoduleError (INVALID_PARAMETER). */
export function changeKey(value: Record<string, unknown>, change: string): Record<string, unknown> {
  return merge(value, parseChange(change))
}

function parseChange(change: string): Record<string, unknown> {
  const [, names, text] = /^([\w.]+)=(.*)$/s.exec(change) ?? []
  if (names === undefined || text === undefined)
    throw invalidParameter('set', 'key=value, such as solver.learning_rate=3e-4', change)
  let value: unknown = text
  try {
    value = JSON.parse(text)
  } catch {
    // Text needs no quotes on a command line.
  }
  return names.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Record<
    string,
    unknown
  >
}

function readMerged(path: string, chain: string[]): Record<string, unknown> {
  const absolute = resolve(path)
  if (chain.includes(absolute) || chain.length >= MAX_BASE_DEPTH) {
    throw new NoduleError('FORMAT', 'the "base" files form a loop', {
      path,
      place: 'base',
      actual: [...chain, absolute].join(' -> '),
    })
  }
  const content = readHypesText(path)
  const value = parseJson(content, path)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new NoduleError('FORMAT', 'wrong type', { path, expected: 'object', actual: show(value) })
  const { base, ...own } = value as Record<string, unknown>
  if (base === undefined) return own
  if (typeof base !== 'string')
    throw new NoduleError('FORMAT', 'wrong type', {
      path,
      place: 'base',
      expected: 'string',
      actual: show(base),
    })
  return merge(readMerged(resolve(dirname(absolute), base), [...chain, absolute]), own)
}

/** The text; where there is no such file, the error names the one of that name in the package, if there is one. */
function readHypesText(path: string): string {
  try {
    return readText(path, 'read hypes', MAX_BYTES)
  } catch (error) {
    const own = join(PACKAGE_ROOT, 'hypes', basename(path))
    if (!(error instanceof NoduleError) || existsSync(path) || !existsSync(own)) throw error
    throw new NoduleError(error.code, error.summary, {
      path,
      remedies: [`the package has ${own}`],
      cause: error,
    })
  }
}

/** Own keys win; groups merge key by key. */
function merge(base: Record<string, unknown>, own: Record<string, unknown>): Record<string, unknown> {
  // A map: setting the key "__proto__" of an object would hide it from the check for unknown keys.
  const result = new Map(Object.entries(base))
  for (const [name, value] of Object.entries(own)) {
    const below = result.get(name)
    result.set(name, isGroup(value) && isGroup(below) ? { ...below, ...value } : value)
  }
  return Object.fromEntries(result)
}

/** An object of keys. */
export function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
