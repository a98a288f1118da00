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
export { distinctNames, evaluateListFiles, sliceDetails, tensorBoxText } from './slice_runs.js'
export type { SliceComparison, SliceDetails, SliceRun, SliceRuns } from './slice_runs.js'
export { DRAWN, patientOf } from './patients.js'
export type { Draw } from './patients.js'
export { evaluateLabelFile } from './label_runs.js'
export type { LabelRun, LabelRuns } from './label_runs.js'
export { evaluateScans } from './scans.js'
export type { Finding, FindingOutcome, Mark, MarkOutcome, ScanEvaluation, ScanOptions } from './scans.js'
export { FROC_RATES, frocCurve, sensitivityAt } from './froc.js'
export type { FrocPoint } from './froc.js'
export { readReferences, readerPoints, referenceOf } from './references.js'
export type { ReaderPoint, ReferenceOptions, ScanReference } from './references.js'
export { detectionMarks, readDetectionFolder, readMarks } from './marks.js'
export { compareMarks, evaluateScanRuns, evaluateScansInDetail } from './scan_runs.js'
export type { ScanComparison, ScanRun, ScanRunOptions, ScanRuns } from './scan_runs.js'
export { compareAuc, evaluateClassification } from './classification.js'
export type { AucComparison, Classification } from './classification.js'
export {
  averagePrecisionInterval,
  blandAltman,
  compareAveragePrecision,
  compareCpm,
  mcNemar,
} from './compare.js'
export type { BlandAltman, Difference, McNemar, SampledInterval } from './compare.js'
export { cocoAveragePrecision } from './coco.js'
export type { CocoAp } from './coco.js'
export { byBoxSize, byEquivalentDiameter, byMeasures, byType, wilson } from './breakdown.js'
export type { GroupRow, SizeRow } from './breakdown.js'
export { evaluateFiles, writeOfficialFiles } from './run.js'
export { officialFiles } from './luna_output.js'
export type { Evaluated, EvaluateOptions } from './run.js'
