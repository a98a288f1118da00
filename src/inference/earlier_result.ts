import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Series } from '../dicom/index.js'
import { NoduleError, fileError } from '../errors.js'
import { sha256 } from '../hash.js'
import { overlayName } from '../pictures/overlay.js'
import { seriesOf } from '../scans/find_scans.js'
import { scanKey, sharedUids } from '../scans/scan_keys.js'
import type { ScanFiles } from '../scans/find_scans.js'
import { readDetections } from './detections.js'
import type { DetectParameters, ScanFingerprint, SeriesDetections } from './detections.js'
import type { Session } from './session.js'

/** Where a scan's result goes, and what lies there of the same patient and series. */
export interface ResultPlace {
  path: string
  earlier?: SeriesDetections
}

/**
 * The series UID where it is one; a file cannot choose where its result goes.
 * @param withPatient other scans have the UID too
 */
export function resultName(
  scan: Pick<ScanFiles, 'seriesInstanceUid' | 'folder' | 'isRepeated'> & { patientId?: string },
  withPatient = scan.isRepeated === true,
): string {
  const uid = scan.seriesInstanceUid
  const isUid = uid.length <= 64 && /^\d+(\.\d+)+$/.test(uid)
  if (isUid && !withPatient) return uid
  if (isUid) return `${uid}-${sha256(scan.patientId ?? '').slice(0, 8)}`
  // As a path from the root: "." is another folder each time.
  return hashedName(uid, resolve(scan.folder))
}

const hashedName = (uid: string, folder: string): string =>
  `series-${sha256(`${uid}\n${folder}`).slice(0, 16)}`

/**
 * The file of a scan's result. Its name holds the patient too where the series UID is another patient's as well, be it in
 * this run or in an earlier one; a scan whose result is there (`scanKey`) keeps its name.
 */
export async function resultPlace(output: string, scan: ScanFiles): Promise<ResultPlace> {
  const { seriesInstanceUid: uid, patientId } = scan
  const [plain, named] = [false, true].map((withPatient) => `${resultName(scan, withPatient)}.json`) as [
    string,
    string,
  ]
  const others = readdirSync(output).filter((name) => /^[0-9]/.test(uid) && name.startsWith(`${uid}-`))
  // The first versions hashed the folder as it was given.
  const names = new Set([plain, named, `${hashedName(uid, scan.folder)}.json`, ...others])
  const there: Required<ResultPlace>[] = []
  let isTaken = false
  for (const name of names) {
    const path = join(output, name)
    const earlier = name.endsWith('.json') ? await resultAt(path) : undefined
    if (name === plain) isTaken = earlier !== undefined
    if (earlier?.seriesInstanceUid === uid) there.push({ path, earlier })
  }
  const shared = sharedUids([scan, ...there.map(({ earlier }) => earlier)])
  if (scan.isRepeated === true) shared.add(uid)
  const key = scanKey(scan, shared)
  const own = there.filter(({ earlier }) => scanKey(earlier, shared) === key)
  const first = own.find(({ earlier }) => earlier.patientId === patientId) ?? own[0]
  if (first !== undefined) return first
  return { path: join(output, isTaken || scan.isRepeated === true ? named : plain) }
}

/** Undefined also for a file that was cut off by a crash or is of another version: it is made anew. */
async function resultAt(path: string): Promise<SeriesDetections | undefined> {
  if (!existsSync(path)) return undefined
  try {
    return await readDetections(path)
  } catch (error) {
    if (error instanceof NoduleError) return undefined
    throw error
  }
}

/**
 * What tells whether a scan is the one that a result was made of: slices by SOP Instance UID; volume files, which have
 * none, by their place, size and time. Throws NoduleError (FILE).
 */
export function scanFingerprint({ slices }: Pick<Series, 'slices'>): ScanFingerprint {
  const files = new Set(
    slices.flatMap(({ path, volume }) => (volume === undefined ? [] : [path, volume.file.dataPath])),
  )
  const facts =
    files.size > 0
      ? [...files].map((path) => fileFacts(path))
      : slices.map(({ sopInstanceUid, frame }) => `${sopInstanceUid} ${frame}`).sort()
  return { slices: slices.length, sha256: sha256(JSON.stringify(facts)) }
}

function fileFacts(path: string): unknown[] {
  try {
    const { size, mtimeMs } = statSync(path)
    return [resolve(path), size, mtimeMs]
  } catch (error) {
    throw fileError(path, 'read', error)
  }
}

/**
 * Whether a result of the same patient and series can be kept: same models, parameters and slices (a result that had to
 * leave slices out is done again), and its pictures are there if they are asked for. Reads the scan's headers again: where
 * they cannot be read any more, what reads the scan tells why.
 */
export async function canKeep(
  { path, earlier }: Required<ResultPlace>,
  scan: ScanFiles,
  session: Session,
  { parameters, overlay }: { parameters: DetectParameters; overlay: boolean },
): Promise<boolean> {
  if (
    earlier.model.sha256 !== session.sha256 ||
    earlier.second?.sha256 !== session.second?.sha256 ||
    !isDeepStrictEqual(earlier.parameters, parameters)
  )
    return false
  const pictures = picturesFolder(path)
  const drawn = earlier.slices.filter(({ boxes }) => boxes.length > 0)
  if (overlay && !drawn.every(({ k }) => existsSync(join(pictures, overlayName(k))))) return false
  // Results of the first versions have no fingerprint.
  if (earlier.scan === undefined) return false
  try {
    const series = await seriesOf(scan)
    return series !== undefined && isDeepStrictEqual(earlier.scan, scanFingerprint(series))
  } catch (error) {
    if (!(error instanceof NoduleError)) throw error
    return false
  }
}

/** Where the pictures of a result lie. */
export function picturesFolder(resultPath: string): string {
  return resultPath.replace(/\.json$/, '')
}
