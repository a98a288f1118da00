export { LINK_DEFAULTS, linkBoxes, rankNodules } from './link.js'
export type { LinkOptions, Nodule3d, SliceBoxes } from './link.js'
