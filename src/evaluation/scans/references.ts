import { checkInteger, checkNumber, checkTexts } from '../../check.js'
import { consensusNodules, lunaNodule, placeOnSeries } from '../../annotations/index.js'
import type { ConsensusNodule, PlacedPoint, PlacedReading } from '../../annotations/index.js'
import { findSeries } from '../../dicom/index.js'
import type { Series } from '../../dicom/index.js'
import { ctObstacle, findReadings, withoutTwins } from '../../scans/index.js'
import { voxelToPatient } from '../../geometry/patient.js'
import type { Finding } from '../../formats/luna.js'
import { scanKey } from '../../scans/scan_keys.js'
import { agree, count } from '../../words.js'
import { greatest } from '../../lists.js'

export interface ReferenceOptions {
  /** Readers that must have outlined a nodule for it to count; LUNA16 takes 3 of 4. */
  minReaders?: number | undefined
  /** Nodules whose axial diameter is smaller are excluded findings, mm; LUNA16 takes 3. */
  minAxialDiameterMm?: number | undefined
}

/** A scan and what its readers marked. */
export interface ScanReference {
  series: Series
  /** What findings call the scan (`seriesUid`): its series UID, unless several patients have that (`scanKey`). */
  key: string
  /** Nodules that count first, then excluded findings. */
  findings: Finding[]
  /** Every outlined nodule; a finding's id `nodule N` is the id here. */
  consensus: ConsensusNodule[]
  /** Reading sessions. */
  sessions: number
}

/**
 * The reference of scans from their LIDC XML, by LUNA16's rule: nodules outlined by enough readers count; nodules of
 * fewer readers or below the diameter, small nodules and non-nodules are excluded findings (neither hit nor false
 * positive). Scans without annotations are named in the warnings; `series` holds them too.
 *
 * @param folders DICOM series and XML files, at any depth
 * @param xml further XML files, or folders of them
 * Throws NoduleError (FILE, FORMAT).
 */
export async function readReferences(
  folders: readonly string[],
  xml: readonly string[] = [],
  options: ReferenceOptions = {},
): Promise<{ scans: ScanReference[]; series: Series[]; warnings: string[] }> {
  checkTexts('folders', folders)
  checkTexts('xml', xml)
  checkRule(options)
  const warnings: string[] = []
  const { series: found, skipped } = await findSeries([...folders])
  const damaged = skipped.filter((file) => file.kind === 'damaged')
  if (damaged.length > 0)
    warnings.push(
      `${count(damaged.length, 'damaged file')}, first ${damaged[0]!.path}: ${damaged[0]!.reason}`,
    )
  const scans: ScanReference[] = []
  const without: Series[] = []
  const patientOf = new Map<string, string>()
  const all = withoutTwins(found, (warning) => warnings.push(warning))
  const cts = all.filter((series) => ctObstacle(series)?.kind !== 'modality')
  const { readingOf, passedOver } = await findReadings(cts, [...folders, ...xml], (warning) =>
    warnings.push(warning),
  )
  for (const series of cts) {
    const reading = await readingOf(series)
    const obstacle = ctObstacle(series)
    if (obstacle !== undefined) {
      // Scouts and the like have none, and nobody misses them.
      if (reading !== undefined) warnings.push(`${series.folder}: left out: ${obstacle.reason}`)
      continue
    }
    if (reading === undefined) {
      without.push(series)
      continue
    }
    const reader = patientOf.get(reading.path) ?? series.patientId
    patientOf.set(reading.path, reader)
    // XML says the series UID and no patient.
    if (reader !== series.patientId)
      warnings.push(
        `${reading.path}: taken for ${reader} and ${series.patientId}, who have the same series UID; it may be of one of them only`,
      )
    const placed = placeOnSeries(reading, series)
    for (const warning of placed.warnings) warnings.push(`${reading.path}: ${warning}`)
    if (placed.unplaced.length > 0)
      warnings.push(
        `${reading.path}: ${count(placed.unplaced.length, 'mark')} ${agree(placed.unplaced.length, 'lies', 'lie')} on no slice of the series`,
      )
    scans.push(referenceOf(series, placed, options))
  }
  const others = await passedOver()
  if (others !== undefined) warnings.push(others)
  if (without.length > 0) {
    warnings.push(
      `${without.length} CT series have no annotations and are not evaluated, first ${without[0]!.folder}`,
    )
  }
  return { scans, series: all, warnings }
}

