import type { FrocBand } from '../evaluation/bootstrap.js'
import { FROC_RATES } from '../evaluation/froc.js'
import type { FrocPoint } from '../evaluation/froc.js'
import type { SliceEvaluation } from '../evaluation/index.js'
import { ratio } from '../evaluation/tables.js'
import { COLORS } from './chart.js'
import type { Chart, ChartLine } from './chart.js'
import type { TrainingEntry } from './training_log.js'

/** Precision against recall; with `oneMinusPrecision` recall against 1 - precision, as TensorBox draws it. */
export function precisionRecallChart(evaluation: SliceEvaluation, oneMinusPrecision = false): Chart {
  const points = evaluation.curve.filter((point) => point.recall !== null)
  const place = (precision: number, recall: number): [number, number] =>
    oneMinusPrecision ? [1 - precision, recall] : [recall, precision]
  const lines: ChartLine[] = [
    {
      name: `AP ${ratio(evaluation.ap)} (11 points: ${ratio(evaluation.ap11)})`,
      points: points.map((point) => place(point.precision, point.recall!)),
    },
  ]
  const best = evaluation.bestF1
  if (best !== null) {
    lines.push({
      name: `best F1 ${ratio(best.f1)} at confidence ${ratio(best.threshold)}`,
      points: [place(best.precision, best.recall!)],
      scatter: true,
      symbol: 'diamond',
    })
  }
  const recall = { name: 'Recall', min: 0, max: 1, interval: 0.1 }
  return {
    title: oneMinusPrecision ? 'Recall against 1 − precision' : 'Precision and recall',
    subtitle: `${evaluation.images} slices, ${evaluation.truthBoxes} true boxes, a hit at IoU ≥ ${evaluation.iou}`,
    x: oneMinusPrecision ? { name: '1 − precision', min: 0, max: 1, interval: 0.1 } : recall,
    y: oneMinusPrecision ? recall : { name: 'Precision', min: 0, max: 1, interval: 0.1 },
    lines,
  }
}

/** Mean of up to `window` entries before and after each. */
function smooth(values: readonly number[], window: number): number[] {
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i - window), i + window + 1)
    return part.reduce((sum, value) => sum + value, 0) / part.length
  })
}

/** The training loss and its parts over the steps, on a logarithmic axis. */
export function lossChart(log: readonly TrainingEntry[]): Chart {
  const window = Math.floor(log.length / 40)
  const line = (
    name: string,
    color: string,
    value: (entry: TrainingEntry) => number | undefined,
  ): ChartLine[] => {
    const entries = log.filter((entry) => (value(entry) ?? 0) > 0)
    if (entries.length === 0) return []
    const values = entries.map((entry) => value(entry)!)
    const at = (list: readonly number[]): [number, number][] => list.map((v, i) => [entries[i]!.step, v])
    const last = values.at(-1)!
    const text = `${name}, ${last.toPrecision(3)} at the end`
    if (window < 1) return [{ name: text, points: at(values), color }]
    return [
      { name: `${name}, each entry`, points: at(values), color, faint: 0.25, width: 1, hideFromLegend: true },
      { name: text, points: at(smooth(values, window)), color },
    ]
  }
  return {
    title: 'Training loss',
    subtitle:
      window < 1
        ? 'each log entry'
        : `running mean over ${2 * window + 1} log entries; each entry faint behind`,
    x: { name: 'Step', min: 0 },
    y: { name: 'Loss (log scale)', logBase: 10, format: shortNumber },
    lines: [
      ...line('loss', COLORS[0], (entry) => entry.loss),
      ...line('test loss', COLORS[1], (entry) => entry.testLoss),
      ...line('confidence', COLORS[2], (entry) => entry.parts['confidence']),
      ...line('box', COLORS[3], (entry) => entry.parts['box']),
      ...line('rezoom confidence', COLORS[4], (entry) => entry.parts['rezoomConfidence']),
      ...line('delta box', COLORS[5], (entry) => entry.parts['delta']),
    ],
  }
}

