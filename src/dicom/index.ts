export { anonymize } from './anonymize/anonymize.js'
export type { AnonymizeOptions, AnonymizedFile } from './anonymize/anonymize.js'
export { anonymizeFiles } from './anonymize/anonymize_files.js'
export type { AnonymizeFilesOptions, AnonymizedTree } from './anonymize/anonymize_files.js'
export { dicomJson } from './dump/json.js'
export { dumpFile, dumpLines } from './dump/dump.js'
export { parseDicom, readDicom } from './read/parse.js'
export type { DicomFile, ParseOptions } from './read/parse.js'
export { readSliceHeader, readSliceHeaders, sliceHeaders, sliceNormal } from './read/header.js'
export type { SliceHeader } from './read/header.js'
export { decodePixels, readPixels } from './pixels/pixels.js'
export type { StoredPixels } from './pixels/stored_values.js'
export { seriesJson, seriesTable } from './series/series_table.js'
export { findSeries, listFiles, readSeriesPixels } from './series/series.js'
export { volumeNames } from './series/volume_file.js'
export type {
  FindSeriesOptions,
  FoundSeries,
  Series,
  SeriesProblem,
  SeriesProblemKind,
  SkippedFile,
} from './series/series.js'
export { readSegmentation } from './read/segmentation.js'
export type { Segmentation } from './read/segmentation.js'
