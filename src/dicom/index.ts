export { anonymize } from './anonymize.js'
export type { AnonymizeOptions, AnonymizedFile } from './anonymize.js'
export { anonymizeFiles } from './anonymize_files.js'
export type { AnonymizeFilesOptions, AnonymizedTree } from './anonymize_files.js'
export { dicomJson } from './json.js'
export { dumpFile, dumpLines } from './dump.js'
export { parseDicom, readDicom } from './parse.js'
export type { DicomFile, ParseOptions } from './parse.js'
export { readSliceHeader, readSliceHeaders, sliceHeaders, sliceNormal } from './header.js'
export type { SliceHeader } from './header.js'
export { decodePixels, readPixels } from './pixels.js'
export type { StoredPixels } from './stored_values.js'
export { seriesJson, seriesTable } from './series_table.js'
export { findSeries, listFiles, readSeriesPixels } from './series.js'
export { volumeNames } from './volume_file.js'
export type {
  FindSeriesOptions,
  FoundSeries,
  Series,
  SeriesProblem,
  SeriesProblemKind,
  SkippedFile,
} from './series.js'
export { readSegmentation } from './segmentation.js'
export type { Segmentation } from './segmentation.js'
