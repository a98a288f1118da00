import type { Hypes } from '../config/hypes.js'

/** The learning rate of a step: constant for three periods of learning_rate_step, then halved at each. */
export function learningRate(solver: Hypes['solver'], step: number): number {
  const halvings = Math.max(0, Math.floor(step / solver.learning_rate_step) - 2)
  return solver.learning_rate * 0.5 ** halvings
}
