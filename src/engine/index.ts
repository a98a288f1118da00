export { ENGINES, ENGINE_NAMES, enginesInOrder, probeEngines, startEngine } from './start.js'
export type { EngineName, StartedEngine } from './types.js'
