import type { MeansState } from '../checkpoints/checkpoint.js'

/** Means of the steps' numbers; a resumed run goes on with the sums that it had. */
export class Means<Result extends object> {
  #state: MeansState

  constructor(state: MeansState = { count: 0, sums: {}, ms: 0 }) {
    this.#state = structuredClone(state)
  }

  get count(): number {
    return this.#state.count
  }

  get ms(): number {
    return this.#state.ms
  }

  get state(): MeansState {
    return this.#state
  }

  add(result: Result, ms: number): void {
    const { sums } = this.#state
    for (const [name, value] of Object.entries(result) as [string, number][])
      sums[name] = (sums[name] ?? 0) + value
    this.#state.count++
    this.#state.ms += ms
  }

  values(): Result {
    const { sums, count } = this.#state
    return Object.fromEntries(
      Object.entries(sums).map(([name, sum]) => [name, sum / count]),
    ) as unknown as Result
  }

  clear(): void {
    this.#state = { count: 0, sums: {}, ms: 0 }
  }
}
