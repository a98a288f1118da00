import { onInterrupt } from './interrupt.js'
import { printFailure, printNote } from './output.js'
import { progress } from './progress.js'
import type { Progress } from './progress.js'

/** What long work asks and tells while it runs; lines go through output.ts, above the bar. */
export interface LongWork {
  /** True after Ctrl-C: end after the item at hand. */
  interrupted: () => boolean
  /** Moves the bar on stderr, which appears with the first call; `note` is a word on the item at hand. */
  onProgress: (done: number, total: number, note?: string) => void
  /** A warning: something that does not end the work. */
  onProblem: (message: string) => void
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
  const { interrupted, release } = onInterrupt(notice)
  let bar: Progress | undefined
  try {
    const result = await work({
      interrupted,
      onProgress: (done, total, note) => {
        bar ??= progress(label)
        bar.update(done, total, note)
      },
      onProblem: (message) => printNote(`warning: ${message}`),
    })
    if (interrupted() && cut !== '') printFailure(cut)
    return result
  } finally {
    bar?.stop()
    release()
    if (interrupted()) process.exitCode = 130
  }
}

/** The exit code of a command that did what it could while some items failed; an interruption says more. */
export function failedItems(): void {
  process.exitCode ??= 1
}
