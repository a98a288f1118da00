// What the first stage says about volumes whose nodules are known: cubes for the second stage, false marks for the first;
// and how both stages' confidences become one.
export { MINE_DEFAULTS, mine } from './mine.js'
export type { MineOptions, MineResult } from './mine.js'
export { labelMark, trueNodules } from './findings.js'
export { calibrate, calibrateLike } from './calibrate.js'
export type { CalibrateOptions, CalibrateResult } from './calibrate.js'
export { fitLogistic } from './logistic.js'
