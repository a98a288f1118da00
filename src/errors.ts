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

/** What exactly is wrong with a file, where callers decide by it. */
export type NoduleFault =
  /** The bytes are no DICOM. */
  | 'not-dicom'
  /** An archive or a compressed file, in which anything may be. */
  | 'packed'
  /** macOS's notes on another file. */
  | 'apple-double'
  /** Intact DICOM without an image. */
  | 'no-image'
  /** An image whose place in the patient is unknown. */
  | 'no-place'

/** Something that may help: what to do, and the parameter to set for it. */
export type Remedy = string | { do: string; parameter: string; value?: string }

export interface NoduleErrorDetails {
  fault?: NoduleFault | undefined
  /** The file that the error is about. */
  path?: string | undefined
  /** Where in the file: a byte offset, a tag, a JSON pointer, an XML element. */
  place?: string | undefined
  /** The argument or arguments that are wrong, as the library calls them; commands know their flags. */
  parameter?: string | readonly string[] | undefined
  /** What was expected, in words. */
  expected?: string | undefined
  /** What was found instead. */
  actual?: string | undefined
  remedies?: readonly Remedy[] | undefined
  cause?: unknown
}

/** All that an error tells, without its cause: what goes from thread to thread. */
export interface NoduleErrorData extends Omit<NoduleErrorDetails, 'cause'> {
  code: NoduleErrorCode
  summary: string
}

/** What a parameter is called where a message is read; default: as the library calls it. */
export type NameOf = (parameter: string) => string

export class NoduleError extends Error {
  override readonly name = 'NoduleError'
  readonly code: NoduleErrorCode
  readonly summary: string
  readonly fault: NoduleFault | undefined
  readonly path: string | undefined
  readonly place: string | undefined
  readonly parameters: readonly string[]
  readonly expected: string | undefined
  readonly actual: string | undefined
  readonly remedies: readonly Remedy[]

  /**
   * @param summary what failed, without the file name; the message becomes
   *   `path: place: summary: expected E but received A; possible solutions: R`, leaving out what is not given, and
   *   `Expected E for P but received A` where a parameter stands for the summary.
   */
  constructor(code: NoduleErrorCode, summary: string, details: NoduleErrorDetails = {}) {
    const { cause, ...data } = details
    super(compose({ code, summary, ...data }), cause === undefined ? undefined : { cause })
    this.code = code
    this.summary = summary
    this.fault = data.fault
    this.path = data.path
    this.place = data.place
    this.parameters = listOf(data.parameter)
    this.expected = data.expected
    this.actual = data.actual
    this.remedies = data.remedies ?? []
  }

  /** The message without the file, for where its name stands beside it. */
  get reason(): string {
    return compose({ ...this.toData(), path: undefined })
  }

  /** The message in the words of a program that calls the parameters by other names. */
  inWords(nameOf: NameOf): string {
    return compose(this.toData(), nameOf)
  }

  /** The same error with more, or other, details. */
  with(details: NoduleErrorDetails): NoduleError {
    const { code, summary, ...data } = this.toData()
    return new NoduleError(code, summary, { cause: this.cause, ...data, ...details })
  }

  toData(): NoduleErrorData {
    const { code, summary, fault, path, place, parameters: parameter, expected, actual, remedies } = this
    return { code, summary, fault, path, place, parameter, expected, actual, remedies }
  }

  static fromData({ code, summary, ...details }: NoduleErrorData): NoduleError {
    return new NoduleError(code, summary, details)
  }
}

function compose(e: NoduleErrorData, nameOf: NameOf = (parameter) => parameter): string {
  const names = listOf(e.parameter).map(nameOf).join(', ')
  let what = e.summary
  if (what === '' && names !== '')
    what = `Expected ${e.expected ?? 'another value'} for ${names} but received ${e.actual ?? 'none'}`
  else {
    if (names !== '') what += ` (${names})`
    if (e.expected !== undefined) {
      what += `: expected ${e.expected}`
      if (e.actual !== undefined) what += ` but received ${e.actual}`
    } else if (e.actual !== undefined) what += `: received ${e.actual}`
  }
  const message = [e.path, e.place, what].filter((part) => part !== undefined && part !== '').join(': ')
  return safeLines(message + remediesText(e.remedies ?? [], nameOf))
}

function remediesText(remedies: readonly Remedy[], nameOf: NameOf): string {
  if (remedies.length === 0) return ''
  return `; possible solutions: ${remedies.map((remedy) => remedyText(remedy, nameOf)).join('; ')}`
}

/** "run on the CPU (device cpu)" */
export function remedyText(remedy: Remedy, nameOf: NameOf = (parameter) => parameter): string {
  if (typeof remedy === 'string') return remedy
  return `${remedy.do} (${[nameOf(remedy.parameter), remedy.value].filter((part) => part !== undefined).join(' ')})`
}

function listOf(parameter: string | readonly string[] | undefined): readonly string[] {
  return parameter === undefined ? [] : typeof parameter === 'string' ? [parameter] : parameter
}

/** One line that describes any thrown value. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What a bug tells: the stack of an error. */
export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** A bug in the work on one item, as that item's failure: a run over a thousand of them must not end for one. */
export function unexpectedFailure(reason: string, cause: unknown): NoduleError {
  return new NoduleError('FORMAT', `unexpected failure, please report it: ${reason}`, { cause })
}

/** The first line of what is known about a thrown value: other libraries append pages to it. */
export function describeBriefly(error: unknown): string {
  return describeError(error).split('\n', 1)[0]!
}

/** What is wrong with the file at `path`, beside its name: without that name, where the error is about it. */
export function reasonBeside(path: string, error: unknown): string {
  return error instanceof NoduleError && error.path === path ? error.reason : describeError(error)
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EISDIR: 'is a folder',
  ENOTDIR: 'is not a folder',
  ENOSPC: 'no space left on the device',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links go in a circle',
  EPIPE: 'nobody reads from the pipe any more',
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
