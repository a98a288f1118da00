import type { FrocBand } from '../evaluation/scans/bootstrap.js'
import { FROC_RATES, sensitivityAt } from '../evaluation/index.js'
import type {
  BlandAltman,
  Classification,
  FrocPoint,
  ReaderPoint,
  ScanEvaluation,
  SliceEvaluation,
} from '../evaluation/index.js'
import { aucText, ratio } from '../evaluation/tables.js'
import { COLORS } from './chart.js'
import type { Chart, ChartBand, ChartLine } from './chart.js'
import { agree, count } from '../words.js'
import { greatest, least } from '../lists.js'

/** Evaluations of one protocol as a plot takes them: a name is shown where there are several. */
type Named<T> = T & { name?: string }

const prefix = (runs: readonly Named<object>[], run: Named<object>): string =>
  runs.length > 1 && run.name !== undefined ? `${run.name}: ` : ''

/** Precision against recall; with `oneMinusPrecision` recall against 1 - precision, as TensorBox draws it. */
export function precisionRecallChart(
  runs: readonly Named<SliceEvaluation>[],
  oneMinusPrecision = false,
): Chart {
  const place = (precision: number, recall: number): [number, number] =>
    oneMinusPrecision ? [1 - precision, recall] : [recall, precision]
  const lines = runs.flatMap((run, index): ChartLine[] => {
    const color = COLORS[index % COLORS.length]!
    const line = {
      name: `${prefix(runs, run)}AP ${ratio(run.ap)}${runs.length > 1 ? '' : ` (11 points: ${ratio(run.ap11)})`}`,
      points: run.curve
        .filter((point) => point.recall !== null)
        .map((point) => place(point.precision, point.recall!)),
      color,
    }
    const best = run.bestF1
    if (best === null) return [line]
    const name = `${prefix(runs, run)}best F1 ${ratio(best.f1)} at confidence ${ratio(best.threshold)}`
    const points = [place(best.precision, best.recall!)]
    return [
      line,
      { name, points, scatter: true, symbol: 'diamond', color: runs.length > 1 ? color : COLORS[1] },
    ]
  })
  const recall = { name: 'Recall', min: 0, max: 1, interval: 0.1 }
  const { images, truthBoxes, iou } = runs[0]!
  return {
    title: oneMinusPrecision ? 'Recall against 1 − precision' : 'Precision and recall',
    subtitle: `${count(images, 'slice')}, ${count(truthBoxes, 'true box')}, a hit at IoU ≥ ${iou}`,
    x: oneMinusPrecision ? { name: '1 − precision', min: 0, max: 1, interval: 0.1 } : recall,
    y: oneMinusPrecision ? recall : { name: 'Precision', min: 0, max: 1, interval: 0.1 },
    lines,
    // The legend takes a row a run.
    height: 440 + 28 * (runs.length - 1),
  }
}

export type FrocChartInput = Named<Pick<ScanEvaluation, 'scans' | 'counts' | 'froc' | 'cpm' | 'bootstrap'>>

/**
 * LUNA16's picture: sensitivity against false positives per scan from 1/8 to 8 on a log2 axis, with the band.
 * @param readers points that are no curve: each reader's own
 */
export function frocChart(runs: readonly FrocChartInput[], readers: readonly ReaderPoint[] = []): Chart {
  const bands: ChartBand[] = []
  const lines: ChartLine[] = []
  for (const [index, run] of runs.entries()) {
    const color = COLORS[index % COLORS.length]!
    const { cpm, bootstrap } = run
    const interval = cpm?.low === undefined ? '' : ` (${ratio(cpm.low)} to ${ratio(cpm.high)})`
    lines.push({
      name: `${prefix(runs, run)}CPM ${ratio(cpm?.value)}${interval}`,
      points: frocLine(run.froc),
      color,
    })
    if (bootstrap === null) continue
    const band = thinBand(bootstrap)
    const percent = Math.round(100 * bootstrap.confidence)
    bands.push({
      name: `${prefix(runs, run)}${percent} % interval of ${bootstrap.samples} bootstraps`,
      x: band.map((point) => point.x),
      low: band.map((point) => point.low),
      high: band.map((point) => point.high),
      color,
    })
    if (runs.length > 1) continue
    lines.push({
      name: 'mean of the bootstraps',
      points: band.map((point): [number, number] => [point.x, point.mean]),
      color,
      dashed: true,
      width: 1,
    })
  }
  const colors = COLORS.slice(runs.length)
  for (const [index, reader] of readers.entries()) {
    lines.push({
      name: `${reader.name}, ${reader.falsePositivesPerScan.toFixed(2)} FP per scan`,
      // The axis starts at 1/8: readers with fewer stand side by side at its edge; the legend says their rates.
      points: [
        [
          reader.falsePositivesPerScan < 1 / 8
            ? 2 ** (index / 8 - 3)
            : Math.min(8, reader.falsePositivesPerScan),
          reader.sensitivity,
        ],
      ],
      scatter: true,
      symbol: 'triangle',
      color: colors[index % colors.length] ?? COLORS[6],
    })
  }
  const { scans, counts } = runs[0]!
  return {
    title: 'Free-response ROC',
    subtitle: `${count(scans, 'scan')}, ${count(counts.nodules, 'nodule')}; a hit lies within the nodule's radius${
      readers.some((reader) => reader.falsePositivesPerScan < 1 / 8)
        ? '; readers below 1/8 stand at the left'
        : ''
    }`,
    x: {
      name: 'False positives per scan (log scale)',
      min: 1 / 8,
      max: 8,
      logBase: 2,
      format: (value) => (value < 1 ? `1/${Math.round(1 / value)}` : String(Math.round(value))),
    },
    y: { name: 'Sensitivity', min: 0, max: 1, interval: 0.1 },
    bands,
    lines,
    // The legend takes a row a run, and one for two readers.
    height: 460 + 28 * (runs.length - 1 + Math.ceil(readers.length / 2)),
  }
}

