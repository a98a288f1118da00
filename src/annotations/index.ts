export { clusterMarks } from './cluster.js'
export { consensusNodules } from './consensus.js'
export type { ConsensusOptions } from './consensus.js'
export { indexAnnotations, readAnnotationsFor } from './find.js'
export type { AnnotationIndex } from './find.js'
export { measureMark } from './measures.js'
export { placeOnSeries } from './place.js'
export type { SeriesFrame } from './place.js'
export { ratingMeaning } from './ratings.js'
export { parseLidcXml, readLidcXml } from './read_xml.js'
export { RATING_NAMES } from './types.js'
export type {
  ConsensusNodule,
  Contour,
  CxrReading,
  LidcReading,
  MarkMeasures,
  NoduleMark,
  PlacedContour,
  PlacedMark,
  PlacedPoint,
  PlacedReading,
  PointMark,
  RatingName,
  Ratings,
  RatingSummary,
  ReadingSession,
  UnplacedRoi,
  VoxelMask,
} from './types.js'
