import { SingleBar } from 'cli-progress'

export interface Progress {
  /** Sets the count of finished items, with an optional word on the one at hand. */
  update: (done: number, note?: string) => void
  /** Prints a line above the bar. */
  print: (stream: NodeJS.WritableStream, line: string) => void
  stop: () => void
}

/** A progress bar on stderr; where stderr is not a terminal it only prints lines. */
export function progress(label: string, total: number): Progress {
  const write = (stream: NodeJS.WritableStream, line: string): void => void stream.write(`${line}\n`)
  if (!process.stderr.isTTY) return { update: () => undefined, print: write, stop: () => undefined }
  const bar = new SingleBar({
    format: `${label} {bar} {value}/{total} {eta_formatted} {note}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  })
  let last = { done: 0, note: '' }
  bar.start(total, 0, { note: '' })
  return {
    update: (done, note = '') => {
      last = { done, note }
      bar.update(done, { note })
    },
    print: (stream, line) => {
      // The bar returns to where it began and would overwrite what was printed since.
      bar.stop()
      write(stream, line)
      bar.start(total, last.done, { note: last.note })
    },
    stop: () => bar.stop(),
  }
}
