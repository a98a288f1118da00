/** What a detector made of the nodules of the stacks and of whole scans: what all figures are computed from. */

export interface NoduleOutcome {
  patientId: string
  nodule: string
  readers: number
  /** Greatest axial diameter of the consensus, mm. */
  diameterMm: number
  /** Confidence of the best mark that hits it; 0: none. */
  score: number
  /** As the detector measured it; absent without a hit. */
  measuredMm?: number
}

/** A nodule that was put into another scan. */
export interface InsertedOutcome extends NoduleOutcome {
  host: string
  at: 'parenchyma' | 'vessel' | 'wall'
}

export interface FalseMark {
  score: number
  /** Patient mm, LPS. */
  center: readonly [number, number, number]
  diameterMm: number
}

export interface ScanOutcome {
  patientId: string
  seriesUid: string
  /** Marks on nothing that a reader outlined or pointed at; falling confidence. */
  falseMarks: FalseMark[]
  /** How many such marks `nodule detect` lists at its defaults. */
  falseMarksAtDefault: number
  /** Nodules of at least three readers (and lesions): confidence of the best mark that hits each. */
  nodules: { id: string; diameterMm: number; score: number; falseMarksAbove: number }[]
  seconds: number
}

export interface Outcomes {
  /** `confidence`: that at which `nodule detect` cuts this model's marks by default. */
  model: { first: string; second: string | undefined; sha256: string; confidence: number }
  stacks: NoduleOutcome[]
  scans: ScanOutcome[]
  /** The nodules of the stacks in copies of the scans. */
  inserted?: InsertedOutcome[]
}
