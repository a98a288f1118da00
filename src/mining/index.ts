// What the first stage says about volumes whose nodules are known: cubes for the second stage, false marks for the first.
export { MINE_DEFAULTS, mine } from './mine.js'
export type { MineOptions, MineResult } from './mine.js'
export { labelMark, trueNodules } from './findings.js'
export type { MarkLabel, TrueNodule } from './findings.js'
export { writeHardMarks } from './hard_marks.js'
