import { consensusNodules, placeOnSeries, readLidcXml } from '../../annotations/index.js'
import type { Series } from '../../dicom/index.js'
import { NoduleError } from '../../errors.js'
import type { BoxRule, SliceFinding } from './boxes.js'
import { findingsOnSlices, isAccepted } from './marks.js'
import type { ScanRecord } from './record.js'
import { count } from '../../words.js'

/**
 * The findings of a scan on their slices: the readers' consensus nodules, and everything else that they marked; see `findingsOnSlices`.
 * Six series of LIDC have several files with the same readings: the first is used.
 * Throws NoduleError where the XML cannot be read.
 */
export async function readFindings(
  series: Series,
  files: readonly string[],
  rule: BoxRule,
): Promise<{ findings: SliceFinding[]; nodules: ScanRecord['nodules']; warnings: string[] }> {
  const [path] = files
  if (path === undefined) throw new NoduleError('FILE', 'no LIDC XML file', { path: series.folder })
  const reading = await readLidcXml(path)
  if (reading.kind !== 'ct')
    throw new NoduleError('FORMAT', 'not a CT reading', {
      path,
      expected: 'LidcReadMessage',
      actual: reading.kind,
    })
  const placed = placeOnSeries(reading, series)
  const warnings = [...reading.warnings, ...placed.warnings.map((warning) => `${path}: ${warning}`)]
  if (placed.unplaced.length > 0) warnings.push(`${path}: ${placed.unplaced.length} outlines lie on no slice`)
  if (placed.sessions < rule.minReaders) {
    warnings.push(
      `${path}: ${count(placed.sessions, 'reader')}, so that no nodule can have ${rule.minReaders}`,
    )
  }
  const found = consensusNodules(placed, series.geometry)
  const nodules = found.map(({ id, readers, axialDiameterMm, ratings }) => ({
    id: String(id),
    readers,
    axialDiameterMm,
    ...(ratings === undefined ? {} : { texture: ratings.texture.mean }),
    accepted: isAccepted({ readers, axialDiameterMm }, rule),
  }))
  const findings = findingsOnSlices(found, placed, series.geometry, rule)
  return { findings, nodules, warnings }
}
