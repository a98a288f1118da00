// A classifier of cubes around marks: the second stage. Sampling, the folders of cubes, the network, its training.
export { cubeBytes, cubePlanes, cubeSpec, sampleCubes, slicesAround } from './cube.js'
export type { CubeGrid, CubeSpec } from './cube.js'
export { storedSpec } from './augment.js'
export { CUBES_FORMAT, openCubes, writeCubes } from './store.js'
export type {
  CubeReason,
  CubeRecord,
  CubeSource,
  CubeStore,
  CubesHeader,
  CubeWriter,
  MarkBox,
} from './store.js'
export { createPatchModel, patchGraph } from './model.js'
export type { PatchModel } from './model.js'
export { areaUnderCurve } from './step.js'
export { trainPatches } from './train.js'
export type { PatchLogEntry, TrainPatchesOptions, TrainPatchesResult } from './train.js'
