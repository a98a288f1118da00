import type { GroupRow, SizeRow } from './breakdown.js'
import type { Difference } from './compare.js'
import type { LabelRuns } from './labels/label_runs.js'
import type { ScanRun, ScanRuns } from './scans/scan_runs.js'
import type { SliceRun, SliceRuns } from './slices/slice_runs.js'
import { count } from '../words.js'
import { alignColumns } from '../text_table.js'

/** A ratio with three decimals, or "-" where it is undefined. */
export function ratio(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : value.toFixed(3)
}

/** An area under the ROC curve with its interval, where it has one. */
export function aucText({
  value,
  low,
  high,
}: {
  value: number
  low: number | null
  high: number | null
}): string {
  return low === null || high === null ? ratio(value) : `${ratio(value)} (${ratio(low)} to ${ratio(high)})`
}

/** A p-value; small ones as a bound. */
function pValue(p: number): string {
  return p < 0.0001 ? 'p < 0.0001' : `p = ${p.toFixed(4)}`
}

/** Runs side by side: a row per measure, a column per run. */
function sideBySide<T extends { name: string }>(runs: readonly T[], measures: Measures<T>): string {
  return alignColumns([
    ...(runs.length > 1 ? [['', ...runs.map((run) => run.name)]] : []),
    ...measures.map(([name, value]) => [name, ...runs.map(value)]),
  ])
}

function differenceText(what: string, drawn: string, first: string, second: string, d: Difference): string {
  const interval =
    d.low === null || d.high === null || d.p === null
      ? `no interval: the nodules are all of one ${drawn}`
      : `${signed(d.low)} to ${signed(d.high)}, ${pValue(d.p)}, ${d.samples} paired bootstraps`
  return `${what}, ${first} - ${second}: ${signed(d.difference)} (${interval})`
}

function signed(value: number): string {
  return `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(3)}`
}

function groupLines(title: string, rows: readonly (GroupRow | SizeRow)[]): string {
  const shown = rows.filter((row) => row.total > 0 || ('falsePositives' in row && row.falsePositives > 0))
  if (shown.length === 0) return ''
  const wrong = shown.some((row) => 'falsePositives' in row)
  return `\n${alignColumns([
    [title, 'found', 'of', 'recall', '95 % interval', ...(wrong ? ['FP'] : [])],
    ...shown.map((row) => [
      row.group,
      `${row.found}`,
      `${row.total}`,
      ratio(row.sensitivity),
      row.low === null ? '-' : `${ratio(row.low)} to ${ratio(row.high)}`,
      ...('falsePositives' in row ? [`${row.falsePositives}`] : []),
    ]),
  ])}`
}

/** What the interval of the AP is of, or why there is none; undefined where none was asked for. */
export function intervalNote({
  apInterval: interval,
  draw,
}: Pick<SliceRun, 'apInterval' | 'draw'>): string | undefined {
  if (draw === null || draw.withTruth === 0) return undefined
  const other = { patient: 'image', image: 'patient' }[draw.by]
  const choice =
    draw.by === 'patient'
      ? `by ${other} it would draw images, as if slices of a patient were not alike`
      : draw.unknown === 0
        ? `by ${other} it would draw patients`
        : `${draw.unknown} of ${draw.count} tell no patient`
  if (interval === null) return `no interval: the true boxes are all of one ${draw.by}; ${choice}`
  const { confidence, samples, groups } = interval
  return `${Math.round(100 * confidence)} % interval of ${samples} bootstraps that draw ${groups} ${draw.by}s; ${choice}`
}

/** Measures of runs that stand side by side: a name, and what it is of one run. */
export type Measures<T> = readonly (readonly [string, (run: T) => string])[]

