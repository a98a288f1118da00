import {
  checkInteger,
  checkList,
  checkNumber,
  checkObject,
  checkTexts,
  invalidParameter,
} from '../../check.js'
import { NoduleError } from '../../errors.js'
import { bootstrapFroc } from './bootstrap.js'
import type { FrocBand } from './bootstrap.js'
import { FROC_RATES, cpmOf, frocCurve, sensitivityAt } from './froc.js'
import type { FrocPoint, FrocVectors } from './froc.js'
import type { Finding, Mark } from '../../formats/luna.js'
import { agree, count } from '../../words.js'
import { append } from '../../lists.js'

/** What became of one finding that counts. */
export interface FindingOutcome extends Finding {
  /** Id and probability of its best mark; null for a miss. */
  hitBy: string | null
  score: number | null
  /** Distance of the best mark from the center, mm. */
  distanceMm: number | null
  /** All marks inside its radius. */
  marks: number
}

export type MarkOutcome = Mark & {
  /** 'double': another mark on the same nodule scores higher; 'dropped': beyond the scan's maximum. */
  outcome: 'hit' | 'double' | 'excluded' | 'false positive' | 'dropped'
  /** The finding that it lies in. */
  finding: string | null
}

export interface ScanOptions {
  /** Marks kept per scan, the most probable ones, of equal ones the first; 0: all. */
  maxMarks?: number | undefined
  /** Bootstrap samples; 0: none. */
  bootstraps?: number | undefined
  seed?: number | undefined
  /** Of the bootstrap's interval. */
  confidence?: number | undefined
  /**
   * Count as LUNA16's script does also where the series list is faulty: a series that is listed twice counts twice,
   * with all its findings and marks; round rates as it does; and drop all marks that are as probable as the first one
   * beyond `maxMarks`. Otherwise repeated series are dropped with a warning.
   */
  official?: boolean | undefined
}

export interface ScanEvaluation {
  format: 'nodule-evaluation/1'
  kind: 'scans'
  scans: number
  counts: {
    nodules: number
    scansWithNodules: number
    excludedFindings: number
    /** Marks after the limit per scan. */
    marks: number
    droppedMarks: number
    tp: number
    fp: number
    fn: number
    onExcluded: number
    doubleHits: number
  }
  /** tp / nodules with every mark kept; null without nodules. */
  sensitivity: number | null
  marksPerScan: number
  /** Sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives per scan, with the bootstrap's interval; null without nodules. */
  operatingPoints: {
    falsePositivesPerScan: number
    sensitivity: number | null
    low?: number
    high?: number
  }[]
  /** Mean of the seven sensitivities (LUNA16's score). */
  cpm: { value: number; low?: number; high?: number } | null
  froc: FrocPoint[]
  /** Null also where one scan holds all nodules. */
  bootstrap: (FrocBand & { samples: number; seed: number; confidence: number }) | null
  findings: FindingOutcome[]
  marks: MarkOutcome[]
  /** One entry per nodule (score null: missed) and per false positive, in the order of the series. */
  vectors: { nodule: boolean; score: number | null }[]
  warnings: string[]
}

/**
 * LUNA16's scan-level protocol. A mark hits a nodule when it lies closer to its center than its radius; a nodule's
 * most probable mark is the hit, its other marks are ignored, and so are marks on excluded findings; what remains are
 * false positives.
 *
 * @param series the scans that count; findings and marks of others are left out with a warning
 * @param findings nodules first, then excluded findings, in each scan's order of the reference
 * Source: noduleCADEvaluationLUNA16.py of the challenge (Setio et al., 2017).
 * Throws NoduleError (INVALID_PARAMETER, FORMAT).
 */
export function evaluateScans(
  series: readonly string[],
  findings: readonly Finding[],
  marks: readonly Mark[],
  options: ScanOptions = {},
): ScanEvaluation {
  checkTexts('series', series)
  checkList('findings', findings)
  checkList('marks', marks)
  checkObject('options', options)
  const samples = checkInteger('bootstraps', options.bootstraps ?? 1000, 0, 1e6)
  const seed = checkInteger('seed', options.seed ?? 1, 0, 0xffffffff)
  const confidence = checkNumber('confidence', options.confidence ?? 0.95, 0.01, 0.9999)
  const { listed, vectors, scanOfDraw, counts, outcomes, warnings } = prepareScans(
    series,
    findings,
    marks,
    options,
  )

  const froc = frocCurve(vectors, listed.length, options.official)
  const cpm = cpmOf(froc)
  // Where one scan holds all nodules, every sample that has any has them all: no interval, but the script gives one.
  const enough = counts.scansWithNodules >= (options.official === true ? 1 : 2)
  const bootstrap =
    samples > 0 && enough ? bootstrapFroc(vectors, scanOfDraw, { samples, seed, confidence }) : undefined
  return {
    format: 'nodule-evaluation/1',
    kind: 'scans',
    scans: listed.length,
    counts,
    sensitivity: counts.nodules > 0 ? counts.tp / counts.nodules : null,
    marksPerScan: counts.marks / listed.length,
    operatingPoints: FROC_RATES.map((rate, i) => ({
      falsePositivesPerScan: rate,
      sensitivity: sensitivityAt(froc, rate),
      ...(bootstrap === undefined ? {} : { low: bootstrap.rates[i]!.low, high: bootstrap.rates[i]!.high }),
    })),
    cpm:
      cpm === null
        ? null
        : {
            value: cpm,
            ...(bootstrap === undefined ? {} : { low: bootstrap.cpm.low, high: bootstrap.cpm.high }),
          },
    froc,
    bootstrap: bootstrap === undefined ? null : { ...bootstrap.band, samples, seed, confidence },
    findings: outcomes.findings,
    marks: outcomes.marks,
    vectors: vectors.nodule.map((nodule, i) => ({
      nodule,
      score: vectors.found[i]! ? vectors.score[i]! : null,
    })),
    warnings,
  }
}

