import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { NoduleError, fileError } from '../errors.js'
import { readLidcXml } from './read_xml.js'
import type { LidcReading } from './types.js'

/** Annotation files by the CT series that they read. */
export interface AnnotationIndex {
  bySeries: ReadonlyMap<string, LidcReading>
  /** Readings of X-ray images. */
  cxr: number
  /** Further files of a series that has one already. */
  repeated: number
  /** XML files that are no LIDC annotations or are damaged. */
  problems: readonly { path: string; error: NoduleError }[]
}

/** Reads XML files and sorts them by series; a file that cannot be read is listed, not thrown. */
export async function indexAnnotations(xmlPaths: readonly string[]): Promise<AnnotationIndex> {
  const bySeries = new Map<string, LidcReading>()
  const problems: { path: string; error: NoduleError }[] = []
  let cxr = 0
  let repeated = 0
  for (const path of xmlPaths) {
    try {
      const reading = await readLidcXml(path)
      if (reading.kind === 'cxr') cxr++
      else if (bySeries.has(reading.seriesInstanceUid)) repeated++
      else bySeries.set(reading.seriesInstanceUid, reading)
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      problems.push({ path, error })
    }
  }
  return { bySeries, cxr, repeated, problems }
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
  const { bySeries, problems } = await indexAnnotations(given ? xmlPaths : await xmlFilesIn(series.folder))
  const reading = bySeries.get(series.seriesInstanceUid)
  if (reading === undefined && given && problems.length > 0) throw problems[0]!.error
  return reading
}

async function xmlFilesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder)
    return entries
      .filter((entry) => /\.xml$/i.test(entry))
      .sort()
      .map((entry) => join(folder, entry))
  } catch (error) {
    throw fileError(folder, 'read', error)
  }
}
