import { textureType } from '../../annotations/index.js'
import { invalidParameter, show } from '../../check.js'
import { NoduleError } from '../../errors.js'
import { byEquivalentDiameter, byType } from '../breakdown.js'
import type { GroupRow } from '../breakdown.js'
import { blandAltman, compareCpm, foundAt, mcNemar } from '../compare.js'
import type { BlandAltman, Difference, McNemar } from '../compare.js'
import { readFindingsCsv, readSeriesList } from '../../formats/luna.js'
import { scanKey, sharedUids } from '../../scans/scan_keys.js'
import type { ScanIdentity } from '../../scans/scan_keys.js'
import { marksOf, readMarks, refuseShared } from './marks.js'
import type { MarkSource, SourceMarks } from './marks.js'
import { cutOffs } from './settings.js'
import { readReferences, readerPoints, withKeys } from './references.js'
import type { ReaderPoint, ReferenceOptions, ScanReference } from './references.js'
import { evaluateScans } from './scans.js'
import { distinctNames } from '../slices/slice_runs.js'
import type { Finding, Mark } from '../../formats/luna.js'
import type { ScanEvaluation, ScanOptions } from './scans.js'
import { agree, count } from '../../words.js'
import { append } from '../../lists.js'

export interface ScanRunOptions extends ScanOptions, ReferenceOptions {
  /** Folders of detections, or CSV files in LUNA16's format. */
  predictions: string[]
  /** True nodules in LUNA16's format, and findings that count neither way. */
  truth?: string | undefined
  excluded?: string | undefined
  /** File with the series that count; without it, those of the reference and the predictions. */
  series?: string | undefined
  /** Instead of `truth`: folders of the scans with their LIDC XML. */
  scans?: string[] | undefined
  /** With `scans`: further XML files, or folders of them. */
  xml?: string[] | undefined
}

export interface ScanRun extends ScanEvaluation {
  name: string
  byEquivalentDiameter: GroupRow[]
  /** By the readers' texture rating; only with `scans`. */
  byType: GroupRow[]
  /** Diameters as the detector measured them against the equivalent ones of the nodules that were hit, mm; null where no mark has one. */
  sizes: BlandAltman | null
}

export interface ScanComparison {
  first: string
  second: string
  cpm: Difference
  /** On the nodules that each finds at one false positive per scan. */
  mcNemar: McNemar
}

export interface ScanRuns {
  runs: ScanRun[]
  comparisons: ScanComparison[]
  /** Each reader against the others; only with `scans`. */
  readers: ReaderPoint[]
  warnings: string[]
}

/**
 * Evaluates one or more detectors on the same scans and compares each pair. Throws NoduleError (FILE, FORMAT), also for
 * results of other scans alone.
 */
export async function evaluateScanRuns(options: ScanRunOptions): Promise<ScanRuns> {
  const warnings: string[] = []
  const told: string[] = []
  // First: what the readers say of an archive takes longer.
  const sources: MarkSource[] = []
  for (const path of options.predictions) sources.push(await readMarks(path, told))
  const truth = await readTruth(options, warnings)
  append(warnings, told)
  const names = distinctNames(options.predictions)
  const named = sources.map((source, index) => ({ ...source, name: names[index]! }))
  const { series, findings, scans, marks } = bringTogether(truth, named, options, warnings)
  // Without a list of series those of the predictions count too.
  const isListed = options.series !== undefined || truth.scans.length > 0
  const wanted = isListed ? series : findings.map((finding) => finding.seriesUid)
  for (const [n, { path }] of named.entries()) refuseOtherScans(path, marks[n]!, wanted)
  const compared = compareMarks(series, findings, marks, scans, options)
  append(warnings, cutOffs(compared.runs, marks))
  return { ...compared, readers: readerPoints(scans), warnings }
}

/** What is true of scans: tables of findings, or the readers' marks. */
export interface ScanTruth {
  tables: { path: string; findings: Finding[] }[]
  scans: ScanReference[]
}

/** Truth and marks by the same names of scans (`scanKey`). */
export interface ScansTogether {
  /** The scans that count. */
  series: string[]
  findings: Finding[]
  /** The references of those, where the readers say what is true. */
  scans: ScanReference[]
  marks: SourceMarks[]
  /** Series UIDs of several patients. */
  shared: ReadonlySet<string>
}

/**
 * Brings truth and marks together by patient and series UID, and says in `warnings` what scans are missing on one side.
 * @param options.series see `ScanRunOptions`
 * @param options.examined without `series`: the scans that the first source examined count, not those that a table names
 * beside them (LUNA16's names 601)
 * Throws NoduleError (FILE, FORMAT), also where a table names a series UID that several patients have.
 */
