import { expect } from 'vitest'
import { NoduleError } from '../src/errors.js'

/** The NoduleError that an action throws; fails where it throws another one or nothing. */
export function caught(action: () => unknown): NoduleError {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(NoduleError)
    return error as NoduleError
  }
  throw new Error('nothing was thrown')
}
