/** The public API, in the order in which data flows. */
export * from './errors.js'
export { VERSION } from './version.js'
export { HYPES_KEYS, parseHypes, readHypes } from './config/hypes.js'
export type { Hypes } from './config/hypes.js'
export * from './geometry/box.js'
export * from './geometry/frame.js'
export * from './geometry/patient.js'
