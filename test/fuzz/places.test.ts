/** Every place of our own JSON, taken out or filled with what does not belong there: a result or a NoduleError, in bounds. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { examine } from './examine.js'
import { temporaryFolder } from './folder.js'
import { JSON_TARGETS, targets } from './targets.js'
import type { Target } from './targets.js'

let folder: string
let all: Target[]
beforeAll(async () => {
  folder = temporaryFolder()
  all = await targets(folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const WRONG = [undefined, null, '5', 1e308, []]
/** Elements of a list beyond these are like those before. */
const ELEMENTS = 1

type Tree = Record<string, unknown>

/** The keys that lead to every value inside of `value`. */
function* placesOf(value: unknown, path: readonly string[] = []): Generator<string[]> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    if (Array.isArray(value) && Number(key) >= ELEMENTS) return
    yield [...path, key]
    yield* placesOf(inner, [...path, key])
  }
}

/** A copy with another value at a place; undefined takes the place away. */
function changed(value: unknown, path: readonly string[], by: unknown): unknown {
  const copy = structuredClone(value)
  let holder = copy as Tree
  for (const key of path.slice(0, -1)) holder = holder[key] as Tree
  const last = path.at(-1)!
  if (by === undefined && Array.isArray(holder)) holder.splice(Number(last), 1)
  else if (by === undefined) delete holder[last]
  else holder[last] = by
  return copy
}

/** The documents of a file: itself, or each line of a `.jsonl`, and the file with one of them replaced. */
function documents(name: string, text: string): { value: unknown; file: (value: unknown) => string }[] {
  if (!name.endsWith('.jsonl')) return [{ value: JSON.parse(text), file: (value) => JSON.stringify(value) }]
  const lines = text.trimEnd().split('\n')
  return lines.slice(0, 2).map((line, n) => ({
    value: JSON.parse(line),
    file: (value) => lines.with(n, JSON.stringify(value)).join('\n'),
  }))
}

describe('places', () => {
  it.each(JSON_TARGETS)(
    'of %s',
    async (name) => {
      const target = all.find((one) => one.name === name)!
      const faults: string[] = []
      let places = 0
      for (const sample of target.samples) {
        const place = join(folder, `places of ${name} ${sample.name}`)
        mkdirSync(place, { recursive: true })
        const path = join(place, sample.name)
        for (const { value, file } of documents(sample.name, Buffer.from(sample.bytes).toString()))
          for (const keys of placesOf(value)) {
            places++
            for (const wrong of WRONG) {
              const text = file(changed(value, keys, wrong))
              writeFileSync(path, text)
              const { fault } = await examine(() => target.read(path), text.length)
              if (fault !== undefined) faults.push(`/${keys.join('/')} = ${JSON.stringify(wrong)}: ${fault}`)
            }
          }
      }
      expect(faults).toEqual([])
      expect(places).toBeGreaterThan(0)
    },
    300_000,
  )
})
