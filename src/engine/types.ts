/** What computes the tensors of a training run. 'auto' takes the first of enginesInOrder() that can start. */
export type EngineName = 'auto' | 'tensorflow' | 'native' | 'wasm'

/** An engine that runs: its tfjs backend is set and ready. */
export interface StartedEngine {
  name: string
  /** One line for people: versions, threads, device. */
  describe: () => string
}

/** One engine to choose. */
export interface Engine {
  name: Exclude<EngineName, 'auto'>
  /** Why the engine cannot be used here, in one line; undefined where it can. Never throws, never sets a backend. */
  probe: () => Promise<string | undefined>
  /** Sets the tfjs backend and waits until it is ready. Call it only where `probe` gave no reason. */
  start: () => Promise<StartedEngine>
}
