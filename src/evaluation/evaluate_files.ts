import { join, parse } from 'node:path'
import { NoduleError } from '../errors.js'
import { distinctFileNames, hideFolders, writeFileAtomic } from '../files.js'
import { checkInteger, checkObject, checkTexts, invalidParameter, noEffect } from '../check.js'
import { evaluateLabelFile } from './labels/label_runs.js'
import type { LabelRuns } from './labels/label_runs.js'
import { officialFiles } from './scans/luna_output.js'
import { evaluateScanRuns } from './scans/scan_runs.js'
import type { ScanRunOptions, ScanRuns } from './scans/scan_runs.js'
import { evaluateListFiles } from './slices/slice_runs.js'
import type { SliceRuns } from './slices/slice_runs.js'
import type { Draw } from './slices/patients.js'
import { labelTable, scanTable, sliceTable } from './tables.js'

export interface EvaluateOptions extends Omit<ScanRunOptions, 'predictions'> {
  predictions?: string[] | undefined
  /** CSV of items with labels and scores, instead of predictions. */
  labels?: string | undefined
  iou?: number | undefined
  minScore?: number | undefined
  tau?: number | undefined
  mismatch?: 'error' | 'miss' | 'skip' | undefined
  ignoreExcluded?: boolean | undefined
  /** With lists: what the bootstrap draws; default: patients where every image tells its own, else images. */
  by?: Draw['by'] | undefined
  threshold?: number | undefined
  bins?: number | undefined
  /** What the caller writes of the results, by `tensorBoxText` and `writeOfficialFiles`: refused where there is none. */
  rpc?: string | undefined
  lunaOutput?: string | undefined
}

export interface Evaluated {
  results: { slices: SliceRuns } | { scans: ScanRuns } | { labels: LabelRuns }
  /** For people. */
  table: string
  /** For programs: the evaluation of a single run, or all runs with their comparisons. */
  json: unknown
  warnings: string[]
}

/**
 * Evaluates files by what they are: a JSON list of true boxes gives the slice level, a CSV of nodules or scans with
 * LIDC XML the scan level, a file of labels the classification. Throws NoduleError (FILE, FORMAT, INVALID_PARAMETER).
 */
export async function evaluateFiles(options: EvaluateOptions): Promise<Evaluated> {
  const { labels, truth, scans, predictions = [] } = checkObject('options', options)
  checkTexts('predictions', predictions)
  if (scans !== undefined) checkTexts('scans', scans)
  if (options.bootstraps !== undefined) checkInteger('bootstraps', options.bootstraps, 0, 1e6)
  const given = [labels, truth, scans].filter((value) => value !== undefined).length
  if (given !== 1) {
    throw new NoduleError('INVALID_PARAMETER', 'what is true must be said once', {
      parameter: ['truth', 'scans', 'labels'],
      expected: 'one of them',
      actual: `${given} of them`,
    })
  }
  const lists = truth !== undefined && !truth.toLowerCase().endsWith('.csv')
  refuseOthers(options, labels !== undefined ? 'labels' : lists ? 'slices' : 'scans')
  if (labels !== undefined) {
    const results = { labels: evaluateLabelFile(labels, options) }
    return finish(results, labelTable(results.labels), results.labels, [], [labels])
  }
  if (predictions.length === 0) throw invalidParameter('predictions', 'at least one file', predictions)
  if (lists) {
    const slices = await evaluateListFiles(truth, predictions, options)
    return finish({ slices }, sliceTable(slices), slices, runWarnings(slices.runs), [truth, ...predictions])
  }
  const result = await evaluateScanRuns({ ...options, predictions })
  const warnings = [...result.warnings, ...runWarnings(result.runs)]
  const { excluded, series } = options
  const inputs = [
    ...predictions,
    ...(scans ?? []),
    ...(options.xml ?? []),
    ...[truth, excluded, series].flatMap((path) => path ?? []),
  ]
  return finish({ scans: result }, scanTable(result), result, warnings, inputs)
}

/** What is judged at a level, in words. */
const JUDGED = {
  slices: 'a JSON list of true boxes',
  scans: 'whole scans',
  labels: 'labels',
} as const

