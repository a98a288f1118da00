import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { findNear } from '../../src/config/find_near.js'
import { parseHypes, readHypes } from '../../src/config/hypes.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-tensorbox-'))

/** overfeat_rezoom.json as TensorBox's train.py writes it into a run's folder, with --gpu 0. */
const WRITTEN = `{
    "use_lstm": false,
    "use_rezoom": true,
    "biggest_box_px": 10000,
    "rezoom_change_loss": "center",
    "rezoom_w_coords": [
        -0.25,
        0.25
    ],
    "rezoom_h_coords": [
        -0.25,
        0.25
    ],
    "reregress": true,
    "focus_size": 1.8,
    "early_feat_channels": 256,
    "later_feat_channels": 832,
    "avg_pool_size": 5,
    "num_lstm_layers": 2,
    "image_width": 640,
    "image_height": 480,
    "grid_height": 15.0,
    "grid_width": 20.0,
    "batch_size": 1,
    "region_size": 32,
    "clip_norm": 1.0,
    "lstm_size": 500,
    "deconv": false,
    "num_classes": 2,
    "rnn_len": 1,
    "slim_top_lname": "Mixed_5b",
    "slim_attention_lname": "Mixed_3b",
    "slim_basename": "InceptionV1",
    "slim_ckpt": "inception_v1.ckpt",
    "data": {
        "train_idl": "./data/brainwash/train_boxes.json",
        "test_idl": "./data/brainwash/val_boxes.json",
        "truncate_data": false
    },
    "logging": {
        "display_iter": 50,
        "save_iter": 10000
    },
    "solver": {
        "opt": "RMS",
        "use_jitter": false,
        "rnd_seed": 1,
        "epsilon": 1e-05,
        "learning_rate": 0.001,
        "learning_rate_step": 33000,
        "hungarian_iou": 0.25,
        "weights": "",
        "head_weights": [
            1.0,
            0.1
        ],
        "max_iter": 10000000,
        "gpu": 0
    },
    "exp_name": "overfeat_rezoom",
    "save_dir": "output/overfeat_rezoom_2017_05_01_12.00"
}`

it("reads what TensorBox's train.py wrote into a run, and says what has no effect", () => {
  const path = join(folder, 'hypes.json')
  writeFileSync(path, WRITTEN)
  const warnings: string[] = []
  const hypes = readHypes(path, [], (warning) => warnings.push(warning))
  expect(warnings).toEqual([`${path}: without effect here: exp_name, save_dir, solver.gpu`])
  expect(hypes).toMatchObject({
    grid_width: 20,
    grid_height: 15,
    slim_ckpt: 'inception_v1.ckpt',
    data: { train_idl: './data/brainwash/train_boxes.json' },
    solver: { epsilon: 1e-5, max_iter: 10000000 },
  })
  expect(hypes).not.toHaveProperty('exp_name')
  expect(hypes.solver).not.toHaveProperty('gpu')
})

it('leaves the object that it was given as it is, and refuses other keys', () => {
  const value = { solver: { gpu: 1 } }
  parseHypes(value)
  expect(value).toEqual({ solver: { gpu: 1 } })
  expect(() => parseHypes({ gpu: 1 })).toThrow(/gpu: unknown key/)
  expect(() => parseHypes({ grayscale: true })).toThrow(/grayscale: unknown key/)
})

it('looks for paths beside the hypes file first, and takes the prefix of a checkpoint for a file', () => {
  const hypes = join(folder, 'hypes.json')
  mkdirSync(join(folder, 'weights'), { recursive: true })
  writeFileSync(join(folder, 'weights', 'a.ckpt'), '')
  writeFileSync(join(folder, 'model.ckpt-7.index'), '')
  expect(findNear(hypes, 'weights/a.ckpt')).toBe(join(folder, 'weights', 'a.ckpt'))
  expect(findNear(hypes, 'model.ckpt-7')).toBe(join(folder, 'model.ckpt-7'))
  // Then in the working directory.
  expect(findNear(hypes, 'hypes/tiny.json')).toBe(join(process.cwd(), 'hypes', 'tiny.json'))
  expect(findNear(hypes, 'none.ckpt')).toBe(join(folder, 'none.ckpt'))
})
