import type { Vector3 } from '../../src/geometry/vector.js'
import { DETECT_DEFAULTS, defaultConfidences } from '../../src/inference/index.js'
import type { DetectedNodule, DetectParameters, Session } from '../../src/inference/index.js'

/** A model, and how it is run here. */
export interface Judged {
  session: Session
  /** Boxes of the first stage below this confidence are left out. */
  minScore: number
}

/**
 * Behind a second stage the boxes of detection alone: fainter ones would lend its marks slices that they do not have
 * there. A first stage's free-response curve goes on below detection's.
 */
export const leastScore = (session: Pick<Session, 'second'>): number =>
  session.second === undefined ? 0.02 : defaultConfidences(session).minScore

/** As `nodule detect` runs where nobody says otherwise. */
export const defaultParameters = (session: Pick<Session, 'second'>): DetectParameters => {
  const { minScore, minConfidence } = defaultConfidences(session)
  return { ...DETECT_DEFAULTS, minScore, link: { ...DETECT_DEFAULTS.link, minConfidence } }
}

/** All marks, however unsure. */
export const parametersOf = ({ minScore }: Judged, region: 'lungs' | 'all'): DetectParameters => ({
  ...DETECT_DEFAULTS,
  region,
  minScore,
})

const distance = (a: Vector3, b: Vector3): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])

/** LUNA16's rule: a mark hits what it lies in. */
export const hits = (mark: Vector3, center: Vector3, diameterMm: number): boolean =>
  distance(mark, center) < (diameterMm < 0 ? 5 : diameterMm / 2)

/** The most confident. */
export const best = (marks: readonly DetectedNodule[]): DetectedNodule | undefined =>
  marks.reduce<DetectedNodule | undefined>(
    (a, b) => (a === undefined || b.confidence > a.confidence ? b : a),
    undefined,
  )