function checkRule(o: ReferenceOptions): { minReaders: number; minAxialDiameter: number } {
  return {
    minReaders: checkInteger('minReaders', o.minReaders ?? 3, 1, 100),
    minAxialDiameter: checkNumber('minAxialDiameterMm', o.minAxialDiameterMm ?? 3, 0, 1000),
  }
}

/** The reference of one scan. */
export function referenceOf(
  series: Series,
  placed: PlacedReading,
  options: ReferenceOptions = {},
): ScanReference {
  const { minReaders, minAxialDiameter } = checkRule(options)
  const consensus = consensusNodules(placed, series.geometry)
  const seriesUid = series.seriesInstanceUid
  const included: Finding[] = []
  const excluded: Finding[] = []
  for (const nodule of consensus) {
    const [x, y, z] = nodule.centroid
    const counts = nodule.readers >= minReaders && nodule.axialDiameterMm >= minAxialDiameter
    // An empty consensus mask has none: then that of the readers' own outlines, else unknown.
    const equivalentDiameterMm =
      nodule.equivalentDiameterMm > 0
        ? nodule.equivalentDiameterMm
        : (lunaNodule(nodule, series.geometry)?.equivalentDiameterMm ?? -1)
    const finding = { seriesUid, id: `nodule ${nodule.id}`, x, y, z, equivalentDiameterMm }
    if (counts) included.push({ ...finding, excluded: false })
    else excluded.push({ ...finding, excluded: true })
  }
  const points = (kind: string, marks: readonly PlacedPoint[]): Finding[] =>
    marks.map((mark, index) => {
      const [x, y, z] = voxelToPatient(series.geometry, mark.k, mark.y, mark.x)
      return { seriesUid, id: `${kind} ${index + 1}`, x, y, z, equivalentDiameterMm: -1, excluded: true }
    })
  return {
    series,
    key: seriesUid,
    findings: [
      ...included,
      ...excluded,
      ...points('small nodule', placed.smallNodules),
      ...points('non-nodule', placed.nonNodules),
    ],
    consensus,
    sessions: placed.sessions,
  }
}

/** The references under the names that tell the patients of `shared` series UIDs apart. */
export function withKeys(scans: readonly ScanReference[], shared: ReadonlySet<string>): ScanReference[] {
  return scans.map((scan) => {
    const key = scanKey(scan.series, shared)
    return { ...scan, key, findings: scan.findings.map((finding) => ({ ...finding, seriesUid: key })) }
  })
}

export interface ReaderPoint {
  name: string
  sensitivity: number
  falsePositivesPerScan: number
}

/**
 * Where each reader would stand on the FROC plot, judged by the others: of the nodules that more than half of the
 * other readers outlined, the part that this reader outlined too; false positives are nodules that nobody else
 * outlined, what one other reader saw too is neither. Sessions are numbered within a scan: in LIDC "reader 1" of two
 * scans need not be the same person.
 */
export function readerPoints(scans: readonly ScanReference[]): ReaderPoint[] {
  const most = greatest(
    scans.map((scan) => scan.sessions),
    0,
  )
  const points: ReaderPoint[] = []
  for (let reader = 0; reader < most; reader++) {
    let nodules = 0
    let found = 0
    let alone = 0
    let read = 0
    for (const scan of scans) {
      if (reader >= scan.sessions || scan.sessions < 2) continue
      read++
      for (const nodule of scan.consensus) {
        const sessions = new Set(nodule.marks.map((mark) => mark.session))
        const own = sessions.delete(reader)
        if (sessions.size * 2 > scan.sessions - 1) {
          nodules++
          if (own) found++
        } else if (own && sessions.size === 0) alone++
      }
    }
    if (nodules === 0 || read === 0) continue
    points.push({
      name: `reader ${reader + 1}: ${found} of ${nodules}`,
      sensitivity: found / nodules,
      falsePositivesPerScan: alone / read,
    })
  }
  return points
}
