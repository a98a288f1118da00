import { statSync } from 'node:fs'
import { NoduleError, fileError } from '../../errors.js'
import { readList } from '../../dataset/list.js'
import type { FrameList, FrameSource } from '../../dataset/list.js'
import { imageToFrame } from '../../geometry/frame.js'
import type { FrameMapping } from '../../geometry/frame.js'
import type { ScoredBox } from '../../geometry/box.js'
import type { DetectedBox, SeriesDetections } from '../../inference/detections.js'
import { scanKey, sharedUids } from '../../scans/scan_keys.js'
import { greatest } from '../../lists.js'
import { agree, count } from '../../words.js'
import { readJudged } from '../scans/marks.js'
import type { EvaluatedEntry } from './pairs.js'
import { sliceFinder } from './same_slice.js'

/** Predictions for the images of a list. */
export interface Predictions {
  entries: readonly EvaluatedEntry[]
  /** The folder that relative image paths start from. */
  dir: string
  warnings: string[]
}

/**
 * Reads predictions for a list of frames: a TensorBox list, or a folder of `nodule detect`, whose boxes in scans become
 * boxes on those slices' frames. Throws NoduleError (FILE, FORMAT).
 */
export async function readPredictions(path: string, truth: FrameList): Promise<Predictions> {
  let isFolder: boolean
  try {
    isFolder = statSync(path).isDirectory()
  } catch (error) {
    throw fileError(path, 'read predictions', error)
  }
  if (!isFolder) return readList(path)
  const warnings: string[] = []
  const entries = framesOfScans(truth, await readJudged(path, warnings), sliceConfidence, warnings)
  return { entries, dir: truth.dir, warnings }
}

/** What ranks the boxes of a scan; undefined leaves one out. */
type Ranking = (scan: SeriesDetections) => (box: DetectedBox) => number | undefined

/**
 * The boxes of scans on the frames of a list, by default without those of no listed nodule (`sliceConfidence`).
 * Frames of series that are not among the scans get no entry; those of slices that were not examined an empty one.
 * `warnings` tell these, and scans whose slices are matched by position.
 * @throws NoduleError (FORMAT) where the list does not say which slice a frame is
 */
export function framesOfScans(
  truth: FrameList,
  scans: readonly SeriesDetections[],
  ranking: Ranking = sliceConfidence,
  warnings: string[] = [],
): EvaluatedEntry[] {
  const shared = sharedUids(
    scans,
    truth.entries.flatMap(({ nodule }) => nodule ?? []),
  )
  const framesOf = new Map<string, FrameSource[]>()
  for (const { nodule } of truth.entries) {
    if (nodule === undefined) continue
    const frames = framesOf.get(scanKey(nodule, shared))
    if (frames === undefined) framesOf.set(scanKey(nodule, shared), [nodule])
    else frames.push(nodule)
  }
  const byPosition: string[] = []
  const bySeries = new Map(
    scans.map((scan) => {
      const key = scanKey(scan, shared)
      const frames = framesOf.get(key) ?? []
      const finder = sliceFinder(scan, frames)
      if (finder.byPosition && frames.length > 0) byPosition.push(key)
      return [key, { sliceOf: finder.sliceOf, confidence: ranking(scan) }]
    }),
  )
  const absent: string[] = []
  const entries = truth.entries.flatMap(({ image_path, nodule }, index) => {
    const wrong = (place: string): NoduleError =>
      new NoduleError('FORMAT', 'the list does not say which slices its images are', {
        path: truth.path,
        place: `/${index}/${place}`,
        expected: 'a list of nodule prepare, to compare with whole scans',
      })
    if (nodule === undefined) throw wrong('nodule')
    const scan = bySeries.get(scanKey(nodule, shared))
    if (scan === undefined) return []
    const mapping = nodule.mapping as FrameMapping | undefined
    if (mapping === undefined) throw wrong('nodule/mapping')
    const slice = scan.sliceOf(nodule)
    if (slice === undefined) absent.push(image_path)
    const rects = (slice?.boxes ?? []).flatMap((box): ScoredBox[] => {
      const score = scan.confidence(box)
      return score === undefined ? [] : [{ ...imageToFrame(mapping, box), score }]
    })
    return [{ image_path, rects }]
  })
  if (byPosition.length > 0)
    warnings.push(
      `the slices of ${count(byPosition.length, 'scan')} are matched by position: the list and the detections have no SOP Instance UID in common (one is of a volume file, or the UIDs were changed), first ${byPosition[0]!}`,
    )
  if (absent.length > 0)
    warnings.push(
      `${count(absent.length, 'image')} ${agree(absent.length, 'is of a slice', 'are of slices')} that the detections do not have (unreadable, outside of the lungs, or not in the scan that was examined), so that nothing is found there, first ${absent[0]!}`,
    )
  return entries
}

/**
 * How sure a box of a slice is, by all that is known: its own confidence, that of its nodule (with both stages), and its
 * longest side as a share of the longest in the nodule, under a root, since a nodule's last slices are the doubtful ones.
 * @returns undefined for a box whose nodule is not listed
 */
export function sliceConfidence(scan: SeriesDetections): (box: DetectedBox) => number | undefined {
  const side = (box: DetectedBox): number => Math.max(box.x2 - box.x1, box.y2 - box.y1)
  const nodules = new Map(scan.nodules.map(({ id, confidence }) => [id, { confidence, sides: [0] }]))
  for (const { boxes } of scan.slices)
    for (const box of boxes) if (box.nodule !== undefined) nodules.get(box.nodule)?.sides.push(side(box))
  const longest = new Map([...nodules].map(([id, { sides }]) => [id, greatest(sides)]))
  return (box) => {
    const nodule = box.nodule === undefined ? undefined : nodules.get(box.nodule)
    if (nodule === undefined) return undefined
    return box.score * nodule.confidence * Math.sqrt(side(box) / longest.get(box.nodule!)!)
  }
}
