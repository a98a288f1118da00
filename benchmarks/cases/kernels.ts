/**
 * The one list of sizes on which the kernels are compared (test/kernels) and timed (benchmarks/kernels.ts): none, one,
 * odd sizes, one past a block, ties, NaN. Inputs are made from the case's seed, so that both see the same numbers.
 */
export * from './boxes.js'
export * from './lungs.js'
export * from './voxels.js'
