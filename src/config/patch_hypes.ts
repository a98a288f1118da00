import { NoduleError } from '../errors.js'
import { show } from '../check.js'
import { readChanged } from './read_hypes.js'
import { choice, choices, flag, integer, number, numbers, parseKeys, text, texts } from './schema.js'
import type { Parsed } from './schema.js'
import { checkSolver } from './solver_keys.js'

/** What a patch classifier can say about a cube; src/patches/targets.ts says what each means. */
export const PATCH_TARGETS = ['nodule'] as const
export type PatchTarget = (typeof PATCH_TARGETS)[number]

/** Every key of the hypes of a patch classifier: the second stage against false marks. */
export const PATCH_HYPES_KEYS = {
  kind: choice('Tells these hypes from those of a detector.', 'patches', ['patches']),
  targets: choices('What is said about a cube: one output each.', ['nodule'], PATCH_TARGETS),

  // The cube around a mark: planes parallel to the slices, at fixed millimeters.
  cube: {
    planes: integer('Planes, odd: the middle one goes through the mark.', 9, 'planes', 1, 63),
    plane_mm: number('Distance of two planes.', 2, 'mm', 0.1, 50),
    size: integer('Side of a plane.', 48, 'cube pixels', 8, 256),
    pixel_mm: number('Size of a cube pixel.', 0.7, 'mm', 0.05, 10),
    coarse_planes: integer(
      'Planes that see a wider surrounding, after the others, odd; 0: none. Stacks are cut out in x and y too: mind that these stay inside of them.',
      0,
      'planes',
      0,
      63,
    ),
    coarse_plane_mm: number('Distance of two coarse planes.', 4, 'mm', 0.1, 50),
    coarse_pixel_mm: number('Size of a pixel of a coarse plane.', 1.4, 'mm', 0.05, 10),
    window_low_hu: number('HU that becomes gray level 0.', -1000, 'HU', -32768, 32767),
    window_high_hu: number('HU that becomes gray level 255.', 400, 'HU', -32768, 32767),
  },

  // The network: pairs of 3 x 3 convolutions, the first of each pair but the first strided by 2; global mean and maximum.
  widths: numbers('Filters of the convolutions of each stage.', [32, 64, 128, 128], 'filters', [1, 8]),
  dense: integer('Units of the hidden layer that all targets share.', 64, 'units', 1, 4096),
  dropout: number('Fraction of the hidden units that is dropped while training.', 0.3, '', 0, 0.95),
  batch_norm_momentum: number('Decay of the batch-norm averages per step.', 0.97, '', 0, 0.9999),

  batch_size: integer('Cubes per training step.', 64, 'cubes', 1, 4096),
  clip_norm: number('Gradients are scaled down to this global norm; 0: never.', 5, '', 0, 1e6),

  // Which cubes training sees. A nodule counts once, however many cubes it has.
  sampling: {
    positive_share: number('Share of nodules among the cubes of a batch.', 0.5, '', 0, 1),
    hard_weight: number(
      'How often a false mark of the first stage is drawn, against 1 for a point of the background.',
      3,
      '',
      0,
      1e3,
    ),
    large_weight: number(
      'How often a nodule of 12 mm or more is drawn, against 1 for a smaller one: they are few, and masses at the wall fewer.',
      1,
      '',
      0,
      1e3,
    ),
    label_smoothing: number('Labels are drawn this far towards 0.5.', 0.02, '', 0, 0.9),
  },
  augment: {
    rotate: flag('Turn by any angle in the plane.', true),
    mirror: flag('Mirror in x, in y and in z.', true),
    scale: number('Largest change of the size, as a part of it.', 0.15, '', 0, 0.4),
    shift_px: number('Largest shift in x and in y.', 2, 'cube pixels', 0, 32),
    shift_planes: number('Largest shift in z.', 0.5, 'planes', 0, 8),
    gray_shift: number('Largest shift of the gray levels, as a part of the window.', 0.03, '', 0, 1),
    gray_scale: number('Largest change of the contrast.', 0.1, '', 0, 0.9),
    noise: number('Largest standard deviation of added noise, as a part of the window.', 0.02, '', 0, 1),
    z_truncation: number(
      'Share of the cubes, of nodules as of others, that reach no farther than stacks cut out around nodules do, in z and in the plane; where it would take cubes of whole scans more than four times as often as they are there, it is more.',
      0.5,
      '',
      0,
      1,
    ),
  },
  logging: {
    display_iter: integer('Steps between log lines.', 50, 'steps', 1, 1e9),
    test_iter: integer('Steps between looks at all test cubes.', 500, 'steps', 1, 1e9),
    save_iter: integer('Steps between checkpoints.', 500, 'steps', 1, 1e9),
    histogram_iter: integer(
      'Steps between histograms of weights and gradients in the event files; 0: never.',
      1000,
      'steps',
      0,
      1e9,
    ),
    keep_checkpoints: integer(
      'Checkpoints that are kept, the newest; last and best come on top; 0: all.',
      0,
      'checkpoints',
      0,
      1e6,
    ),
  },
  solver: {
    opt: choice('Optimizer.', 'AdamW', ['RMS', 'Adam', 'AdamW', 'SGD']),
    weight_decay: number(
      'AdamW: the part of the rate by which weights (not biases and batch norms) shrink a step.',
      0.02,
      '',
      0,
      1,
    ),
    epsilon: number('Added to the denominator of RMSProp and Adam, at least 1e-20 there.', 1e-8, '', 0, 1),
    momentum: number('SGD: part of the last step that is taken again; 0: plain.', 0, '', 0, 0.9999),
    accumulate: integer('Batches whose gradients are averaged for one step.', 1, 'batches', 1, 1024),
    precision: choice(
      'In what convolutions and matrix products compute while training; bfloat16: on the native engine and processors with AVX512-BF16, else an error. Weights, sums and the rest stay float32.',
      'float32',
      ['float32', 'bfloat16'],
    ),
    freeze: texts(
      'Layers that are not trained, by the beginning of their names; * stands for any letters. Their batch norms keep to their averages.',
      [],
    ),
    rnd_seed: integer('Seed of weights, order, augmentation and dropout.', 1, '', 0, 4294967295),
    learning_rate: number('Highest learning rate.', 2e-3, '', 0, 100),
    schedule: choice(
      'How the rate falls: "cosine" from warmup_steps to 0 at max_iter; "halving" and "step" by learning_rate_step.',
      'cosine',
      ['halving', 'cosine', 'step'],
    ),
    step_factor: number('Of "step": the rate is multiplied by it at each learning_rate_step.', 0.1, '', 0, 1),
    learning_rate_step: integer(
      'Of "halving" and "step"; see the hypes of a detector.',
      33000,
      'steps',
      1,
      1e9,
    ),
    warmup_steps: integer('Steps in which the rate rises from 0.', 200, 'steps', 0, 1e9),
    ema_decay: number(
      'Checkpoints and tests hold the moving average of the weights with this decay a step; 0: the weights themselves.',
      0.998,
      '',
      0,
      0.999999,
    ),
    weights: text(
      'Checkpoint to start from, beside the hypes file or in the working directory; empty: none.',
      '',
    ),
    max_iter: integer('Steps of a run.', 4000, 'steps', 1, 1e9),
    early_stopping: integer(
      'The run ends after so many looks at the test without a better one; 0: never.',
      0,
      'looks',
      0,
      1e6,
    ),
  },
} as const

