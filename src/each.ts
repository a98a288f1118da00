import { isStopped } from './work.js'

/**
 * Works on the items, `most` of them at a time, in their order. Once the signal is aborted or an item fails no other is
 * begun; what was begun is ended first, then the first failure is thrown. Work that may fail without ending the rest
 * catches its own errors.
 */
export async function eachAtOnce<T>(
  items: readonly T[],
  most: number,
  work: (item: T, index: number) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const failures: unknown[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      if (isStopped(signal)) return
      const index = next++
      try {
        await work(items[index]!, index)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, lane))
  if (failures.length > 0) throw failures[0]
}
