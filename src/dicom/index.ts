export { dumpFile, dumpLines } from './dump.js'
export { parseDicom, readDicom } from './parse.js'
export type { DicomFile, ParseOptions } from './parse.js'
export { readSliceHeader, readSliceHeaders, sliceNormal } from './header.js'
export type { SliceHeader } from './header.js'
export { readPixels } from './pixels.js'
export type { StoredPixels } from './pixels.js'
export { findSeries, listFiles, readSeriesPixels } from './series.js'
export type {
  FindSeriesOptions,
  FoundSeries,
  Series,
  SeriesProblem,
  SeriesProblemKind,
  SkippedFile,
} from './series.js'
