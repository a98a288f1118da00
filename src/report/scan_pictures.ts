import type { FrameList, FrameSource, ListEntry } from '../dataset/list.js'
import type { Series } from '../dicom/index.js'
import { describeError } from '../errors.js'
import type { ScanReference } from '../evaluation/index.js'
import { nearest, shareSopUids, sliceDistances } from '../evaluation/slices/same_slice.js'
import type { EdgeBox } from '../geometry/box.js'
import { imageToFrame } from '../geometry/frame.js'
import type { FrameMapping } from '../geometry/frame.js'
import { patientToVoxel, voxelToPatient } from '../geometry/patient.js'
import { scanKey, sharedUids } from '../inference/index.js'
import type { ScanIdentity } from '../inference/index.js'
import type { DetectedSlice, SeriesDetections } from '../inference/detections.js'
import { loadVolume, windowToGray } from '../volume/index.js'
import { count } from '../words.js'
import type { PageView } from './page.js'
import { PICTURE_WINDOW, framePicture, grayPicture } from './pictures.js'
import type { Picture } from './pictures.js'

/** A scan of the page. Slices of pictures are counted as its series has them, or, without one, its detections. */
export interface PictureScan extends ScanIdentity {
  patientId: string
  detection: SeriesDetections | undefined
  series: Series | undefined
  reference: ScanReference | undefined
  /** The slice of the pictures that is the detections' slice `k`. */
  sliceOf: (k: number) => number
  /** What was detected on a slice of the pictures; undefined where it was not examined. */
  examined: ReadonlyMap<number, DetectedSlice>
}

export interface PictureSources {
  detections: readonly SeriesDetections[]
  references?: readonly ScanReference[] | undefined
  /** The scans' images. */
  series?: readonly Series[] | undefined
  /** A list of frames, where the scans are not at hand. */
  frames?: FrameList | undefined
  maxPictures: number
}

/** What the boxes on the pictures are. */
export interface BoxKinds {
  isWrong: (scan: PictureScan, noduleId: number) => boolean
  isMissed: (scan: PictureScan, findingId: string) => boolean
}

interface Frame {
  entry: ListEntry
  from: FrameSource
}

interface Slot {
  picture: number
  mapping: FrameMapping | undefined
}

/** Pictures of slices: from the scans where they are at hand, else from frames; each slice once. */
export class ScanPictures {
  private readonly shared: ReadonlySet<string>
  private readonly series = new Map<string, Series>()
  private readonly frames = new Map<string, Frame[]>()
  private readonly scans = new Map<string, PictureScan>()
  private readonly slots = new Map<string, Slot | undefined>()
  private readonly unreadable: string[] = []
  private made = 0
  private refused = 0

  constructor(
    private readonly sources: PictureSources,
    private readonly pictures: Picture[],
    private readonly kinds: BoxKinds,
  ) {
    const { detections, references = [], frames } = sources
    const entries = (frames?.entries ?? []).flatMap((entry) =>
      // Frames of a stack count slices and pixels within it.
      entry.nodule === undefined || entry.nodule.stack !== undefined ? [] : [{ entry, from: entry.nodule }],
    )
    const series = sources.series ?? references.map((scan) => scan.series)
    this.shared = sharedUids(
      detections,
      series,
      entries.map(({ from }) => from),
    )
    for (const one of series) this.series.set(this.keyOf(one), one)
    for (const frame of entries) {
      const key = this.keyOf(frame.from)
      this.frames.set(key, [...(this.frames.get(key) ?? []), frame])
    }
    for (const detection of detections) this.add(detection, detection)
    for (const { series: one } of references) if (!this.scans.has(this.keyOf(one))) this.add(one, undefined)
  }

  /** The scan of a patient and a series, whether or not there are pictures of it. */
  scan(identity: ScanIdentity): PictureScan {
    return this.scans.get(this.keyOf(identity)) ?? this.add(identity, undefined)
  }

