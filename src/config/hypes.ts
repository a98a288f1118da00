import { NoduleError } from '../errors.js'
import { invalidParameter, show } from '../check.js'
import { BACKBONE_NAMES } from './backbones.js'
import { changeKey, isGroup, readChanged } from './read_hypes.js'
import { inOurWords } from './tensorbox.js'
import { choice, flag, integer, number, numbers, parseKeys, text } from './schema.js'
import type { Parsed } from './schema.js'
import { SOLVER_KEYS, checkSolver } from './solver_keys.js'

/**
 * Every key of a hypes file. Names are TensorBox's where TensorBox has the key, so that its files load; keys that
 * only nodule has say so. A file may name another as `"base"` and then holds only what differs.
 */
export const HYPES_KEYS = {
  // The decoder.
  use_lstm: flag(
    'Decode the boxes of a cell one after another with an LSTM; false: one fully connected layer.',
    true,
  ),
  num_lstm_layers: integer('Stacked LSTM layers of the decoder.', 1, 'layers', 1, 8),
  lstm_size: integer(
    'Units of each LSTM layer, and of the hidden layer where there is no LSTM.',
    500,
    'units',
    1,
    4096,
  ),
  rnn_len: integer('Boxes that a cell can predict.', 5, 'boxes', 1, 64),
  num_classes: integer('Classes, background included: lists name no kinds.', 2, 'classes', 2, 64),

  // Rezoom: a second look at the early features where the box was predicted.
  use_rezoom: flag(
    'Add the second stage: confidences (and deltas) from early features at the predicted box.',
    true,
  ),
  reregress: flag('The second stage also corrects the box.', true),
  rezoom_change_loss: choice(
    'When a second-stage confidence counts as right: "center", predicted center within 0.2 of the true size; "iou", IoU above 0.5; "none" (in TensorBox false), as in the first stage.',
    'center',
    ['center', 'iou', 'none'],
  ),
  rezoom_w_coords: numbers(
    'Sample positions in x, as fractions of the predicted width from its center.',
    [-0.25, 0.25],
    '',
    [1, 16],
  ),
  rezoom_h_coords: numbers(
    'Sample positions in y, as fractions of the predicted height from its center.',
    [-0.25, 0.25],
    '',
    [1, 16],
  ),

  // Fixed factors of the decoder: TensorBox writes them into its code (only rezoom_conf_scale is a key there).
  lstm_input_scale: number('Factor on the coarse features before the decoder (nodule).', 0.01, '', 1e-6, 1e6),
  box_scale: number('Factor on the box output (nodule).', 50, 'frame pixels', 1e-6, 1e6),
  rezoom_feature_scale: number(
    'Factor on the early features before the second stage (nodule).',
    0.001,
    '',
    1e-6,
    1e6,
  ),
  rezoom_box_scale: number('Factor on the box correction (nodule).', 5, 'frame pixels', 1e-6, 1e6),
  rezoom_conf_scale: number('Factor on the second-stage logits.', 50, '', 1e-6, 1e6),
  box_margin_px: number(
    'Final boxes are that much larger on each of their sides, where training leaves them too small; no part of the losses (nodule).',
    0,
    'frame pixels',
    0,
    100,
  ),

  // Targets.
  focus_size: number(
    'A cell takes boxes whose center is within focus_size * region_size of its own.',
    1.8,
    'regions',
    0,
    100,
  ),
  biggest_box_px: number(
    'True boxes as wide or high as this, or more, are not trained on.',
    10000,
    'frame pixels',
    1,
    1e6,
  ),
  region_size: integer('Side of a grid cell.', 32, 'frame pixels', 1, 1024),

  // The backbone.
  slim_basename: choice('Backbone: an entry of src/model/backbones.', 'InceptionV1', BACKBONE_NAMES),
  slim_top_lname: text("Layer of the coarse features (stride region_size); empty: the backbone's last.", ''),
  slim_attention_lname: text(
    "Layer of the early features that rezoom samples (stride 8); empty: the backbone's own.",
    '',
  ),
  slim_ckpt: text(
    'File of initial backbone weights (TensorFlow checkpoint, PyTorch state dict, ONNX, safetensors), looked for beside the hypes file, in the working directory and in its data/; empty: random.',
    '',
  ),
  later_feat_channels: integer('Coarse channels that reach the decoder; 0: all.', 0, 'channels', 0, 8192),
  early_feat_channels: integer('Early channels that rezoom samples; 0: all.', 0, 'channels', 0, 8192),
  avg_pool_size: integer(
    'Coarse channels from 700 on are average-pooled over this window; 1: off.',
    1,
    'cells',
    1,
    31,
  ),
  deconv: flag(
    'Make the first 256 coarse channels anew: a convolution of stride 2, pooling over 5 cells, a transposed convolution.',
    false,
  ),

  // The frame.
  image_width: integer('Width of the network frame.', 352, 'frame pixels', 32, 4096),
  image_height: integer('Height of the network frame.', 256, 'frame pixels', 32, 4096),
  grid_width: integer('Cells in x: image_width / region_size.', 11, 'cells', 1, 512),
  grid_height: integer('Cells in y: image_height / region_size.', 8, 'cells', 1, 512),

  // The step.
  batch_size: integer('Frames per training step.', 1, 'frames', 1, 1024),
  clip_norm: number('Gradients are scaled down to this global norm; 0: never.', 1, '', 0, 1e6),
  dropout: number(
    'Fraction dropped in the decoder while training (nodule; TensorBox fixes 0.5).',
    0.5,
    '',
    0,
    0.95,
  ),
  batch_norm_momentum: number('Decay of the batch-norm averages per step (nodule).', 0.9, '', 0, 0.9999),

  data: {
    train_idl: text(
      'JSON list of training frames, relative to the hypes file; the command line may replace it.',
      '',
    ),
    test_idl: text('JSON list of test frames.', ''),
    truncate_data: flag('Use only the first 10 entries of each list (for trying out).', false),
    window_low_hu: number('HU that becomes gray level 0 (nodule).', -1000, 'HU', -32768, 32767),
    window_high_hu: number('HU that becomes gray level 255 (nodule).', 400, 'HU', -32768, 32767),
    channels: integer(
      'Slices that a frame is made of, odd: the middle channel is the slice itself (nodule).',
      3,
      'slices',
      1,
      31,
    ),
    neighbor_mm: number('Distance between the slices of two channels (nodule).', 2.5, 'mm', 0, 100),
    lung_margin_mm: number('Rim around the lungs that the frame keeps (nodule).', 10, 'mm', 0, 500),
    mm_per_pixel: number(
      'Fixed size of a frame pixel: frames of image_width x image_height tile the lungs; 0: one frame is fitted around the lungs (nodule).',
      0,
      'mm',
      0,
      10,
    ),
    tile_overlap_mm: number(
      'With mm_per_pixel, what two neighboring tiles share at least: more than the widest nodule (nodule).',
      40,
      'mm',
      0,
      500,
    ),
    min_lung_share: number(
      'Boxes of which a smaller part lies in the lungs are dropped, where the lungs are known; 0: none (nodule).',
      0,
      '',
      0,
      1,
    ),
    slice_step_mm: number(
      'Slices that are examined lie about this far apart; 0: every slice (nodule).',
      0,
      'mm',
      0,
      100,
    ),
  },
  // Training frames as they vary, with data.mm_per_pixel: crops of whole slices, turned, scaled, darkened (nodule).
  augment: {
    positive_share: number('Crops that are placed around a true box.', 0.5, '', 0, 1),
    hard_share: number('Crops that are placed around a false mark that was mined.', 0.2, '', 0, 1),
    crops_per_frame: integer(
      'Crops that are cut from a frame once it is read, one after the other: large frames take longer to read than to train on.',
      1,
      '',
      1,
      64,
    ),
    rotate: flag('Turn by any angle.', true),
    mirror: flag('Mirror in x, in y and along the channels.', true),
    scale: number('Largest change of the size, as a part of it.', 0.15, '', 0, 0.9),
    gray_shift: number('Largest shift of the gray levels, as a part of the window.', 0.03, '', 0, 1),
    gray_scale: number('Largest change of the contrast.', 0.1, '', 0, 0.9),
    noise: number('Largest standard deviation of added noise, as a part of the window.', 0.02, '', 0, 1),
    blur: number(
      'Of crops and of whole frames: largest standard deviation of a blur, and of its reverse: another reconstruction kernel.',
      0,
      'frame pixels',
      0,
      8,
    ),
    elastic: number(
      'Of crops and of whole frames: largest displacement of an elastic deformation.',
      0,
      'frame pixels',
      0,
      16,
    ),
  },
  // Whole frames as they vary with solver.use_jitter: what TensorBox has fixed, and more that is off (nodule).
  jitter: {
    scale: number('Largest change of the size, as a part of it.', 0.1, '', 0, 0.9),
    shift_px: number('Largest shift in x and in y.', 16, 'frame pixels', 0, 1024),
    mirror: flag('Mirror in x.', true),
    rotate_deg: number('Largest turn.', 0, 'degrees', 0, 180),
    gray_shift: number(
      'Largest shift of the gray levels (the window level), as a part of the window.',
      0,
      '',
      0,
      1,
    ),
    gray_scale: number('Largest change of the contrast (the window width).', 0, '', 0, 0.9),
    noise: number('Largest standard deviation of added noise, as a part of the window.', 0, '', 0, 1),
  },
  logging: {
    display_iter: integer('Steps between log lines.', 50, 'steps', 1, 1e9),
    save_iter: integer('Steps between checkpoints.', 1000, 'steps', 1, 1e9),
    validate_iter: integer(
      'Steps between looks at the whole test list: AP, recall at precision 0.735; 0: never (nodule).',
      0,
      'steps',
      0,
      1e9,
    ),
    histogram_iter: integer(
      'Steps between histograms of weights and gradients in the event files; 0: never (nodule).',
      1000,
      'steps',
      0,
      1e9,
    ),
    keep_checkpoints: integer(
      'Checkpoints that are kept, the newest; last and best come on top; 0: all (nodule).',
      0,
      'checkpoints',
      0,
      1e6,
    ),
  },
  solver: SOLVER_KEYS,
} as const

