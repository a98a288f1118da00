// npx tsx benchmarks/quality/judge.ts --model FILE [--data FOLDER] [--part test|val] [--scans PATIENT,...] --json FILE
// Judges a model on nodule stacks of patients that it has not seen, on whole real scans, and on the stacks' nodules put
// into copies of these scans; see README.md here.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultConfidences, openStages } from '../../src/inference/index.js'
import { figures } from './figures.js'
import { judgeInserted } from './inserted.js'
import type { Judged } from './marks.js'
import type { Outcomes } from './outcomes.js'
import { judgeScan, knownScans } from './scans.js'
import { judgeStacks } from './stacks.js'
import { figureTable } from './tables.js'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    second: { type: 'string' },
    data: { type: 'string', default: process.env['NODULE_DATA'] },
    part: { type: 'string', default: 'test' },
    scans: { type: 'string', default: 'lidc-idri-0001,lidc-idri-0003,qin-lung-ct' },
    'min-score': { type: 'string', default: '0.02' },
    inserted: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})
const { data, part, json } = values
if (values.model === undefined || data === undefined || json === undefined)
  throw new Error('usage: judge.ts --model FILE --data FOLDER (or NODULE_DATA) --json FILE')

const session = await openStages(values.model, values.second)
const { minConfidence: confidence } = defaultConfidences(session)
const judged: Judged = { session, minScore: Number(values['min-score']) }
const stacks = join(data, 'lidc-nodule-stacks', 'lidc-nodule-stacks')
const scans = await knownScans(values.scans.split(',').map((name) => join(data, name)))
const outcomes: Outcomes = {
  model: { first: session.path, second: session.second?.path, sha256: session.sha256, confidence },
  scans: [],
  stacks: [],
}
for (const scan of scans) outcomes.scans.push(await judgeScan(judged, scan))
outcomes.stacks.push(...(await judgeStacks(judged, stacks, part)))
if (values.inserted) outcomes.inserted = await judgeInserted(judged, scans, stacks, part)
mkdirSync(dirname(json), { recursive: true })
const result = figures(outcomes, confidence)
writeFileSync(json, `${JSON.stringify({ figures: result, ...outcomes })}\n`)
console.log(figureTable(result, outcomes))
