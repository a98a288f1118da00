import { join } from 'node:path'
import type { LabelRuns, ScanRuns, SliceRuns } from '../evaluation/index.js'
import { writeFileAtomic } from '../files.js'
import { chartPng, chartSvg } from './chart.js'
import type { Chart } from './chart.js'
import {
  blandAltmanChart,
  calibrationChart,
  frocChart,
  precisionRecallChart,
  rocChart,
  scorePrecisionRecallChart,
} from './figures.js'

/** Every curve of an evaluation, by file name. */
export function evaluationCharts(
  results: { slices: SliceRuns } | { scans: ScanRuns } | { labels: LabelRuns },
): Record<string, Chart> {
  if ('slices' in results) {
    const { runs } = results.slices
    return {
      'precision-recall': precisionRecallChart(runs),
      'recall-1-precision': precisionRecallChart(runs, true),
    }
  }
  if ('scans' in results) {
    const { runs, readers } = results.scans
    const sizes = runs.filter((run) => run.sizes !== null)
    return {
      froc: frocChart(runs, readers),
      ...Object.fromEntries(
        sizes.map((run, i) => [sizes.length > 1 ? `sizes-${i + 1}` : 'sizes', blandAltmanChart(run.sizes!)]),
      ),
    }
  }
  const { runs } = results.labels
  return {
    roc: rocChart(runs),
    'precision-recall': scorePrecisionRecallChart(runs),
    calibration: calibrationChart(runs),
  }
}

/** Writes charts as NAME.svg and NAME.png; returns the paths. Throws NoduleError (FILE). */
export async function writePlots(folder: string, charts: Readonly<Record<string, Chart>>): Promise<string[]> {
  const paths: string[] = []
  for (const [name, chart] of Object.entries(charts)) {
    const svg = chartSvg(chart)
    for (const [suffix, content] of [
      ['svg', svg],
      ['png', await chartPng(svg)],
    ] as const) {
      const path = join(folder, `${name}.${suffix}`)
      await writeFileAtomic(path, content)
      paths.push(path)
    }
  }
  return paths
}
