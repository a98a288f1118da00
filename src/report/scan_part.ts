import { basename } from 'node:path'
import type { Series } from '../dicom/index.js'
import { bringTogether, compareMarks, cutOffs, readerPoints } from '../evaluation/index.js'
import { scanKey, sharedUids } from '../inference/index.js'
import type { ScanIdentity } from '../inference/index.js'
import type { Finding } from '../formats/index.js'
import type {
  MarkSource,
  ReaderPoint,
  ScanReference,
  ScanRun,
  ScanRuns,
  ScanTruth,
} from '../evaluation/index.js'
import type { FrameList } from '../dataset/list.js'
import { patientToVoxel } from '../geometry/patient.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import type { EdgeBox } from '../geometry/box.js'
import type { SeriesDetections } from '../inference/detections.js'
import type { OtherRuns } from './comparison.js'
import { ScanPictures } from './scan_pictures.js'
import type { PictureScan } from './scan_pictures.js'
import type { Picture } from './pictures.js'
import { diameterText } from './nodule_tables.js'
import type { FindingRow, NoduleRow } from './nodule_tables.js'
import type { PageView } from './page.js'
import { append } from '../lists.js'
import { agree, count } from '../words.js'

export interface ScanPart {
  detections: SeriesDetections[]
  nodules: NoduleRow[]
  evaluation: ScanRun | undefined
  findings: FindingRow[]
  readers: ReaderPoint[] | undefined
  /** This run and others on the same scans. */
  comparison: Pick<ScanRuns, 'runs' | 'comparisons'> | undefined
  /** Of scans and pictures; those of the evaluation are with it. */
  warnings: string[]
}

export interface ScanPartInput {
  detections: SeriesDetections[]
  /** The folder of the detections. */
  path: string
  /** True nodules of the scans, from their annotations. */
  references?: ScanReference[] | undefined
  /** True nodules from elsewhere (LUNA16's files). */
  tables?: ScanTruth['tables'] | undefined
  /** File with the series that count; without it those that the truth names, or, with tables, that were examined. */
  counted?: string | undefined
  /** The scans' images, for pictures of nodules. */
  series?: Series[] | undefined
  /** Where these were looked for. */
  folders?: string[] | undefined
  /** A list of frames, for pictures where the scans are not at hand. */
  frames?: FrameList | undefined
  /** Other runs to put beside this one. */
  other?: OtherRuns | undefined
  maxPictures: number
  bootstraps?: number | undefined
  seed?: number | undefined
}

/**
 * The scan-level part of a report, judged as `evaluateScanRuns` does: by all scans of the reference, but of tables by
 * those that were examined. Pictures and views are appended to `pictures` and `views`. Throws NoduleError as `bringTogether` does.
 */
export async function scanPart(
  input: ScanPartInput,
  pictures: Picture[],
  views: PageView[],
): Promise<ScanPart> {
  const { detections, other, path } = input
  const warnings: string[] = []
  const judged = judge(input, { name: other?.ownName ?? basename(path), path, detections }, warnings)
  const { evaluation, shared } = judged
  const outcomes = new Map(evaluation?.marks.map((mark) => [mark.id, mark]))
  const missed = new Set(
    (evaluation?.findings ?? [])
      .filter((finding) => finding.score === null)
      .map((finding) => `${finding.seriesUid} ${finding.id}`),
  )
  const markId = (scan: ScanIdentity, id: number): string => `${scanKey(scan, shared)} ${id}`
  const source = new ScanPictures(input, pictures, {
    isWrong: (scan, id) => outcomes.get(markId(scan, id))?.outcome === 'false positive',
    isMissed: (scan, id) => missed.has(`${scanKey(scan, shared)} ${id}`),
  })
  const known = new Map<string, ScanIdentity>()
  for (const scan of [
    ...(input.series ?? []),
    ...(input.references ?? []).map((one) => one.series),
    ...detections,
  ])
    known.set(scanKey(scan, shared), scan)
  const rows: FindingRow[] = []
  // Missed nodules first: there may be more findings than pictures.
  const order = [...(evaluation?.findings ?? [])].sort(
    (a, b) => Number(a.score !== null) - Number(b.score !== null),
  )
  for (const outcome of order) {
    const { seriesUid: uid } = outcome
    const scan = source.scan(known.get(uid) ?? { patientId: uid, seriesInstanceUid: uid })
    const { patientId } = scan
    const row: FindingRow = { patientId, outcome, views: [] }
    const nodule = scan.reference?.consensus.find((one) => `nodule ${one.id}` === outcome.id)
    const seen = nodule?.boxes[nodule.boxes.length >> 1] ?? sphereBox(outcome, scan)
    if (seen !== undefined) {
      const found = outcome.score === null ? 'missed' : `found at confidence ${outcome.score.toFixed(2)}`
      const readers = nodule === undefined ? '' : `${count(nodule.readers, 'reader')}, `
      const caption = `${patientId}, ${outcome.id}: ${diameterText(outcome.equivalentDiameterMm)}, ${readers}${found}`
      const slices = range(nodule?.boxes[0]?.k ?? seen.k, nodule?.boxes.at(-1)?.k ?? seen.k)
      // Without outlines only the place is known: a box of the diameter around it.
      const own = nodule !== undefined ? undefined : outcome.score === null ? 'missed' : 'truth'
      const view = await source.view(scan, slices, seen.k, seen.box, caption, own)
      if (view !== undefined) row.views.push(views.push(view) - 1)
    }
    rows.push(row)
  }
  const nodules: NoduleRow[] = []
  const reported = detections
    .flatMap((detection) => detection.nodules.map((nodule) => ({ detection, nodule })))
    .sort((a, b) => b.nodule.confidence - a.nodule.confidence)
  for (const { detection, nodule } of reported) {
    const outcome = outcomes.get(markId(detection, nodule.id))
    const row: NoduleRow = {
      patientId: detection.patientId,
      seriesUid: detection.seriesInstanceUid,
      id: nodule.id,
      center: nodule.center,
      boxDiameterMm: nodule.boxDiameterMm,
      confidence: nodule.confidence,
      slices: nodule.slices,
      ...(outcome === undefined ? {} : { outcome: outcome.outcome, finding: outcome.finding }),
      views: [],
    }
    const caption = `${detection.patientId}, nodule ${nodule.id}: ${nodule.boxDiameterMm.toFixed(1)} mm, confidence ${nodule.confidence.toFixed(2)}${outcome === undefined ? '' : `, ${outcome.outcome}`}`
    const scan = source.scan(detection)
    const slices = range(...nodule.slices).map((k) => scan.sliceOf(k))
    const wanted = scan.sliceOf(Math.round(nodule.centerVoxel[0]))
    const view = await source.view(scan, slices, wanted, nodule.box, caption)
    if (view !== undefined) row.views.push(views.push(view) - 1)
    nodules.push(row)
  }
  append(warnings, absentScans(input, source))
  append(warnings, source.warnings())
  const { readers, comparison } = judged
  return { detections, nodules, evaluation, findings: rows, readers, comparison, warnings }
}

