/**
 * Equal values of different files as one value: of the 244,000 headers of LIDC-IDRI most strings and vectors are those of
 * the slice before, and keeping one of each halves the memory. What is shared is never changed.
 */
const LIMIT = 20_000

const texts = new Map<string, string>()
const arrays = new Map<string, readonly unknown[]>()

function remember<T>(known: Map<string, T>, key: string, value: T): T {
  const old = known.get(key)
  if (old !== undefined) return old
  // Forgetting all costs memory only: equal values that come later are kept twice.
  if (known.size >= LIMIT) known.clear()
  known.set(key, value)
  return value
}

/** The string that was met first among equal ones. */
export function shareText(value: string): string {
  return remember(texts, value, value)
}

/** The array that was met first among those with equal elements (strings or numbers). */
export function shareArray<T extends readonly (string | number)[]>(values: T): T {
  return remember(arrays, `${typeof values[0]} ${values.join('\\')}`, values) as T
}