/** What the curves are computed from: the matched scans. */
export interface PreparedScans {
  listed: readonly string[]
  vectors: FrocVectors
  /** The scan that each entry of the list stands for. */
  scanOfDraw: Int32Array
  counts: ScanEvaluation['counts']
  outcomes: { findings: FindingOutcome[]; marks: MarkOutcome[] }
  warnings: string[]
}

/** The matching part of `evaluateScans`. */
export function prepareScans(
  series: readonly string[],
  findings: readonly Finding[],
  marks: readonly Mark[],
  options: Pick<ScanOptions, 'maxMarks' | 'official'> = {},
): PreparedScans {
  const maxMarks = checkInteger('maxMarks', options.maxMarks ?? 100, 0, 1e9)
  const warnings: string[] = []
  const listed = listSeries(series, options.official === true, warnings)
  const known = new Set(listed)
  warnUnknown(findings, known, 'finding', warnings)
  warnUnknown(marks, known, 'mark', warnings)
  // LUNA16's own list of excluded findings has thousands that repeat; they count neither way.
  const counting = findings.filter((finding) => !finding.excluded)
  warnRepeated(counting, 'nodule', (nodule) => nodule.equivalentDiameterMm, warnings)
  warnRepeated(marks, 'mark', (mark) => mark.probability, warnings)
  for (const item of [...findings, ...marks]) {
    if (![item.x, item.y, item.z].every(Number.isFinite))
      throw invalidParameter(`position of ${item.id}`, 'finite numbers', [item.x, item.y, item.z])
  }
  for (const mark of marks) {
    if (!Number.isFinite(mark.probability))
      throw invalidParameter(`probability of ${mark.id}`, 'finite number', mark.probability)
  }

  const findingsOf = group(findings)
  const marksOf = group(marks)
  const vectors: FrocVectors = { scan: [], nodule: [], found: [], score: [] }
  const outcomes: { findings: FindingOutcome[]; marks: MarkOutcome[] } = { findings: [], marks: [] }
  const index = new Map<string, number>()
  const scanOfDraw = Int32Array.from(listed, (uid) => {
    if (!index.has(uid)) index.set(uid, index.size)
    return index.get(uid)!
  })
  const counts = {
    nodules: 0,
    scansWithNodules: 0,
    excludedFindings: 0,
    marks: 0,
    droppedMarks: 0,
    tp: 0,
    fp: 0,
    fn: 0,
    onExcluded: 0,
    doubleHits: 0,
  }
  let ties = 0
  for (const [position, uid] of listed.entries()) {
    const all = marksOf.get(uid) ?? []
    const kept = keepMostProbable(all, maxMarks, options.official === true)
    if (kept.size < all.length) ties += maxMarks - kept.size
    const scan = matchScan(findingsOf.get(uid) ?? [], all, kept)
    append(outcomes.findings, scan.findings)
    append(outcomes.marks, scan.marks)
    counts.excludedFindings += scan.excluded
    counts.doubleHits += scan.doubleHits
    counts.onExcluded += scan.onExcluded
    if (scan.findings.length > 0) counts.scansWithNodules++
    for (const finding of scan.findings) {
      counts.nodules++
      if (finding.score === null) counts.fn++
      else counts.tp++
      addVector(vectors, scanOfDraw[position]!, true, finding.score)
    }
    for (const mark of scan.marks) {
      if (mark.outcome === 'dropped') counts.droppedMarks++
      else counts.marks++
      if (mark.outcome !== 'false positive') continue
      counts.fp++
      addVector(vectors, scanOfDraw[position]!, false, mark.probability)
    }
  }
  const beyond = counts.droppedMarks - ties
  if (beyond > 0)
    warnings.push(
      `${count(beyond, 'mark')} beyond the ${maxMarks} most probable of their scan ${agree(beyond, 'is', 'are')} dropped${
        ties === 0
          ? ''
          : `, and so ${agree(ties, 'is', 'are')} ${ties} among these, of equal probability with the first beyond, as in the official script`
      }`,
    )
  if (marks.length === 0) warnings.push('the predictions hold no mark')
  if (counts.nodules === 0) warnings.push('the reference holds no nodule: the sensitivity is undefined')
  return { listed, vectors, scanOfDraw, counts, outcomes, warnings }
}

