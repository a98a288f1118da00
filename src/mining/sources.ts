import { join } from 'node:path'
import { noEffect } from '../check.js'
import type { BoxRule, SliceFinding } from '../dataset/prepare/boxes.js'
import { scanOrigin } from '../dataset/list.js'
import { segmentationsBySeries } from '../dataset/prepare/find_items.js'
import { readFindings } from '../dataset/prepare/findings.js'
import {
  ctObstacle,
  findXml,
  nearestFirst,
  passedOver,
  sortForeign,
  withoutTwins,
  xmlOfSeries,
} from '../scans/index.js'
import { segmentedFindings } from '../dataset/prepare/host.js'
import { insertedCopy } from '../dataset/prepare/inserted_copy.js'
import type { InsertionPlan, InsertionSource } from '../dataset/prepare/inserted_copy.js'
import { isHost, stackCopy, stackHost } from '../dataset/prepare/stack_copies.js'
import { readReading, stackFindings } from '../dataset/prepare/stacks.js'
import { ofKnownPatient, patientsOf, readStackIndex } from '../dataset/stacks/read_index.js'
import type { StackEntry } from '../dataset/stacks/read_index.js'
import { readStack } from '../dataset/stacks/read_stack.js'
import { findSeries } from '../dicom/index.js'
import type { Series } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import { loadVolume, segmentLungs } from '../volume/index.js'
import type { HuVolume, Lungs } from '../volume/index.js'
import { isStopped } from '../work.js'
import type { WorkOptions } from '../work.js'

/** A volume with what is known of it. */
export interface MineVolume {
  volume: HuVolume
  findings: readonly SliceFinding[]
  /** Axial diameters of the consensus nodules by id, mm. */
  diameters: ReadonlyMap<string, number>
  warnings: readonly string[]
}

/** A volume that can be mined. */
export interface MineSource {
  /** Unique, and the same in another run. */
  key: string
  patientId: string
  seriesInstanceUid: string
  /** Name of the stack within the patient, where it is one. */
  stack?: string
  origin: 'scan' | 'phantom' | 'stack' | 'insertion'
  /** Cut out around a nodule: nothing is known beyond its ends and sides. */
  cut: boolean
  /** In messages. */
  place: string
  /** Throws NoduleError. */
  load: () => Promise<MineVolume>
}

export interface FindSourcesOptions extends Pick<WorkOptions, 'signal' | 'onWarning'> {
  /** Folders with scans and their XML. */
  scans: readonly string[]
  /** Folder of nodule stacks. */
  stacks?: string | undefined
  /** Further folders with LIDC XML files. */
  xml: readonly string[]
  rule: BoxRule
  /** Scans without XML too: what DICOM segmentations outline in them is neither right nor wrong. */
  unread?: boolean | undefined
  /** Instead of the scans and stacks themselves: copies of the scans, or without scans of the thick stacks, with nodules put in. */
  insertion?: InsertionPlan | undefined
  /** Patients (or series) that are wanted; with `insertion` those whose nodules are put in. Default all. */
  wanted?: ((patientId: string, seriesInstanceUid: string) => boolean) | undefined
}

/**
 * Finds the scans that have LIDC XML, and the stacks. What cannot be used is told and left out.
 * Throws NoduleError (FILE) where nothing is left, (INVALID_PARAMETER) for `unread` without scans. Aborted, it gives what was found so far.
 * @returns also the stacks that are wanted, in the order in which donors are drawn from them
 */
