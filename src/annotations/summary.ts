import { indexAnnotations } from './find.js'
import type { AnnotationIndex } from './find.js'
import type { LidcReading } from './types.js'
import { count as counted } from '../words.js'

/** What a collection of annotation files holds; one file is counted for each CT series. */
export interface AnnotationSummary {
  files: number
  ct: number
  cxr: number
  /** Files that are not LIDC annotations or are damaged. */
  unreadable: number
  series: number
  /** CT files beyond the first of a series. */
  repeated: number
  marks: number
  /** unblindedReadNodule elements */
  nodules: number
  /** with ratings and a contour */
  rated: number
  /** with a contour and no ratings */
  unrated: number
  /** with one point: below 3 mm */
  small: number
  nonNodules: number
  contours: number
  /** Contours with inclusion FALSE. */
  exclusions: number
  /** Number of series by their number of reading sessions. */
  sessions: Record<number, number>
  /** Oddities in the counted files; see LidcReading.warnings. */
  warnings: number
}

/** Counts the marks of annotation files. Files that cannot be read are returned with the reason, those of other kinds in `foreign`. `known`: the files, where they are read already. */
export async function summarizeAnnotations(
  xmlPaths: readonly string[],
  known?: AnnotationIndex,
): Promise<{
  summary: AnnotationSummary
  foreign: readonly { path: string; error: Error }[]
  problems: readonly { path: string; error: Error }[]
  warnings: string[]
}> {
  const index = known ?? (await indexAnnotations(xmlPaths))
  const readings = [...index.bySeries.values()]
  const summary: AnnotationSummary = {
    files: xmlPaths.length,
    ct: readings.length + index.repeated,
    cxr: index.cxr,
    unreadable: index.foreign.length + index.problems.length,
    series: readings.length,
    repeated: index.repeated,
    marks: 0,
    nodules: 0,
    rated: 0,
    unrated: 0,
    small: 0,
    nonNodules: 0,
    contours: 0,
    exclusions: 0,
    sessions: {},
    warnings: 0,
  }
  for (const reading of readings) count(reading, summary)
  const warnings = readings.flatMap((reading) =>
    reading.warnings.map((warning) => `${reading.path}: ${warning}`),
  )
  return { summary, foreign: index.foreign, problems: index.problems, warnings }
}

function count(reading: LidcReading, summary: AnnotationSummary): void {
  summary.sessions[reading.sessions.length] = (summary.sessions[reading.sessions.length] ?? 0) + 1
  summary.warnings += reading.warnings.length
  for (const session of reading.sessions) {
    for (const nodule of session.nodules) {
      if (nodule.ratings === undefined) summary.unrated++
      else summary.rated++
      summary.contours += nodule.contours.length
      summary.exclusions += nodule.contours.filter((contour) => !contour.inclusion).length
    }
    summary.small += session.smallNodules.length
    summary.nonNodules += session.nonNodules.length
  }
  summary.nodules = summary.rated + summary.unrated + summary.small
  summary.marks = summary.nodules + summary.nonNodules
}

/**
 * The summary for people, one fact a line.
 * @param hint where the oddities are listed
 */
export function summaryText(s: AnnotationSummary, hint = ''): string {
  const sessions = Object.entries(s.sessions)
    .sort(([a], [b]) => Number(b) - Number(a))
    .map(([sessions, series]) => `${series} with ${sessions}`)
  const rows: [string, string][] = [
    ['XML files', `${s.files}: ${s.ct} CT, ${s.cxr} X-ray (skipped), ${s.unreadable} other or damaged`],
    ['CT series', `${s.series} (${s.repeated} further files of the same series skipped)`],
    ['reading sessions', `${sessions.join(', ')} sessions`],
    ['marks', `${s.marks}: ${counted(s.nodules, 'nodule')}, ${counted(s.nonNodules, 'non-nodule')}`],
    ['nodules >= 3 mm', `${s.rated} with ratings, ${s.unrated} with a contour only`],
    ['nodules < 3 mm', `${s.small}`],
    ['contours', `${s.contours}, ${s.exclusions} of them exclusions`],
    ['oddities', `${s.warnings}${hint === '' ? '' : ` (${hint})`}`],
  ]
  return rows.map(([name, value]) => `${name.padEnd(18)}${value}\n`).join('')
}
