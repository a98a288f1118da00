// npx tsx benchmarks/quality/judge.ts --model FILE [--data FOLDER] [--part test|val] [--scans PATIENT,...] --json FILE
// Judges a model on nodule stacks of patients that it has not seen, on whole real scans, and on the stacks' nodules put
// into copies of these scans; see README.md here.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { figures } from './figures.js'
import { judgeInserted } from './inserted.js'
import { leastScore } from './marks.js'
import type { Judged } from './marks.js'
import { open } from './opened.js'
import type { Outcomes } from './outcomes.js'
import { judgeScan } from './scans.js'
import { judgeStacks } from './stacks.js'
import { figureTable } from './tables.js'

const { values, session, defaults, stacks, part, scans } = await open(
  'judge.ts',
  {
    'min-score': { type: 'string' },
    inserted: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
  ['json'],
)
const json = String(values['json'])
const confidence = defaults.minConfidence
const asked = values['min-score']
const judged: Judged = { session, minScore: asked === undefined ? leastScore(session) : Number(asked) }
const outcomes: Outcomes = {
  model: { first: session.path, second: session.second?.path, sha256: session.sha256, confidence },
  scans: [],
  stacks: [],
}
for (const scan of scans) outcomes.scans.push(await judgeScan(judged, scan))
outcomes.stacks.push(...(await judgeStacks(judged, stacks, part)))
if (values['inserted'] === true) outcomes.inserted = await judgeInserted(judged, scans, stacks, part)
mkdirSync(dirname(json), { recursive: true })
const result = figures(outcomes)
writeFileSync(json, `${JSON.stringify({ figures: result, ...outcomes })}\n`)
console.log(figureTable(result, outcomes))
