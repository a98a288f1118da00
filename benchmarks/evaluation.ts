/** Figures of whole studies: LUNA16's FROC with its bootstrap, AP of slices, AUC with its interval. */
import { evaluateClassification } from '../src/evaluation/labels/classification.js'
import { cocoAveragePrecision } from '../src/evaluation/slices/coco.js'
import type { ImagePair } from '../src/evaluation/slices/pairs.js'
import { evaluateScans, prepareScans } from '../src/evaluation/scans/scans.js'
import type { Finding, Mark } from '../src/formats/luna.js'
import { evaluatePairs } from '../src/evaluation/slices/slices.js'
import { createRandom } from '../src/random.js'
import { makeRow, measureTogether } from './measure.js'
import { runPeers, withFiles } from './peers.js'
import type { Row, Subject } from './types.js'

const name = 'evaluation'
const SAMPLES = 1000

/** As many scans, nodules and candidates as LUNA16 has. */
function lunaStudy(): { series: string[]; findings: Finding[]; marks: Mark[] } {
  const random = createRandom(1)
  const series = Array.from({ length: 888 }, (_, i) => `scan ${i}`)
  const place = (): { x: number; y: number; z: number } => ({
    x: random.uniform() * 300,
    y: random.uniform() * 300,
    z: random.uniform() * 300,
  })
  const findings = Array.from({ length: 1186 }, (_, i) => ({
    seriesUid: series[random.integer(888)]!,
    id: `${i}`,
    ...place(),
    equivalentDiameterMm: 4 + 16 * random.uniform(),
    excluded: false,
  }))
  const marks = Array.from({ length: 55_000 }, (_, i): Mark => {
    const finding = findings[i]
    if (finding !== undefined && random.uniform() < 0.9) {
      const { seriesUid, x, y, z } = finding
      return { seriesUid, id: `${i}`, x, y, z, probability: 0.3 + 0.7 * random.uniform() }
    }
    return {
      seriesUid: series[random.integer(888)]!,
      id: `${i}`,
      ...place(),
      probability: random.uniform() ** 3,
    }
  })
  return { series, findings, marks }
}

/** As many slices as the reference's test set. */
function sliceStudy(): ImagePair[] {
  const random = createRandom(2)
  return Array.from({ length: 2723 }, (_, index): ImagePair => {
    const truth = Array.from({ length: 1 + random.integer(2) }, () => {
      const x = 20 + random.uniform() * 300
      const y = 20 + random.uniform() * 200
      return { x1: x, y1: y, x2: x + 6 + 20 * random.uniform(), y2: y + 6 + 20 * random.uniform() }
    })
    const near = truth.map((box) => ({
      x1: box.x1 + 2 * random.normal(),
      y1: box.y1 + 2 * random.normal(),
      x2: box.x2 + 2 * random.normal(),
      y2: box.y2 + 2 * random.normal(),
      score: random.uniform(),
    }))
    const wrong = Array.from({ length: random.integer(6) }, () => {
      const x = random.uniform() * 330
      return { x1: x, y1: 100, x2: x + 15, y2: 115, score: random.uniform() ** 2 }
    })
    return { image: `${index}`, index, truth, detections: [...near, ...wrong] }
  })
}

async function run({ seconds }: { seconds: number }): Promise<Row[]> {
  const { series, findings, marks } = lunaStudy()
  const slices = sliceStudy()
  const random = createRandom(3)
  const labels = Array.from({ length: 100_000 }, () => random.uniform() < 0.1)
  const scores = labels.map((label) =>
    Math.min(1, Math.max(0, 0.3 + 0.2 * Number(label) + 0.15 * random.normal())),
  )
  const timing = await measureTogether(
    {
      froc: () => evaluateScans(series, findings, marks, { bootstraps: 0 }),
      bootstrap: () => evaluateScans(series, findings, marks, { bootstraps: SAMPLES }),
      slices: () => evaluatePairs(slices),
      coco: () => cocoAveragePrecision(slices),
      auc: () => evaluateClassification(labels, scores),
    },
    4 * seconds,
    { minRuns: 3, maxRuns: 20 },
  )
  const { vectors } = prepareScans(series, findings, marks)
  const boxes = slices.flatMap((image, at) => [
    ...image.truth.map((box) => [at, 0, box.x1, box.y1, box.x2, box.y2, -1]),
    ...image.detections.map((box) => [at, 1, box.x1, box.y1, box.x2, box.y2, box.score]),
  ])
  const peers = await withFiles(
    {
      scan: Int32Array.from(vectors.scan),
      nodule: Uint8Array.from(vectors.nodule, Number),
      found: Uint8Array.from(vectors.found, Number),
      score: Float64Array.from(vectors.score),
      boxes: Float64Array.from(boxes.flat()),
      labels: Uint8Array.from(labels, Number),
      scores: Float64Array.from(scores),
    },
    (files) =>
      runPeers('evaluation.py', {
        threads: 1,
        seconds,
        cases: {
          bootstrap: { ...files, scans: series.length, samples: SAMPLES },
          coco: { ...files, images: slices.length },
          auc: files,
        },
      }),
  )
  const peer = (work: string, title: string): [string, number | null] => [title, peers[work]?.[title] ?? null]
  const study = '888 scans, 55,000 marks'
  return [
    makeRow(name, `FROC, ${study}`, timing.froc, '-', null),
    makeRow(
      name,
      `FROC with 1,000 bootstraps, ${study}`,
      timing.bootstrap,
      ...peer('bootstrap', 'NumPy and scikit-learn, sample by sample'),
      { goal: '< 5 s' },
    ),
    makeRow(name, 'PR curve and AP, 2,723 slices', timing.slices, '-', null),
    makeRow(name, 'COCO AP at 18 IoU thresholds, 2,723 slices', timing.coco, ...peer('coco', 'pycocotools')),
    makeRow(
      name,
      'ROC, AUC with DeLong interval, PR, calibration, 100,000 scores',
      timing.auc,
      ...peer('auc', 'scikit-learn without interval'),
    ),
  ]
}

export const subject: Subject = { describe: 'FROC and bootstrap, AP, AUC of whole studies', run }