export type PatchHypes = Parsed<typeof PATCH_HYPES_KEYS>

/** Reads such a file with its bases; see `readHypes`. Throws NoduleError (FILE, FORMAT) that names file and key. */
export function readPatchHypes(path: string, changes: readonly string[] = []): PatchHypes {
  return parsePatchHypes(readChanged(path, changes), path)
}

/** Whether a hypes file is that of a patch classifier. Throws NoduleError (FILE, FORMAT). */
export function isPatchHypes(path: string): boolean {
  return readChanged(path)['kind'] === 'patches'
}

/** Checks an object against PATCH_HYPES_KEYS and the keys against each other. `path` is for the error messages. */
export function parsePatchHypes(value: unknown, path = 'hypes'): PatchHypes {
  const hypes = parseKeys(PATCH_HYPES_KEYS, value, path)
  const wrong = (place: string, expected: string, actual: unknown): NoduleError =>
    new NoduleError('FORMAT', 'wrong value', { path, place, expected, actual: show(actual) })
  const { planes, coarse_planes: coarse, window_low_hu: low, window_high_hu: high, size } = hypes.cube
  if (planes % 2 === 0) throw wrong('cube.planes', 'odd integer', planes)
  if (coarse > 0 && coarse % 2 === 0) throw wrong('cube.coarse_planes', '0 or odd integer', coarse)
  if (!(low < high)) throw wrong('cube.window_high_hu', `more than cube.window_low_hu (${low})`, high)
  const bad = hypes.widths.find((width) => !Number.isInteger(width) || width < 1 || width > 4096)
  if (bad !== undefined) throw wrong('widths', 'integers between 1 and 4096', bad)
  if (size < 2 ** (hypes.widths.length - 1))
    throw wrong(
      'cube.size',
      `at least ${2 ** (hypes.widths.length - 1)} for ${hypes.widths.length} stages`,
      size,
    )
  checkSolver(hypes.solver, path)
  return hypes
}
