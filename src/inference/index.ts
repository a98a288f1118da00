export { SESSION_DEVICES, openSession } from './session.js'
export type { FrameSize, Session, SessionDevice, SessionOptions } from './session.js'
export {
  STITCH_DEFAULTS,
  STITCH_RULES,
  defaultOverlap,
  dropOverlapping,
  stitch,
  stitchFrame,
} from './stitch.js'
export type { RawFrame } from './raw_frame.js'
export type { StitchOptions, StitchParameters, StitchRule } from './stitch.js'
export { shippedModel } from './shipped_model.js'
export { stitchTensorBox } from './stitch_tensorbox.js'
export type { StitchGrid } from './stitch_tensorbox.js'
export { combinedConfidence, logit, openPatchSession, openStages, sizeTerm } from './second.js'
export type { PatchSession, SecondStage } from './second_stage.js'
export { DETECT_DEFAULTS, defaultConfidences, detectVolume } from './detect_volume.js'
export type { DetectVolumeOptions, Rescore, VolumeDetections } from './detect_volume.js'
export { REGIONS } from './region.js'
export type { Region } from './region.js'
export { detectFolders } from './detect_folders.js'
export type { DetectFoldersOptions, DetectFoldersResult } from './detect_folders.js'
export type { DetectNote } from '../scans/find_scans.js'
export { resultName } from './earlier_result.js'
export type { ScanSummary } from './detect_to_file.js'
export { detectList } from './detect_list.js'
export type { DetectListOptions, DetectListResult } from './detect_list.js'
export { DETECTIONS_FORMAT, readDetections, writeDetections } from './detections.js'
export type {
  DetectParameters,
  DetectTiming,
  DetectedBox,
  DetectedNodule,
  DetectedSlice,
  SeriesDetections,
} from './detections.js'
export { writeMarkups } from './markups.js'
export { detectionMarks } from './marks.js'
export { scanKey, sharedUids } from '../scans/scan_keys.js'
export type { ScanIdentity } from '../scans/scan_keys.js'
