export { LINK_DEFAULTS, linkBoxes } from './link.js'
export type { LinkOptions, Nodule3d, SliceBoxes } from './link.js'
