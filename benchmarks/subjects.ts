/**
 * The subjects, each a file of this folder that exports `subject` (see types.ts). To add one: write `NAME.ts`, add it
 * here. A subject is loaded in its own process only.
 */
import type { Subject } from './types.js'

export const subjects: Record<string, () => Promise<{ subject: Subject }>> = {
  kernels: () => import('./kernels.js'),
  dataset: () => import('./dataset.js'),
  'train-step': () => import('./train_step.js'),
  bfloat16: () => import('./bfloat16.js'),
  lungs: () => import('./lungs.js'),
  inference: () => import('./inference.js'),
  evaluation: () => import('./evaluation.js'),
}
