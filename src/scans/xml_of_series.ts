import { extname } from 'node:path'
import { readLidcXml, xmlHead } from '../annotations/index.js'
import { listFiles } from '../dicom/index.js'
import { reasonBeside } from '../errors.js'

/** LIDC XML files by the CT series that they read. */
export interface XmlOfSeries {
  bySeries: Map<string, string[]>
  /** XML files of other kinds. */
  foreign: string[]
  /** LIDC files that cannot be read. */
  problems: { path: string; reason: string }[]
}

/** XML files below folders or given by name, sorted. */
export async function findXml(paths: readonly string[]): Promise<string[]> {
  return (await listFiles(paths)).filter((path) => extname(path).toLowerCase() === '.xml')
}

/**
 * Which LIDC XML files belong to which CT series. As a rule only the head of a file is read, where the series is
 * named; X-ray readings are left out.
 */
export async function xmlOfSeries(files: readonly string[]): Promise<XmlOfSeries> {
  const found: XmlOfSeries = { bySeries: new Map(), foreign: [], problems: [] }
  for (const path of files) {
    try {
      const { kind, seriesInstanceUid } = await xmlHead(path)
      if (kind === 'other') found.foreign.push(path)
      if (kind !== 'ct') continue
      const uid = seriesInstanceUid ?? (await seriesOfFile(path))
      if (uid === undefined) continue
      const known = found.bySeries.get(uid)
      if (known === undefined) found.bySeries.set(uid, [path])
      else known.push(path)
    } catch (error) {
      found.problems.push({ path, reason: reasonBeside(path, error) })
    }
  }
  return found
}

async function seriesOfFile(path: string): Promise<string | undefined> {
  const reading = await readLidcXml(path)
  return reading.kind === 'ct' ? reading.seriesInstanceUid : undefined
}
