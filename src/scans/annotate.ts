import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkObject, checkTexts } from '../check.js'
import { findSeries } from '../dicom/index.js'
import type { Series } from '../dicom/index.js'
import { clusterMarks } from '../annotations/cluster.js'
import { consensusNodules, consensusRule } from '../annotations/consensus.js'
import type { ConsensusOptions } from '../annotations/consensus.js'
import { FIELD_ALIASES, NODULE_FIELDS, TEXT_FIELDS, noduleFields } from '../annotations/csv.js'
import { indexAnnotations } from '../annotations/find.js'
import type { AnnotationIndex } from '../annotations/find.js'
import { placeOnSeries } from '../annotations/place_on_series.js'
import type { AnnotatedSeries, LidcReading } from '../annotations/types.js'
import { compileWhere } from '../annotations/where.js'
import { isStopped } from '../work.js'
import type { WorkOptions } from '../work.js'
import { withoutTwins } from './tell_apart.js'
import { findXml, nearestFirst, passedOver, sortForeign } from './xml_of_series.js'

export interface AnnotatedFolders {
  annotated: AnnotatedSeries[]
  /** CT series that no annotation file reads. */
  without: Series[]
  /** Annotation files whose series is not in the folders. */
  unused: number
  /** X-ray readings, skipped. */
  cxr: number
  /**
   * What is left out and no failure: series that are the same scan as another one, files for which a nearer one is read, XML
   * of other kinds; one line each.
   */
  notes: string[]
  /** What went wrong, one line each. */
  problems: string[]
}

export interface AnnotateFoldersOptions extends ConsensusOptions, Pick<WorkOptions, 'signal' | 'onProgress'> {
  /** Further XML files, or folders of them. */
  xml?: readonly string[]
  /** Keep the nodules for which this holds; see `compileWhere`, `NODULE_FIELDS` and `FIELD_ALIASES`. */
  where?: string | undefined
}

/**
 * Finds the CT series and annotation files below folders, brings them together and builds the consensus nodules.
 * Of several files of a series the nearest to its slices counts. Files that cannot be read are listed in `problems`. Aborted, it gives what was read so far.
 *
 * @throws NoduleError where a folder does not exist
 */
export async function annotateFolders(
  folders: readonly string[],
  o: AnnotateFoldersOptions = {},
): Promise<AnnotatedFolders> {
  checkTexts('folders', folders)
  checkObject('options', o)
  if (o.xml !== undefined) checkTexts('xml', o.xml)
  consensusRule(o)
  const where =
    o.where === undefined ? undefined : compileWhere(o.where, NODULE_FIELDS, FIELD_ALIASES, TEXT_FIELDS)
  const { series: found, skipped } = await findSeries(folders, {
    onProgress: (done, total) => o.onProgress?.(done, total, 'headers'),
    signal: o.signal,
  })
  const notes: string[] = []
  const series = withoutTwins(found, (note) => notes.push(note))
  const given = [...folders, ...(o.xml ?? [])]
  const index = await indexAnnotations(
    await findXml(given),
    new Set(series.map((one) => one.seriesInstanceUid)),
    o,
  )
  const { named, line } = sortForeign(index.foreign, given)
  if (line !== undefined) notes.push(line)
  const problems = [...index.problems, ...named].map(({ error }) => error.message)
  for (const { kind, path, reason } of skipped) if (kind === 'damaged') problems.push(`${path}: ${reason}`)
  const run: AnnotatedFolders = {
    ...{ annotated: [], without: [], unused: index.others, cxr: index.cxr },
    notes,
    problems,
  }
  for (const [number, one] of series.entries()) {
    // Signals arrive between turns of the event loop only.
    await nextTurn()
    if (isStopped(o.signal)) break
    o.onProgress?.(number, series.length, one.patientId)
    const reading = readingNear(index, one)
    if (reading === undefined) {
      if (one.modality === 'CT') run.without.push(one)
      continue
    }
    const placed = placeOnSeries(reading, one)
    const all = { series: one, reading, placed, nodules: consensusNodules(placed, one.geometry, o) }
    const nodules = all.nodules.filter((nodule) => where?.(noduleFields(all, nodule)) ?? true)
    const ofAnyReaders =
      (o.minReaders ?? 1) > 1 ? clusterMarks(placed.nodules, placed.thickness).length : all.nodules.length
    const leftOut = {
      byReaders: ofAnyReaders - all.nodules.length,
      byCondition: all.nodules.length - nodules.length,
    }
    run.annotated.push({ ...all, nodules, leftOut })
  }
  const used = new Set(run.annotated.map(({ reading }) => reading.path))
  const several = [...index.several.values()].map((readings) => readings.map(({ path }) => path))
  const others = await passedOver(several, used)
  if (others !== undefined) notes.push(others)
  return run
}

function readingNear(
  { bySeries, several }: AnnotationIndex,
  { seriesInstanceUid, folder }: Series,
): LidcReading | undefined {
  const all = several.get(seriesInstanceUid)
  if (all === undefined) return bySeries.get(seriesInstanceUid)
  const [path] = nearestFirst(
    all.map((reading) => reading.path),
    folder,
  )
  return all.find((reading) => reading.path === path)
}
