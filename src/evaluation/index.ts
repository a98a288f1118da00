export { evaluatePairs, evaluateSlices, outcomesAt, sliceCurve, tensorBoxCurve } from './slices/slices.js'
export type { ImageOutcome, SliceEvaluation, SliceOptions, TensorBoxPoint } from './slices/slices.js'
export { pairImages } from './slices/pairs.js'
export type { EvaluatedEntry, ImagePair, PairOptions, Pairs } from './slices/pairs.js'
export {
  averagePrecision,
  bestF1,
  elevenPointAveragePrecision,
  f1Score,
  precisionAtRecall,
  recallAtPrecision,
} from './slices/precision_recall.js'
export type { CurvePoint, OperatingPoint } from './slices/precision_recall.js'
export { framesOfScans } from './slices/from_scans.js'
export { distinctNames, evaluateListFiles, sliceDetails, tensorBoxText } from './slices/slice_runs.js'
export type { SliceComparison, SliceDetails, SliceRun, SliceRuns } from './slices/slice_runs.js'
export { DRAWN, patientOf } from './slices/patients.js'
export type { Draw } from './slices/patients.js'
export { evaluateLabelFile } from './labels/label_runs.js'
export type { LabelRun, LabelRuns } from './labels/label_runs.js'
export { evaluateScans } from './scans/scans.js'
export type { FindingOutcome, MarkOutcome, ScanEvaluation, ScanOptions } from './scans/scans.js'
export { FROC_RATES, frocCurve, sensitivityAt } from './scans/froc.js'
export type { FrocPoint } from './scans/froc.js'
export { readReferences, readerPoints, referenceOf } from './scans/references.js'
export type { ReaderPoint, ReferenceOptions, ScanReference } from './scans/references.js'
export { readDetectionFolder, readMarks } from './scans/marks.js'
export type { MarkSource } from './scans/marks.js'
export { cutOffs } from './scans/settings.js'
export {
  bringTogether,
  compareMarks,
  evaluateScanRuns,
  evaluateScansInDetail,
  readFindings,
} from './scans/scan_runs.js'
export type { ScanComparison, ScanRun, ScanRunOptions, ScanRuns, ScanTruth } from './scans/scan_runs.js'
export { compareAuc, evaluateClassification } from './labels/classification.js'
export type { AucComparison, Classification } from './labels/classification.js'
export {
  averagePrecisionInterval,
  blandAltman,
  compareAveragePrecision,
  compareCpm,
  mcNemar,
} from './compare.js'
export type { BlandAltman, Difference, McNemar, SampledInterval } from './compare.js'
export { cocoAveragePrecision } from './slices/coco.js'
export type { CocoAp } from './slices/coco.js'
export { byBoxSize, byEquivalentDiameter, byMeasures, byType, wilson } from './breakdown.js'
export type { GroupRow, SizeRow } from './breakdown.js'
export { evaluateFiles, writeOfficialFiles } from './evaluate_files.js'
export { officialFiles } from './scans/luna_output.js'
export type { Evaluated, EvaluateOptions } from './evaluate_files.js'
