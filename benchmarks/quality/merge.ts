// npx tsx benchmarks/quality/merge.ts A.json B.json ... --json FILE
// Takes outcomes of judge.ts together: models that were each judged on the scans that they had not seen. A nodule of the
// stacks then counts once for each model.
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { figures } from './figures.js'
import type { Outcomes } from './outcomes.js'
import { figureTable } from './tables.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' } },
})
const all = positionals.map((path) => JSON.parse(readFileSync(path, 'utf8')) as Outcomes)
const [first] = all
if (first === undefined || values.json === undefined)
  throw new Error('usage: merge.ts A.json B.json ... --json FILE')
const old = positionals.filter((_, n) => all[n]!.scans.some((scan) => !('falseMarksAtDefault' in scan)))
if (old.length > 0)
  throw new Error(`judged before judge.ts counted what detect lists: judge anew: ${old.join(', ')}`)
const outcomes: Outcomes = {
  model: first.model,
  scans: all.flatMap(({ scans }) => scans),
  stacks: all.flatMap(({ stacks }) => stacks),
}
const inserted = all.flatMap((one) => one.inserted ?? [])
if (inserted.length > 0) outcomes.inserted = inserted
const result = figures(outcomes)
writeFileSync(values.json, `${JSON.stringify({ figures: result, ...outcomes })}\n`)
console.log(figureTable(result, outcomes))
