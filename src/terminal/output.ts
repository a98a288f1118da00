import { oneLine, safeLines } from '../clean.js'
import { systemReason } from '../errors.js'
import type { NameOf } from '../errors.js'

/**
 * Everything that commands print goes through here: stdout holds the result that was asked for, stderr all else, and
 * both keep clear of the bar of long work. A reader that closes its pipe, or a full device, never ends the work: what
 * cannot be printed any more is dropped.
 */
type Stream = typeof process.stdout | typeof process.stderr

/** How a run prints. */
interface OutputStyle {
  /** --json: stdout holds one JSON document and nothing else. */
  json: boolean
  /** --quiet: results, failures and errors only. */
  quiet: boolean
}

let style: OutputStyle = { json: false, quiet: false }

export function setOutputStyle(next: OutputStyle): void {
  style = next
}

/** What the flags of the command at hand are called, by the parameters that the library knows. */
let flagNames: NameOf = (parameter) => parameter

export function setFlagNames(nameOf: NameOf): void {
  flagNames = nameOf
}

/** The flag for a parameter: "--min-box" for minBoxPx; without one, the parameter. */
export function flagName(parameter: string): string {
  return flagNames(parameter)
}

export function isQuiet(): boolean {
  return style.quiet
}

export function wantsJson(): boolean {
  return style.json
}

/** The bar of long work, which stands in the last line of a terminal. */
export interface LiveLine {
  hide: () => void
  show: () => void
}

let liveLine: LiveLine | undefined

export function setLiveLine(line: LiveLine | undefined): void {
  liveLine = line
}

/** The result: text, or with --json the value. */
export function printResult(value: unknown, text: string | (() => string)): void {
  if (style.json) write(process.stdout, `${JSON.stringify(value, undefined, 2)}\n`)
  else write(process.stdout, typeof text === 'string' ? text : text())
}

/** Whether a path is the standard output: whatever else is printed there would become part of the file. */
export function isStdout(path: string | undefined): boolean {
  return path !== undefined && ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'].includes(path)
}

/** A piece of a result that is too long to be held as a whole. */
export function printPiece(text: string): void {
  write(process.stdout, text)
}

/** A line about what was done: on stdout, but with --json on stderr. */
export function printLine(line: string): void {
  if (!style.quiet) write(style.json ? process.stderr : process.stdout, `${oneLine(line)}\n`)
}

/** A line on stderr that --quiet leaves out: warnings, side results. */
export function printNote(line: string): void {
  if (!style.quiet) write(process.stderr, `${oneLine(line)}\n`)
}

/** A line on stderr that always appears: what failed. */
export function printFailure(line: string): void {
  write(process.stderr, `${oneLine(line)}\n`)
}

/** Several lines of the same: how to call a command, where a bug is. */
export function printFailureText(text: string): void {
  write(process.stderr, `${text}\n`)
}

/** Streams that take nothing any more. */
const lost = new Set<Stream>()

/** Nobody reads what is printed: a command that does nothing else can end. */
export function outputLost(): boolean {
  return lost.has(process.stdout)
}

/**
 * Hears the errors of stdout and stderr, which without a listener end the process. A closed pipe or terminal is no
 * failure (`nodule series | head`); a full device is one, and told once. Warnings of the process become lines too.
 */
export function guardOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', (error) => lose(stream, error))
  // Node would print its warnings past the bar.
  process.removeAllListeners('warning')
  process.on('warning', ({ message }) => printNote(`warning: ${message}`))
}

function lose(stream: Stream, error: unknown): void {
  if (lost.has(stream)) return
  lost.add(stream)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (['EPIPE', 'EIO', 'ERR_STREAM_DESTROYED'].includes(code)) return
  process.exitCode ??= 1
  if (stream === process.stdout) printFailure(`nodule: standard output: cannot write: ${systemReason(error)}`)
}

function write(stream: Stream, text: string): void {
  if (lost.has(stream)) return
  liveLine?.hide()
  try {
    stream.write(safeLines(text))
  } catch (error) {
    // Files are written at once, and some versions of Node throw.
    lose(stream, error)
  }
  liveLine?.show()
}
