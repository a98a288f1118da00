import { checkNumber, invalidParameter, noEffect } from '../../check.js'
import { findSeries, readSegmentation } from '../../dicom/index.js'
import type { Series } from '../../dicom/index.js'
import { NoduleError, reasonBeside } from '../../errors.js'
import { ofKnownPatient, patientsOf, readStackIndex } from '../stacks/read_index.js'
import type { StackEntry } from '../stacks/read_index.js'
import {
  ctObstacle,
  findXml,
  nearestFirst,
  passedOver,
  sortForeign,
  tellApart,
  xmlOfSeries,
} from '../../scans/index.js'
import type { FrameParameters } from './parameters.js'
import type { DatasetManifest, PrepareOptions } from './types.js'
import { scanKey, stacksKey } from './record.js'
import type { InsertionPlan } from './inserted_copy.js'
import { isHost } from './stack_copies.js'
import type { CommonTask } from './host.js'
import type { ItemTask } from './scan_pool.js'
import { isStopped } from '../../work.js'
import { append } from '../../lists.js'

/** What becomes one record: a scan, or the stacks of one series. */
export interface PrepareItem {
  patientId: string
  studyInstanceUid: string
  seriesInstanceUid: string
  folder: string
  /** In messages. */
  what: string
  part?: 'insertions'
  /**
   * Hash of everything that the record depends on.
   * @param donors stacks of the patient's part, for insertion
   */
  key: (donors: readonly StackEntry[]) => Promise<string>
  task: (common: CommonTask, donors: StackEntry[]) => ItemTask
}

export interface FoundItems {
  items: PrepareItem[]
  /** Stacks whose nodules may be put into scans. */
  donors: StackEntry[]
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
  if (options.inputs.length === 0) refuseScanOptions(options)
  const found: FoundItems = { items: [], donors: [], skipped: [], damaged: [] }
  const given = [...options.inputs, ...(options.annotations ?? [])]
  const xml = await findXml(given)
  const { bySeries, foreign, problems } = await xmlOfSeries(xml)
  const { named, line } = sortForeign(foreign, given)
  if (line !== undefined) warn(line)
  append(found.damaged, named)
  append(found.damaged, problems)
  if (options.insertion !== undefined) append(found.donors, readDonors(options.insertion.stacks, found, warn))
  const stacks = options.stacks === undefined ? [] : readStacks(options.stacks, found, warn)
  const series =
    options.inputs.length === 0 ? 0 : await addScans(found, options, parameters, bySeries, stacks, warn)
  addStacks(found, stacks, options, parameters, bySeries, warn)
  if (options.insertion !== undefined && found.items.every(({ part }) => part !== 'insertions'))
    warn(
      `${options.insertion.stacks}: no nodule is put in: there is neither a scan nor a thick stack to take it`,
    )
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

/** Throws NoduleError (INVALID_PARAMETER). */
function refuseScanOptions({ unread, maxThicknessMm }: PrepareOptions): void {
  for (const [name, isGiven] of Object.entries({
    unread: unread === true,
    maxThicknessMm: maxThicknessMm !== undefined,
  }))
    if (isGiven) throw noEffect(name, 'folders of scans', 'stacks alone')
}

/** @returns how many series there are */
async function addScans(
  { items, donors, skipped, damaged }: FoundItems,
  options: PrepareOptions,
  parameters: FrameParameters,
  bySeries: ReadonlyMap<string, string[]>,
  stacks: readonly StackEntry[],
  warn: (warning: string) => void,
): Promise<number> {
  const found = await findSeries(options.inputs, { signal: options.signal })
  if (isStopped(options.signal))
    throw new NoduleError('INTERRUPTED', 'stopped while looking for scans', { path: options.output })
  for (const { kind, path, reason } of found.skipped) if (kind === 'damaged') damaged.push({ path, reason })
  const segmentations =
    options.unread === true
      ? await segmentationsBySeries(found.skipped, damaged)
      : new Map<string, string[]>()
  const maxThickness = checkNumber('maxThicknessMm', options.maxThicknessMm ?? 1000, 0, 1000)
  const patients = patientsOf([...donors, ...stacks])
  const named = found.series.map((series) => ofKnownPatient(series, patients))
  // By whatever name: as two patients, one scan could be learned from and judged by.
  const { scans, twins } = tellApart(named, (series) => ctObstacle(series) === undefined)
  for (const { scan, reason } of twins) {
    const { seriesInstanceUid, folder } = scan
    skipped.push({ seriesInstanceUid, folder, reason })
  }
  const readings: string[][] = []
  for (const series of scans) {
    const { patientId, studyInstanceUid, seriesInstanceUid, folder } = series
    const reason = reasonToSkip(series, options.unread === true ? undefined : bySeries, maxThickness)
    if (reason !== undefined) {
      skipped.push({ seriesInstanceUid, folder, reason })
      continue
    }
    const annotationFiles = nearestFirst(bySeries.get(seriesInstanceUid) ?? [], folder)
    readings.push(annotationFiles)
    const source = { series, annotationFiles, segmentations: segmentations.get(seriesInstanceUid) ?? [] }
    const files = [...annotationFiles, ...source.segmentations]
    const about = { patientId, studyInstanceUid, seriesInstanceUid, folder }
    items.push({
      ...about,
      what: 'the scan',
      key: async () => scanKey(series, files, parameters),
      task: (common) => ({ kind: 'scan', ...source, ...common }),
    })
    if (options.insertion === undefined) continue
    const { stacks: donorFolder } = options.insertion
    const plan = insertionPlan(options, options.insertion)
    items.push({
      ...about,
      what: 'the scan with nodules put in',
      part: 'insertions',
      key: async (donors) => scanKey(series, files, parameters, ['insertions', plan, donors]),
      task: (common, donors) => ({ kind: 'insertions', plan, donorFolder, donors, ...source, ...common }),
    })
  }
  const line = await passedOver(readings)
  if (line !== undefined) warn(line)
  return found.series.length
}

function insertionPlan(
  { seed, hypes }: Pick<PrepareOptions, 'seed' | 'hypes'>,
  { count, variants }: NonNullable<PrepareOptions['insertion']>,
): InsertionPlan {
  return { count, variants, seed: seed ?? hypes.solver.rnd_seed }
}

function reasonToSkip(
  series: Series,
  bySeries: ReadonlyMap<string, string[]> | undefined,
  maxThickness: number,
): string | undefined {
  const obstacle = ctObstacle(series)
  if (obstacle !== undefined) return obstacle.reason
  if (series.seriesInstanceUid === '') return 'no Series Instance UID'
  if (bySeries?.has(series.seriesInstanceUid) === false) return 'no LIDC XML file'
  const thickness = Math.max(series.thickness ?? 0, series.geometry.spacing[0])
  // Distances come from positions: a little above the limit is the limit.
  if (thickness > maxThickness + 1e-3) return `slices of more than ${maxThickness} mm`
  return undefined
}

/** The segmentations among files that are no slices, by the series that they are of. */
export async function segmentationsBySeries(
  files: readonly { path: string; modality?: string }[],
  damaged: DatasetManifest['damaged'],
): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const { path, modality } of files) {
    if (modality !== 'SEG') continue
    try {
      const { seriesInstanceUid = '' } = await readSegmentation(path)
      found.set(seriesInstanceUid, [...(found.get(seriesInstanceUid) ?? []), path])
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      damaged.push({ path, reason: reasonBeside(path, error) })
    }
  }
  return found
}