export type Hypes = Parsed<typeof HYPES_KEYS>

/**
 * Reads a hypes file with its bases. Throws NoduleError (FILE, FORMAT) that names file and key.
 * @param changes of single keys, `group.key=value`; a value that is not JSON is text
 * @param onWarning told of keys that have no effect
 */
export function readHypes(
  path: string,
  changes: readonly string[] = [],
  onWarning?: (warning: string) => void,
): Hypes {
  return parseHypes(readChanged(path, changes), path, onWarning)
}

/**
 * Hypes with changes of single keys, `group.key=value`. Throws NoduleError: INVALID_PARAMETER for other keys than `keys`,
 * FORMAT for values that they do not take.
 */
export function changeHypes(hypes: Hypes, changes: readonly string[], keys: readonly string[]): Hypes {
  let value = hypes as Record<string, unknown>
  for (const change of changes) {
    const key = change.split('=', 1)[0]!
    if (change.includes('=') && !keys.includes(key)) throw invalidParameter('set', keys.join(', '), key)
    value = changeKey(value, change)
  }
  return parseHypes(value, 'set')
}

/** Checks an object against HYPES_KEYS and the keys against each other. `path` is for the error messages. */
export function parseHypes(value: unknown, path = 'hypes', onWarning?: (warning: string) => void): Hypes {
  if (isGroup(value) && value['kind'] === 'patches')
    throw new NoduleError('FORMAT', 'these hypes are of a second stage', {
      path,
      place: 'kind',
      expected: 'the hypes of a detector',
      actual: show(value['kind']),
    })
  const hypes = parseKeys(HYPES_KEYS, inOurWords(value, path, onWarning), path)
  requireEqual(
    path,
    'grid_width * region_size',
    hypes.grid_width * hypes.region_size,
    'image_width',
    hypes.image_width,
  )
  requireEqual(
    path,
    'grid_height * region_size',
    hypes.grid_height * hypes.region_size,
    'image_height',
    hypes.image_height,
  )
  if (hypes.num_classes !== 2) {
    throw new NoduleError('FORMAT', 'several kinds of boxes cannot be trained: lists name none', {
      path,
      place: 'num_classes',
      expected: '2 (background and nodule)',
      actual: show(hypes.num_classes),
    })
  }
  if (hypes.data.channels % 2 === 0) {
    throw new NoduleError('FORMAT', 'wrong value', {
      path,
      place: 'data.channels',
      expected: 'odd integer',
      actual: show(hypes.data.channels),
    })
  }
  if (!(hypes.data.window_low_hu < hypes.data.window_high_hu)) {
    throw new NoduleError('FORMAT', 'wrong value', {
      path,
      place: 'data.window_high_hu',
      expected: `more than data.window_low_hu (${hypes.data.window_low_hu})`,
      actual: show(hypes.data.window_high_hu),
    })
  }
  checkSolver(hypes.solver, path)
  return hypes
}

function requireEqual(
  path: string,
  left: string,
  leftValue: number,
  right: string,
  rightValue: number,
): void {
  if (leftValue !== rightValue) {
    throw new NoduleError('FORMAT', 'keys contradict each other', {
      path,
      place: right,
      expected: `${left} = ${leftValue}`,
      actual: show(rightValue),
    })
  }
}
