import type { Series } from '../dicom/index.js'
import { ctObstacle } from './ct_obstacle.js'
import { knownPatient, scanKey, sharedUids } from './scan_keys.js'
import type { ScanIdentity } from './scan_keys.js'

/** A scan, and where it lies. */
interface PlacedScan extends ScanIdentity {
  patientId: string
  /** Folder of the first slice. */
  folder: string
}

export interface ToldApart<T> {
  scans: T[]
  /** Those that are left out, and why. */
  twins: { scan: T; reason: string }[]
  /** Series UIDs of several patients. */
  shared: ReadonlySet<string>
}

/**
 * Of a series and its volume file (or a copy without Patient ID) one is kept, the DICOM series, or every nodule would count
 * twice and the scan might be learned from under one name and judged by under the other.
 * @param isUsable whether a scan can be used: these are kept before others
 */
export function tellApart<T extends PlacedScan>(
  all: readonly T[],
  isUsable: (scan: T) => boolean = () => true,
): ToldApart<T> {
  const shared = sharedUids(all)
  const kept = new Map<string, T>()
  const rank = (scan: T): number => rankOf(scan) + (isUsable(scan) ? 0 : 3)
  for (const scan of [...all].sort((a, b) => rank(a) - rank(b))) {
    const key = scanKey(scan, shared)
    if (!kept.has(key)) kept.set(key, scan)
  }
  const told: ToldApart<T> = { scans: [], twins: [], shared }
  for (const scan of all) {
    const same = kept.get(scanKey(scan, shared))
    if (scan.seriesInstanceUid === '' || same === undefined || same === scan) told.scans.push(scan)
    else told.twins.push({ scan, reason: `the scan of ${scanPlace(same)}, by its series UID` })
  }
  return told
}

/** The series that are scans of their own (`tellApart`); the others are told to `warn`. */
export function withoutTwins(all: readonly Series[], warn: (warning: string) => void): Series[] {
  const { scans, twins } = tellApart(all, (series) => ctObstacle(series) === undefined)
  for (const { scan, reason } of twins)
    // Masks that are called after their scan are no scans anyway.
    if (ctObstacle(scan)?.kind !== 'modality')
      warn(`${scan.slices[0]?.path ?? scan.folder}: left out: ${reason}`)
  return scans
}

/** Those that say their patient first, then DICOM without Patient ID: volume files are called after the series. */
function rankOf(scan: PlacedScan): number {
  if (knownPatient(scan) !== undefined) return 0
  return scan.patientId === '' ? 1 : 2
}

/** The scan in words: patient, where there is one, and series. */
export function scanPlace(scan: PlacedScan): string {
  const series = scan.seriesInstanceUid || scan.folder
  return [knownPatient(scan), series].filter((part) => part !== undefined).join(' ')
}
