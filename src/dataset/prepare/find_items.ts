import { checkNumber, invalidParameter } from '../../check.js'
import { findSeries, listFiles } from '../../dicom/index.js'
import type { Series } from '../../dicom/index.js'
import { NoduleError } from '../../errors.js'
import { readStackIndex } from '../stacks/read_index.js'
import type { StackEntry } from '../stacks/read_index.js'
import { annotationsBySeries } from './findings.js'
import type { FrameParameters } from './parameters.js'
import type { DatasetManifest, PrepareOptions } from './prepare.js'
import { scanKey, stacksKey } from './record.js'
import type { CommonTask } from './scan.js'
import type { ItemTask } from './scan_pool.js'

/** What becomes one record: a scan, or the stacks of one series. */
export interface PrepareItem {
  patientId: string
  studyInstanceUid: string
  seriesInstanceUid: string
  folder: string
  /** In messages. */
  what: string
  /** Hash of everything that the record depends on. */
  key: () => Promise<string>
  task: (common: Omit<CommonTask, 'annotationFiles'>) => ItemTask
}

export interface FoundItems {
  items: PrepareItem[]
  skipped: DatasetManifest['skipped']
  damaged: DatasetManifest['damaged']
}

/** What can be prepared, and why the rest cannot. Throws NoduleError (FILE) where there is nothing. */
export async function findItems(
  options: PrepareOptions,
  parameters: FrameParameters,
  warn: (warning: string) => void,
): Promise<FoundItems> {
  if (options.stacks !== undefined && !(parameters.mmPerPixel > 0))
    throw invalidParameter('data.mm_per_pixel', 'number above 0 for frames of stacks', parameters.mmPerPixel)
  const found: FoundItems = { items: [], skipped: [], damaged: [] }
  const files = await listFiles([...options.inputs, ...(options.annotations ?? [])])
  const xml = files.filter((path) => /\.xml$/i.test(path))
  const { bySeries, foreign, problems } = await annotationsBySeries(xml)
  for (const path of foreign) warn(`${path}: not a LIDC XML file`)
  found.damaged.push(...problems)
  const series = options.inputs.length === 0 ? 0 : await addScans(found, options, parameters, bySeries)
  if (options.stacks !== undefined) addStacks(found, options.stacks, parameters, bySeries, warn)
  for (const { path, reason } of found.damaged) warn(`${path}: ${reason}`)
  if (found.items.length === 0) {
    const reasons = [...new Set(found.skipped.map((item) => item.reason))].join('; ')
    throw new NoduleError('FILE', 'nothing to prepare', {
      path: [...options.inputs, ...(options.stacks === undefined ? [] : [options.stacks])].join(', '),
      expected:
        options.stacks === undefined
          ? 'CT series with LIDC XML files'
          : 'CT series with XML files, or stacks',
      actual: `${series} series, ${xml.length} XML files${reasons === '' ? '' : ` (${reasons})`}`,
    })
  }
  return found
}

/** @returns how many series there are */
async function addScans(
  { items, skipped, damaged }: FoundItems,
  options: PrepareOptions,
  parameters: FrameParameters,
  bySeries: ReadonlyMap<string, string[]>,
): Promise<number> {
  const found = await findSeries(options.inputs, {
    ...(options.interrupted && { interrupted: options.interrupted }),
  })
  if (options.interrupted?.() === true)
    throw new NoduleError('INTERRUPTED', 'stopped while looking for scans', { path: options.output })
  for (const { kind, path, reason } of found.skipped) if (kind === 'damaged') damaged.push({ path, reason })
  const maxThickness = checkNumber('maxThicknessMm', options.maxThicknessMm ?? 1000, 0, 1000)
  for (const series of found.series) {
    const { patientId, studyInstanceUid, seriesInstanceUid, folder } = series
    const reason = reasonToSkip(series, bySeries, maxThickness)
    if (reason !== undefined) {
      skipped.push({ seriesInstanceUid, folder, reason })
      continue
    }
    const annotationFiles = bySeries.get(seriesInstanceUid)!
    items.push({
      ...{ patientId, studyInstanceUid, seriesInstanceUid, folder, what: 'the scan' },
      key: async () => scanKey(series, annotationFiles, parameters),
      task: (common) => ({ kind: 'scan', series, annotationFiles, ...common }),
    })
  }
  return found.series.length
}

function reasonToSkip(
  series: Series,
  bySeries: ReadonlyMap<string, string[]>,
  maxThickness: number,
): string | undefined {
  if (series.modality !== 'CT') return `modality ${series.modality === '' ? 'unknown' : series.modality}`
  if (series.seriesInstanceUid === '') return 'no Series Instance UID'
  const odd = series.problems.find(({ kind }) => kind === 'not-axial')
  if (odd !== undefined) return odd.message
  if (!series.isVolume) return series.problems[0]?.message ?? 'no volume'
  if (!bySeries.has(series.seriesInstanceUid)) return 'no LIDC XML file'
  const thickness = Math.max(series.thickness ?? 0, series.geometry.spacing[0])
  // Distances come from positions: a little above the limit is the limit.
  if (thickness > maxThickness + 1e-3) return `slices of more than ${maxThickness} mm`
  return undefined
}

/** The stacks, by series. */
function addStacks(
  { items, skipped, damaged }: FoundItems,
  folder: string,
  parameters: FrameParameters,
  bySeries: ReadonlyMap<string, string[]>,
  warn: (warning: string) => void,
): void {
  const index = readStackIndex(folder)
  damaged.push(...index.problems)
  for (const { patientId, nodule, seriesInstanceUid } of index.withoutSpacing)
    skipped.push({
      seriesInstanceUid,
      folder: `${folder}: ${patientId} ${nodule}`,
      reason: 'stack without slice_spacing',
    })
  const total = index.stacks.length + index.withoutSpacing.length
  if (index.withoutSpacing.length > 0)
    warn(`${index.path}: ${index.withoutSpacing.length} of ${total} stacks have no slice_spacing: left out`)
  const scans = new Set(items.map((item) => item.seriesInstanceUid))
  const groups = new Map<string, StackEntry[]>()
  let doubled = 0
  for (const entry of index.stacks) {
    const group = groups.get(entry.seriesInstanceUid)
    if (scans.has(entry.seriesInstanceUid)) doubled++
    else if (group === undefined) groups.set(entry.seriesInstanceUid, [entry])
    else group.push(entry)
  }
  if (doubled > 0) warn(`${index.path}: ${doubled} stacks are left out: their whole scans are here`)
  const unread = [...groups.keys()].filter((uid) => !bySeries.has(uid)).length
  if (unread > 0)
    warn(
      `${index.path}: ${unread} of ${groups.size} series have no XML file: other nodules in their stacks are unknown`,
    )
  for (const [seriesInstanceUid, stacks] of groups) {
    const { patientId } = stacks[0]!
    const annotationFiles = bySeries.get(seriesInstanceUid) ?? []
    items.push({
      ...{ patientId, studyInstanceUid: '', seriesInstanceUid, folder: `${folder}: ${patientId}` },
      what: `its ${stacks.length} stacks`,
      key: async () => stacksKey(folder, stacks, annotationFiles, parameters),
      task: (common) => ({ kind: 'stacks', folder, stacks, annotationFiles, ...common }),
    })
  }
}
