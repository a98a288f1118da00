import { loadVolume, windowToGray } from '../volume/index.js'
import type { Series } from '../dicom/index.js'
import { compareMarks, readerPoints } from '../evaluation/index.js'
import { detectionMarks } from '../inference/index.js'
import type { Finding } from '../formats/index.js'
import type { ReaderPoint, ScanReference, ScanRun, ScanRuns } from '../evaluation/index.js'
import type { FrameList, ListEntry } from '../dataset/list.js'
import { imageToFrame } from '../geometry/frame.js'
import { patientToVoxel } from '../geometry/patient.js'
import type { FrameMapping } from '../geometry/frame.js'
import type { EdgeBox } from '../geometry/box.js'
import type { SeriesDetections } from '../inference/detections.js'
import type { OtherRuns } from './comparison.js'
import { PICTURE_WINDOW, framePicture, grayPicture } from './pictures.js'
import type { Picture } from './pictures.js'
import type { FindingRow, NoduleRow } from './nodule_tables.js'
import type { PageView } from './page.js'
import { count } from '../words.js'

export interface ScanPart {
  detections: SeriesDetections[]
  nodules: NoduleRow[]
  evaluation: ScanRun | undefined
  findings: FindingRow[]
  readers: ReaderPoint[] | undefined
  /** This run and others on the same scans. */
  comparison: Pick<ScanRuns, 'runs' | 'comparisons'> | undefined
}

export interface ScanPartInput {
  detections: SeriesDetections[]
  /** True nodules of the scans, from their annotations. */
  references?: ScanReference[] | undefined
  /** True nodules from elsewhere (LUNA16's files). */
  findings?: Finding[] | undefined
  /** The scans' images, for pictures of nodules. */
  series?: Series[] | undefined
  /** A list of frames, for pictures where the scans are not at hand. */
  frames?: FrameList | undefined
  /** Other runs to put beside this one. */
  other?: OtherRuns | undefined
  maxPictures: number
  bootstraps?: number | undefined
  seed?: number | undefined
}

const markId = (detection: SeriesDetections, id: number): string => `${detection.seriesInstanceUid} ${id}`

