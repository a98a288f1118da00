import { createRandom } from '../../src/random.js'
import type { NoduleOutcome, Outcomes } from './outcomes.js'

/** LUNA16's rates of false marks a scan. */
export const RATES = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8] as const

/** Groups of diameters, mm. */
export const SIZES = [
  { name: '3-6 mm', low: 3, high: 6 },
  { name: '6-8 mm', low: 6, high: 8 },
  { name: '8-15 mm', low: 8, high: 15 },
  { name: 'over 15 mm', low: 15, high: Infinity },
] as const

export interface Share {
  value: number
  /** 95 % interval by drawing patients. */
  low: number
  high: number
  /** Nodules. */
  n: number
}

export interface Figures {
  /** False marks that `nodule detect` lists at its defaults, each scan. */
  falseMarksAtDefault: number[]
  thresholds: number[]
  sensitivities: Share[]
  stackCpm: Share
  bySize: { name: string; at4: Share }[]
  /** Of the nodules put into whole scans: as of the stacks. */
  inserted?: Pick<Figures, 'stackCpm' | 'bySize'>
  /** Mean absolute error of the diameter of nodules that were found, mm, and its median. */
  diameterError: { mean: number; median: number; n: number }
}

/** The highest confidence at which more than `rate` false marks a scan would be left is not enough: above it. */
export function thresholdAt(scores: readonly number[], scans: number, rate: number): number {
  const falling = [...scores].sort((a, b) => b - a)
  return falling[Math.floor(rate * scans + 1e-9)] ?? 0
}

const share = (nodules: readonly NoduleOutcome[], threshold: number): number =>
  nodules.filter(({ score }) => score > threshold).length / nodules.length

/** Draws patients with replacement; the thresholds stay. */
function withInterval(
  nodules: readonly NoduleOutcome[],
  value: (drawn: readonly NoduleOutcome[]) => number,
  samples = 1000,
): Share {
  const byPatient = new Map<string, NoduleOutcome[]>()
  for (const nodule of nodules)
    byPatient.set(nodule.patientId, [...(byPatient.get(nodule.patientId) ?? []), nodule])
  const patients = [...byPatient.values()]
  const random = createRandom(1)
  const values: number[] = []
  for (let s = 0; s < samples && patients.length > 1; s++) {
    const drawn = patients.flatMap(() => patients[random.integer(patients.length)]!)
    values.push(value(drawn))
  }
  values.sort((a, b) => a - b)
  const at = (part: number): number =>
    values[Math.min(values.length - 1, Math.floor(part * values.length))] ?? NaN
  return { value: value(nodules), low: at(0.025), high: at(0.975), n: nodules.length }
}

function sensitivityFigures(
  nodules: readonly NoduleOutcome[],
  thresholds: readonly number[],
): Pick<Figures, 'stackCpm' | 'bySize'> {
  return {
    stackCpm: withInterval(
      nodules,
      (drawn) => thresholds.reduce((sum, threshold) => sum + share(drawn, threshold), 0) / thresholds.length,
    ),
    bySize: SIZES.map(({ name, low, high }) => {
      const those = nodules.filter(({ diameterMm }) => diameterMm >= low && diameterMm < high)
      return { name, at4: withInterval(those, (drawn) => share(drawn, thresholds[5]!)) }
    }),
  }
}

export function figures(outcomes: Outcomes): Figures {
  const { scans } = outcomes
  const nodules = outcomes.stacks.filter(({ readers, diameterMm }) => readers >= 3 && diameterMm >= 3)
  const scores = scans.flatMap((scan) => scan.falseMarks.map((mark) => mark.score))
  const thresholds = RATES.map((rate) => thresholdAt(scores, scans.length, rate))
  const errors = nodules
    .flatMap(({ measuredMm, diameterMm }) =>
      measuredMm === undefined ? [] : [Math.abs(measuredMm - diameterMm)],
    )
    .sort((a, b) => a - b)
  return {
    falseMarksAtDefault: scans.map((scan) => scan.falseMarksAtDefault),
    thresholds,
    sensitivities: thresholds.map((threshold) => withInterval(nodules, (drawn) => share(drawn, threshold))),
    ...sensitivityFigures(nodules, thresholds),
    ...(outcomes.inserted === undefined
      ? {}
      : { inserted: sensitivityFigures(outcomes.inserted, thresholds) }),
    diameterError: {
      mean: errors.reduce((a, b) => a + b, 0) / errors.length,
      median: errors[errors.length >> 1] ?? NaN,
      n: errors.length,
    },
  }
}
