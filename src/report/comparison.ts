import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileError } from '../errors.js'
import { distinctNames } from '../evaluation/index.js'
import { readMarks } from '../evaluation/scans/marks.js'
import type { MarkSource } from '../evaluation/scans/marks.js'
import type { ScanRuns, SliceRuns } from '../evaluation/index.js'
import { scanDifferences, scanMeasures, sliceDifferences, sliceMeasures } from '../evaluation/tables.js'
import type { Measures } from '../evaluation/tables.js'
import type { Chart } from './chart.js'
import { frocChart, precisionRecallChart } from './figures.js'
import { escapeHtml, plot, sortableTable } from './html.js'
import { findComparedFiles, holdsDetections } from './run_files.js'

/** What other runs hold that a page can put beside its own: lists of predictions, and marks of whole scans. */
export interface OtherRuns {
  /** The page's own run. */
  ownName: string
  lists: { name: string; path: string }[]
  marks: MarkSource[]
}

/** The page's own run (the first) and others on the same slices and scans. */
export interface Comparison {
  slices?: SliceRuns | undefined
  scans?: Pick<ScanRuns, 'runs' | 'comparisons'> | undefined
}

/**
 * Finds what can be compared: in a folder of a run its predictions.json and detections/; a folder of `nodule detect`;
 * a JSON list of predictions; a CSV of marks in LUNA16's format. Runs are named as their paths end.
 *
 * @param own the path of the page's own run, for its name
 * Throws NoduleError (FILE, FORMAT).
 */
export async function readOtherRuns(
  own: string,
  paths: readonly string[],
  warnings: string[],
): Promise<OtherRuns> {
  const [ownName, ...names] = distinctNames([own, ...paths].map((path) => resolve(path)))
  const other: OtherRuns = { ownName: ownName!, lists: [], marks: [] }
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
      else other.lists.push({ name, path })
      continue
    }
    const { predictions, detections } = findComparedFiles(path)
    if (predictions === undefined && detections === undefined && !(await holdsDetections(path))) {
      warnings.push(`${path}: nothing to compare: no predictions.json and no detections in it`)
      continue
    }
    if (predictions !== undefined) other.lists.push({ name, path: predictions })
    if (detections !== undefined || predictions === undefined)
      other.marks.push({ ...(await readMarks(detections ?? path, warnings)), name })
  }
  return other
}

/** Curves on top of each other, measures side by side, differences with p-values. */
export function comparisonHtml({ slices, scans }: Comparison): string {
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
