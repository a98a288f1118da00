import { join } from 'node:path'
import type { BoxRule, SliceFinding } from '../dataset/prepare/boxes.js'
import { annotationsBySeries, readFindings } from '../dataset/prepare/findings.js'
import { readReading, stackFindings } from '../dataset/prepare/stacks.js'
import { readStackIndex } from '../dataset/stacks/read_index.js'
import type { StackEntry } from '../dataset/stacks/read_index.js'
import { readStack } from '../dataset/stacks/read_stack.js'
import { findSeries, listFiles } from '../dicom/index.js'
import type { Series } from '../dicom/index.js'
import { NoduleError } from '../errors.js'
import { loadVolume } from '../volume/index.js'
import type { HuVolume } from '../volume/index.js'

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
  origin: 'scan' | 'phantom' | 'stack'
  /** Cut out around a nodule: nothing is known beyond its ends and sides. */
  cut: boolean
  /** In messages. */
  place: string
  /** Throws NoduleError. */
  load: () => Promise<MineVolume>
}

export interface FindSourcesOptions {
  /** Folders with scans and their XML. */
  scans: readonly string[]
  /** Folder of nodule stacks. */
  stacks?: string | undefined
  /** Further folders with LIDC XML files. */
  xml: readonly string[]
  rule: BoxRule
  /** Patients (or series) that are wanted; default all. */
  wanted?: ((patientId: string, seriesInstanceUid: string) => boolean) | undefined
  onProblem?: ((message: string) => void) | undefined
}

/**
 * Finds the scans that have LIDC XML, and the stacks. What cannot be used is told and left out.
 * Throws NoduleError (FILE) where nothing is left.
 */
export async function findSources(o: FindSourcesOptions): Promise<MineSource[]> {
  const files = await listFiles([...o.scans, ...o.xml])
  const { bySeries, problems } = await annotationsBySeries(files.filter((path) => /\.xml$/i.test(path)))
  for (const { path, reason } of problems) o.onProblem?.(`${path}: ${reason}`)
  const wanted = o.wanted ?? ((): boolean => true)
  const sources: MineSource[] = []
  if (o.scans.length > 0) {
    const found = await findSeries(o.scans)
    for (const { path, kind, reason } of found.skipped)
      if (kind === 'damaged') o.onProblem?.(`${path}: ${reason}`)
    for (const series of found.series) {
      if (series.modality !== 'CT' || !wanted(series.patientId, series.seriesInstanceUid)) continue
      const xml = bySeries.get(series.seriesInstanceUid)
      if (!series.isVolume) o.onProblem?.(`${series.folder}: ${series.problems[0]?.message ?? 'no volume'}`)
      else if (xml === undefined) o.onProblem?.(`${series.folder}: left out: no LIDC XML file`)
      else sources.push(scanSource(series, xml, o.rule))
    }
  }
  if (o.stacks !== undefined) {
    const index = readStackIndex(o.stacks)
    for (const { path, reason } of index.problems) o.onProblem?.(`${path}: ${reason}`)
    if (index.withoutSpacing.length > 0)
      o.onProblem?.(`${index.path}: ${index.withoutSpacing.length} stacks have no slice_spacing: left out`)
    for (const entry of index.stacks) {
      if (!wanted(entry.patientId, entry.seriesInstanceUid)) continue
      sources.push(stackSource(o.stacks, entry, bySeries.get(entry.seriesInstanceUid) ?? [], o.rule))
    }
  }
  if (sources.length === 0)
    throw new NoduleError('FILE', 'nothing to mine', {
      path: [...o.scans, ...(o.stacks === undefined ? [] : [o.stacks])].join(', '),
      expected: 'CT series with LIDC XML files, or stacks, of the patients that are wanted',
    })
  return sources
}

function scanSource(series: Series, xml: readonly string[], rule: BoxRule): MineSource {
  const { patientId, seriesInstanceUid, folder } = series
  return {
    key: `scan ${patientId} ${seriesInstanceUid}`,
    patientId,
    seriesInstanceUid,
    origin: patientId.startsWith('PHANTOM-') ? 'phantom' : 'scan',
    cut: false,
    place: folder,
    load: async () => {
      const { findings, nodules, warnings } = await readFindings(series, xml, rule)
      const diameters = new Map(nodules.map(({ id, axialDiameterMm }) => [id, axialDiameterMm]))
      return { volume: await loadVolume(series), findings, diameters, warnings }
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
      const diameters = new Map(nodules.map(({ id, axialDiameterMm }) => [id, axialDiameterMm]))
      return { volume: stack.volume, findings, diameters, warnings: [] }
    },
  }
}
