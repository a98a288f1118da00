import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { NoduleError, fileError } from '../errors.js'
import { decodeXml, readLidcXml } from './read_xml.js'
import type { LidcReading } from './types.js'
import { nameOf, osPath, readStart } from '../read_files.js'
import { isStopped } from '../work.js'
import type { WorkOptions } from '../work.js'

/** Bytes in which the response header ends, in UTF-16 too. */
const HEAD = 16384

/** Annotation files by the CT series that they read. */
export interface AnnotationIndex {
  bySeries: ReadonlyMap<string, LidcReading>
  /** All readings of the series that have several, that of `bySeries` first. */
  several: ReadonlyMap<string, readonly LidcReading[]>
  /** Readings of X-ray images. */
  cxr: number
  /** Further files of a series that has one already. */
  repeated: number
  /** Readings of series that were not wanted. */
  others: number
  /** XML files of other kinds. */
  foreign: readonly { path: string; error: NoduleError }[]
  /** LIDC's files that are damaged. */
  problems: readonly { path: string; error: NoduleError }[]
}

/**
 * Reads XML files and sorts them by series; a file that cannot be read is listed, not thrown. Aborted, it gives
 * what was read so far.
 *
 * @param wanted series to read; of files whose head names another one nothing more is read. Default: all
 */
export async function indexAnnotations(
  xmlPaths: readonly string[],
  wanted?: ReadonlySet<string>,
  o: Pick<WorkOptions, 'signal' | 'onProgress'> = {},
): Promise<AnnotationIndex> {
  const bySeries = new Map<string, LidcReading>()
  const several = new Map<string, LidcReading[]>()
  const foreign: { path: string; error: NoduleError }[] = []
  const problems: { path: string; error: NoduleError }[] = []
  let cxr = 0
  let repeated = 0
  let others = 0
  for (const [index, path] of xmlPaths.entries()) {
    if (isStopped(o.signal)) break
    o.onProgress?.(index, xmlPaths.length, 'annotations')
    try {
      if (wanted !== undefined) {
        const { seriesInstanceUid: named } = await xmlHead(path)
        if (named !== undefined && !wanted.has(named)) {
          others++
          continue
        }
      }
      const reading = await readLidcXml(path)
      if (reading.kind === 'cxr') cxr++
      else {
        const { seriesInstanceUid: uid } = reading
        const first = bySeries.get(uid)
        if (first === undefined) bySeries.set(uid, reading)
        else {
          repeated++
          several.set(uid, [...(several.get(uid) ?? [first]), reading])
        }
      }
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      const list = (await isForeign(path)) ? foreign : problems
      list.push({ path, error })
    }
  }
  return { bySeries, several, cxr, repeated, others, foreign, problems }
}

/**
 * The reading of a series: from the given files, or, without any, from the XML files in the folder of its slices.
 * undefined where none reads this series.
 *
 * @throws NoduleError where a given file cannot be read; files found in the folder are only tried
 */
export async function readAnnotationsFor(
  series: { seriesInstanceUid: string; folder: string },
  xmlPaths: readonly string[] = [],
): Promise<LidcReading | undefined> {
  const given = xmlPaths.length > 0
  const { bySeries, foreign, problems } = await indexAnnotations(
    given ? xmlPaths : await xmlFilesIn(series.folder),
    new Set([series.seriesInstanceUid]),
  )
  const reading = bySeries.get(series.seriesInstanceUid)
  const [wrong] = [...problems, ...foreign]
  if (reading === undefined && given && wrong !== undefined) throw wrong.error
  return reading
}

/** Whether a file that is no reading is XML of another kind, not a damaged one of LIDC's. */
async function isForeign(path: string): Promise<boolean> {
  try {
    return (await xmlHead(path)).kind === 'other'
  } catch {
    return false
  }
}

/** What the head of an XML file says that it is; the series where the head shows it, as a rule. */
export async function xmlHead(
  path: string,
): Promise<{ kind: LidcReading['kind'] | 'cxr' | 'other'; seriesInstanceUid?: string | undefined }> {
  const head = decodeXml(await readStart(path, HEAD))
  if (/<(?:\w+:)?IdriReadMessage[\s>]/.test(head)) return { kind: 'cxr' }
  if (!/<(?:\w+:)?LidcReadMessage[\s>]/.test(head)) return { kind: 'other' }
  return { kind: 'ct', seriesInstanceUid: /<(?:\w+:)?SeriesInstanceUid>\s*([\d.]+)\s*</i.exec(head)?.[1] }
}

/** XML files in a folder, not below it, sorted. */
export async function xmlFilesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(osPath(folder), { encoding: 'buffer' })
    return entries
      .map(nameOf)
      .filter((entry) => /\.xml$/i.test(entry))
      .sort()
      .map((entry) => join(folder, entry))
  } catch (error) {
    throw fileError(folder, 'read', error)
  }
}
