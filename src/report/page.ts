import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { SeriesDetections } from '../inference/detections.js'
import type {
  BlandAltman,
  GroupRow,
  ReaderPoint,
  ScanRun,
  SizeRow,
  SliceDetails,
  SliceEvaluation,
  SliceRun,
} from '../evaluation/index.js'
import { intervalNote, ratio } from '../evaluation/tables.js'
import { VERSION } from '../version.js'
import { count } from '../words.js'
import { chartSize, plotArea } from './chart.js'
import type { Chart, PlotArea } from './chart.js'
import { comparisonHtml } from './comparison.js'
import type { Comparison } from './comparison.js'
import { frocChart, precisionRecallChart } from './figures.js'
import { embedJson, escapeHtml, factTable, plot, sortableTable } from './html.js'
import { findingTable, noduleTable } from './nodule_tables.js'
import type { NoduleRow, FindingRow } from './nodule_tables.js'
import type { Picture } from './pictures.js'
import { STYLE } from './style.js'
import { learningRateChart, lossChart, validationChart } from './training_charts.js'
import type { TrainingEntry } from './training_log.js'

/** An image of the slice-level evaluation as the page holds it; boxes are [x1, y1, x2, y2(, score)]. */
export interface PageImage {
  name: string
  /** Index into the page's pictures, where the image is part of it. */
  picture?: number
  truth: [number, number, number, number][]
  detections: [number, number, number, number, number][]
  /** Findings that count neither way. */
  excluded?: [number, number, number, number][]
}

/** A picture with boxes that opens larger. */
export interface PageView {
  picture: number
  boxes: { box: [number, number, number, number]; kind: 'truth' | 'hit' | 'wrong' | 'missed' }[]
  /** x, y, width and height of the part that the thumbnail shows. */
  crop?: [number, number, number, number]
  caption: string
}

/** What the page holds for its script (script/*.js). */
export interface PageData {
  pictures: readonly Picture[]
  views: readonly PageView[]
  slices?: { iou: number; images: PageImage[]; plot: PlotArea }
  froc?: { points: ScanRun['froc']; plot: PlotArea }
}

/** The page's script: files of its own, which lint and tsc check; the build copies them beside this one. */
const SCRIPT = ['views.js', 'matching.js', 'slices.js', 'scans.js']
  .map((name) => readFileSync(new URL(`./script/${name}`, import.meta.url), 'utf8'))
  .join('\n')

export interface PageInput {
  title: string
  subtitle: string
  /** What made the run: names and values. */
  provenance: (readonly [string, string])[]
  hypes?: unknown
  training?: TrainingEntry[] | undefined
  slices?:
    | {
        evaluation: SliceEvaluation & Partial<SliceDetails>
        images: PageImage[]
      }
    | undefined
  scans?:
    | {
        detections: SeriesDetections[]
        nodules: NoduleRow[]
        evaluation?: ScanRun | undefined
        findings: FindingRow[]
        readers?: ReaderPoint[] | undefined
      }
    | undefined
  /** This run beside others. */
  comparison?: Comparison | undefined
  pictures: Picture[]
  views: PageView[]
  warnings: string[]
}

