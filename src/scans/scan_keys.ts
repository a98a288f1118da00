/** What names a scan. */
export interface ScanIdentity {
  /** Lists of other tools do not say it. */
  patientId?: string | undefined
  seriesInstanceUid: string
}

/** Volume files have no patient of their own: they are called after the series. */
export const knownPatient = ({ patientId, seriesInstanceUid: uid }: ScanIdentity): string | undefined =>
  patientId === '' || patientId === uid ? undefined : patientId

/**
 * The series UIDs that several patients have, whatever became of the UIDs when somebody anonymized them.
 * @param sides what lies together: the truth, the results of one folder. Another patient on another side is the same one
 * under a new name: anonymizing may keep the UIDs
 */
export function sharedUids(...sides: Iterable<ScanIdentity>[]): Set<string> {
  const shared = new Set<string>()
  for (const scans of sides) {
    const patientOf = new Map<string, string>()
    for (const scan of scans) {
      const patientId = knownPatient(scan)
      if (patientId === undefined) continue
      const { seriesInstanceUid: uid } = scan
      const first = patientOf.get(uid)
      if (first === undefined) patientOf.set(uid, patientId)
      else if (first !== patientId) shared.add(uid)
    }
  }
  return shared
}

/**
 * What scans are told apart by: the series UID; for `shared` UIDs the UID and, in brackets, the patient. One key, one
 * scan: a volume file that is called after a series is that series.
 */
export function scanKey(scan: ScanIdentity, shared: ReadonlySet<string>): string {
  const { seriesInstanceUid: uid } = scan
  const patientId = knownPatient(scan)
  return shared.has(uid) && patientId !== undefined ? `${uid} (${patientId})` : uid
}
