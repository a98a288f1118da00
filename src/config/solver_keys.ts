import { NoduleError } from '../errors.js'
import { choice, flag, integer, number, numbers, text, texts } from './schema.js'

/** How a detector is trained: the `solver` keys of hypes (see `HYPES_KEYS`). */
export const SOLVER_KEYS = {
  opt: choice('Optimizer.', 'RMS', ['RMS', 'Adam', 'AdamW', 'SGD']),
  weight_decay: number(
    'AdamW: the part of the rate by which weights (not biases and batch norms) shrink a step (nodule).',
    0,
    '',
    0,
    1,
  ),
  momentum: number('SGD: part of the last step that is taken again; 0: plain (nodule).', 0, '', 0, 0.9999),
  accumulate: integer('Batches whose gradients are averaged for one step (nodule).', 1, 'batches', 1, 1024),
  precision: choice(
    'In what convolutions and matrix products compute while training; bfloat16: on the native engine and processors with AVX512-BF16, else an error. Weights, sums and the rest stay float32 (nodule).',
    'float32',
    ['float32', 'bfloat16'],
  ),
  freeze: texts(
    'Layers that are not trained, by the beginning of their names; * stands for any letters. Their batch norms keep to their averages (nodule).',
    [],
  ),
  use_jitter: flag('Shift, scale and mirror training frames at random.', false),
  rnd_seed: integer('Seed of weights, order, jitter and dropout.', 1, '', 0, 4294967295),
  epsilon: number('Added to the denominator of RMSProp and Adam, at least 1e-20 there.', 1e-5, '', 0, 1),
  learning_rate: number('Learning rate of the first steps.', 1e-3, '', 0, 100),
  learning_rate_step: integer(
    'The rate is learning_rate * 0.5 ^ max(0, floor(step / learning_rate_step) - 2).',
    33000,
    'steps',
    1,
    1e9,
  ),
  schedule: choice(
    'How the rate falls: "halving" by learning_rate_step, as in TensorBox; "cosine" from warmup_steps to 0 at max_iter; "step" by step_factor at each learning_rate_step (nodule).',
    'halving',
    ['halving', 'cosine', 'step'],
  ),
  step_factor: number('Of the schedule "step" (nodule).', 0.1, '', 0, 1),
  warmup_steps: integer('Steps in which the rate rises from 0 (nodule).', 0, 'steps', 0, 1e9),
  ema_decay: number(
    'Checkpoints and validation hold the moving average of the weights with this decay a step; 0: the weights themselves (nodule).',
    0,
    '',
    0,
    0.999999,
  ),
  focal_gamma: number(
    'Confidence losses are weighted by (1 - p of the right class) ^ gamma; 0: plain cross entropy (nodule).',
    0,
    '',
    0,
    10,
  ),
  relative_box_px: number(
    'Box losses count in shares of the true width and height, times this size; 0: in pixels (nodule).',
    0,
    'px',
    0,
    1000,
  ),
  hungarian_iou: number('Matched boxes below this IoU cost 100 more.', 0.25, 'IoU', 0, 1),
  weights: text(
    'Checkpoint to start from, or a file of backbone weights as in slim_ckpt, looked for in the same places; empty: none.',
    '',
  ),
  head_weights: numbers('Weights of the confidence and of the box loss.', [1, 0.1], '', [2, 2]),
  rezoom_weights: numbers(
    'Weights of the second-stage confidence and of the box correction, times those of head_weights (TensorBox: fixed).',
    [0.1, 0.03],
    '',
    [2, 2],
  ),
  max_iter: integer('Steps of a run.', 10000, 'steps', 1, 1e9),
  early_stopping: integer(
    'The run ends after so many looks at the whole test without a better one; 0: never (nodule).',
    0,
    'looks',
    0,
    1e6,
  ),
}

/** A weight without a gradient so far, or for a long time, would become 0 / 0. */
const LEAST_EPSILON = 1e-20

/** Checks `solver` keys of a hypes file of any kind against each other. Throws NoduleError (FORMAT). */
export function checkSolver({ opt, epsilon }: { opt: string; epsilon: number }, path: string): void {
  if (opt === 'SGD' || epsilon >= LEAST_EPSILON) return
  throw new NoduleError('FORMAT', 'wrong value', {
    path,
    place: 'solver.epsilon',
    expected: `at least ${LEAST_EPSILON} with solver.opt ${opt}`,
    actual: String(epsilon),
  })
}
