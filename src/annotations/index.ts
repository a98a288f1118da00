export { clusterMarks } from './cluster.js'
export { consensusNodules } from './consensus.js'
export type { ConsensusOptions } from './consensus.js'
export { FIELD_ALIASES, NODULE_FIELDS, TEXT_FIELDS, lunaCsv, noduleFields, nodulesCsv } from './csv.js'
export { indexAnnotations, readAnnotationsFor, xmlHead } from './find.js'
export type { AnnotationIndex } from './find.js'
export { jsonToXml } from './from_json.js'
export { lunaNodule } from './luna.js'
export type { LunaNodule } from './luna.js'
export { measureMark } from './measures.js'
export { placeOnSeries } from './place_on_series.js'
export type { SeriesFrame } from './place_on_series.js'
export { TEXTURE_TYPES, ratingMeaning, textureType } from './ratings.js'
export type { TextureType } from './ratings.js'
export { parseLidcXml, readLidcXml } from './read_xml.js'
export { summarizeAnnotations, summaryText } from './summary.js'
export type { AnnotationSummary } from './summary.js'
export { RATING_NAMES } from './types.js'
export type {
  AnnotatedSeries,
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
export { compileWhere } from './where.js'
export type { Fields } from './where.js'
