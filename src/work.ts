/**
 * How a caller watches and stops long work: the one vocabulary of all functions that may take longer than a moment.
 * They never write to the terminal and hear no signals of the process; the commands do that (long_work.ts).
 */
export interface WorkOptions {
  /** Once it is aborted the work ends after the item at hand. */
  signal?: AbortSignal | undefined
  /** `done` of `total` items are finished; `note` is a word on the item at hand. */
  onProgress?: ((done: number, total: number, note?: string) => void) | undefined
  /** Something to know that does not end the work: an item left out, a value that was mended. */
  onWarning?: ((warning: string) => void) | undefined
  /** An item that failed and is left out; without this they are warnings. */
  onFailure?: ((failure: string) => void) | undefined
}

/** Tells of an item that failed. */
export function tellFailure({ onFailure, onWarning }: WorkOptions, failure: string): void {
  const tell = onFailure ?? onWarning
  tell?.(failure)
}

/** Failures that are told as they come, and kept for the result. */
export function keepFailures(o: WorkOptions): { problems: string[]; fail: (failure: string) => void } {
  const problems: string[] = []
  const fail = (failure: string): void => {
    problems.push(failure)
    tellFailure(o, failure)
  }
  return { problems, fail }
}

/** Whether the work is to end. */
export function isStopped(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
