import type { PatchBatch } from '../patches/batches.js'
import type { PatchModel } from '../patches/model.js'
import { cubeTensor } from '../patches/predict.js'
import { targetLoss } from '../patches/targets.js'
import { gradientStep } from './gradient_step.js'
import type { StepPlace } from './gradient_step.js'
import type { Optimizer } from './optimizer.js'

/** What a step tells. */
export interface PatchResult {
  loss: number
  /** Global norm of the gradients before the clipping. */
  gradientNorm: number
}

/** One training step; see `gradientStep`, which throws NoduleError (NUMERIC). */
export function patchStep(
  model: PatchModel,
  optimizer: Optimizer,
  batches: readonly PatchBatch[],
  place: StepPlace,
): PatchResult {
  return gradientStep(model, optimizer, batches, place, ({ cubes, labels }, step) => {
    const { outputs, statistics } = model.forward(cubeTensor(model, cubes), { training: true, step })
    const loss = targetLoss(outputs, labels, model.hypes.targets)
    return { loss, statistics, numbers: { loss: loss.dataSync()[0]! } }
  })
}