  /** A view of the slice `wanted`, or the nearest one of `slices` that there is a picture of; slices of the pictures. */
  async view(
    scan: PictureScan,
    slices: readonly number[],
    wanted: number,
    focus: EdgeBox,
    caption: string,
    focusKind?: 'truth' | 'missed',
  ): Promise<PageView | undefined> {
    const candidates = [...slices].sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))
    let isRefused = false
    for (const at of candidates) {
      const slot = await this.picture(scan, at)
      if (slot === 'refused') isRefused = true
      if (slot === undefined || slot === 'refused') continue
      const place = (box: EdgeBox): [number, number, number, number] => {
        const { x1, y1, x2, y2 } = slot.mapping === undefined ? box : imageToFrame(slot.mapping, box)
        return [x1, y1, x2, y2]
      }
      const truth = (scan.reference?.consensus ?? []).flatMap((nodule) =>
        nodule.boxes
          .filter((box) => box.k === at)
          .map(({ box }): PageView['boxes'][number] => ({
            box: place(box),
            kind: this.kinds.isMissed(scan, `nodule ${nodule.id}`) ? 'missed' : 'truth',
          })),
      )
      const slice = scan.examined.get(at)
      const found = (slice?.boxes ?? []).flatMap((box): PageView['boxes'] =>
        box.nodule === undefined
          ? []
          : [{ box: place(box), kind: this.kinds.isWrong(scan, box.nodule) ? 'wrong' : 'hit' }],
      )
      const own = focusKind === undefined ? [] : [{ box: place(focus), kind: focusKind }]
      const picture = this.pictures[slot.picture]!
      return {
        picture: slot.picture,
        boxes: [...truth, ...own, ...found],
        crop: square(place(focus), picture),
        // As the detections count, whose files and pictures are called so.
        caption: `${caption} (${slice === undefined ? `slice ${at} of the scan, not examined` : `slice ${slice.k}`})`,
      }
    }
    if (isRefused) this.refused++
    return undefined
  }

  /** What could not be shown. */
  warnings(): string[] {
    const [first] = this.unreadable
    const warnings =
      first === undefined
        ? []
        : [`${count(this.unreadable.length, 'picture')} cannot be shown, first: ${first}`]
    const { maxPictures } = this.sources
    // Who asks for no picture misses none.
    if (this.refused > 0 && maxPictures > 0)
      warnings.push(
        `${count(this.refused, 'row')} of the tables of nodules without a picture: the page shows at most ${count(maxPictures, 'slice')} of scans`,
      )
    return warnings
  }

  private keyOf(scan: ScanIdentity): string {
    return scanKey(scan, this.shared)
  }

  /**
   * The list's frame of a slice: by SOP Instance UID where the result has one that the list may know; by position, or
   * index, for slices that were not examined and for results of volume files.
   */
  private frameOf(scan: PictureScan, at: number): Frame | undefined {
    const { detection } = scan
    const frames = this.frames.get(this.keyOf(scan)) ?? []
    const uid = (scan.examined.get(at) as Partial<DetectedSlice> | undefined)?.sopInstanceUid ?? ''
    if (detection === undefined) return frames.find(({ from }) => from.k === at)
    const sources = frames.map(({ from }) => from)
    if (uid === '' || !shareSopUids(detection, sources)) {
      const distance = sliceDistances(detection, sources)
      return nearest(frames, ({ from }) => distance(at, from))
    }
    const same = frames.filter(({ from }) => from.sopInstanceUid === uid)
    // Slices of one file share their UID.
    return same.length > 1 ? same.find(({ from }) => from.k === at) : same[0]
  }

  private add(identity: ScanIdentity, detection: SeriesDetections | undefined): PictureScan {
    const key = this.keyOf(identity)
    const series = this.series.get(key)
    const sliceOf = detection === undefined ? (k: number) => k : sliceMap(detection, series)
    const scan: PictureScan = {
      patientId: series?.patientId ?? identity.patientId ?? '',
      seriesInstanceUid: identity.seriesInstanceUid,
      detection,
      series,
      reference: this.sources.references?.find((one) => this.keyOf(one.series) === key),
      sliceOf,
      examined: new Map(detection?.slices.map((slice) => [sliceOf(slice.k), slice])),
    }
    this.scans.set(key, scan)
    return scan
  }

  /** 'refused': there is a picture, but one too many. */
  private async picture(scan: PictureScan, at: number): Promise<Slot | 'refused' | undefined> {
    const key = JSON.stringify([this.keyOf(scan), at])
    if (this.slots.has(key)) return this.slots.get(key)
    if (this.made >= this.sources.maxPictures) {
      const isThere = scan.series?.slices[at] !== undefined || this.frameOf(scan, at) !== undefined
      return isThere ? 'refused' : undefined
    }
    let slot: Slot | undefined
    try {
      slot = await this.make(scan, at)
    } catch (error) {
      this.unreadable.push(describeError(error))
    }
    if (slot !== undefined) this.made++
    this.slots.set(key, slot)
    return slot
  }

  private async make(scan: PictureScan, at: number): Promise<Slot | undefined> {
    const { series } = scan
    const slice = series?.slices[at]
    if (series !== undefined && slice !== undefined) {
      const { data, shape } = await loadVolume({ ...series, slices: [slice] })
      const gray = windowToGray(data, PICTURE_WINDOW.low, PICTURE_WINDOW.high)
      return {
        picture: this.pictures.push(await grayPicture(gray, shape[2], shape[1])) - 1,
        mapping: undefined,
      }
    }
    const frame = this.frameOf(scan, at)
    if (frame === undefined) return undefined
    return {
      picture: this.pictures.push(await framePicture(this.sources.frames!, frame.entry)) - 1,
      mapping: frame.from.mapping,
    }
  }
}

/**
 * Which slice of the series a slice of the detections is: by SOP Instance UID, else by its place in the patient. Detection
 * leaves unreadable slices out, so that the others move up.
 */
function sliceMap(detection: SeriesDetections, series: Series | undefined): (k: number) => number {
  if (series === undefined) return (k) => k
  const bySop = new Map<string, number[]>()
  for (const [at, { sopInstanceUid }] of series.slices.entries())
    bySop.set(sopInstanceUid, [...(bySop.get(sopInstanceUid) ?? []), at])
  const uids = new Map(detection.slices.map((slice) => [slice.k, slice.sopInstanceUid]))
  const geometry = (detection.volume as Partial<SeriesDetections['volume']> | undefined)?.geometry
  return (k) => {
    const [at, ...more] = bySop.get(uids.get(k) ?? '') ?? []
    if (at !== undefined && more.length === 0) return at
    if (geometry === undefined) return k
    return Math.round(patientToVoxel(series.geometry, voxelToPatient(geometry, k, 0, 0))[0])
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
