import { consensusNodules, placeOnSeries, readLidcXml } from '../../annotations/index.js'
import type { Series } from '../../dicom/index.js'
import { NoduleError, reasonBeside } from '../../errors.js'
import type { BoxRule, SliceFinding } from './boxes.js'
import { findingsOnSlices, isAccepted } from './marks.js'
import type { ScanRecord } from './record.js'
import { readStart } from '../../read_files.js'
import { count } from '../../words.js'

const HEAD_BYTES = 8192

/** LIDC XML files by the CT series that they read. */
export interface AnnotationFiles {
  bySeries: Map<string, string[]>
  /** XML files of other kinds. */
  foreign: string[]
  /** LIDC files that cannot be read. */
  problems: { path: string; reason: string }[]
}

/**
 * Which LIDC XML files belong to which CT series. As a rule only the head of a file is read, where the series is
 * named; X-ray readings are left out.
 */
export async function annotationsBySeries(files: readonly string[]): Promise<AnnotationFiles> {
  const found: AnnotationFiles = { bySeries: new Map(), foreign: [], problems: [] }
  for (const path of files) {
    try {
      const head = await readHead(path)
      if (/<(?:\w+:)?IdriReadMessage[\s>]/.test(head)) continue
      if (!/<(?:\w+:)?LidcReadMessage[\s>]/.test(head)) {
        found.foreign.push(path)
        continue
      }
      const uid = seriesOfHead(head) ?? (await seriesOfFile(path))
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

async function readHead(path: string): Promise<string> {
  return (await readStart(path, HEAD_BYTES)).toString('latin1')
}

/** The series of a CT reading; undefined where the head does not show it. */
function seriesOfHead(head: string): string | undefined {
  return /<(?:\w+:)?SeriesInstanceUid>\s*([\d.]+)\s*</i.exec(head)?.[1]
}

async function seriesOfFile(path: string): Promise<string | undefined> {
  const reading = await readLidcXml(path)
  return reading.kind === 'ct' ? reading.seriesInstanceUid : undefined
}

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
  const warnings = [...reading.warnings]
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