export function bringTogether(
  truth: ScanTruth,
  sources: readonly MarkSource[],
  options: Pick<ScanRunOptions, 'series' | 'official'> & { examined?: boolean },
  warnings: string[],
): ScansTogether {
  const sides: ScanIdentity[][] = [
    truth.scans.map(({ series }) => series),
    ...sources.map((source) => ('detections' in source ? source.detections : [])),
  ]
  const shared = sharedUids(...sides)
  for (const { path, findings } of truth.tables) refuseShared(path, findings, shared)
  const scans = withKeys(truth.scans, shared)
  let findings = [
    ...scans.flatMap((scan) => scan.findings),
    ...truth.tables.flatMap((table) => table.findings),
  ]
  const marks = sources.map((source) => marksOf(source, shared))
  const listed = options.series === undefined ? undefined : readSeriesList(options.series, options.official)
  const keysOf = (uid: string): string[] =>
    shared.has(uid)
      ? [
          ...new Set(
            sides
              .flat()
              .filter((one) => one.seriesInstanceUid === uid)
              .map((one) => scanKey(one, shared)),
          ),
        ]
      : [uid]
  const examined = options.examined === true ? marks[0]?.series : undefined
  if (listed === undefined && examined !== undefined) findings = ofExamined(findings, examined, warnings)
  const series = listed?.flatMap(keysOf) ?? examined ?? listSeries({ findings, scans }, marks, warnings)
  warnMissing(series, marks, warnings)
  const counted = new Set(series)
  return { series, findings, scans: scans.filter((scan) => counted.has(scan.key)), marks, shared }
}

/** The evaluation of several detectors' marks on the same scans, and the difference of each pair. */
export function compareMarks(
  series: readonly string[],
  findings: readonly Finding[],
  sources: readonly { name: string; marks: readonly Mark[] }[],
  scans: readonly ScanReference[],
  options: ScanOptions = {},
): Pick<ScanRuns, 'runs' | 'comparisons'> {
  const runs = sources.map(({ name, marks }): ScanRun => ({
    name,
    ...evaluateScansInDetail(series, findings, marks, scans, options),
  }))
  // Without a nodule there is nothing that one finds and another does not.
  const comparable = runs.every((run) => run.counts.nodules > 0)
  const comparisons = (comparable ? runs : []).flatMap((first, i) =>
    runs.slice(i + 1).map((second, j): ScanComparison => ({
      first: first.name,
      second: second.name,
      cpm: compareCpm(series, findings, sources[i]!.marks, sources[i + 1 + j]!.marks, {
        bootstraps: options.bootstraps === 0 ? 1000 : options.bootstraps,
        seed: options.seed,
        confidence: options.confidence,
        maxMarks: options.maxMarks,
        official: options.official,
      }),
      mcNemar: mcNemar(
        foundAt(first, thresholdAtRate(first, 1)),
        foundAt(second, thresholdAtRate(second, 1)),
      ),
    })),
  )
  return { runs, comparisons }
}

/** `evaluateScans` with the figures by diameter and type, and the sizes. */
export function evaluateScansInDetail(
  series: readonly string[],
  findings: readonly Finding[],
  marks: readonly Mark[],
  scans: readonly ScanReference[],
  options: ScanOptions = {},
): Omit<ScanRun, 'name'> {
  const evaluation = evaluateScans(series, findings, marks, options)
  const texture = textureOf(scans)
  const diameters = new Map(marks.map((mark) => [`${mark.seriesUid} ${mark.id}`, mark.measuredDiameterMm]))
  const pairs = evaluation.findings.flatMap((finding) => {
    const measured = diameters.get(`${finding.seriesUid} ${finding.hitBy}`)
    // Below 0: unknown.
    return measured === undefined || measured < 0 || finding.equivalentDiameterMm < 0
      ? []
      : [[measured, finding.equivalentDiameterMm] as const]
  })
  return {
    ...evaluation,
    byEquivalentDiameter: byEquivalentDiameter(evaluation.findings),
    byType: byType(evaluation.findings, (finding) => texture.get(`${finding.seriesUid} ${finding.id}`)),
    sizes:
      pairs.length === 0
        ? null
        : blandAltman(
            pairs.map(([measured]) => measured),
            pairs.map(([, reference]) => reference),
          ),
  }
}

