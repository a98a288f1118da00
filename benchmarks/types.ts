/** One measured case. Times are medians in milliseconds. */
export interface Row {
  subject: string
  case: string
  ours_ms: number
  /** What ours is compared with. */
  peer: string
  /** null: the peer is absent. */
  peer_ms: number | null
  /** peer_ms / ours_ms: higher is better for us. */
  ratio: number | null
  /** What the hardware needs at least for this work, measured on the same machine; null: not stated. */
  floor_ms: number | null
  /** What was aimed at, in words; '' without a goal. */
  goal: string
  /** How often ours was timed. */
  runs: number
  /** (third quartile - first quartile) / median of ours. */
  spread: number
}

export interface SubjectOptions {
  /** Seconds that one case may take, roughly. */
  seconds: number
  /** Only cases and peers whose names hold one of these texts; empty: all. For subjects that have a choice. */
  cases: readonly string[]
  peers: readonly string[]
}

/** What a file of this folder exports as `subject`; `subjects.ts` lists them. */
export interface Subject {
  /** One line for the help. */
  describe: string
  /** Measures and returns the rows, all at the end or one case after the other; runs in a process of its own. */
  run: (options: SubjectOptions) => Promise<Row[]> | AsyncIterable<Row[]>
}
