import { COLORS } from './chart.js'
import type { Chart, ChartAxis, ChartLine } from './chart.js'
import type { TrainingEntry } from './training_log.js'

const STEPS: ChartAxis = { name: 'Step', min: 0 }
const LOSS: ChartAxis = { name: 'Loss (log scale)', logBase: 10, format: shortNumber }
const RATE: ChartAxis = { name: 'Learning rate', min: 0, format: shortNumber }

/** Mean of up to `window` entries before and after each. */
function smooth(values: readonly number[], window: number): number[] {
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i - window), i + window + 1)
    return part.reduce((sum, value) => sum + value, 0) / part.length
  })
}

/** Numbers above 0, which a logarithmic axis can show, with their steps; and their running means. */
function positivePoints(
  log: readonly TrainingEntry[],
  value: (entry: TrainingEntry) => number | undefined,
): { each: [number, number][]; means: [number, number][] } {
  const entries = log.filter((entry) => (value(entry) ?? 0) > 0)
  const values = entries.map((entry) => value(entry)!)
  const at = (list: readonly number[]): [number, number][] => list.map((v, i) => [entries[i]!.step, v])
  return { each: at(values), means: at(smooth(values, windowOf(log))) }
}

/** Entries on both sides that a running mean takes: a twentieth of the log in all. */
function windowOf(log: readonly TrainingEntry[]): number {
  return Math.floor(log.length / 40)
}

/** The loss and its parts over the steps, in training and, dashed, in the test, on a logarithmic axis. */
export function lossChart(log: readonly TrainingEntry[]): Chart {
  const window = windowOf(log)
  const line = (
    name: string,
    color: string,
    value: (entry: TrainingEntry) => number | undefined,
  ): ChartLine[] => {
    const { each, means } = positivePoints(log, value)
    if (each.length === 0) return []
    const text = `${name}, ${each.at(-1)![1].toPrecision(3)} at the end`
    if (window < 1) return [{ name: text, points: each, color }]
    return [
      { name: `${name}, each entry`, points: each, color, faint: 0.25, width: 1, hideFromLegend: true },
      { name: text, points: means, color },
    ]
  }
  /** The same number of the training and of the test, which is dashed. */
  const pair = (
    name: string,
    color: string,
    train: (entry: TrainingEntry) => number | undefined,
    test: (entry: TrainingEntry) => number | undefined,
  ): ChartLine[] => [
    ...line(name, color, train),
    ...line(`test ${name}`, color, test).map((one) => ({ ...one, dashed: true })),
  ]
  const part = (name: string, color: string, key: string): ChartLine[] => {
    const twin = `test${key[0]!.toUpperCase()}${key.slice(1)}`
    return pair(
      name,
      color,
      (entry) => entry.parts[key],
      (entry) => entry.parts[twin],
    )
  }
  return {
    title: 'Training loss',
    subtitle:
      window < 1
        ? 'each log entry'
        : `running mean over ${2 * window + 1} log entries; each entry faint behind`,
    x: STEPS,
    y: LOSS,
    lines: [
      ...pair(
        'loss',
        COLORS[0],
        (entry) => entry.loss,
        (entry) => entry.testLoss,
      ),
      ...part('confidence', COLORS[2], 'confidence'),
      ...part('box', COLORS[3], 'box'),
      ...part('rezoom confidence', COLORS[4], 'rezoomConfidence'),
      ...part('delta box', COLORS[5], 'delta'),
    ],
  }
}

/** A number that not every entry has, with its steps. */
function partPoints(log: readonly TrainingEntry[], key: string): [number, number][] {
  return log.flatMap(({ step, parts }): [number, number][] =>
    parts[key] === undefined ? [] : [[step, parts[key]]],
  )
}

/** What the model was on the whole test list, a second stage on the test cubes; undefined where nobody looked. */
export function validationChart(log: readonly TrainingEntry[]): Chart | undefined {
  const line = (key: string, name: string, color: string): ChartLine[] => {
    const points = partPoints(log, key)
    const end = points.at(-1)?.[1].toFixed(3)
    return end === undefined ? [] : [{ name: `${name}, ${end} at the end`, points, color }]
  }
  const ap = line('testAp', 'AP at IoU 0.5', COLORS[0])
  const lines = ap.length > 0 ? [...ap, ...line('testRecall', 'recall at precision 0.735', COLORS[1])] : []
  const auc = line('testAuc', 'area under the ROC curve', COLORS[0])
  const x = STEPS
  const y = { min: 0, max: 1, format: shortNumber }
  if (lines.length > 0) return { title: 'Test list', x, y: { ...y, name: 'AP, recall' }, lines }
  return auc.length > 0 ? { title: 'Test cubes', x, y: { ...y, name: 'AUC' }, lines: auc } : undefined
}

