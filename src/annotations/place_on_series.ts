import type { Series, SliceHeader } from '../dicom/index.js'
import type {
  LidcReading,
  PlacedContour,
  PlacedMark,
  PlacedPoint,
  PlacedReading,
  PointMark,
  UnplacedRoi,
} from './types.js'

/** What placing needs to know of a series. */
export type SeriesFrame = Pick<Series, 'seriesInstanceUid' | 'geometry' | 'thickness'> & {
  slices: readonly Pick<SliceHeader, 'sopInstanceUid' | 'imagePosition' | 'rows' | 'columns' | 'volume'>[]
}

/**
 * Finds the slice of every contour and point: by SOP Instance UID, else the slice nearest in z within half a slice
 * distance (some UIDs in LIDC name no slice of the series). What finds none is listed, not lost. Columns and rows are
 * those of the DICOM images: a volume file whose order of pixels leaves them in doubt gives a warning.
 */
export function placeOnSeries(reading: LidcReading, series: SeriesFrame): PlacedReading {
  const spacing = series.geometry.spacing[0]
  const byUid = new Map<string, number>()
  // A UID that several slices have (copies that somebody numbered anew, frames of one file) names none of them.
  const shared = new Set<string>()
  series.slices.forEach(({ sopInstanceUid }, k) => {
    if (byUid.has(sopInstanceUid)) shared.add(sopInstanceUid)
    byUid.set(sopInstanceUid, k)
  })
  for (const uid of shared) byUid.delete(uid)
  const heights = series.slices.map((slice) => slice.imagePosition[2])
  const { rows = 0, columns = 0 } = series.slices[0] ?? {}
  const unplaced: UnplacedRoi[] = []
  let placedByUid = 0
  let placedByZ = 0

  const find = (
    session: number,
    id: string,
    roi: { sopInstanceUid: string; z: number },
  ): number | undefined => {
    const named = byUid.get(roi.sopInstanceUid)
    if (named !== undefined) {
      placedByUid++
      return named
    }
    const near = nearest(heights, roi.z)
    if (near !== undefined && Math.abs(heights[near]! - roi.z) <= spacing / 2) {
      placedByZ++
      return near
    }
    const { sopInstanceUid, z } = roi
    unplaced.push({
      session,
      noduleId: id,
      sopInstanceUid,
      z,
      reason: `no slice with this UID or near z ${z} mm`,
    })
    return undefined
  }
  const inside = (session: number, id: string, roi: PlacedContour | PlacedPoint): boolean => {
    // The line around a nodule at the border of the image lies beside the image.
    const [points, beside] = 'points' in roi ? [roi.points, isUnbroken(roi.points) ? 1 : 0] : [[roi], 0]
    const within = (at: number, size: number): boolean => at >= -beside && at < size + beside
    if (points.every(({ x, y }) => within(x, columns) && within(y, rows))) return true
    if (byUid.has(roi.sopInstanceUid)) placedByUid--
    else placedByZ--
    const { sopInstanceUid, z } = roi
    unplaced.push({
      session,
      noduleId: id,
      sopInstanceUid,
      z,
      reason: `outside of the ${columns} x ${rows} image`,
    })
    return false
  }

  const nodules: PlacedMark[] = []
  const smallNodules: PlacedPoint[] = []
  const nonNodules: PlacedPoint[] = []
  reading.sessions.forEach(({ readerId, ...session }, index) => {
    for (const { contours, ...mark } of session.nodules) {
      const placed: PlacedContour[] = []
      for (const contour of contours) {
        const k = find(index, mark.noduleId, contour)
        if (k === undefined) continue
        const onSlice = { ...contour, k }
        if (inside(index, mark.noduleId, onSlice)) placed.push(onSlice)
      }
      if (placed.length > 0) nodules.push({ ...mark, session: index, readerId, contours: placed })
    }
    const point = (mark: PointMark, to: PlacedPoint[]): void => {
      const k = find(index, mark.id, mark)
      if (k === undefined) return
      const onSlice = { ...mark, session: index, readerId, k }
      if (inside(index, mark.id, onSlice)) to.push(onSlice)
    }
    for (const mark of session.smallNodules) point(mark, smallNodules)
    for (const mark of session.nonNodules) point(mark, nonNodules)
  })
  return {
    seriesInstanceUid: series.seriesInstanceUid,
    thickness: series.thickness ?? spacing,
    sessions: reading.sessions.length,
    nodules,
    smallNodules,
    nonNodules,
    placedByUid,
    placedByZ,
    unplaced,
    warnings: series.slices[0]?.volume?.mirrorX === true ? [MIRRORED] : [],
  }
}

/** dcm2niix turns rows of pixels around but keeps columns, tools that reorder to RAS turn both: who lay prone is unknown. */
const MIRRORED =
  "the columns of the volume file run to the patient's right and were turned around to place the annotations: " +
  'of a patient who lay prone they are mirrored; read the DICOM files or a MetaImage made of them'

/** Each pixel of a line touches the one before: what it encloses without itself lies off its outermost pixels. */
function isUnbroken(points: PlacedContour['points']): boolean {
  return points.every(({ x, y }, n) => {
    const before = points.at(n - 1)!
    return Math.abs(x - before.x) <= 1 && Math.abs(y - before.y) <= 1
  })
}

/** Index of the value nearest to z; the first of equals. */
function nearest(heights: readonly number[], z: number): number | undefined {
  let best: number | undefined
  heights.forEach((height, k) => {
    if (best === undefined || Math.abs(height - z) < Math.abs(heights[best]! - z)) best = k
  })
  return best
}
