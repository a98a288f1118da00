// npx tsx benchmarks/quality/judge.ts --model FILE [--data FOLDER] [--part test|val] [--scans PATIENT,...] --json FILE
// Judges a model on nodule stacks of patients that it has not seen, and on whole real scans; see README.md here.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { ownNodule } from '../../src/dataset/stacks/own_nodule.js'
import { readStackIndex } from '../../src/dataset/stacks/read_index.js'
import { readStack } from '../../src/dataset/stacks/read_stack.js'
import type { NoduleStack } from '../../src/dataset/stacks/read_stack.js'
import { findSeries } from '../../src/dicom/index.js'
import { readReferences } from '../../src/evaluation/index.js'
import type { Finding } from '../../src/evaluation/index.js'
import { voxelToPatient } from '../../src/geometry/patient.js'
import type { Vector3 } from '../../src/geometry/patient.js'
import { DETECT_DEFAULTS, defaultConfidences, detectVolume, openStages } from '../../src/inference/index.js'
import type { DetectedNodule, DetectParameters } from '../../src/inference/index.js'
import { loadVolume } from '../../src/volume/index.js'
import { figures } from './figures.js'
import type { NoduleOutcome, Outcomes, ScanOutcome } from './outcomes.js'
import { partsOf } from './parts.js'
import { figureTable } from './tables.js'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    second: { type: 'string' },
    data: { type: 'string', default: process.env['NODULE_DATA'] },
    part: { type: 'string', default: 'test' },
    scans: { type: 'string', default: 'lidc-idri-0001,lidc-idri-0003,qin-lung-ct' },
    'min-score': { type: 'string', default: '0.02' },
    json: { type: 'string' },
  },
})
const { data, part, json } = values
if (values.model === undefined || data === undefined || json === undefined)
  throw new Error('usage: judge.ts --model FILE --data FOLDER (or NODULE_DATA) --json FILE')

const session = await openStages(values.model, values.second)
const { minConfidence: DEFAULT_CONFIDENCE } = defaultConfidences(session)
const minScore = Number(values['min-score'])
const parameters = (region: 'lungs' | 'all'): DetectParameters => ({ ...DETECT_DEFAULTS, region, minScore })
const distance = (a: Vector3, b: Vector3): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])

/** LUNA16's rule: a mark hits what it lies in. */
const hits = (mark: Vector3, center: Vector3, diameterMm: number): boolean =>
  distance(mark, center) < (diameterMm < 0 ? 5 : diameterMm / 2)

const best = (marks: readonly DetectedNodule[]): DetectedNodule | undefined =>
  marks.reduce<DetectedNodule | undefined>(
    (a, b) => (a === undefined || b.confidence > a.confidence ? b : a),
    undefined,
  )

function centerOf(stack: NoduleStack, agreement: number): Vector3 {
  const [, rows, columns] = stack.volume.shape
  let [n, k, j, i] = [0, 0, 0, 0]
  stack.readers.forEach((count, at) => {
    if (count < agreement) return
    n++
    k += Math.floor(at / (rows * columns))
    j += Math.floor(at / columns) % rows
    i += at % columns
  })
  return voxelToPatient(stack.volume.geometry, k / n, j / n, i / n)
}

async function judgeStacks(folder: string): Promise<NoduleOutcome[]> {
  const index = readStackIndex(folder)
  const parts = partsOf(index.stacks.map(({ patientId }) => patientId))
  const outcomes: NoduleOutcome[] = []
  for (const entry of index.stacks) {
    if (parts.get(entry.patientId) !== part) continue
    const stack = await readStack(folder, entry)
    const own = ownNodule(stack)
    const center = centerOf(stack, own.agreement)
    const { nodules } = await detectVolume(stack.volume, session, {
      parameters: parameters('all'),
    })
    const hit = best(nodules.filter((mark) => hits(mark.center, center, own.axialDiameterMm)))
    const { patientId, nodule } = entry
    const { readers, axialDiameterMm: diameterMm } = own
    outcomes.push({
      patientId,
      nodule,
      readers,
      diameterMm,
      score: hit?.confidence ?? 0,
      ...(hit === undefined ? {} : { measuredMm: hit.boxDiameterMm }),
    })
    if (process.stderr.isTTY) process.stderr.write(`\r${outcomes.length} stacks`)
  }
  return outcomes
}

type Place = Pick<Finding, 'id' | 'x' | 'y' | 'z' | 'excluded'> & { diameterMm: number }

async function judgeScans(folders: readonly string[]): Promise<ScanOutcome[]> {
  const { scans: references } = await readReferences(folders)
  const { lesions } = JSON.parse(readFileSync(join(import.meta.dirname, 'lesions.json'), 'utf8')) as {
    lesions: { seriesUid: string; center: Vector3; diameterMm: number }[]
  }
  const found = await findSeries([...folders])
  const outcomes: ScanOutcome[] = []
  for (const series of found.series) {
    if (series.modality !== 'CT' || !series.isVolume) continue
    const uid = series.seriesInstanceUid
    const findings: Place[] = [
      ...(references.find((reference) => reference.series.seriesInstanceUid === uid)?.findings ?? []).map(
        ({ equivalentDiameterMm, ...finding }) => ({ ...finding, diameterMm: equivalentDiameterMm }),
      ),
      ...lesions
        .filter((lesion) => lesion.seriesUid === uid)
        .map(({ center: [x, y, z], diameterMm }) => ({ id: 'lesion', x, y, z, diameterMm, excluded: false })),
    ]
    const started = performance.now()
    const volume = await loadVolume(series)
    const { nodules } = await detectVolume(volume, session, {
      parameters: parameters('lungs'),
    })
    const seconds = (performance.now() - started) / 1000
    const on = (mark: DetectedNodule): boolean =>
      findings.some(({ x, y, z, diameterMm }) => hits(mark.center, [x, y, z], diameterMm))
    const falseMarks = nodules
      .filter((mark) => !on(mark))
      .map(({ confidence, center, boxDiameterMm }) => ({
        score: confidence,
        center,
        diameterMm: boxDiameterMm,
      }))
    outcomes.push({
      patientId: series.patientId,
      seriesUid: uid,
      falseMarks,
      nodules: findings
        .filter(({ excluded }) => !excluded)
        .map(({ id, x, y, z, diameterMm }) => {
          const score =
            best(nodules.filter((mark) => hits(mark.center, [x, y, z], diameterMm)))?.confidence ?? 0
          return {
            id,
            diameterMm,
            score,
            falseMarksAbove: falseMarks.filter((mark) => mark.score >= score).length,
          }
        }),
      seconds,
    })
  }
  return outcomes
}

const outcomes: Outcomes = {
  model: { first: session.path, second: session.second?.path, sha256: session.sha256 },
  scans: await judgeScans(values.scans.split(',').map((name) => join(data, name))),
  stacks: await judgeStacks(join(data, 'lidc-nodule-stacks', 'lidc-nodule-stacks')),
}
mkdirSync(dirname(json), { recursive: true })
const result = figures(outcomes, DEFAULT_CONFIDENCE)
writeFileSync(json, `${JSON.stringify({ figures: result, ...outcomes })}\n`)
console.log(figureTable(result, outcomes))