/**
 * Learning rate over the steps. The log's "Softmax Test Accuracy" is no chart: it counts slots, nearly all of them empty,
 * and is near 100 % where the average precision is poor.
 */
export function learningRateChart(log: readonly TrainingEntry[]): Chart {
  return {
    title: 'Learning rate',
    x: STEPS,
    y: RATE,
    lines: [{ name: 'learning rate', points: log.map((entry) => [entry.step, entry.lr]), color: COLORS[6] }],
  }
}

/** A training, of several that are compared. */
export interface TrainingRun {
  name: string
  log: readonly TrainingEntry[]
}

/**
 * Trainings on top of each other, a color a run, by short names: the losses, what the models were on the test, the
 * learning rates. Of the test, what several of them have.
 */
export function comparedTrainingCharts(runs: readonly TrainingRun[]): Record<string, Chart> {
  const ap = comparedValues(runs, 'testAp', { title: 'Test list', y: 'AP at IoU 0.5' })
  const auc = comparedValues(runs, 'testAuc', { title: 'Test cubes', y: 'Area under the ROC curve' })
  return {
    loss: comparedLosses(runs),
    ...(ap === undefined ? {} : { ap }),
    ...(auc === undefined ? {} : { auc }),
    'learning-rate': comparedLearningRates(runs),
  }
}

function comparedLosses(runs: readonly TrainingRun[]): Chart {
  const lines = runs.flatMap(({ name, log }, index): ChartLine[] => {
    const color = runColor(index)
    const train = positivePoints(log, (entry) => entry.loss)
    const test = positivePoints(log, (entry) => entry.testLoss)
    const end = ({ each }: typeof train): string | undefined => each.at(-1)?.[1].toPrecision(3)
    return [
      { name: `${name}: loss ${end(train)} at the end`, points: train.means, color },
      { name: `${name}: test loss ${end(test)}`, points: test.means, color, dashed: true },
    ].filter(({ points }) => points.length > 0)
  })
  return {
    title: 'Training loss',
    subtitle: runs.some(({ log }) => windowOf(log) > 0)
      ? 'running mean over a twentieth of each log'
      : 'each log entry',
    x: STEPS,
    y: LOSS,
    lines,
    height: heightFor(lines),
  }
}

/** undefined where fewer than two of the runs have it. */
function comparedValues(
  runs: readonly TrainingRun[],
  key: string,
  { title, y }: { title: string; y: string },
): Chart | undefined {
  const lines = runs.flatMap(({ name, log }, index): ChartLine[] => {
    const points = partPoints(log, key)
    const end = points.at(-1)?.[1].toFixed(3)
    return end === undefined ? [] : [{ name: `${name}: ${end} at the end`, points, color: runColor(index) }]
  })
  if (lines.length < 2) return undefined
  return {
    title,
    x: STEPS,
    y: { name: y, min: 0, max: 1, format: shortNumber },
    lines,
    height: heightFor(lines),
  }
}

function comparedLearningRates(runs: readonly TrainingRun[]): Chart {
  const lines = runs.map(({ name, log }, index): ChartLine => ({
    name,
    points: log.map(({ step, lr }) => [step, lr]),
    color: runColor(index),
    // Runs of one schedule lie on each other: the first shows between the dashes of the others.
    dashed: index > 0,
    width: 2 + Math.min(3, runs.length - 1 - index),
  }))
  return { title: 'Learning rate', x: STEPS, y: RATE, lines, height: heightFor(lines) }
}

const runColor = (index: number): string => COLORS[index % COLORS.length]!

/** The legend takes a row a line. */
const heightFor = (lines: readonly ChartLine[]): number => 440 + 28 * Math.max(0, lines.length - 1)

function shortNumber(value: number): string {
  if (value === 0) return '0'
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5
    ? String(Number(value.toPrecision(3)))
    : Number(value.toPrecision(3)).toExponential()
}