/** Matches the marks of one scan to its findings. */
function matchScan(
  findings: readonly Finding[],
  all: readonly Mark[],
  kept: ReadonlySet<Mark>,
): {
  findings: FindingOutcome[]
  marks: MarkOutcome[]
  excluded: number
  doubleHits: number
  onExcluded: number
} {
  const outcomes = all.map((mark): MarkOutcome => ({
    ...mark,
    outcome: kept.has(mark) ? 'false positive' : 'dropped',
    finding: null,
  }))
  const result = { excluded: 0, doubleHits: 0, onExcluded: 0 }
  const nodules: FindingOutcome[] = []
  for (const finding of findings) {
    const diameter = finding.equivalentDiameterMm < 0 ? 10 : finding.equivalentDiameterMm
    const radiusSquared = (diameter / 2) ** 2
    let best: MarkOutcome | undefined
    let inside = 0
    for (const mark of outcomes) {
      if (mark.outcome === 'dropped' || !(squaredDistance(finding, mark) < radiusSquared)) continue
      if (finding.excluded) {
        if (mark.outcome !== 'false positive') continue
        mark.outcome = 'excluded'
        mark.finding = finding.id
        result.onExcluded++
        continue
      }
      inside++
      // A mark in two nodules hits both; it keeps the label of the better outcome.
      if (mark.outcome !== 'hit') mark.outcome = 'double'
      mark.finding ??= finding.id
      if (best === undefined || mark.probability > best.probability) best = mark
    }
    if (finding.excluded) {
      result.excluded++
      continue
    }
    if (best !== undefined) {
      best.outcome = 'hit'
      best.finding = finding.id
    }
    result.doubleHits += Math.max(0, inside - 1)
    nodules.push({
      ...finding,
      hitBy: best?.id ?? null,
      score: best?.probability ?? null,
      distanceMm: best === undefined ? null : Math.sqrt(squaredDistance(finding, best)),
      marks: inside,
    })
  }
  return { findings: nodules, marks: outcomes, ...result }
}

/** LUNA16's script keeps only marks above the probability of the first one that is too many. */
function keepMostProbable(marks: readonly Mark[], maxMarks: number, official: boolean): Set<Mark> {
  if (maxMarks === 0 || marks.length <= maxMarks) return new Set(marks)
  const falling = [...marks].sort((a, b) => b.probability - a.probability)
  const limit = falling[maxMarks]!.probability
  return new Set(falling.slice(0, maxMarks).filter((mark) => !official || mark.probability > limit))
}

function squaredDistance(a: Finding, b: Mark): number {
  return (a.x - b.x) ** 2 + (a.y - b.y) ** 2 + (a.z - b.z) ** 2
}

function addVector(vectors: FrocVectors, scan: number, nodule: boolean, score: number | null): void {
  vectors.scan.push(scan)
  vectors.nodule.push(nodule)
  vectors.found.push(score !== null)
  vectors.score.push(score ?? -Infinity)
}

function listSeries(series: readonly string[], official: boolean, warnings: string[]): readonly string[] {
  if (series.length === 0) throw new NoduleError('FORMAT', 'the list of series is empty')
  const unique = [...new Set(series)]
  const repeated = series.length - unique.length
  if (repeated === 0) return series
  warnings.push(
    `${count(repeated, 'entry')} of the series list ${agree(repeated, 'repeats', 'repeat')} a series; ` +
      (official
        ? 'they count again, as in the official script, whose bootstrap draws them twice over: its intervals need not hold the curve'
        : 'they are left out'),
  )
  return official ? series : unique
}

function warnUnknown(
  items: readonly { seriesUid: string }[],
  known: ReadonlySet<string>,
  what: string,
  warnings: string[],
): void {
  const unknown = items.filter((item) => !known.has(item.seriesUid))
  if (unknown.length === 0) return
  const series = new Set(unknown.map((item) => item.seriesUid)).size
  warnings.push(
    `${count(unknown.length, what)} of ${series} series that are not in the list ${agree(unknown.length, 'is', 'are')} left out`,
  )
}

function warnRepeated<T extends Finding | Mark>(
  items: readonly T[],
  what: string,
  valueOf: (item: T) => number,
  warnings: string[],
): void {
  const different = new Set(
    items.map((item) => [item.seriesUid, item.x, item.y, item.z, valueOf(item)].join(' ')),
  )
  const repeated = items.length - different.size
  if (repeated > 0)
    warnings.push(
      `${count(repeated, what)} ${agree(repeated, 'repeats', 'repeat')} another one exactly; each counts`,
    )
}

function group<T extends { seriesUid: string }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const list = groups.get(item.seriesUid)
    if (list === undefined) groups.set(item.seriesUid, [item])
    else list.push(item)
  }
  return groups
}