/** Says how many of the examined scans are not where scans were looked for, and what follows. */
function absentScans(
  { series, folders = [], detections, frames, tables }: ScanPartInput,
  pictures: ScanPictures,
): string[] {
  if (series === undefined) return []
  const absent = detections.filter((one) => pictures.scan(one).series === undefined).length
  // The frames of a list stand in for the scans' images, tables for their readers' marks.
  const losses = [
    ...(frames === undefined ? ['no pictures of them'] : []),
    ...(tables === undefined ? ['not evaluated'] : []),
  ]
  if (absent === 0 || losses.length === 0) return []
  return [
    `${absent} of ${count(detections.length, 'examined scan')} ${agree(absent, 'is', 'are')} not in ${folders.join(', ')}: ${losses.join(', ')}`,
  ]
}

/** This run and the others against what is true, if that is known; scans that are missing are told in `warnings`. */
function judge(
  input: ScanPartInput,
  own: MarkSource,
  warnings: string[],
): Pick<ScanPart, 'evaluation' | 'comparison' | 'readers'> & { shared: ReadonlySet<string> } {
  const { tables, references = [], detections, other, bootstraps, seed } = input
  if (tables === undefined && input.references === undefined)
    return {
      ...{ evaluation: undefined, comparison: undefined, readers: undefined },
      shared: sharedUids(detections),
    }
  const others = other?.marks ?? []
  const truth = { tables: tables ?? [], scans: tables === undefined ? references : [] }
  const counted = { series: input.counted, examined: tables !== undefined }
  const { series, findings, scans, marks, shared } = bringTogether(truth, [own, ...others], counted, warnings)
  const compared = compareMarks(series, findings, marks, scans, { bootstraps, seed })
  append(warnings, cutOffs(compared.runs, marks))
  return {
    evaluation: { ...compared.runs[0]!, name: 'detections' },
    comparison: others.length > 0 ? compared : undefined,
    // Of tables nobody knows the readers.
    readers: input.references === undefined ? undefined : readerPoints(scans),
    shared,
  }
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i)

/** The slice of the pictures through a finding's center and a box of its diameter there, image pixels. */
function sphereBox(
  finding: Finding,
  { series, detection }: PictureScan,
): { k: number; box: EdgeBox } | undefined {
  const volume = detection?.volume as { geometry?: VolumeGeometry } | undefined
  const geometry = series?.geometry ?? volume?.geometry
  if (geometry === undefined) return undefined
  const [k, j, i] = patientToVoxel(geometry, [finding.x, finding.y, finding.z])
  const radius = (finding.equivalentDiameterMm < 0 ? 10 : finding.equivalentDiameterMm) / 2
  // Indices name pixel centers, boxes the edges.
  const [x, y] = [i + 0.5, j + 0.5]
  const [, dy, dx] = geometry.spacing
  return {
    k: Math.round(k),
    box: { x1: x - radius / dx, y1: y - radius / dy, x2: x + radius / dx, y2: y + radius / dy },
  }
}
