import type { Hypes } from '../config/hypes.js'

/** What a schedule depends on. */
type Solver = Pick<
  Hypes['solver'],
  'learning_rate' | 'learning_rate_step' | 'step_factor' | 'schedule' | 'warmup_steps' | 'max_iter'
>

/**
 * The learning rate of a step. "halving": constant for three periods of learning_rate_step, then halved at each.
 * "cosine": half a cosine from learning_rate to 0 at max_iter (Loshchilov and Hutter, arXiv 1608.03983). "step": times
 * step_factor at each period of learning_rate_step. Before any of them is reached the rate rises from 0 in warmup_steps.
 */
export function learningRate(solver: Solver, step: number): number {
  const { learning_rate: rate, warmup_steps: warmup } = solver
  if (step < warmup) return (rate * (step + 1)) / (warmup + 1)
  if (solver.schedule === 'cosine') {
    const part = Math.min(1, (step - warmup) / Math.max(1, solver.max_iter - warmup))
    return (rate * (1 + Math.cos(Math.PI * part))) / 2
  }
  const periods = Math.floor(step / solver.learning_rate_step)
  if (solver.schedule === 'step') return rate * solver.step_factor ** periods
  return rate * 0.5 ** Math.max(0, periods - 2)
}
