import type { FrameSource } from '../../dataset/list.js'
import type { DetectedSlice, SeriesDetections } from '../../inference/detections.js'

/** Of a scan's result; files of the first versions say no volume, and slices no UID. */
export type ResultSlices = Pick<SeriesDetections, 'patientId' | 'seriesInstanceUid' | 'slices'> & {
  volume?: Pick<SeriesDetections['volume'], 'geometry'>
}

type Frame = Pick<FrameSource, 'patientId' | 'seriesInstanceUid' | 'sopInstanceUid' | 'k' | 'positionMm'>

/** Files of the first versions have none. */
const uidOf = (slice: Partial<DetectedSlice>): string => slice.sopInstanceUid ?? ''

/** Volume files have no patient of their own, and their SOP Instance UIDs are made up. */
const isVolumeFile = (scan: Pick<Frame, 'patientId' | 'seriesInstanceUid'>): boolean =>
  scan.patientId === scan.seriesInstanceUid

/** Whether a scan's result and its frames in a list know slices by the same SOP Instance UIDs. */
export function shareSopUids(scan: ResultSlices, frames: readonly Frame[]): boolean {
  if (frames.some((frame) => isVolumeFile(frame) !== isVolumeFile(scan))) return false
  const uids = new Set(frames.map((frame) => frame.sopInstanceUid))
  return scan.slices.some((slice) => uidOf(slice) !== '' && uids.has(uidOf(slice)))
}

/**
 * How far the result's slice `k` lies from a frame's, mm from the first slice of each; Infinity from half a slice on,
 * where it is another slice. Where positions are not known, the index decides.
 */
export function sliceDistance(scan: ResultSlices, k: number, frame: Pick<Frame, 'k' | 'positionMm'>): number {
  const geometry = (scan.volume as Partial<SeriesDetections['volume']> | undefined)?.geometry
  const [first, own] = [geometry?.slicePositions[0], geometry?.slicePositions[k]]
  // Lists of other tools do not say it.
  const position = frame.positionMm as number | undefined
  if (geometry === undefined || first === undefined || own === undefined || position === undefined)
    return k === frame.k ? 0 : Infinity
  const distance = Math.abs(own - first - position)
  return distance < geometry.spacing[0] / 2 ? distance : Infinity
}

/** The item at the least distance; undefined where all are at Infinity. */
export function nearest<T>(items: readonly T[], distanceOf: (item: T) => number): T | undefined {
  let found: T | undefined
  let least = Infinity
  for (const item of items) {
    const distance = distanceOf(item)
    if (distance < least) [found, least] = [item, distance]
  }
  return found
}

/**
 * Finds slices by SOP Instance UID: where detection left an unreadable slice out, the others have moved up. By index
 * where a UID is empty, and within a file of several slices; by position where none of the UIDs is the same.
 * @param frames of the scan
 */
export function sliceFinder(
  scan: ResultSlices,
  frames: readonly Frame[],
): {
  byPosition: boolean
  sliceOf: (frame: Frame & Pick<FrameSource, 'stack'>) => DetectedSlice | undefined
} {
  const { slices } = scan
  const bySop = new Map<string, DetectedSlice[]>()
  for (const slice of slices) bySop.set(uidOf(slice), [...(bySop.get(uidOf(slice)) ?? []), slice])
  const byPosition = !shareSopUids(scan, frames)
  const sliceOf = (frame: Frame & Pick<FrameSource, 'stack'>): DetectedSlice | undefined => {
    const { k, sopInstanceUid: uid } = frame
    if (uid === '' || bySop.has('')) return slices.find((slice) => slice.k === k)
    // Frames of a stack have their place within it.
    if (byPosition && frame.stack === undefined)
      return nearest(slices, (slice) => sliceDistance(scan, slice.k, frame))
    const same = bySop.get(uid) ?? []
    return same.length > 1 ? same.find((slice) => slice.k === k) : same[0]
  }
  return { byPosition, sliceOf }
}