async function readTruth(options: ScanRunOptions, warnings: string[]): Promise<ScanTruth> {
  if (options.scans !== undefined) {
    const { scans, warnings: read } = await readReferences(options.scans, options.xml, options)
    append(warnings, read)
    if (scans.length === 0)
      throw invalidParameter('scans', 'folders of CT series with LIDC XML', options.scans).with({
        // What could not be read is the likeliest reason.
        ...(read.length === 0 ? {} : { actual: `${show(options.scans)} (${read.slice(0, 3).join('; ')})` }),
        remedies: [{ do: 'name XML files that lie elsewhere, or their folder', parameter: 'xml' }],
      })
    return { tables: [], scans }
  }
  if (options.truth === undefined) throw invalidParameter('truth', 'a CSV of nodules, or scans', undefined)
  return { tables: readFindings(options.truth, options.excluded), scans: [] }
}

/** Nodules, and findings that count neither way, in LUNA16's format. Throws NoduleError (FILE, FORMAT). */
export function readFindings(truth: string, excluded: string | undefined): ScanTruth['tables'] {
  return [
    { path: truth, findings: readFindingsCsv(truth, false) },
    ...(excluded === undefined ? [] : [{ path: excluded, findings: readFindingsCsv(excluded, true) }]),
  ]
}

/** The findings of the scans that were examined. */
function ofExamined(
  findings: readonly Finding[],
  examined: readonly string[],
  warnings: string[],
): Finding[] {
  const keys = new Set(examined)
  const left = findings.filter((finding) => !keys.has(finding.seriesUid))
  if (left.length > 0) {
    const scans = new Set(left.map((finding) => finding.seriesUid)).size
    const nodules = left.filter((finding) => !finding.excluded).length
    warnings.push(
      `${count(scans, 'scan')} of the reference, with ${count(nodules, 'nodule')}, ${agree(scans, 'was', 'were')} not examined and ${agree(scans, 'is', 'are')} left out; a list of series would count ${agree(scans, 'its', 'their')} nodules as missed`,
    )
  }
  return findings.filter((finding) => keys.has(finding.seriesUid))
}

function listSeries(
  references: { findings: readonly Finding[]; scans: readonly ScanReference[] },
  sources: readonly SourceMarks[],
  warnings: string[],
): string[] {
  if (references.scans.length > 0) return references.scans.map((scan) => scan.key)
  const uids = new Set<string>()
  for (const finding of references.findings) uids.add(finding.seriesUid)
  for (const { marks, series } of sources) {
    for (const uid of series ?? []) uids.add(uid)
    for (const mark of marks) uids.add(mark.seriesUid)
  }
  warnings.push(
    `no list of series: the ${uids.size} that the reference or the predictions name count as the scans; scans without nodules and marks are missing from the rate of false positives`,
  )
  return [...uids]
}

/** Says which of the scans that count a detector has no result of. */
function warnMissing(series: readonly string[], sources: readonly SourceMarks[], warnings: string[]): void {
  const all = [...new Set(series)]
  for (const { name, series: own } of sources) {
    if (own === undefined) continue
    const examined = new Set(own)
    const missing = all.filter((uid) => !examined.has(uid)).length
    if (missing > 0)
      warnings.push(
        `${missing} of ${count(all.length, 'scan')} ${agree(missing, 'has', 'have')} no file in ${name}: ${agree(missing, 'its', 'their')} nodules count as missed`,
      )
  }
}

/** Throws NoduleError (FORMAT) for results of other scans than those that count, all of them: not one figure tells anything. */
function refuseOtherScans(path: string, { series: own }: SourceMarks, series: readonly string[]): void {
  const counted = new Set(series)
  if (own === undefined || counted.size === 0 || own.some((uid) => counted.has(uid))) return
  throw new NoduleError('FORMAT', 'the results are of other scans', {
    path,
    expected: `at least one of the ${count(counted.size, 'scan')} that ${agree(counted.size, 'counts', 'count')}, such as ${series[0]!}`,
    actual: `${count(own.length, 'other')}, first ${own[0]!}`,
  })
}

/** Type by series and finding. */
function textureOf(scans: readonly ScanReference[]): Map<string, string> {
  const types = new Map<string, string>()
  for (const { key, consensus } of scans)
    for (const { id, ratings } of consensus)
      if (ratings !== undefined) types.set(`${key} nodule ${id}`, textureType(ratings.texture.mean))
  return types
}

/** The lowest score threshold that gives at most `rate` false positives per scan; Infinity where none does. */
function thresholdAtRate(evaluation: ScanEvaluation, rate: number): number {
  let threshold = Infinity
  for (const point of evaluation.froc)
    if (point.threshold !== null && point.falsePositivesPerScan <= rate) threshold = point.threshold
  return threshold
}