/** Stacks of more than one slice. */
function readDonors(folder: string, found: FoundItems, warn: (warning: string) => void): StackEntry[] {
  return readStacks(folder, found, warn).filter((entry) => entry.slices.length > 1)
}

/** The stacks of a folder that can be used. */
function readStacks(
  folder: string,
  { skipped, damaged }: FoundItems,
  warn: (warning: string) => void,
): StackEntry[] {
  const index = readStackIndex(folder)
  append(damaged, index.problems)
  for (const { patientId, nodule, seriesInstanceUid } of index.withoutSpacing)
    skipped.push({
      seriesInstanceUid,
      folder: `${folder}: ${patientId} ${nodule}`,
      reason: 'stack without slice_spacing',
    })
  const total = index.stacks.length + index.withoutSpacing.length
  if (index.withoutSpacing.length > 0)
    warn(`${index.path}: ${index.withoutSpacing.length} of ${total} stacks have no slice_spacing: left out`)
  return index.stacks
}

/** The stacks, by series; with insertion also copies of the thick ones with nodules put in. */
function addStacks(
  { items }: FoundItems,
  all: readonly StackEntry[],
  { stacks: folder = '', insertion, ...options }: PrepareOptions,
  parameters: FrameParameters,
  bySeries: ReadonlyMap<string, string[]>,
  warn: (warning: string) => void,
): void {
  const scans = new Set(items.map((item) => item.seriesInstanceUid))
  const groups = new Map<string, StackEntry[]>()
  let doubled = 0
  for (const entry of all) {
    const group = groups.get(entry.seriesInstanceUid)
    if (scans.has(entry.seriesInstanceUid)) doubled++
    else if (group === undefined) groups.set(entry.seriesInstanceUid, [entry])
    else group.push(entry)
  }
  if (doubled > 0) warn(`${folder}: ${doubled} stacks are left out: their whole scans are here`)
  const unread = [...groups.keys()].filter((uid) => !bySeries.has(uid)).length
  if (unread > 0)
    warn(
      `${folder}: ${unread} of ${groups.size} series have no XML file: other nodules in their stacks are unknown`,
    )
  for (const [seriesInstanceUid, stacks] of groups) {
    const { patientId } = stacks[0]!
    const annotationFiles = bySeries.get(seriesInstanceUid) ?? []
    const about = { patientId, studyInstanceUid: '', seriesInstanceUid, folder: `${folder}: ${patientId}` }
    items.push({
      ...about,
      what: `its ${stacks.length} stacks`,
      key: async () => stacksKey(folder, stacks, annotationFiles, parameters),
      task: (common) => ({ kind: 'stacks', folder, stacks, annotationFiles, ...common }),
    })
    const hosts = stacks.filter(isHost)
    if (insertion === undefined || hosts.length === 0) continue
    const plan = insertionPlan(options, insertion)
    const { stacks: donorFolder } = insertion
    items.push({
      ...about,
      what: `${hosts.length} of its stacks with nodules put in`,
      part: 'insertions',
      key: async (donors) =>
        stacksKey(folder, hosts, annotationFiles, parameters, ['insertions', plan, donors]),
      task: (common, donors) => ({
        ...{ kind: 'stack-copies', folder, stacks: hosts, annotationFiles },
        ...{ plan, donorFolder, donors, ...common },
      }),
    })
  }
}