/** The options that only one level, or two, have. */
const LEVELS: Partial<Record<keyof EvaluateOptions, readonly (keyof typeof JUDGED)[]>> = {
  predictions: ['slices', 'scans'],
  bootstraps: ['slices', 'scans'],
  seed: ['slices', 'scans'],
  by: ['slices'],
  iou: ['slices'],
  minScore: ['slices'],
  tau: ['slices'],
  mismatch: ['slices'],
  ignoreExcluded: ['slices'],
  rpc: ['slices'],
  excluded: ['scans'],
  series: ['scans'],
  maxMarks: ['scans'],
  official: ['scans'],
  xml: ['scans'],
  minReaders: ['scans'],
  minAxialDiameterMm: ['scans'],
  lunaOutput: ['scans'],
  threshold: ['labels'],
  bins: ['labels'],
}

/** Options that would have no effect. Throws NoduleError (INVALID_PARAMETER). */
function refuseOthers(options: EvaluateOptions, level: keyof typeof JUDGED): void {
  const isGiven = (name: keyof EvaluateOptions): boolean =>
    options[name] !== undefined && options[name] !== false
  for (const [name, levels] of Object.entries(LEVELS) as [keyof EvaluateOptions, (keyof typeof JUDGED)[]][])
    if (isGiven(name) && !levels.includes(level))
      throw noEffect(name, levels.map((one) => JUDGED[one]).join(' or '), JUDGED[level])
  // Either a table says what is excluded, or the readers do.
  if (options.scans !== undefined && isGiven('excluded'))
    throw noEffect('excluded', 'a CSV of nodules', 'scans')
  if (options.scans === undefined)
    for (const name of ['xml', 'minReaders', 'minAxialDiameterMm'] as const)
      if (isGiven(name)) throw noEffect(name, 'scans with LIDC XML', JUDGED[level])
}

/** A run as it is written: its sources and warnings without the folders of this machine. */
function withoutFolders(run: object, inputs: readonly string[]): object {
  const hide = (text: unknown): unknown => (typeof text === 'string' ? hideFolders(text, inputs) : text)
  const { warnings, source } = run as { warnings?: unknown; source?: object }
  return {
    ...run,
    ...(Array.isArray(warnings) ? { warnings: warnings.map(hide) } : {}),
    ...(source === undefined
      ? {}
      : { source: Object.fromEntries(Object.entries(source).map(([key, text]) => [key, hide(text)])) }),
  }
}

/**
 * Writes the text files of LUNA16's official script, for several runs in a folder each. Throws NoduleError (FILE).
 */
export async function writeOfficialFiles(folder: string, { runs }: ScanRuns): Promise<void> {
  // Names of runs differ, but what stands for them in a path may not.
  const places = distinctFileNames(
    runs.map((run) => run.name.replaceAll(/[^\w. -]/g, '-').replace(/^\.+/, '-')),
  )
  for (const [n, run] of runs.entries()) {
    const name = parse(run.name).name
    const place = runs.length > 1 ? join(folder, places[n]!) : folder
    for (const [file, text] of Object.entries(officialFiles(run, name)))
      await writeFileAtomic(join(place, file), text)
  }
}

/** The warnings of every run, each once. */
function runWarnings(runs: readonly { warnings: readonly string[] }[]): string[] {
  return [...new Set(runs.flatMap((run) => run.warnings))]
}

function finish(
  results: Evaluated['results'],
  table: string,
  all: { runs: readonly object[]; comparisons: readonly object[]; readers?: readonly object[] },
  warnings: string[],
  inputs: readonly string[],
): Evaluated {
  const { comparisons, readers } = all
  const extra = readers === undefined || readers.length === 0 ? {} : { readers }
  const runs = all.runs.map((run) => withoutFolders(run, inputs))
  const json =
    runs.length === 1
      ? { ...runs[0], ...extra }
      : { format: 'nodule-evaluation/1', kind: 'comparison', runs, comparisons, ...extra }
  return { results, table, json, warnings }
}
