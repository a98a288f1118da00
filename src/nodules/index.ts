export { LINK_DEFAULTS, linkBoxes, rankNodules } from './link.js'
export type { LinkOptions, Nodule3d, SliceBoxes } from './link.js'
export { CONFIDENCE, confidenceOf } from './confidence.js'
export type { ConfidenceMeasures, ConfidenceWeights } from './confidence.js'