/** Test accuracy (left) and learning rate (right) over the steps; undefined where the log holds neither. */
export function accuracyChart(log: readonly TrainingEntry[]): Chart | undefined {
  const tested = log.filter((entry) => entry.testAccuracy !== undefined)
  if (tested.length === 0) return undefined
  const last = tested.at(-1)!
  return {
    title: 'Test accuracy and learning rate',
    subtitle: 'share of slots that agree with the matching on a test batch',
    x: { name: 'Step', min: 0 },
    y: { name: 'Accuracy (%)', max: 100 },
    y2: { name: 'Learning rate', min: 0, format: shortNumber },
    lines: [
      {
        name: `test accuracy, ${(100 * last.testAccuracy!).toFixed(1)} % at the end`,
        points: tested.map((entry) => [entry.step, 100 * entry.testAccuracy!]),
        color: COLORS[2],
      },
      {
        name: 'learning rate',
        points: log.map((entry) => [entry.step, entry.lr]),
        color: COLORS[6],
        dashed: true,
        axis: 1,
      },
    ],
  }
}

export interface FrocChartInput {
  scans: number
  counts: { nodules: number }
  froc: readonly FrocPoint[]
  cpm: { value: number; low?: number; high?: number } | null
  bootstrap: (FrocBand & { samples: number; confidence: number }) | null
  /** Points that are no curve: each reader's own. */
  readers?: readonly { name: string; falsePositivesPerScan: number; sensitivity: number }[] | undefined
}

/** LUNA16's picture: sensitivity against false positives per scan from 1/8 to 8 on a log2 axis, with the band. */
export function frocChart(input: FrocChartInput): Chart {
  const inside = input.froc.filter(
    (point) => point.falsePositivesPerScan > 0 && point.falsePositivesPerScan <= 8,
  )
  const from = [...input.froc].reverse().find((point) => point.falsePositivesPerScan <= 1 / 8)
  const last = input.froc.at(-1)!
  const curve: [number, number][] = inside
    .filter((point) => point.falsePositivesPerScan > 1 / 8)
    .map((point) => [point.falsePositivesPerScan, point.sensitivity])
  if (from !== undefined) curve.unshift([1 / 8, from.sensitivity])
  if (last.falsePositivesPerScan < 8) curve.push([8, last.sensitivity])
  const { cpm, bootstrap } = input
  const interval = cpm?.low === undefined ? '' : ` (${ratio(cpm.low)} to ${ratio(cpm.high)})`
  const band = bootstrap === null ? undefined : thinBand(bootstrap)
  return {
    title: 'Free-response ROC',
    subtitle: `${input.scans} scans, ${input.counts.nodules} nodules; a hit lies within the nodule's radius`,
    x: {
      name: 'False positives per scan (log scale)',
      min: 1 / 8,
      max: 8,
      logBase: 2,
      format: (value) => (value < 1 ? `1/${Math.round(1 / value)}` : String(Math.round(value))),
    },
    y: { name: 'Sensitivity', min: 0, max: 1, interval: 0.1 },
    bands:
      band === undefined
        ? []
        : [
            {
              name: `${Math.round(100 * bootstrap!.confidence)} % interval of ${bootstrap!.samples} bootstraps`,
              x: band.map((point) => point.x),
              low: band.map((point) => point.low),
              high: band.map((point) => point.high),
              color: COLORS[0],
            },
          ],
    lines: [
      { name: `CPM ${ratio(cpm?.value)}${interval}`, points: curve, color: COLORS[0] },
      ...(band === undefined
        ? []
        : [
            {
              name: 'mean of the bootstraps',
              points: band.map((point): [number, number] => [point.x, point.mean]),
              color: COLORS[0],
              dashed: true,
              width: 1,
            },
          ]),
      ...(input.readers ?? []).map((reader, index) => ({
        name: reader.name,
        // The axis starts at 1/8: a reader with fewer stands on its edge.
        points: [[Math.max(1 / 8, reader.falsePositivesPerScan), reader.sensitivity] as const],
        scatter: true,
        symbol: 'triangle' as const,
        color: COLORS[(index + 1) % COLORS.length]!,
      })),
    ],
    height: 460,
  }
}

/** About 200 of the band's 10,000 points, evenly spread over the log axis. */
function thinBand(band: FrocBand): { x: number; mean: number; low: number; high: number }[] {
  const kept: { x: number; mean: number; low: number; high: number }[] = []
  let next = 0
  const last = band.falsePositivesPerScan.length - 1
  for (const [i, x] of band.falsePositivesPerScan.entries()) {
    if (Math.log2(x) < next && i < last && i > 0) continue
    kept.push({ x, mean: band.mean[i]!, low: band.low[i]!, high: band.high[i]! })
    next = Math.log2(x) + Math.log2(8 / FROC_RATES[0]) / 200
  }
  return kept
}

function shortNumber(value: number): string {
  if (value === 0) return '0'
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5
    ? String(Number(value.toPrecision(3)))
    : value.toExponential(0)
}
