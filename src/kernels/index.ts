/** The typed surface of the addon (native/): each kernel in TypeScript, C++ and CUDA, chosen by `device`. */
export { type AddonStatus, type Device, addonStatus, setThreads } from './addon.js'
export { type HuBatch, type HuOptions, huConvert, huConvertSync } from './hu.js'
export { type FramesInput, type FramesOptions, renderFrames, renderFramesSync } from './frames.js'
export type { FrameTaps } from './reference/frames.js'
export {
  type LungsOptions,
  type PartsOptions,
  type RefineInput,
  type Refined,
  dilateMask,
  erodeMask,
  findParts,
  refineLungs,
  shrinkVolume,
} from './lungs.js'
export type { Grid, Parts } from './reference/masks.js'
export {
  type RezoomGradients,
  type RezoomInput,
  type RezoomOptions,
  rezoomForward,
  rezoomForwardSync,
  rezoomGradient,
  rezoomGradientSync,
} from './rezoom.js'
export {
  type RoiAlignInput,
  type RoiAlignOptions,
  roiAlignForward,
  roiAlignForwardSync,
  roiAlignGradient,
  roiAlignGradientSync,
} from './roi_align.js'
export {
  type Assignment,
  type Match,
  type MatchInput,
  type MatchOptions,
  hungarianMatch,
  hungarianMatchSync,
  linearSumAssignment,
} from './hungarian.js'
