import { SingleBar } from 'cli-progress'

export interface Progress {
  /** Sets the count of finished items, with an optional word on the one at hand. */
  update: (done: number, note?: string) => void
  stop: () => void
}

/** A progress bar on stderr; says nothing where stderr is not a terminal. */
export function progress(label: string, total: number): Progress {
  if (!process.stderr.isTTY) return { update: () => undefined, stop: () => undefined }
  const bar = new SingleBar({
    format: `${label} {bar} {value}/{total} {eta_formatted} {note}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  })
  bar.start(total, 0, { note: '' })
  return { update: (done, note = '') => bar.update(done, { note }), stop: () => bar.stop() }
}
