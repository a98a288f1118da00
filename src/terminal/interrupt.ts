import { printFailure } from './output.js'

/**
 * SIGINT and SIGTERM ask long work to stop after the item at hand; a second SIGINT ends the process at once.
 *
 * @returns `signal`, which the first of them aborts, and `release()`, which gives the signals back.
 */
export function onInterrupt(notice = 'stopping after the item at hand; press Ctrl-C again to stop at once'): {
  signal: AbortSignal
  release: () => void
} {
  const stop = new AbortController()
  const handler = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
    stop.abort()
    printFailure(notice)
  }
  process.on('SIGINT', handler)
  process.on('SIGTERM', handler)
  return {
    signal: stop.signal,
    release: () => {
      process.off('SIGINT', handler)
      process.off('SIGTERM', handler)
    },
  }
}
