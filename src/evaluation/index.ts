export { evaluatePairs, evaluateSlices, outcomesAt, sliceCurve, tensorBoxCurve } from './slices.js'
export type { ImageOutcome, SliceEvaluation, SliceOptions, TensorBoxPoint } from './slices.js'
export { pairImages } from './pairs.js'
export type { EvaluatedEntry, ImagePair, PairOptions, Pairs } from './pairs.js'
export {
  averagePrecision,
  bestF1,
  elevenPointAveragePrecision,
  f1Score,
  precisionAtRecall,
  recallAtPrecision,
} from './precision_recall.js'
export type { CurvePoint, OperatingPoint } from './precision_recall.js'
export { evaluateListFiles } from './files.js'
export type { SliceFilesEvaluation } from './files.js'
export { sliceTable } from './tables.js'
export { evaluateScans } from './scans.js'
export type { Finding, FindingOutcome, Mark, MarkOutcome, ScanEvaluation, ScanOptions } from './scans.js'
export { FROC_RATES, frocCurve, sensitivityAt } from './froc.js'
export type { FrocPoint } from './froc.js'
export { readReferences, readerPoints, referenceOf } from './references.js'
export type { ReaderPoint, ReferenceOptions, ScanReference } from './references.js'
