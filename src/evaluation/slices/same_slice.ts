import type { FrameSource } from '../../dataset/list.js'
import type { Vector3 } from '../../geometry/vector.js'
import type { DetectedSlice, SeriesDetections } from '../../inference/detections.js'

/** Of a scan's result; files of the first versions say no volume, and slices no UID. */
export type ResultSlices = Pick<SeriesDetections, 'patientId' | 'seriesInstanceUid' | 'slices'> & {
  volume?: Pick<SeriesDetections['volume'], 'geometry'>
}

type Frame = Pick<
  FrameSource,
  'patientId' | 'seriesInstanceUid' | 'sopInstanceUid' | 'k' | 'positionMm' | 'z'
>

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

/** Slices this flat have no order along the patient's z axis. */
const LEAST_Z = 0.1

/**
 * How far the result's slices lie from frames, mm; Infinity from half a slice on, where it is another slice. Counted in the
 * patient, where a frame says where it lies there and one of them lies within the result's slices; else from the first
 * slice of each (older lists; volume files whose origin was changed). Where positions are not known, the index decides.
 * @param frames of the scan
 */
export function sliceDistances(
  scan: ResultSlices,
  frames: readonly Frame[],
): (k: number, frame: Frame) => number {
  const geometry = (scan.volume as Partial<SeriesDetections['volume']> | undefined)?.geometry
  const byIndex = (k: number, frame: Frame): number => (k === frame.k ? 0 : Infinity)
  const [first, last] = [geometry?.slicePositions[0], geometry?.slicePositions.at(-1)]
  if (geometry === undefined || first === undefined || last === undefined) return byIndex
  const half = geometry.spacing[0] / 2
  // The geometry of older results may lack these.
  const [origin, direction] = [
    geometry.origin as Vector3 | undefined,
    geometry.sliceDirection as Vector3 | undefined,
  ]
  const inPatient = ({ z }: Frame): number | undefined =>
    z === undefined || origin === undefined || !(Math.abs(direction?.[2] ?? 0) > LEAST_Z)
      ? undefined
      : (z - origin[2]) / direction![2]
  const isInside = (at: number | undefined): boolean => at! > first - half && at! < last + half
  const counted = frames.some((frame) => isInside(inPatient(frame)))
  return (k, frame) => {
    // Lists of other tools say neither.
    const relative = frame.positionMm as number | undefined
    const position =
      (counted ? inPatient(frame) : undefined) ?? (relative === undefined ? undefined : first + relative)
    const own = geometry.slicePositions[k]
    if (own === undefined || position === undefined) return byIndex(k, frame)
    const distance = Math.abs(own - position)
    return distance < half ? distance : Infinity
  }
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
  const distance = sliceDistances(scan, frames)
  const sliceOf = (frame: Frame & Pick<FrameSource, 'stack'>): DetectedSlice | undefined => {
    const { k, sopInstanceUid: uid } = frame
    if (uid === '' || bySop.has('')) return slices.find((slice) => slice.k === k)
    // Frames of a stack have their place within it.
    if (byPosition && frame.stack === undefined) return nearest(slices, (slice) => distance(slice.k, frame))
    const same = bySop.get(uid) ?? []
    return same.length > 1 ? same.find((slice) => slice.k === k) : same[0]
  }
  return { byPosition, sliceOf }
}