/** The slice-level measures. */
export function sliceMeasures(runs: readonly SliceRun[]): Measures<SliceRun> {
  return [
    ['detections', (run) => `${run.detections}`],
    [
      'average precision, all points',
      ({ ap, apInterval: i }) => ratio(ap) + (i === null ? '' : ` (${ratio(i.low)} to ${ratio(i.high)})`),
    ],
    ['average precision, 11 points', (run) => ratio(run.ap11)],
    ['COCO AP, IoU .10 to .50', (run) => ratio(run.coco.from10to50)],
    ['COCO AP, IoU .50 to .95', (run) => ratio(run.coco.from50to95)],
    ['all detections: TP / FP / missed', ({ counts: c }) => `${c.tp} / ${c.fp} / ${c.fn}`],
    ['  precision', (run) => ratio(run.counts.precision)],
    ['  recall', (run) => ratio(run.counts.recall)],
    ...(runs.some((run) => run.counts.ignored > 0)
      ? [['  on excluded findings, ignored', (run: SliceRun) => `${run.counts.ignored}`] as const]
      : []),
    ['best F1', (run) => ratio(run.bestF1?.f1)],
    ['  at confidence', (run) => ratio(run.bestF1?.threshold)],
    [
      '  TP / FP / missed',
      ({ bestF1 }) => (bestF1 === null ? '-' : `${bestF1.tp} / ${bestF1.fp} / ${bestF1.fn}`),
    ],
    ['  precision', (run) => ratio(run.bestF1?.precision)],
    ['  recall', (run) => ratio(run.bestF1?.recall)],
  ]
}

/** The differences of each pair of runs in words. */
export function sliceDifferences({ runs, comparisons }: SliceRuns): string[] {
  const drawn = runs[0]!.draw?.by ?? 'patient or image'
  return comparisons.map(({ first, second, ap }) => differenceText('AP', drawn, first, second, ap))
}

/** The slice-level figures as text for people. */
export function sliceTable(all: SliceRuns): string {
  const { runs, comparisons } = all
  const first = runs[0]!
  return [
    `Slice level, a hit at IoU >= ${first.iou}: ${count(first.images, 'image')} (${first.imagesWithTruth} with nodules), ${count(first.truthBoxes, 'true box')}\n\n`,
    sideBySide(runs, sliceMeasures(runs)),
    ...[intervalNote(first)].map((note) => (note === undefined ? '' : `  (${note})\n`)),
    ...runs.flatMap((run) => [
      runs.length > 1 ? `\n${run.name}\n` : '\n',
      alignColumns([
        ['at precision', ...run.recallAtPrecision.map((point) => ratio(point.target))],
        ['  recall', ...run.recallAtPrecision.map((point) => ratio(point.value))],
        ['at recall', ...run.precisionAtRecall.map((point) => ratio(point.target))],
        ['  precision', ...run.precisionAtRecall.map((point) => ratio(point.value))],
      ]),
      groupLines('box size at the best F1', run.bySize),
      groupLines('axial diameter at the best F1', run.byAxialDiameter),
      groupLines('type at the best F1', run.byType),
    ]),
    ...(comparisons.length > 0 ? ['\n'] : []),
    ...sliceDifferences(all).map((line) => `  ${line}\n`),
  ].join('')
}

/** The scan-level measures. */
export function scanMeasures(runs: readonly ScanRun[]): Measures<ScanRun> {
  const interval = (value: { low?: number; high?: number }): string =>
    value.low === undefined ? '' : ` (${ratio(value.low)} to ${ratio(value.high)})`
  return [
    ['marks', (run) => `${run.counts.marks}`],
    ['found / missed', (run) => `${run.counts.tp} / ${run.counts.fn}`],
    ['false positives', (run) => `${run.counts.fp}`],
    ['marks ignored: on excluded findings', (run) => `${run.counts.onExcluded}`],
    ['marks ignored: second on a nodule', (run) => `${run.counts.doubleHits}`],
    ['sensitivity, every mark', (run) => ratio(run.sensitivity)],
    ...runs[0]!.operatingPoints.map(({ falsePositivesPerScan }, i): [string, (run: ScanRun) => string] => [
      `sensitivity at ${falsePositivesPerScan} false positives per scan`,
      (run) => ratio(run.operatingPoints[i]!.sensitivity) + interval(run.operatingPoints[i]!),
    ]),
    ['CPM, the mean of these', (run) => (run.cpm === null ? '-' : ratio(run.cpm.value) + interval(run.cpm))],
    ...(runs.some((run) => run.sizes !== null)
      ? [
          [
            'measured - equivalent diameter (mm)',
            ({ sizes }: ScanRun) =>
              sizes === null
                ? '-'
                : signed(sizes.bias) +
                  (sizes.lowerLimit === null || sizes.upperLimit === null
                    ? ''
                    : ` (${signed(sizes.lowerLimit)} to ${signed(sizes.upperLimit)})`),
          ] as const,
        ]
      : []),
  ]
}

