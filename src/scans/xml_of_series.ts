import { dirname, extname, resolve, sep } from 'node:path'
import { readLidcXml, xmlHead } from '../annotations/index.js'
import { listFiles } from '../dicom/index.js'
import { reasonBeside } from '../errors.js'
import { sha256 } from '../hash.js'
import { readRegular } from '../read_files.js'
import { agree, count } from '../words.js'

/** LIDC XML files by the CT series that they read. */
export interface XmlOfSeries {
  /** Of several files of a series `nearestFirst` says which one counts. */
  bySeries: Map<string, string[]>
  /** XML files of other kinds; see `sortForeign`. */
  foreign: { path: string; reason: string }[]
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
      if (kind === 'other') found.foreign.push({ path, reason: 'not a LIDC XML file' })
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

/**
 * XML of other kinds: what was named itself is a mistake, what lay in folders is a line to be told (undefined: none).
 * @param given files and folders that were asked for
 */
export function sortForeign<T extends { path: string }>(
  foreign: readonly T[],
  given: readonly string[],
): { named: T[]; line: string | undefined } {
  const named = foreign.filter(({ path }) => given.includes(path))
  const others = foreign.filter(({ path }) => !given.includes(path))
  if (others.length === 0) return { named, line: undefined }
  const what = `${count(others.length, 'XML file')} ${agree(others.length, 'is', 'are')} no LIDC annotations`
  return { named, line: `${what}, first ${others[0]!.path}` }
}

/**
 * Files of one series, those that share most folders with its slices first: two patients may have one series UID, and
 * each has the reading that lies with its slices.
 */
export function nearestFirst(paths: readonly string[], folder: string): string[] {
  const near = new Map(paths.map((path) => [path, sharedFolders(dirname(path), folder)]))
  return [...paths].sort((a, b) => near.get(b)! - near.get(a)!)
}

/**
 * A line about the files of series of which another file is used, since it lies nearer to the slices: a corrected reading
 * elsewhere would be left out without a word. Copies of what is used are not told of. undefined where there are none.
 *
 * @param bySeries files of each series
 * @param used the files whose readings are used; default: of each series the first
 */
export async function passedOver(
  bySeries: readonly (readonly string[])[],
  used: ReadonlySet<string> = new Set(bySeries.flatMap(([first]) => first ?? [])),
): Promise<string | undefined> {
  const others: string[] = []
  for (const paths of bySeries) {
    const taken = paths.filter((path) => used.has(path))
    if (taken.length === 0 || taken.length === paths.length) continue
    const known = new Set(await Promise.all(taken.map(hashOf)))
    for (const path of paths) if (!used.has(path) && !known.has(await hashOf(path))) others.push(path)
  }
  if (others.length === 0) return undefined
  const files = count(others.length, 'XML file')
  return `${files} of series whose slices have a nearer one ${agree(others.length, 'is', 'are')} not used, first ${others[0]!}`
}

/** How many folders two paths share from the root on. */
function sharedFolders(a: string, b: string): number {
  const [x, y] = [a, b].map((path) => resolve(path).split(sep)) as [string[], string[]]
  const end = x.findIndex((part, i) => part !== y[i])
  return end < 0 ? x.length : end
}

const hashOf = async (path: string): Promise<string> => sha256(await readRegular(path))

async function seriesOfFile(path: string): Promise<string | undefined> {
  const reading = await readLidcXml(path)
  return reading.kind === 'ct' ? reading.seriesInstanceUid : undefined
}
