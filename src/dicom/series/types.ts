import type { VolumeGeometry } from '../../geometry/patient.js'
import type { SliceHeader } from '../read/header.js'

export type SeriesProblemKind =
  /** Slices are missing: a distance is more than 1.5 times the median. */
  | 'gap'
  /** The distances differ by more than 5 %, and there is no gap. */
  | 'uneven-spacing'
  /** Slices with the position of another one; left out. */
  | 'duplicate'
  /** Slices of another size, pixel spacing or orientation, or scouts among slices; left out. */
  | 'mixed-size'
  /** Several images at most positions (phases, time points); one of each is kept. */
  | 'four-dimensional'
  /** Slice origins drift sideways, not in a line. */
  | 'shifted'
  /** Gantry tilt: the slices are not perpendicular to the way they are stacked. */
  | 'tilted'
  /** A scout image. */
  | 'localizer'
  /** One image only: no volume. */
  | 'single-slice'
  /** The files name no series; those of one folder and study were taken together. */
  | 'no-series-uid'
  /** The images give no position; Slice Location stands in, and only the distances of the slices are known. */
  | 'no-position'
  /** Two reconstructions (kernel, thickness, image type, acquisition ...) under one Series Instance UID; one is kept whole. */
  | 'several-reconstructions'
  /** Coronal, sagittal or far from axial: lungs and nodules are looked for in axial slices only. */
  | 'not-axial'
  /** The pixels cannot be used: color, no HU, or a compression without decoder. */
  | 'unreadable'

export interface SeriesProblem {
  kind: SeriesProblemKind
  message: string
  paths?: string[]
}

/** Images of one series that can be stacked. */
export interface Series {
  patientId: string
  studyInstanceUid: string
  seriesInstanceUid: string
  modality: string
  /** Folder of the first slice. */
  folder: string
  /** Ascending along `geometry.sliceDirection`, one per position. */
  slices: SliceHeader[]
  geometry: VolumeGeometry
  /** Slice Thickness (0018,0050) of most slices, mm. */
  thickness?: number
  /** Two slices or more that lie in a line, readable and no scout: what detection can use. */
  isVolume: boolean
  problems: SeriesProblem[]
}
