import { NoduleError } from './errors.js'

/** Prints a value briefly enough for an error message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value)
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${(value as Uint8Array).length})`
  if (typeof value === 'object' && value !== null) {
    let text: string
    try {
      text = JSON.stringify(value) ?? Object.prototype.toString.call(value)
    } catch {
      text = Object.prototype.toString.call(value)
    }
    return text.length > 80 ? `${text.slice(0, 77)}...` : text
  }
  if (typeof value === 'function') return `function ${value.name}`
  return String(value)
}

/** The error for a wrong argument: "Expected number between 0 and 1 for iou but received 3". */
export function invalidParameter(name: string, expected: string, actual: unknown): NoduleError {
  return new NoduleError('INVALID_PARAMETER', '', { parameter: name, expected, actual: show(actual) })
}

/** The error for an option that nothing would use: told, where a caller believes that it counts. */
export function noEffect(parameter: string, expected: string, actual: string): NoduleError {
  return new NoduleError('INVALID_PARAMETER', 'the option has no effect here', {
    parameter,
    expected,
    actual,
  })
}

/** Returns `value` as an integer within [low, high] or throws `invalidParameter`. */
export function checkInteger(name: string, value: unknown, low: number, high: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high)
    throw invalidParameter(name, `integer between ${low} and ${high}`, value)
  return value
}

/** Returns `value` as a finite number within [low, high] or throws `invalidParameter`. */
export function checkNumber(name: string, value: unknown, low: number, high: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < low || value > high)
    throw invalidParameter(name, `number between ${low} and ${high}`, value)
  return value
}

/**
 * Returns `value` where it is an object, and no list, or throws `invalidParameter`. Like those below for the doors of the
 * library: who calls them without TypeScript is told which argument is wrong.
 * @param expected what it should be, in words
 */
export function checkObject<T extends object>(name: string, value: T, expected = 'object'): T {
  if (typeof value !== 'object' || (value as unknown) === null || Array.isArray(value))
    throw invalidParameter(name, expected, value)
  return value
}

/** Returns `value` as a text or throws `invalidParameter`. */
export function checkText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidParameter(name, 'text', value)
  return value
}

/** Throws `invalidParameter` for what is no list. */
export function checkList(name: string, value: unknown): void {
  if (!Array.isArray(value)) throw invalidParameter(name, 'list', value)
}

/** Throws `invalidParameter` for what is no list of texts: a text alone would be taken for a list of letters. */
export function checkTexts(name: string, value: unknown): void {
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string'))
    throw invalidParameter(name, 'list of texts', value)
}