export async function findSources(
  o: FindSourcesOptions,
): Promise<{ sources: MineSource[]; stacks: readonly StackEntry[] }> {
  if (o.scans.length === 0 && o.unread === true) throw noEffect('unread', 'folders of scans', 'stacks alone')
  const given = [...o.scans, ...o.xml]
  const { bySeries, foreign, problems } = await xmlOfSeries(await findXml(given))
  const { named, line } = sortForeign(foreign, given)
  if (line !== undefined) o.onWarning?.(line)
  for (const { path, reason } of [...problems, ...named]) o.onWarning?.(`${path}: ${reason}`)
  const wanted = o.wanted ?? ((): boolean => true)
  const stacks = o.stacks === undefined ? [] : readStacks(o.stacks, o.onWarning)
  const chosen = stacks.filter(({ patientId, seriesInstanceUid }) => wanted(patientId, seriesInstanceUid))
  const sources: MineSource[] = []
  const hosts = lastHost(o.rule)
  for (const scan of await knownScans(o, bySeries, stacks)) {
    const { patientId, seriesInstanceUid } = scan.series
    if (o.insertion === undefined) {
      if (wanted(patientId, seriesInstanceUid)) sources.push(scanSource(scan, o.rule))
      continue
    }
    const donors = chosen.filter(
      (entry) => entry.patientId !== patientId && entry.seriesInstanceUid !== seriesInstanceUid,
    )
    for (let variant = 0; variant < o.insertion.variants; variant++)
      sources.push(
        copySource(scan, hosts, { donorFolder: o.stacks!, donors, plan: o.insertion, rule: o.rule }, variant),
      )
  }
  for (const entry of chosen) {
    const xml = bySeries.get(entry.seriesInstanceUid) ?? []
    if (o.insertion === undefined) sources.push(stackSource(o.stacks!, entry, xml, o.rule))
    else if (o.scans.length === 0 && isHost(entry))
      for (let variant = 0; variant < o.insertion.variants; variant++)
        sources.push(
          stackCopySource(
            entry,
            xml,
            { donorFolder: o.stacks!, donors: chosen, plan: o.insertion, rule: o.rule },
            variant,
          ),
        )
  }
  if (sources.length === 0 && !isStopped(o.signal))
    throw new NoduleError('FILE', 'nothing to mine', {
      path: [...o.scans, ...(o.stacks === undefined ? [] : [o.stacks])].join(', '),
      expected: 'CT series with LIDC XML files, or stacks, of the patients that are wanted',
    })
  return { sources, stacks: chosen }
}

/** A scan with what says something of its nodules. */
interface KnownScan {
  series: Series
  xml: readonly string[]
  segmentations: readonly string[]
}

async function knownScans(
  { scans, unread, signal, onWarning }: FindSourcesOptions,
  bySeries: ReadonlyMap<string, string[]>,
  stacks: readonly StackEntry[],
): Promise<KnownScan[]> {
  if (scans.length === 0) return []
  const found = await findSeries(scans, { signal })
  for (const { path, kind, reason } of found.skipped)
    if (kind === 'damaged') onWarning?.(`${path}: ${reason}`)
  const damaged: { path: string; reason: string }[] = []
  const segmentations =
    unread === true ? await segmentationsBySeries(found.skipped, damaged) : new Map<string, string[]>()
  for (const { path, reason } of damaged) onWarning?.(`${path}: ${reason}`)
  const patients = patientsOf(stacks)
  const known: KnownScan[] = []
  const named = found.series.map((series) => ofKnownPatient(series, patients))
  for (const series of withoutTwins(named, (warning) => onWarning?.(warning))) {
    const obstacle = ctObstacle(series)
    if (obstacle?.kind === 'modality') continue
    const xml = nearestFirst(bySeries.get(series.seriesInstanceUid) ?? [], series.folder)
    if (obstacle !== undefined) onWarning?.(`${series.folder}: left out: ${obstacle.reason}`)
    else if (xml.length === 0 && unread !== true) onWarning?.(`${series.folder}: left out: no LIDC XML file`)
    else
      known.push({
        series,
        xml,
        segmentations: segmentations.get(series.seriesInstanceUid) ?? [],
      })
  }
  const line = await passedOver(known.map(({ xml }) => xml))
  if (line !== undefined) onWarning?.(line)
  return known
}

function readStacks(folder: string, onWarning: FindSourcesOptions['onWarning']): readonly StackEntry[] {
  const index = readStackIndex(folder)
  for (const { path, reason } of index.problems) onWarning?.(`${path}: ${reason}`)
  if (index.withoutSpacing.length > 0)
    onWarning?.(`${index.path}: ${index.withoutSpacing.length} stacks have no slice_spacing: left out`)
  return index.stacks
}

