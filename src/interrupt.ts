import { printFailure } from './output.js'

/**
 * SIGINT and SIGTERM ask long work to stop after the item at hand; a second SIGINT ends the process at once.
 *
 * @returns `interrupted()`, to be asked between items, and `release()`, which gives the signals back.
 */
export function onInterrupt(notice = 'stopping after the item at hand; press Ctrl-C again to stop at once'): {
  interrupted: () => boolean
  release: () => void
} {
  let count = 0
  const handler = (signal: NodeJS.Signals): void => {
    count++
    if (count > 1) process.exit(signal === 'SIGINT' ? 130 : 143)
    printFailure(notice)
  }
  process.on('SIGINT', handler)
  process.on('SIGTERM', handler)
  return {
    interrupted: () => count > 0,
    release: () => {
      process.off('SIGINT', handler)
      process.off('SIGTERM', handler)
    },
  }
}
