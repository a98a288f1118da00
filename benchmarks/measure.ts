import type { Row } from './types.js'

export interface Timing {
  /** Median, milliseconds. */
  ms: number
  runs: number
  /** (third quartile - first quartile) / median. */
  spread: number
}

function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q
  const low = Math.floor(at)
  const a = sorted[low] ?? Number.NaN
  const b = sorted[Math.min(low + 1, sorted.length - 1)] ?? Number.NaN
  return a + (b - a) * (at - low)
}

export function summarize(times: readonly number[]): Timing {
  const sorted = [...times].sort((a, b) => a - b)
  const ms = quantile(sorted, 0.5)
  return { ms, runs: sorted.length, spread: (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / ms }
}

export type Work = () => unknown

/**
 * Times several pieces of work in turns, so that what disturbs the machine disturbs all of them: after one round that
 * is thrown away, rounds until `seconds` have passed (at least `minRuns`, at most `maxRuns`). Work that is shorter than
 * 0.2 ms is repeated inside one timing; work that is much shorter than the longest is timed several times a round.
 */
export async function measureTogether<Name extends string>(
  works: Record<Name, Work>,
  seconds: number,
  { minRuns = 5, maxRuns = 500 }: { minRuns?: number; maxRuns?: number } = {},
): Promise<Record<Name, Timing>> {
  const names = Object.keys(works) as Name[]
  const repeats = new Map<Name, number>()
  const durations = new Map<Name, number>()
  const times = new Map<Name, number[]>(names.map((name) => [name, []]))
  const once = async (name: Name, repeat: number): Promise<number> => {
    const work = works[name]
    const start = performance.now()
    for (let i = 0; i < repeat; i++) {
      const result = work()
      if (result instanceof Promise) await result
    }
    return (performance.now() - start) / repeat
  }
  for (const name of names) {
    await once(name, 1)
    const ms = await once(name, 1)
    durations.set(name, ms)
    repeats.set(name, Math.max(1, Math.ceil(0.2 / Math.max(ms, 1e-5))))
  }
  const longest = Math.max(...durations.values())
  const samples = (name: Name): number =>
    Math.min(16, Math.max(1, Math.floor(longest / 8 / Math.max(durations.get(name) ?? 1, 0.2))))
  const start = performance.now()
  for (let round = 0; round < maxRuns; round++) {
    if (round >= minRuns && performance.now() - start > seconds * 1000) break
    for (const name of names)
      for (let i = 0; i < samples(name); i++) times.get(name)?.push(await once(name, repeats.get(name) ?? 1))
  }
  return Object.fromEntries(names.map((name) => [name, summarize(times.get(name) ?? [])])) as Record<
    Name,
    Timing
  >
}

/** A row from two timings. */
export function makeRow(
  subject: string,
  name: string,
  ours: Timing,
  peer: string,
  peerMs: number | null,
  more: { floor_ms?: number | null; goal?: string } = {},
): Row {
  return {
    subject,
    case: name,
    ours_ms: ours.ms,
    peer,
    peer_ms: peerMs,
    ratio: peerMs === null ? null : peerMs / ours.ms,
    floor_ms: more.floor_ms ?? null,
    goal: more.goal ?? '',
    runs: ours.runs,
    spread: ours.spread,
  }
}

/** Whether somebody wants this case or peer: its name holds one of the texts, or there are none. */
export function isWanted(name: string, texts: readonly string[]): boolean {
  return texts.length === 0 || texts.some((text) => name.includes(text))
}
