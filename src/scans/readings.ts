import { xmlFilesIn } from '../annotations/find.js'
import { readLidcXml } from '../annotations/index.js'
import type { LidcReading } from '../annotations/index.js'
import type { Series } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import { findXml, nearestFirst, passedOver, sortForeign, xmlOfSeries } from './xml_of_series.js'

interface Readings {
  /** The reading of a series; undefined where no file reads it. */
  readingOf: (series: Pick<Series, 'seriesInstanceUid' | 'folder'>) => Promise<LidcReading | undefined>
  /** A line about the files that were passed over for nearer ones so far; undefined where none were. */
  passedOver: () => Promise<string | undefined>
}

/**
 * Finds the LIDC XML of series: at any depth below folders, and beside the slices. Of several files of a series the
 * nearest to its slices is read, since two patients may have one series UID, and where that is damaged the next. What
 * cannot be read is told to `warn`. Throws NoduleError (FILE) where a folder does not exist.
 */
export async function findReadings(
  series: readonly Pick<Series, 'folder'>[],
  folders: readonly string[],
  warn: (warning: string) => void,
): Promise<Readings> {
  const files = new Set(await findXml(folders))
  // Where slices are named one by one, what lies beside them is not.
  for (const folder of new Set(series.map((one) => one.folder)))
    for (const path of await xmlFilesIn(folder)) files.add(path)
  const { bySeries, foreign, problems } = await xmlOfSeries([...files])
  for (const { path, reason } of problems) warn(`${path}: ${reason}`)
  const { named, line } = sortForeign(foreign, folders)
  for (const { path, reason } of named) warn(`${path}: ${reason}`)
  if (line !== undefined) warn(line)
  const damaged = new Set<string>()
  const used = new Set<string>()
  const readingOf: Readings['readingOf'] = async ({ seriesInstanceUid: uid, folder }) => {
    for (const path of nearestFirst(bySeries.get(uid) ?? [], folder)) {
      if (damaged.has(path)) continue
      try {
        const reading = await readLidcXml(path)
        if (reading.kind !== 'ct' || reading.seriesInstanceUid !== uid) continue
        used.add(path)
        return reading
      } catch (error) {
        if (!(error instanceof NoduleError)) throw error
        damaged.add(path)
        warn(error.message)
      }
    }
    return undefined
  }
  const readable = (paths: string[]): string[] => paths.filter((path) => !damaged.has(path))
  return { readingOf, passedOver: () => passedOver([...bySeries.values()].map(readable), used) }
}
