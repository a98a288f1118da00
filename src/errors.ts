import { safeLines } from './clean.js'

/**
 * The one error class of the package. Everything that goes wrong because of an input (a file, a flag, an
 * argument) is a NoduleError: the command line prints its message as one line and exits with code 1.
 * Any other exception is a bug and is shown with its stack.
 */
export type NoduleErrorCode =
  /** A caller passed a wrong argument. */
  | 'INVALID_PARAMETER'
  /** A file cannot be opened, read or written. */
  | 'FILE'
  /** A file is not of the format that was asked for, or is damaged. */
  | 'FORMAT'
  /** A file is intact but uses something that this version does not support. */
  | 'UNSUPPORTED'
  /** The native addon, an engine or a device is missing. */
  | 'UNAVAILABLE'
  /** Numbers that cannot be: NaN loss, failed verification. */
  | 'NUMERIC'
  /** The user interrupted the work. */
  | 'INTERRUPTED'

export interface NoduleErrorDetails {
  /** The file that the error is about. */
  path?: string | undefined
  /** Where in the file: a byte offset, a tag, a JSON pointer, an XML element. */
  place?: string | undefined
  /** What was expected, in words. */
  expected?: string | undefined
  /** What was found instead. */
  actual?: string | undefined
  cause?: unknown
}

export class NoduleError extends Error {
  override readonly name = 'NoduleError'
  readonly code: NoduleErrorCode
  readonly path: string | undefined
  readonly place: string | undefined
  readonly expected: string | undefined
  readonly actual: string | undefined

  /**
   * @param summary what failed, without the file name; the message becomes
   *   `path: place: summary: expected E but received A`, leaving out what is not given.
   */
  constructor(code: NoduleErrorCode, summary: string, details: NoduleErrorDetails = {}) {
    const where = [details.path, details.place].filter((part) => part !== undefined && part !== '')
    let message = [...where, summary].filter((part) => part !== '').join(': ')
    if (details.expected !== undefined) {
      message += `: expected ${details.expected}`
      if (details.actual !== undefined) message += ` but received ${details.actual}`
    } else if (details.actual !== undefined) message += `: received ${details.actual}`
    super(safeLines(message), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.path = details.path
    this.place = details.place
    this.expected = details.expected
    this.actual = details.actual
  }
}

/** One line that describes any thrown value. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EISDIR: 'is a folder',
  ENOTDIR: 'is not a folder',
  ENOSPC: 'no space left on the device',
  EROFS: 'the file system is read-only',
}

/** Wraps a system error (ENOENT, EACCES, ...) of a file operation into a NoduleError that names the file. */
export function fileError(path: string, action: string, error: unknown): NoduleError {
  if (error instanceof NoduleError) return error
  return new NoduleError('FILE', `cannot ${action}: ${systemReason(error)}`, { path, cause: error })
}

/** A system error (ENOSPC, ...) in words. */
export function systemReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return SYSTEM_ERRORS[code] ?? describeError(error)
}
