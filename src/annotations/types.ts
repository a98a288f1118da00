import type { Series } from '../dicom/index.js'
import type { EdgeBox } from '../geometry/box.js'
import type { Vector3 } from '../geometry/vector.js'

/** The nine characteristics in the order of the XML files. */
export const RATING_NAMES = [
  'subtlety',
  'internalStructure',
  'calcification',
  'sphericity',
  'margin',
  'lobulation',
  'spiculation',
  'texture',
  'malignancy',
] as const

export type RatingName = (typeof RATING_NAMES)[number]

/** One reader's ratings of one nodule; 1 to 5 (internalStructure to 4, calcification to 6); see `ratingMeaning`. */
export type Ratings = Record<RatingName, number>

/** A closed line on one slice. Its points are the first pixels outside of the nodule (inclusion) or of the hole. */
export interface Contour {
  sopInstanceUid: string
  /** imageZposition: patient z of the slice, mm. */
  z: number
  /** false: what the line encloses is not nodule. */
  inclusion: boolean
  /**
   * Pixel indices as in the XML: x = column, y = row, both from 0 (-1 and the image's size: the line lies beside it);
   * they name pixel centers.
   */
  points: readonly { x: number; y: number }[]
}

/** A nodule of 3 mm or more, as one reader outlined and rated it. */
export interface NoduleMark {
  /** Free text, unique only within a session. */
  noduleId: string
  /** Absent where the reader gave none (two marks in LIDC). */
  ratings?: Ratings
  contours: readonly Contour[]
}

/** A finding that was marked by one point: a nodule below 3 mm, or something that is no nodule. */
export interface PointMark {
  id: string
  sopInstanceUid: string
  /** Patient z of the slice, mm. */
  z: number
  /** Pixel indices: x = column, y = row. */
  x: number
  y: number
}

/** What one reader marked in the unblinded reading. */
export interface ReadingSession {
  readerId: string
  /** Nodules of 3 mm or more. */
  nodules: readonly NoduleMark[]
  /** Nodules below 3 mm. */
  smallNodules: readonly PointMark[]
  /** Other findings of 3 mm or more. */
  nonNodules: readonly PointMark[]
}

/** A LidcReadMessage: the readings of one CT series. */
export interface LidcReading {
  kind: 'ct'
  path: string
  seriesInstanceUid: string
  studyInstanceUid: string
  sessions: readonly ReadingSession[]
  /** What was odd in the file and how it was taken. */
  warnings: readonly string[]
}

/** An IdriReadMessage: the readings of a chest X-ray; only recognized, not used. */
export interface CxrReading {
  kind: 'cxr'
  path: string
  seriesInstanceUid: string
  studyInstanceUid: string
  /** The CT series of the same patient. */
  ctSeriesInstanceUid: string
  /** Reading sessions in the file. */
  sessions: number
  /** Marks in the file. */
  marks: number
}

/** A contour on its slice. */
export interface PlacedContour extends Contour {
  /** Index of the slice in the series. */
  k: number
}

export interface PlacedMark {
  noduleId: string
  /** Index of the reading session, which tells the readers apart (their ids may be "anonymous"). */
  session: number
  readerId: string
  ratings?: Ratings
  contours: readonly PlacedContour[]
}

export interface PlacedPoint extends PointMark {
  session: number
  readerId: string
  k: number
}

/** A contour or point that lies on no slice of the series. */
export interface UnplacedRoi {
  session: number
  noduleId: string
  sopInstanceUid: string
  z: number
  reason: string
}

/** A reading on the slices of its series. */
export interface PlacedReading {
  seriesInstanceUid: string
  /** Slice Thickness (0018,0050), mm; the slice distance where the files do not say it. */
  thickness: number
  /** Sessions in the reading, with or without marks. */
  sessions: number
  nodules: readonly PlacedMark[]
  smallNodules: readonly PlacedPoint[]
  nonNodules: readonly PlacedPoint[]
  /** ROIs (contours and points) that found their slice: by SOP Instance UID, and by z where that is not in the series. */
  placedByUid: number
  placedByZ: number
  unplaced: readonly UnplacedRoi[]
  /** Why places may be wrong. */
  warnings: readonly string[]
}

/** Measures of one reader's outline, as pylidc defines them. */
export interface MarkMeasures {
  /** Greatest distance of two contour points on one slice, mm (pylidc's diameter). */
  axialDiameterMm: number
  /** Area inside the contour line times slice distance, mm3 (pylidc's volume, which does not heed a tilted gantry). */
  contourVolumeMm3: number
  /** Area of the mask's triangulated surface, mm2. */
  surfaceMm2: number
  /** Mean of the contour points, voxel indices [k, j, i]. */
  centroidVoxel: Vector3
}

/** A block of voxels [z, y, x]; 1 = inside. */
export interface VoxelMask {
  /** Index of the first voxel in the series. */
  k0: number
  j0: number
  i0: number
  shape: readonly [number, number, number]
  voxels: Uint8Array
}

export interface RatingSummary {
  mean: number
  median: number
}

/** A nodule as the readers of a series see it together. */
export interface ConsensusNodule {
  /** 1, 2, ... from the feet to the head. */
  id: number
  /** Readers (sessions) that outlined it. */
  readers: number
  marks: readonly PlacedMark[]
  /** One entry per mark. */
  markMeasures: readonly MarkMeasures[]
  /** Voxels that at least half of the marks hold; may be empty. */
  mask: VoxelMask
  /** Smallest box around the mask on each slice where it is not empty; image pixels, edges. */
  boxes: readonly { k: number; box: EdgeBox }[]
  /** Mean of the marks' centroids, patient space (LPS), mm. */
  centroid: Vector3
  /** The same as fractional voxel indices [k, j, i]. */
  centroidVoxel: Vector3
  /** Means over the marks, which follow the contour lines (pylidc's measures). */
  axialDiameterMm: number
  contourVolumeMm3: number
  surfaceMm2: number
  /** Volume of the consensus mask, mm3; the contour line itself lies outside of it. */
  maskVolumeMm3: number
  /** Diameter of the sphere with the mask's volume, mm; the sense of LUNA16's diameters. */
  equivalentDiameterMm: number
  /** Over the marks that have ratings; undefined where none has. */
  ratings: Record<RatingName, RatingSummary> | undefined
  /** Mean malignancy, 1 (highly unlikely) to 5 (highly suspicious); undefined without ratings. */
  malignancy: number | undefined
}

/** A series with what its readers marked. */
export interface AnnotatedSeries {
  series: Series
  reading: LidcReading
  placed: PlacedReading
  nodules: ConsensusNodule[]
  /** Counts of what was left out of them: first nodules of too few readers, then what a condition does not hold for. */
  leftOut?: { byReaders: number; byCondition: number }
}
