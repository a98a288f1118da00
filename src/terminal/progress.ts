import { oneLine } from '../clean.js'
import { isQuiet, setLiveLine } from './output.js'
import type { LiveLine } from './output.js'

export interface Progress {
  /** Sets the count of finished items, with an optional word on the one at hand. */
  update: (done: number, total: number, note?: string) => void
  stop: () => void
}

/** Milliseconds between two drawings. */
const EVERY = 100
/** The rate is that of about the last half minute. */
const SAMPLES = 60
const SAMPLE_EVERY = 500
const WIDTH = 30

/**
 * A bar in the last line of the terminal behind stderr, with the time left; lines of output.ts appear above it. Where
 * stderr is no terminal, or with --quiet, there is none.
 */
export function progress(label: string): Progress {
  const stream = process.stderr
  if (!stream.isTTY || process.env['TERM'] === 'dumb' || isQuiet())
    return { update: () => undefined, stop: () => undefined }
  const left = timeLeft()
  let line = ''
  let drawnAt = -Infinity
  const bar: LiveLine = {
    hide: () => {
      if (line !== '') stream.write('\r\u001b[K')
    },
    show: () => {
      if (line !== '') stream.write(line)
    },
  }
  setLiveLine(bar)
  return {
    update: (done, total, note = '') => {
      const now = performance.now()
      const rest = left(done, total, now)
      if (now - drawnAt < EVERY && done < total) return
      drawnAt = now
      bar.hide()
      // Room is left for the ^C that the terminal itself writes.
      line = barText(label, done, total, rest, oneLine(note)).slice(
        0,
        Math.max(20, (stream.columns || 80) - 3),
      )
      bar.show()
    },
    stop: () => {
      bar.hide()
      line = ''
      setLiveLine(undefined)
    },
  }
}

export function barText(label: string, done: number, total: number, rest: string, note: string): string {
  const full = total > 0 ? Math.round((WIDTH * Math.min(done, total)) / total) : 0
  const bar = '█'.repeat(full) + '░'.repeat(WIDTH - full)
  return [label, bar, `${done}/${total}`, rest, note].filter((part) => part !== '').join(' ')
}

/**
 * Tells the time left in words, by the rate of late; '' while there is none to go by.
 * @returns to be called with each progress, `now` in ms
 */
export function timeLeft(): (done: number, total: number, now: number) => string {
  let samples: { done: number; now: number }[] = []
  let knownTotal = 0
  return (done, total, now) => {
    // Another phase of the work counts other things.
    if (total !== knownTotal || done < (samples.at(-1)?.done ?? 0)) samples = []
    knownTotal = total
    const last = samples.at(-1)
    if (last === undefined || now - last.now >= SAMPLE_EVERY) samples.push({ done, now })
    if (samples.length > SAMPLES) samples.shift()
    const first = samples[0]!
    if (done <= first.done || now - first.now < 2 * SAMPLE_EVERY || done >= total) return ''
    return `${duration((((now - first.now) / (done - first.done)) * (total - done)) / 1000)} left`
  }
}

/** "45 s", "3 min 05 s", "2 h 10 min". */
function duration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds))
  const two = (value: number): string => String(value).padStart(2, '0')
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`
}
