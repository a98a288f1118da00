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

/** Returns `value` where it is an object, and no list, or throws `invalidParameter`. */
export function checkObject<T extends object>(name: string, value: T): T {
  if (typeof value !== 'object' || (value as unknown) === null || Array.isArray(value))
    throw invalidParameter(name, 'object', value)
  return value
}
