import { onInterrupt } from './interrupt.js'
import { progress } from './progress.js'
import type { Progress } from './progress.js'

/** What long work asks and tells while it runs. */
export interface LongWork {
  /** True after Ctrl-C: end after the item at hand. */
  interrupted: () => boolean
  /** Moves the bar on stderr, which appears with the first call; `note` is a word on the item at hand. */
  onProgress: (done: number, total: number, note?: string) => void
  /** A warning on stderr, above the bar: something that does not end the work. */
  onProblem: (message: string) => void
  /** A line on stdout, or on stderr, above the bar. */
  print: (line: string) => void
  printError: (line: string) => void
}

/**
 * Runs the work of a command between the usual frame: Ctrl-C ends it after the item at hand, a bar shows how far it
 * is, both go away whatever happens. After Ctrl-C the exit code is 130; where the work returns what it has, a line tells
 * that it is not all.
 *
 * @param label stands before the bar
 * @param notice what Ctrl-C answers
 */
export async function longWork<Result>(
  label: string,
  work: (tools: LongWork) => Promise<Result>,
  notice?: string,
): Promise<Result> {
  const { interrupted, release } = onInterrupt(notice)
  let bar: Progress | undefined
  const print = (stream: NodeJS.WritableStream, line: string): void => {
    if (bar === undefined) stream.write(`${line}\n`)
    else bar.print(stream, line)
  }
  try {
    const result = await work({
      interrupted,
      onProgress: (done, total, note) => {
        bar ??= progress(label, total)
        bar.update(done, note)
      },
      onProblem: (message) => print(process.stderr, `warning: ${message}`),
      print: (line) => print(process.stdout, line),
      printError: (line) => print(process.stderr, line),
    })
    if (interrupted()) print(process.stderr, 'interrupted: what follows is not all')
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