/** The curve from 1/8 to 8 false positives per scan, read at both ends; nothing without true nodules. */
function frocLine(froc: readonly FrocPoint[]): [number, number][] {
  const points: [number, number | null][] = [
    [1 / 8, sensitivityAt(froc, 1 / 8)],
    ...froc
      .filter((point) => point.falsePositivesPerScan > 1 / 8 && point.falsePositivesPerScan < 8)
      .map((point): [number, number | null] => [point.falsePositivesPerScan, point.sensitivity]),
    [8, sensitivityAt(froc, 8)],
  ]
  return points.filter((point): point is [number, number] => point[1] !== null)
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

/** True against false positive rate. */
export function rocChart(runs: readonly Named<Classification>[]): Chart {
  const { items, positives } = runs[0]!
  return {
    title: 'Receiver operating characteristic',
    subtitle: `${count(items, 'item')}, ${positives} positive`,
    x: { name: 'False positive rate (1 − specificity)', min: 0, max: 1, interval: 0.1 },
    y: { name: 'True positive rate (sensitivity)', min: 0, max: 1, interval: 0.1 },
    lines: [
      ...runs.map((run, index): ChartLine => ({
        name: `${prefix(runs, run)}AUC ${aucText(run.auc)}`,
        points: run.roc.map((point) => [point.falsePositiveRate, point.truePositiveRate]),
        color: COLORS[index % COLORS.length]!,
      })),
      chance('chance'),
    ],
    height: 500,
  }
}

function chance(name: string): ChartLine {
  return {
    name,
    points: [
      [0, 0],
      [1, 1],
    ],
    color: COLORS[6],
    dashed: true,
    width: 1,
  }
}

/** Precision against recall of scores against labels. */
export function scorePrecisionRecallChart(runs: readonly Named<Classification>[]): Chart {
  const { items, positives } = runs[0]!
  const rate = positives / items
  return {
    title: 'Precision and recall',
    subtitle: `${count(items, 'item')}, ${positives} positive`,
    x: { name: 'Recall', min: 0, max: 1, interval: 0.1 },
    y: { name: 'Precision', min: 0, max: 1, interval: 0.1 },
    lines: [
      ...runs.map((run, index): ChartLine => ({
        name: `${prefix(runs, run)}AP ${ratio(run.averagePrecision)}`,
        points: run.precisionRecall.map((point) => [point.recall, point.precision]),
        color: COLORS[index % COLORS.length]!,
      })),
      {
        name: `part of positives ${ratio(rate)}`,
        points: [
          [0, rate],
          [1, rate],
        ],
        color: COLORS[6],
        dashed: true,
        width: 1,
      },
    ],
  }
}

/** Frequency of positives against the mean score, bin by bin. */
export function calibrationChart(runs: readonly Named<Classification>[]): Chart {
  return {
    title: 'Calibration',
    subtitle: `${count(runs[0]!.items, 'item')}; each point a bin of scores`,
    x: { name: 'Mean score of the bin', min: 0, max: 1, interval: 0.1 },
    y: { name: 'Part of positives', min: 0, max: 1, interval: 0.1 },
    lines: [
      ...runs.flatMap((run, index): ChartLine[] => {
        const color = COLORS[index % COLORS.length]!
        const points = run.calibration.map((bin): [number, number] => [bin.meanScore, bin.positiveRate])
        const name = `${prefix(runs, run)}calibration error ${ratio(run.ece)}, Brier ${ratio(run.brier)}`
        return [
          { name, points, color },
          { name, points, color, scatter: true, hideFromLegend: true },
        ]
      }),
      chance('ideal'),
    ],
    height: 500,
  }
}

/** Differences of two measurements against their means, with the bias and the limits of agreement. */
export function blandAltmanChart(sizes: BlandAltman): Chart {
  const xs = sizes.points.map((point) => point.mean)
  const low = Math.floor(least(xs) - 1)
  const high = Math.ceil(greatest(xs) + 1)
  const level = (name: string, value: number, dashed: boolean): ChartLine => ({
    name: `${name} ${value.toFixed(1)} mm`,
    points: [
      [low, value],
      [high, value],
    ],
    color: COLORS[1],
    dashed,
    width: 1.5,
  })
  return {
    title: 'Diameter: as measured against the equivalent one',
    subtitle: `${count(sizes.pairs, 'nodule')} that ${agree(sizes.pairs, 'was', 'were')} hit (Bland and Altman)`,
    x: { name: 'Mean of measured and equivalent diameter (mm)', min: low, max: high },
    y: { name: 'Measured − equivalent (mm)' },
    lines: [
      { name: 'nodule', points: sizes.points.map((p) => [p.mean, p.difference]), scatter: true },
      level('bias', sizes.bias, false),
      ...(sizes.lowerLimit === null ? [] : [level('lower limit', sizes.lowerLimit, true)]),
      ...(sizes.upperLimit === null ? [] : [level('upper limit', sizes.upperLimit, true)]),
    ],
  }
}