async function loadScan({ series, xml, segmentations }: KnownScan, rule: BoxRule): Promise<MineVolume> {
  const volume = await loadVolume(series)
  if (xml.length === 0) {
    const findings = await segmentedFindings(series, segmentations)
    return { volume, findings, diameters: new Map(), warnings: [] }
  }
  const { findings, nodules, warnings } = await readFindings(series, xml, rule)
  return { volume, findings, diameters: diametersById(nodules), warnings }
}

const diametersById = (
  nodules: readonly { id: string; axialDiameterMm: number }[],
): ReadonlyMap<string, number> => new Map(nodules.map(({ id, axialDiameterMm }) => [id, axialDiameterMm]))

function scanSource(scan: KnownScan, rule: BoxRule): MineSource {
  const { patientId, seriesInstanceUid, folder } = scan.series
  return {
    key: `scan ${patientId} ${seriesInstanceUid}`,
    patientId,
    seriesInstanceUid,
    origin: scanOrigin(patientId),
    cut: false,
    place: folder,
    load: async () => loadScan(scan, rule),
  }
}

type LoadHost = (scan: KnownScan) => Promise<MineVolume & { lungs: Lungs }>

/** Loads a scan and finds its lungs, once for the copies of it that follow each other. */
function lastHost(rule: BoxRule): LoadHost {
  let last: { scan: KnownScan; host: ReturnType<LoadHost> } | undefined
  return async (scan) => {
    if (last?.scan === scan) return last.host
    const load = async (): ReturnType<LoadHost> => {
      const host = await loadScan(scan, rule)
      return { ...host, lungs: segmentLungs(host.volume) }
    }
    last = { scan, host: load() }
    return last.host
  }
}

/** A copy of a scan with nodules of other patients in it. */
function copySource(
  scan: KnownScan,
  loadHost: LoadHost,
  from: Omit<InsertionSource, 'host'>,
  variant: number,
): MineSource {
  const { series } = scan
  const { patientId, seriesInstanceUid, folder } = series
  return {
    key: `insertion ${patientId} ${seriesInstanceUid} ${variant}`,
    patientId,
    seriesInstanceUid,
    origin: 'insertion',
    cut: false,
    place: `${folder}, copy ${variant}`,
    load: async () => {
      const host = await loadHost(scan)
      const copy = await insertedCopy(
        { ...host, findings: [...host.findings] },
        { host: { patientId, name: seriesInstanceUid }, ...from },
        variant,
      )
      return {
        volume: copy.volume,
        findings: [...host.findings, ...copy.findings],
        diameters: new Map([...host.diameters, ...diametersById(copy.nodules)]),
        warnings: [
          ...host.warnings,
          ...copy.warnings,
          ...copy.damaged.map(({ path, reason }) => `${path}: ${reason}`),
        ],
      }
    },
  }
}

/** A copy of a stack with nodules of other patients in it. */
function stackCopySource(
  entry: StackEntry,
  xml: readonly string[],
  from: Omit<InsertionSource, 'host'>,
  variant: number,
): MineSource {
  const source = stackSource(from.donorFolder, entry, xml, from.rule)
  return {
    ...source,
    key: `insertion ${source.key} ${variant}`,
    origin: 'insertion',
    place: `${source.place}, copy ${variant}`,
    load: async () => {
      const host = await stackHost(from.donorFolder, entry, await readReading(xml), from.rule)
      const copy = await stackCopy(host, from, variant)
      return {
        volume: copy.volume,
        findings: [...host.findings, ...copy.findings],
        diameters: diametersById([...host.nodules, ...copy.nodules]),
        warnings: copy.damaged.map(({ path, reason }) => `${path}: ${reason}`),
      }
    },
  }
}

function stackSource(folder: string, entry: StackEntry, xml: readonly string[], rule: BoxRule): MineSource {
  const { patientId, seriesInstanceUid, nodule } = entry
  return {
    key: `stack ${patientId} ${nodule}`,
    patientId,
    seriesInstanceUid,
    stack: nodule,
    origin: 'stack',
    cut: true,
    place: join(folder, 'stacks', `${patientId}_${nodule}`),
    load: async () => {
      const stack = await readStack(folder, entry)
      const { findings, nodules } = stackFindings(stack, await readReading(xml), rule)
      return { volume: stack.volume, findings, diameters: diametersById(nodules), warnings: [] }
    },
  }
}
