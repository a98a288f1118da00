export { loadVolume } from './hu_volume.js'
export type { HuVolume, LoadVolumeOptions } from './hu_volume.js'
export { lungWindow, softTissueWindow, windowToGray } from './window.js'