/** The differences of each pair of runs in words. */
export function scanDifferences({ comparisons }: Pick<ScanRuns, 'comparisons'>): string[] {
  return comparisons.flatMap(({ first, second, cpm, mcNemar }) => [
    differenceText('CPM', 'scan', first, second, cpm),
    `nodules found at 1 false positive per scan: both ${mcNemar.both}, only ${first} ${mcNemar.firstOnly}, only ${second} ${mcNemar.secondOnly}, none ${mcNemar.neither} (McNemar, exact: ${pValue(mcNemar.pExact)})`,
  ])
}

/** The scan-level figures as text for people. */
export function scanTable({ runs, comparisons, readers }: ScanRuns): string {
  const { scans, counts, bootstrap } = runs[0]!
  const missed = runs[0]!.findings.filter((finding) => finding.score === null)
  return [
    `Scan level, LUNA16's protocol: ${count(scans, 'scan')}, ${count(counts.nodules, 'nodule')}, ${count(counts.excludedFindings, 'excluded finding')}\n\n`,
    sideBySide(runs, scanMeasures(runs)),
    bootstrap === null
      ? counts.scansWithNodules === 1
        ? '  (no intervals: the nodules are all of one scan)\n'
        : ''
      : `  (95 % intervals of ${bootstrap.samples} scan-level bootstraps, seed ${bootstrap.seed})\n`,
    ...runs.flatMap((run) => [
      runs.length > 1 ? `\n${run.name}\n` : '',
      groupLines('equivalent diameter', run.byEquivalentDiameter),
      groupLines('type', run.byType),
    ]),
    readers.length === 0
      ? ''
      : `\n${alignColumns([
          ['readers, each against the others', 'sensitivity', 'FP per scan'],
          ...readers.map((reader) => [
            reader.name,
            ratio(reader.sensitivity),
            reader.falsePositivesPerScan.toFixed(2),
          ]),
        ])}`,
    runs.length > 1 || missed.length === 0 || missed.length > 30
      ? ''
      : `\n${alignColumns([
          ['missed', 'x (mm)', 'y (mm)', 'z (mm)', 'equivalent diameter (mm)'],
          ...missed.map((finding) => [
            `${finding.seriesUid} ${finding.id}`,
            ...[finding.x, finding.y, finding.z].map((value) => value.toFixed(1)),
            // Below 0: unknown.
            finding.equivalentDiameterMm < 0 ? '-' : finding.equivalentDiameterMm.toFixed(1),
          ]),
        ])}`,
    ...(comparisons.length > 0 ? ['\n'] : []),
    ...scanDifferences({ comparisons }).map((line) => `  ${line}\n`),
  ].join('')
}

/** The figures of scores against labels as text for people. */
export function labelTable({ runs, comparisons }: LabelRuns): string {
  const { items, positives, threshold } = runs[0]!
  return [
    `Classification: ${count(items, 'item')}, ${positives} positive; called positive at ${threshold} and above\n\n`,
    sideBySide(runs, [
      ['AUC', ({ auc }) => aucText(auc)],
      ['average precision (PR-AUC)', (run) => ratio(run.averagePrecision)],
      ['TP / FP / FN / TN', ({ confusion: c }) => `${c.tp} / ${c.fp} / ${c.fn} / ${c.tn}`],
      ['accuracy', (run) => ratio(run.accuracy)],
      ['balanced accuracy', (run) => ratio(run.balancedAccuracy)],
      ['sensitivity', (run) => ratio(run.sensitivity)],
      ['specificity', (run) => ratio(run.specificity)],
      ['precision', (run) => ratio(run.precision)],
      ['F1', (run) => ratio(run.f1)],
      ['Matthews correlation', (run) => ratio(run.mcc)],
      ['Brier score', (run) => ratio(run.brier)],
      ['expected calibration error', (run) => ratio(run.ece)],
    ]),
    ...(comparisons.length > 0 ? ['\n'] : []),
    ...comparisons.map(
      (c) =>
        `  AUC, ${c.firstName} - ${c.secondName}: ${signed(c.difference)} (${c.standardError === null || c.p === null ? 'no standard error: a class of one item' : `standard error ${c.standardError.toFixed(4)}, DeLong ${pValue(c.p)}`})\n`,
    ),
  ].join('')
}
