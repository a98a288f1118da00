import { statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { NoduleError, fileError } from '../errors.js'
import { distinctNames } from '../evaluation/index.js'
import { readDetectionFolder, readMarks } from '../evaluation/scans/marks.js'
import type { MarkSource } from '../evaluation/scans/marks.js'
import type { ScanRuns, SliceRuns } from '../evaluation/index.js'
import { scanDifferences, scanMeasures, sliceDifferences, sliceMeasures } from '../evaluation/tables.js'
import type { Measures } from '../evaluation/tables.js'
import type { Chart } from './chart.js'
import { frocChart, precisionRecallChart } from './figures.js'
import { escapeHtml, plot, sortableTable } from './html.js'
import { findComparedFiles, findComparedLog, holdsDetections } from './run_files.js'
import { comparedTrainingCharts } from './training_charts.js'
import type { TrainingRun } from './training_charts.js'
import type { TrainingEntry } from './training_log.js'
import { readTrainingLog } from './training_log.js'

/** What other runs hold that a page can put beside its own: lists of predictions, marks of whole scans, logs. */
export interface OtherRuns {
  /** The page's own run. */
  ownName: string
  lists: { name: string; path: string }[]
  marks: MarkSource[]
  trainings: TrainingRun[]
}

/** The page's own run (the first) and others on the same slices and scans, and how they were trained. */
export interface Comparison {
  slices?: SliceRuns | undefined
  scans?: Pick<ScanRuns, 'runs' | 'comparisons'> | undefined
  training?: readonly TrainingRun[] | undefined
}

/**
 * Finds what can be compared: in a folder of a run its predictions.json, detections/ and log.jsonl; a folder of
 * `nodule detect`; a JSON list of predictions; a CSV of marks in LUNA16's format; a training log. Runs are named as their
 * paths end. A log that lies in a folder and cannot be used is named in `warnings`.
 *
 * @param own the path of the page's own run, for its name
 * @param hasTraining whether the page's own run has a training log; without it only logs that are all there is are read
 * Throws NoduleError (FILE, FORMAT).
 */
export async function readOtherRuns(
  own: string,
  paths: readonly string[],
  hasTraining: boolean,
  warnings: string[],
): Promise<OtherRuns> {
  const [ownName, ...names] = distinctNames([own, ...paths].map((path) => runPath(path)))
  const other: OtherRuns = { ownName: ownName!, lists: [], marks: [], trainings: [] }
  for (const [index, path] of paths.entries()) {
    const name = names[index]!
    let isFolder: boolean
    try {
      isFolder = statSync(path).isDirectory()
    } catch (error) {
      throw fileError(path, 'read the run', error)
    }
    if (!isFolder) {
      if (path.toLowerCase().endsWith('.csv'))
        other.marks.push({ ...(await readMarks(path, warnings)), name })
      else if (path.toLowerCase().endsWith('.jsonl'))
        other.trainings.push({ name, log: readTrainingLog(path) })
      else other.lists.push({ name, path })
      continue
    }
    const { predictions, detections } = findComparedFiles(path)
    const isTrained = predictions === undefined && detections === undefined && !(await holdsDetections(path))
    const log = hasTraining || isTrained ? readLogOf(name, path, warnings) : undefined
    if (log !== undefined && log.length > 0) other.trainings.push({ name, log })
    if (isTrained) {
      if (log === undefined)
        warnings.push(
          `${path}: nothing to compare: no predictions.json, no detections and no log.jsonl in it`,
        )
      continue
    }
    if (predictions !== undefined) other.lists.push({ name, path: predictions })
    if (detections === undefined && predictions !== undefined) continue
    const folder = detections ?? path
    const results = await readDetectionFolder(folder, warnings)
    // What it holds besides is compared.
    if (results.length > 0) other.marks.push({ name, path: folder, detections: results })
  }
  return other
}

/** What a run is called by: of a log its folder, as all are called log.jsonl. */
function runPath(path: string): string {
  return basename(path) === 'log.jsonl' ? dirname(resolve(path)) : resolve(path)
}

/** The log of a run: undefined where there is none, empty where it cannot be used, which is told. */
function readLogOf(name: string, folder: string, warnings: string[]): TrainingEntry[] | undefined {
  let reason: string
  try {
    const path = findComparedLog(folder)
    if (path === undefined) return undefined
    const log = readTrainingLog(path)
    if (log.length > 0) return log
    reason = `${path} has no entries`
  } catch (error) {
    // Nobody named it: what else the run holds is compared.
    if (!(error instanceof NoduleError)) throw error
    reason = error.message
  }
  warnings.push(`the training of ${name} is left out: ${reason}`)
  return []
}

/** Curves on top of each other, measures side by side, differences with p-values. */
export function comparisonHtml({ slices, scans, training }: Comparison): string {
  const parts: string[] = []
  if (slices !== undefined) {
    const { runs } = slices
    const plots = [precisionRecallChart(runs), precisionRecallChart(runs, true)]
    parts.push(block('Slices', 'slice-runs', plots, runs, sliceMeasures(runs), sliceDifferences(slices)))
  }
  if (scans !== undefined) {
    const { runs } = scans
    parts.push(
      block('Scans', 'scan-runs', [frocChart(runs)], runs, scanMeasures(runs), scanDifferences(scans)),
    )
  }
  if (training !== undefined) {
    const charts = Object.values(comparedTrainingCharts(training))
    parts.push(`<h3>Training</h3>\n<div class="plots">${charts.map((chart) => plot(chart)).join('')}</div>`)
  }
  return parts.join('\n')
}

function block<T extends { name: string }>(
  title: string,
  id: string,
  charts: readonly Chart[],
  runs: readonly T[],
  measures: Measures<T>,
  differences: readonly string[],
): string {
  const table = sortableTable(
    id,
    [
      {
        title: 'Measure',
        text: ([name]: Measures<T>[number]) => name.trim(),
        sort: (row) => measures.indexOf(row),
      },
      ...runs.map((run) => ({
        title: run.name,
        number: true,
        text: ([, value]: Measures<T>[number]) => value(run),
      })),
    ],
    measures,
  )
  return `<h3>${escapeHtml(title)}</h3>
<div class="plots">${charts.map((chart) => plot(chart)).join('')}</div>
<ul>${differences.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>
${table}`
}
