/**
 * Lists of any length: what is spread into a call lies on the stack, which ends in a RangeError from about 120,000
 * items on (scripts/check-code.mjs looks for such calls).
 */

/** Adds items at the end of a list. */
export function append<T>(list: T[], items: Iterable<T>): void {
  for (const item of items) list.push(item)
}

/** The least value; Infinity of none, NaN where one is NaN. */
export function least(values: ArrayLike<number>): number {
  let result = Infinity
  for (let at = 0; at < values.length; at++) result = Math.min(result, values[at]!)
  return result
}

/** The greatest value, and at least `atLeast`; NaN where one is NaN. */
export function greatest(values: ArrayLike<number>, atLeast = -Infinity): number {
  let result = atLeast
  for (let at = 0; at < values.length; at++) result = Math.max(result, values[at]!)
  return result
}
