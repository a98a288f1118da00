import { onInterrupt } from './interrupt.js'
import { printFailure, printNote } from './output.js'
import { progress } from './progress.js'
import type { Progress } from './progress.js'
import type { WorkOptions } from '../work.js'

/**
 * What long work hears and tells while it runs: Ctrl-C aborts the signal, progress moves the bar on stderr, which appears
 * with the first call, and warnings and failures are lines above it.
 */
export interface LongWork {
  signal: AbortSignal
  onProgress: NonNullable<WorkOptions['onProgress']>
  onWarning: NonNullable<WorkOptions['onWarning']>
  onFailure: NonNullable<WorkOptions['onFailure']>
}

export interface LongWorkOptions {
  /** What Ctrl-C answers. */
  notice?: string
  /** The line after Ctrl-C where the work returns what it has; '': none. */
  cut?: string
}

/**
 * Runs the work of a command between the usual frame: Ctrl-C ends it after the item at hand, a bar shows how far it
 * is, both go away whatever happens. After Ctrl-C the exit code is 130; where the work returns what it has, a line tells
 * that it is not all.
 *
 * @param label stands before the bar
 */
export async function longWork<Result>(
  label: string,
  work: (tools: LongWork) => Promise<Result>,
  { notice, cut = 'interrupted: what follows is not all' }: LongWorkOptions = {},
): Promise<Result> {
  const { signal, release } = onInterrupt(notice)
  let bar: Progress | undefined
  try {
    const result = await work({
      signal,
      onProgress: (done, total, note) => {
        bar ??= progress(label)
        bar.update(done, total, note)
      },
      onWarning: (warning) => printNote(`warning: ${warning}`),
      onFailure: (failure) => printFailure(`failed: ${failure}`),
    })
    if (signal.aborted && cut !== '') printFailure(cut)
    return result
  } finally {
    bar?.stop()
    release()
    if (signal.aborted) process.exitCode = 130
  }
}

/** The exit code of a command that did what it could while some items failed; an interruption says more. */
export function failedItems(): void {
  process.exitCode ??= 1
}
