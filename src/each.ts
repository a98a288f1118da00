import { checkInteger } from './check.js'
import { isStopped } from './work.js'

/**
 * Works on the items, `most` of them at a time, in their order. Once the signal is aborted or an item fails no other is
 * begun; what was begun is ended first, then the first failure is thrown. Work that may fail without ending the rest
 * catches its own errors.
 *
 * @throws NoduleError INVALID_PARAMETER where `most` (atOnce, as callers name it) would let nothing be done at all
 */
export async function eachAtOnce<T>(
  items: readonly T[],
  most: number,
  work: (item: T, index: number) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  if (most !== Infinity) checkInteger('atOnce', most, 1, 65536)
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
