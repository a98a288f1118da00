import { printFailure } from './output.js'

/** What ends the process, with its exit code: Ctrl-C, `kill`, a terminal that is closed. */
const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
const SIGNALS = Object.keys(CODES) as (keyof typeof CODES)[]

/** The long work at hand. */
let atHand: { stop: AbortController; notice: string } | undefined
let isGuarded = false

function hear(signal: NodeJS.Signals): void {
  // By exit(), not by the signal itself: what is left unfinished is cleared away when the process exits.
  if (atHand === undefined || atHand.stop.signal.aborted) process.exit(CODES[signal as keyof typeof CODES])
  atHand.stop.abort()
  printFailure(atHand.notice)
}

function listen(isOn: boolean): void {
  for (const signal of SIGNALS) process.off(signal, hear)
  if (isOn) for (const signal of SIGNALS) process.on(signal, hear)
}

/** From now on a signal that interrupts no long work ends the process in order. For programs, not for libraries. */
export function guardSignals(): void {
  isGuarded = true
  listen(true)
}

/**
 * SIGINT, SIGTERM and SIGHUP ask long work to stop after the item at hand; a second one ends the process at once.
 *
 * @returns `signal`, which the first of them aborts, and `release()`, which gives the signals back.
 */
export function onInterrupt(notice = 'stopping after the item at hand; press Ctrl-C again to stop at once'): {
  signal: AbortSignal
  release: () => void
} {
  const before = atHand
  const stop = new AbortController()
  atHand = { stop, notice }
  listen(true)
  return {
    signal: stop.signal,
    release: () => {
      atHand = before
      listen(isGuarded || before !== undefined)
    },
  }
}