/** The whole page as one HTML document that needs nothing else. */
export function buildPage(input: PageInput): string {
  const sections = [
    summarySection(input),
    input.slices === undefined ? undefined : sliceSection(input.slices),
    input.scans === undefined ? undefined : scanSection(input.scans),
    input.comparison === undefined
      ? undefined
      : { id: 'comparison', title: 'Comparison', html: comparisonHtml(input.comparison) },
    input.training === undefined || input.training.length === 0 ? undefined : trainingSection(input.training),
    provenanceSection(input),
  ].filter((section) => section !== undefined)
  const data: PageData = {
    pictures: input.pictures,
    views: input.views,
    ...(input.slices === undefined || input.slices.images.length === 0
      ? {}
      : {
          slices: {
            iou: input.slices.evaluation.iou,
            images: input.slices.images,
            plot: plotArea(precisionRecallChart([input.slices.evaluation])),
          },
        }),
    ...(input.scans?.evaluation === undefined
      ? {}
      : {
          froc: {
            points: input.scans.evaluation.froc,
            plot: plotArea(frocChart([input.scans.evaluation], input.scans.readers)),
          },
        }),
  }
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="nodule ${escapeHtml(VERSION)}">
<link rel="icon" href="data:,">
<title>${escapeHtml(input.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><h1>${escapeHtml(input.title)}</h1><p>${escapeHtml(input.subtitle)}</p></header>
<nav aria-label="Sections">${sections.map(({ id, title }) => `<a href="#${id}">${escapeHtml(title)}</a>`).join('')}</nav>
<main id="main">
${sections.map(({ id, title, html }) => `<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${escapeHtml(title)}</h2>\n${html}</section>`).join('\n')}
</main>
<footer>Made by nodule ${escapeHtml(VERSION)}. For research; not a medical device.</footer>
<dialog id="view" aria-labelledby="caption"><div id="stage" tabindex="-1" autofocus></div><div class="bar"><span id="caption" aria-live="polite"></span>
<button type="button" id="before" aria-label="Previous picture" title="previous (left arrow)">&#9664;</button><button type="button" id="after" aria-label="Next picture" title="next (right arrow)">&#9654;</button><button type="button" id="close">Close</button></div></dialog>
<script type="application/json" id="data">${embedJson(data)}</script>
<script>${SCRIPT}</script>
</body>
</html>
`
}

/** The gallery's tabs: what they show, and their names. */
const TABS = [
  ['hits', 'Found'],
  ['wrong', 'False positives'],
  ['missed', 'Missed'],
  ['all', 'Whole slices'],
] as const

/** Only this page's own script runs, and nothing is loaded. Charts and the legend have style attributes. */
const POLICY = [
  "default-src 'none'",
  `script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}'`,
  "style-src 'unsafe-inline'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

interface Section {
  id: string
  title: string
  html: string
}

/** An empty drawing that lies on a plot, in the plot's own pixels. */
function overlay(id: string, chart: Chart): string {
  const { width, height } = chartSize(chart)
  return `<svg class="over" id="${id}" viewBox="0 0 ${width} ${height}" aria-hidden="true"></svg>`
}

function card(value: string, label: string): string {
  return `<div class="card"><b>${escapeHtml(value)}</b><span>${escapeHtml(label)}</span></div>`
}

function summarySection({ slices, scans, training, warnings }: PageInput): Section {
  const cards: string[] = []
  if (slices !== undefined) {
    const { ap, apInterval, bestF1, images, truthBoxes, iou } = slices.evaluation
    const interval = intervalText(apInterval)
    cards.push(card(ratio(ap), `average precision at IoU ≥ ${iou}${interval}`))
    if (bestF1 !== null) {
      cards.push(card(ratio(bestF1.recall), `recall at the best F1 (confidence ${ratio(bestF1.threshold)})`))
      cards.push(card(ratio(bestF1.precision), 'precision there'))
    }
    cards.push(card(`${images}`, `slices with ${count(truthBoxes, 'true box')}`))
  }
  if (scans !== undefined) {
    const { evaluation, detections, nodules } = scans
    if (evaluation !== undefined && evaluation.cpm !== null) {
      const { value, low, high } = evaluation.cpm
      cards.push(
        card(
          ratio(value),
          `CPM${low === undefined ? '' : `, 95 % interval ${ratio(low)} to ${ratio(high)}`}`,
        ),
      )
      const { tp, nodules: all, fp } = evaluation.counts
      cards.push(card(`${tp} of ${all}`, `nodules found in 3-D, with ${fp} false positives`))
    }
    const seconds = detections.map((scan) => scan.timing?.total / 1000).filter(Number.isFinite)
    const mean = seconds.reduce((sum, value) => sum + value, 0) / seconds.length
    cards.push(
      card(
        `${detections.length}`,
        `${detections.length === 1 ? 'scan' : 'scans'} examined, ${count(nodules.length, 'nodule')} reported`,
      ),
    )
    if (seconds.length > 0) cards.push(card(`${mean.toFixed(2)} s`, 'per scan on average'))
  }
  const last = training?.at(-1)
  if (last !== undefined) cards.push(card(last.loss.toPrecision(3), `training loss at step ${last.step}`))
  const list =
    warnings.length === 0
      ? ''
      : `<h3>Warnings</h3><ul class="warnings">${warnings.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>`
  return { id: 'summary', title: 'Summary', html: `<div class="cards">${cards.join('')}</div>${list}` }
}

function sliceSection({ evaluation, images }: NonNullable<PageInput['slices']>): Section {
  const chart = precisionRecallChart([evaluation])
  const plots = `<div class="plots">${plot(chart, overlay('pr-over', chart))}${plot(precisionRecallChart([evaluation], true))}</div>`
  if (images.length === 0) return { id: 'slices', title: 'Slices', html: plots }
  const start = evaluation.bestF1?.threshold ?? 0.5
  const html = `
<p class="note">Detections are matched to the true boxes of their slice by maximum flow, as TensorBox does. The sliders
recompute the figures, the point on the curve (orange; a dashed green curve at another IoU) and the boxes below.</p>
<div class="controls">
<label>Confidence <input type="range" id="confidence" min="0" max="1" step="0.001" value="${Math.floor(start * 1000) / 1000}"><output id="confidence-value"></output></label>
<label>IoU threshold <input type="range" id="overlap" min="0.05" max="0.95" step="0.05" value="${evaluation.iou}"><output id="overlap-value"></output></label>
</div>
<div class="figures" aria-live="polite"><span>True positives <b id="figure-tp"></b></span><span>False positives <b id="figure-fp"></b></span>
<span>Missed <b id="figure-missed"></b></span><span>Precision <b id="figure-precision"></b></span><span>Recall <b id="figure-recall"></b></span>
<span>F1 <b id="figure-f1"></b></span><span>AP <b id="figure-ap"></b></span></div>
${plots}
${sliceTables(evaluation)}
<div class="tabs" id="tabs" role="tablist" aria-label="Boxes shown">
${TABS.map(([tab, title]) => `<button type="button" role="tab" id="tab-${tab}" aria-controls="gallery" data-tab="${tab}" data-title="${title}"></button>`).join('\n')}</div>
<div class="legend"><span><i style="border-color:#35d07f"></i>true box</span><span><i style="border-color:#ff8bd8;border-style:dashed"></i>true box, missed</span>
<span><i style="border-color:#ffd43b"></i>found</span><span><i style="border-color:#ff6b6b"></i>false positive</span>${
    images.some((image) => image.excluded !== undefined)
      ? '<span><i style="border-color:#9fb3c8"></i>counts neither way</span>'
      : ''
  }</div>
<div class="gallery" id="gallery" role="tabpanel"></div><p class="empty" id="gallery-empty" role="status" hidden></p>
<p class="more" id="gallery-more" hidden><button type="button"></button></p>`
  return { id: 'slices', title: 'Slices', html }
}

function intervalText(interval: SliceRun['apInterval'] | undefined): string {
  if (interval === undefined || interval === null) return ''
  return `, ${Math.round(100 * interval.confidence)} % interval ${ratio(interval.low)} to ${ratio(interval.high)}`
}

/** Figures of the whole evaluation: AP by protocol, operating points, box sizes. */
function sliceTables(evaluation: NonNullable<PageInput['slices']>['evaluation']): string {
  const { coco, apInterval, recallAtPrecision, precisionAtRecall, iou } = evaluation
  const points = (list: typeof recallAtPrecision, what: string, at: string): [string, string][] =>
    list
      .filter((point) => point.value !== null)
      .map((point) => [
        `${what} at ${at} ${ratio(point.target)}`,
        `${ratio(point.value)} (confidence ${ratio(point.threshold)})`,
      ])
  const facts: [string, string][] = [
    [`AP at IoU ≥ ${iou}, all points`, ratio(evaluation.ap) + intervalText(apInterval)],
    [`AP at IoU ≥ ${iou}, 11 points`, ratio(evaluation.ap11)],
    ...(coco === undefined
      ? []
      : ([
          ['COCO AP, IoU .10 to .50', ratio(coco.from10to50)],
          ['COCO AP, IoU .50 to .95', ratio(coco.from50to95)],
        ] as [string, string][])),
    ...points(recallAtPrecision, 'Recall', 'precision'),
    ...points(precisionAtRecall, 'Precision', 'recall'),
  ]
  const groups = [
    groupTable('sizes', 'Box size at the best F1', evaluation.bySize ?? []),
    groupTable('box-diameters', 'Axial diameter at the best F1', evaluation.byAxialDiameter ?? []),
    groupTable('box-types', 'Type at the best F1', evaluation.byType ?? []),
  ].join('')
  const note = intervalNote({ apInterval: apInterval ?? null, draw: evaluation.draw ?? null })
  // The flag that chooses is the command line's matter.
  if (note !== undefined) facts.splice(1, 0, ['Interval of the AP', note.split('; ')[0]!])
  return `<details><summary>All figures</summary><div class="plots">${factTable(facts)}<div>${groups}</div></div></details>`
}

/** Found and missed by group. */
function groupTable(id: string, title: string, rows: readonly (GroupRow | SizeRow)[]): string {
  const shown = rows.filter((row) => row.total > 0 || ('falsePositives' in row && row.falsePositives > 0))
  if (shown.length === 0) return ''
  return sortableTable<GroupRow | SizeRow>(
    id,
    [
      { title, text: (row) => row.group, sort: (row) => rows.indexOf(row) },
      { title: 'Found', number: true, text: (row) => row.found },
      { title: 'Of', number: true, text: (row) => row.total },
      {
        title: 'Recall (95 % interval)',
        number: true,
        text: (row) =>
          row.low === null ? null : `${ratio(row.sensitivity)} (${ratio(row.low)} to ${ratio(row.high)})`,
        sort: (row) => row.sensitivity,
      },
      ...(shown.some((row) => 'falsePositives' in row)
        ? [
            {
              title: 'False positives',
              number: true,
              text: (row: GroupRow | SizeRow) => ('falsePositives' in row ? row.falsePositives : null),
            },
          ]
        : []),
    ],
    shown,
  )
}

function scanSection({ evaluation, nodules, findings, readers }: NonNullable<PageInput['scans']>): Section {
  const parts: string[] = []
  if (evaluation !== undefined) {
    const { counts } = evaluation
    const chart = frocChart([evaluation], readers)
    parts.push(
      `<p class="note">LUNA16's protocol: a mark hits a nodule when it lies within its radius; further marks on it (${counts.doubleHits}) and marks on excluded findings (${counts.onExcluded}) are ignored.</p>`,
      `<div class="plots">${plot(chart, overlay('froc-over', chart))}<div>${factTable([
        ['Nodules found', `${counts.tp} of ${counts.nodules}`],
        ['False positives', `${counts.fp} in ${count(evaluation.scans, 'scan')}`],
        ...evaluation.operatingPoints.map((point): [string, string] => [
          `Sensitivity at ${point.falsePositivesPerScan} per scan`,
          point.low === undefined
            ? ratio(point.sensitivity)
            : `${ratio(point.sensitivity)}   (${ratio(point.low)} to ${ratio(point.high)})`,
        ]),
        ['Mean of these (CPM)', ratio(evaluation.cpm?.value)],
        ...(evaluation.sizes === null
          ? []
          : [
              [
                'Measured − equivalent diameter',
                `${evaluation.sizes.bias.toFixed(1)} mm${limitsText(evaluation.sizes)}`,
              ] as const,
            ]),
      ])}</div></div>`,
      `<div class="plots">${groupTable('diameters', 'Equivalent diameter', evaluation.byEquivalentDiameter)}${groupTable('types', 'Type', evaluation.byType)}</div>`,
    )
  }
  parts.push(`<div class="controls"><label>Confidence <input type="range" id="scan-confidence" min="0" max="1" step="0.01" value="0"><output id="scan-confidence-value"></output></label></div>
<div class="figures" aria-live="polite"><span>Nodules shown <b id="scan-shown"></b></span>${
    evaluation === undefined
      ? ''
      : '<span>Sensitivity <b id="scan-sensitivity"></b></span><span>False positives per scan <b id="scan-fps"></b></span>'
  }</div>`)
  parts.push('<h3>Nodules found</h3>', noduleTable(nodules, evaluation !== undefined))
  if (findings.length > 0) parts.push('<h3>Nodules of the reference</h3>', findingTable(findings))
  return { id: 'scans', title: 'Nodules', html: parts.join('\n') }
}

function limitsText({ lowerLimit: low, upperLimit: high }: BlandAltman): string {
  return low === null || high === null ? '' : ` (limits of agreement ${low.toFixed(1)} to ${high.toFixed(1)})`
}

function trainingSection(training: TrainingEntry[]): Section {
  const times = training
    .map((entry) => entry.msPerImage ?? entry.msPerCube)
    .filter((value) => value !== undefined)
  const median = [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]
  const first = training[0]!
  const last = training.at(-1)!
  const charts = [lossChart(training), validationChart(training), learningRateChart(training)]
  const html = `<p class="note">${training.length} log entries from step ${first.step} to ${last.step}${
    median === undefined
      ? ''
      : `, ${median.toFixed(0)} ms per training ${last.msPerCube === undefined ? 'image' : 'cube'} (median)`
  }.</p>
<div class="plots">${charts.map((chart) => (chart === undefined ? '' : plot(chart))).join('')}</div>`
  return { id: 'training', title: 'Training', html }
}

function provenanceSection({ provenance, hypes }: PageInput): Section {
  const details =
    hypes === undefined
      ? ''
      : `<details><summary>Hypes</summary><pre>${escapeHtml(JSON.stringify(hypes, null, 2))}</pre></details>`
  return { id: 'provenance', title: 'Provenance', html: factTable(provenance) + details }
}
