/**
 * What a nodule's confidence is made of: sigmoid(sum of weight * term). Logits are those of scores in [0, 1]. To fit it
 * again: a logistic regression of "is a nodule" on the terms, over the nodules of training patients (every term can be
 * computed from the fields of a nodule in the detections' JSON).
 */
export interface ConfidenceWeights {
  /** 1. */
  bias: number
  /** Logit of the best slice's score. */
  maxScore: number
  /** Logit of the mean of the two best. */
  top2Score: number
  /** Logit of `support`: the mean over the slices that a ball of this diameter is seen on, missing ones counting 0. */
  support: number
  /** Natural logarithm of the number of slices with a box. */
  slices: number
  /** Elongation beyond `LinkOptions.elongated`. */
  elongation: number
  /** In-plane drift as a part of the diameter. */
  drift: number
}

/**
 * Support alone, and each unit of elongation beyond what nodules have costs the factor e of the odds: not fitted yet.
 */
export const CONFIDENCE: Readonly<ConfidenceWeights> = {
  bias: 0,
  maxScore: 0,
  top2Score: 0,
  support: 1,
  slices: 0,
  elongation: -1,
  drift: 0,
}

/** The measures that the terms come from. */
export interface ConfidenceMeasures {
  maxScore: number
  top2Score: number
  support: number
  sliceCount: number
  elongation: number
  driftMm: number
  boxDiameterMm: number
}

/** @returns in (0, 1) */
export function confidenceOf(
  nodule: ConfidenceMeasures,
  weights: Readonly<ConfidenceWeights>,
  elongated: number,
): number {
  const sum =
    weights.bias +
    weights.maxScore * logit(nodule.maxScore) +
    weights.top2Score * logit(nodule.top2Score) +
    weights.support * logit(nodule.support) +
    weights.slices * Math.log(nodule.sliceCount) +
    weights.elongation * Math.max(0, nodule.elongation - elongated) +
    (weights.drift * nodule.driftMm) / nodule.boxDiameterMm
  return 1 / (1 + Math.exp(-sum))
}

/** Scores of exactly 0 or 1 count as one in a million short of it. */
function logit(score: number): number {
  const p = Math.min(Math.max(score, 1e-6), 1 - 1e-6)
  return Math.log(p / (1 - p))
}