/** The scan-level part of a report. Pictures and views are appended to `pictures` and `views`. */
export async function scanPart(
  input: ScanPartInput,
  pictures: Picture[],
  views: PageView[],
): Promise<ScanPart> {
  const { detections } = input
  const findings = input.findings ?? input.references?.flatMap((scan) => scan.findings)
  const known = new Set(input.references?.map((scan) => scan.series.seriesInstanceUid))
  const judged = detections.filter(
    (detection) => input.findings !== undefined || known.has(detection.seriesInstanceUid),
  )
  const series = judged.map((detection) => detection.seriesInstanceUid)
  const judgedFindings = findings?.filter((finding) => series.includes(finding.seriesUid)) ?? []
  const marks = detectionMarks(judged)
  const scans = input.references ?? []
  const options = { bootstraps: input.bootstraps, seed: input.seed }
  const isJudged = findings !== undefined && judged.length > 0
  const { other } = input
  const compared = isJudged
    ? compareMarks(
        series,
        judgedFindings,
        [{ name: other?.ownName ?? 'detections', marks }, ...(other?.marks ?? [])],
        scans,
        options,
      )
    : undefined
  const evaluation = compared === undefined ? undefined : { ...compared.runs[0]!, name: 'detections' }
  const comparison = other !== undefined && other.marks.length > 0 ? compared : undefined
  const outcomes = new Map(evaluation?.marks.map((mark) => [mark.id, mark]))
  const wrong = new Set(
    [...outcomes.values()].filter((mark) => mark.outcome === 'false positive').map((mark) => mark.id),
  )
  const missed = new Set(
    (evaluation?.findings ?? [])
      .filter((finding) => finding.score === null)
      .map((finding) => `${finding.seriesUid} ${finding.id}`),
  )
  const source = new PictureSource(input, pictures, wrong, missed)
  const rows: FindingRow[] = []
  // Missed nodules first: there may be more findings than pictures.
  const order = [...(evaluation?.findings ?? [])].sort(
    (a, b) => Number(a.score !== null) - Number(b.score !== null),
  )
  for (const outcome of order) {
    const detection = detections.find((one) => one.seriesInstanceUid === outcome.seriesUid)!
    const row: FindingRow = { patientId: detection.patientId, outcome, views: [] }
    const nodule = input.references
      ?.find((scan) => scan.series.seriesInstanceUid === outcome.seriesUid)
      ?.consensus.find((one) => `nodule ${one.id}` === outcome.id)
    const seen = nodule?.boxes[nodule.boxes.length >> 1] ?? sphereBox(outcome, detection)
    if (seen !== undefined) {
      const found = outcome.score === null ? 'missed' : `found at confidence ${outcome.score.toFixed(2)}`
      const readers = nodule === undefined ? '' : `${count(nodule.readers, 'reader')}, `
      const caption = `${detection.patientId}, ${outcome.id}: ${outcome.equivalentDiameterMm.toFixed(1)} mm, ${readers}${found}`
      const range = [nodule?.boxes[0]?.k ?? seen.k, nodule?.boxes.at(-1)?.k ?? seen.k] as const
      // Without outlines only the place is known: a box of the diameter around it.
      const own = nodule !== undefined ? undefined : outcome.score === null ? 'missed' : 'truth'
      const view = await source.view(detection, range, seen.k, seen.box, caption, own)
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
    const wanted = Math.round(nodule.centerVoxel[0])
    const view = await source.view(detection, nodule.slices, wanted, nodule.box, caption)
    if (view !== undefined) row.views.push(views.push(view) - 1)
    nodules.push(row)
  }
  const readers = input.references === undefined ? undefined : readerPoints(input.references)
  return { detections, nodules, evaluation, findings: rows, readers, comparison }
}

/** The slice through a finding's center and a box of its diameter there, image pixels. */
function sphereBox(finding: Finding, detection: SeriesDetections): { k: number; box: EdgeBox } | undefined {
  const geometry = (detection.volume as Partial<SeriesDetections['volume']> | undefined)?.geometry
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

/** Pictures of slices: from the scans where they are at hand, else from frames; each slice once. */
class PictureSource {
  private readonly series: Map<string, Series>
  private readonly frames = new Map<string, { entry: ListEntry; mapping: FrameMapping }>()
  private readonly slots = new Map<string, { picture: number; mapping: FrameMapping | undefined }>()

  constructor(
    private readonly input: ScanPartInput,
    private readonly pictures: Picture[],
    /** Ids of the marks that are false positives. */
    private readonly wrong: ReadonlySet<string>,
    /** Series and id of the true nodules that nothing hit. */
    private readonly missed: ReadonlySet<string>,
  ) {
    const own = input.series ?? input.references?.map((scan) => scan.series) ?? []
    this.series = new Map(own.map((series) => [series.seriesInstanceUid, series]))
    for (const entry of input.frames?.entries ?? []) {
      const from = entry.nodule
      if (from === undefined) continue
      const key = `${from.seriesInstanceUid}/${from.k}`
      this.frames.set(key, { entry, mapping: from.mapping })
    }
  }

  /** A view of the slice `wanted`, or the nearest one between first and last that there is a picture of. */
  async view(
    detection: SeriesDetections,
    [first, last]: readonly [number, number],
    wanted: number,
    focus: EdgeBox,
    caption: string,
    focusKind?: 'truth' | 'missed',
  ): Promise<PageView | undefined> {
    const candidates = Array.from({ length: last - first + 1 }, (_, i) => first + i).sort(
      (a, b) => Math.abs(a - wanted) - Math.abs(b - wanted),
    )
    for (const k of candidates) {
      const slot = await this.picture(detection.seriesInstanceUid, k)
      if (slot === undefined) continue
      const place = (box: EdgeBox): [number, number, number, number] => {
        const { x1, y1, x2, y2 } = slot.mapping === undefined ? box : imageToFrame(slot.mapping, box)
        return [x1, y1, x2, y2]
      }
      const uid = detection.seriesInstanceUid
      const truth = (this.input.references ?? [])
        .filter((scan) => scan.series.seriesInstanceUid === uid)
        .flatMap((scan) => scan.consensus)
        .flatMap((nodule) =>
          nodule.boxes
            .filter((box) => box.k === k)
            .map(({ box }): PageView['boxes'][number] => ({
              box: place(box),
              kind: this.missed.has(`${uid} nodule ${nodule.id}`) ? 'missed' : 'truth',
            })),
        )
      const found = detection.slices.find((slice) => slice.k === k)?.boxes ?? []
      const picture = this.pictures[slot.picture]!
      return {
        picture: slot.picture,
        boxes: [
          ...truth,
          ...(focusKind === undefined ? [] : [{ box: place(focus), kind: focusKind }]),
          ...found
            .filter((box) => box.nodule !== undefined)
            .map((box): PageView['boxes'][number] => ({
              box: place(box),
              kind: this.wrong.has(markId(detection, box.nodule!)) ? 'wrong' : 'hit',
            })),
        ],
        crop: square(place(focus), picture),
        caption: `${caption} (slice ${k})`,
      }
    }
    return undefined
  }

  private async picture(
    uid: string,
    k: number,
  ): Promise<{ picture: number; mapping: FrameMapping | undefined } | undefined> {
    const key = `${uid}/${k}`
    const known = this.slots.get(key)
    if (known !== undefined) return known
    if (this.slots.size >= this.input.maxPictures) return undefined
    const series = this.series.get(uid)
    const slice = series?.slices[k]
    let slot: { picture: number; mapping: FrameMapping | undefined } | undefined
    if (series !== undefined && slice !== undefined) {
      const { data, shape } = await loadVolume({ ...series, slices: [slice] })
      const gray = windowToGray(data, PICTURE_WINDOW.low, PICTURE_WINDOW.high)
      slot = {
        picture: this.pictures.push(await grayPicture(gray, shape[2], shape[1])) - 1,
        mapping: undefined,
      }
    } else {
      const frame = this.frames.get(key)
      if (frame === undefined) return undefined
      slot = {
        picture: this.pictures.push(await framePicture(this.input.frames!, frame.entry)) - 1,
        mapping: frame.mapping,
      }
    }
    this.slots.set(key, slot)
    return slot
  }
}

/** A square four times the box's size (at least 48 pixels) around it, inside the picture. */
function square(
  box: readonly [number, number, number, number],
  picture: Picture,
): [number, number, number, number] {
  const side = Math.min(Math.max(box[2] - box[0], box[3] - box[1], 12) * 4, picture.width, picture.height)
  const start = (low: number, high: number, size: number): number =>
    Math.min(Math.max((low + high) / 2 - side / 2, 0), size - side)
  return [start(box[0], box[2], picture.width), start(box[1], box[3], picture.height), side, side]
}
