import type { Random } from '../../random.js'

/** Which slices become frames. */
export type SliceRule =
  | { kind: 'all' }
  /** Those with a box. */
  | { kind: 'nodules' }
  /** Those with a box and `negatives` times as many without, drawn from the lungs' range. */
  | { kind: 'ratio'; negatives: number }

/**
 * Slice indices, ascending. Slices that show an excluded finding are never drawn as negatives: whether they hold a
 * nodule is what the readers did not agree on.
 * @param lungs half-open range of slices that show lung
 * @param positives what the number of negatives is in proportion to
 */
export function selectSlices(
  slices: number,
  positive: ReadonlySet<number>,
  excluded: ReadonlySet<number>,
  lungs: readonly [number, number],
  rule: SliceRule,
  random: Random,
  positives = positive.size,
): number[] {
  if (rule.kind === 'all') return Array.from({ length: slices }, (_, k) => k)
  const chosen = [...positive]
  if (rule.kind === 'ratio') {
    const pool: number[] = []
    for (let k = lungs[0]; k < lungs[1]; k++) if (!positive.has(k) && !excluded.has(k)) pool.push(k)
    const wanted = Math.min(pool.length, Math.round(rule.negatives * positives))
    for (let n = 0; n < wanted; n++) {
      const at = n + random.integer(pool.length - n)
      chosen.push(pool[at]!)
      pool[at] = pool[n]!
    }
  }
  return chosen.sort((a, b) => a - b)
}
