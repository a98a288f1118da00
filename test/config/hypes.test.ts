import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseHypes, readHypes } from '../../src/config/hypes.js'
import { readPatchHypes } from '../../src/config/patch_hypes.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { caught } from '../caught.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-hypes-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('hypes', () => {
  it('fills in defaults', () => {
    const hypes = parseHypes({ lstm_size: 100, solver: { learning_rate: 0.01 } })
    expect(hypes).toMatchObject({ lstm_size: 100, rnn_len: 5, grid_width: 11 })
    expect(hypes.solver).toMatchObject({ learning_rate: 0.01, hungarian_iou: 0.25, head_weights: [1, 0.1] })
  })

  it('defaults are not shared between two results', () => {
    parseHypes({}).solver.head_weights[0] = 99
    expect(parseHypes({}).solver.head_weights[0]).toBe(1)
  })

  it('names an unknown key and what may have been meant', () => {
    const error = caught(() => readHypes(file('unknown.json', '{"solver": {"learning_rat": 1}}')))
    expect(error.message).toMatch(
      /unknown\.json: solver\.learning_rat: unknown key: expected one of "learning_rate" but received "learning_rat"/,
    )
    expect(error.code).toBe('FORMAT')
    // A short name of which no letter is right is no misspelling of another short one.
    expect(() => parseHypes({ logging: { foo: 1 } })).toThrow(
      /logging\.foo: unknown key: expected one of "display_iter", "save_iter", .* but received "foo"/,
    )
    expect(() => parseHypes({ opt: 'SGD' })).toThrow(/expected one of "solver\.opt" but/)
    expect(() => parseHypes({ solver: { op: 'SGD' } })).toThrow(/expected one of "opt" but/)
  })

  it.each([
    ['{"rnn_len": "5"}', 'rnn_len: wrong value: expected integer between 1 and 64 but received "5"'],
    ['{"rnn_len": 2.5}', 'rnn_len: wrong value: expected integer between 1 and 64 but received 2.5'],
    ['{"use_lstm": 1}', 'use_lstm: wrong value: expected true or false but received 1'],
    ['{"solver": null}', 'solver: wrong type: expected object but received null'],
    [
      '{"solver": {"opt": "Adam", "epsilon": 0}}',
      'solver.epsilon: wrong value: expected at least 1e-20 with solver.opt Adam but received 0',
    ],
    [
      '{"solver": {"opt": "RMS", "epsilon": 0}}',
      'solver.epsilon: wrong value: expected at least 1e-20 with solver.opt RMS but received 0',
    ],
    ['{"solver": []}', 'solver: wrong type: expected object but received []'],
    [
      '{"solver": {"head_weights": [1]}}',
      'solver.head_weights: wrong value: expected array of 2 numbers but received [1]',
    ],
    [
      '{"image_width": 300}',
      'image_width: keys contradict each other: expected grid_width * region_size = 352 but received 300',
    ],
    [
      '{"data": {"window_low_hu": 500}}',
      'data.window_high_hu: wrong value: expected more than data.window_low_hu (500) but received 400',
    ],
    [
      '{"num_classes": 3}',
      'num_classes: several kinds of boxes cannot be trained: lists name none: expected 2 (background and nodule) but received 3',
    ],
    [
      '{"kind": "patches", "targets": ["nodule"]}',
      'kind: these hypes are of a second stage: expected the hypes of a detector but received "patches"',
    ],
    ['[1]', 'wrong type: expected object but received [1]'],
    ['{', 'not JSON: received'],
    ['{"base": 3}', 'base: wrong type: expected string but received 3'],
  ])('refuses %s', (content, message) => {
    const error = caught(() => readHypes(file('bad.json', content)))
    expect(error.message).toContain(message)
    expect(error.message).toContain('bad.json')
  })

  it('a change to null throws no group away', () => {
    const path = file('group.json', '{"solver": {"opt": "SGD", "epsilon": 0}}')
    expect(readHypes(path).solver).toMatchObject({ opt: 'SGD', epsilon: 0 })
    expect(caught(() => readHypes(path, ['solver=null'])).message).toContain(
      'solver: wrong type: expected object but received null',
    )
    const cubes = file('cubes.json', '{"kind": "patches"}')
    expect(caught(() => readPatchHypes(cubes, ['solver.epsilon=0'])).message).toContain(
      'cubes.json: solver.epsilon: wrong value: expected at least 1e-20 with solver.opt AdamW but received 0',
    )
  })

  it('merges a base, group by group, and refuses loops', () => {
    file('a.json', '{"lstm_size": 64, "solver": {"learning_rate": 0.5, "rnd_seed": 3}}')
    const hypes = readHypes(file('b.json', '{"base": "a.json", "solver": {"rnd_seed": 9}}'))
    expect(hypes.lstm_size).toBe(64)
    expect(hypes.solver).toMatchObject({ learning_rate: 0.5, rnd_seed: 9 })
    expect(caught(() => readHypes(file('loop.json', '{"base": "loop.json"}'))).message).toMatch(/form a loop/)
    expect(caught(() => readHypes(join(folder, 'none.json'))).message).toMatch(
      /none\.json: cannot read hypes: no such file or folder$/,
    )
    // Whoever has installed the package has its hypes elsewhere than the examples say.
    expect(caught(() => readHypes(join(folder, 'tiny.json'))).remedies).toEqual([
      `the package has ${join(PACKAGE_ROOT, 'hypes', 'tiny.json')}`,
    ])
  })

  it('has keys of the loop and of the augmentation, all off by default', () => {
    const { logging, solver, augment, jitter } = parseHypes({})
    expect(logging).toMatchObject({ validate_iter: 0, keep_checkpoints: 0, histogram_iter: 1000 })
    expect(solver).toMatchObject({
      momentum: 0,
      accumulate: 1,
      freeze: [],
      early_stopping: 0,
      step_factor: 0.1,
    })
    expect(augment).toMatchObject({ blur: 0, elastic: 0 })
    expect(jitter).toEqual({
      ...{ scale: 0.1, shift_px: 16, mirror: true },
      ...{ rotate_deg: 0, gray_shift: 0, gray_scale: 0, noise: 0 },
    })
    for (const [group, key, value, expected] of [
      ['solver', 'freeze', 'conv1', 'array of strings'],
      ['solver', 'momentum', 1, 'number between 0 and 0.9999'],
      ['solver', 'schedule', 'steps', 'one of "halving", "cosine", "step"'],
      ['logging', 'validate_iter', -1, 'integer between 0 and 1000000000'],
      ['jitter', 'rotate_deg', 200, 'number between 0 and 180'],
      ['augment', 'elastic', 17, 'number between 0 and 16'],
    ] as const)
      expect(caught(() => parseHypes({ [group]: { [key]: value } })).message).toContain(
        `${group}.${key}: wrong value: expected ${expected}`,
      )
  })

  it('every hypes file that ships is valid', () => {
    const names = readdirSync(join(PACKAGE_ROOT, 'hypes')).filter((name) => name.endsWith('.json'))
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) {
      const path = join(PACKAGE_ROOT, 'hypes', name)
      const read = readFileSync(path, 'utf8').includes('"kind": "patches"') ? readPatchHypes : readHypes
      expect(() => read(path)).not.toThrow()
    }
  })

  it('reads what TensorBox writes: false for no criterion, clip_norm 0 for no clipping', () => {
    const hypes = parseHypes({ rezoom_change_loss: false, clip_norm: 0 })
    expect([hypes.rezoom_change_loss, hypes.clip_norm]).toEqual(['none', 0])
    expect(caught(() => parseHypes({ rezoom_change_loss: true })).message).toMatch(/"center", "iou", "none"/)
  })

  // What TensorBox's files of these names say (those of the two of the lungs: zhwhong/lidc_nodule_detection), read in
  // 2026. Left out: the data, slim_ckpt (our backbones start from random weights) and save_iter of the lungs, 200000.
  const same = {
    biggest_box_px: 10000,
    focus_size: 1.8,
    early_feat_channels: 256,
    later_feat_channels: 832,
    avg_pool_size: 5,
    num_lstm_layers: 2,
    batch_size: 1,
    region_size: 32,
    clip_norm: 1,
    lstm_size: 500,
    deconv: false,
    num_classes: 2,
    solver: {
      opt: 'RMS',
      use_jitter: false,
      rnd_seed: 1,
      epsilon: 0.00001,
      learning_rate: 0.001,
      learning_rate_step: 33000,
      hungarian_iou: 0.25,
      weights: '',
      head_weights: [1, 0.1],
      max_iter: 10000000,
    },
  }
  const inception = { slim_basename: 'InceptionV1', slim_attention_lname: 'Mixed_3b' }
  const resnet = { slim_basename: 'resnet_v1_101', slim_attention_lname: 'block1', slim_top_lname: 'block4' }
  const lstm = { use_lstm: true, rnn_len: 5 }
  const single = { use_lstm: false, rnn_len: 1 }
  const rezoom = {
    use_rezoom: true,
    reregress: true,
    rezoom_change_loss: 'center',
    rezoom_w_coords: [-0.25, 0.25],
    rezoom_h_coords: [-0.25, 0.25],
  }
  const none = { use_rezoom: false, reregress: false }
  const wide = {
    image_width: 640,
    image_height: 480,
    grid_height: 15,
    grid_width: 20,
    logging: { display_iter: 50, save_iter: 10000 },
  }
  const lung = {
    image_width: 352,
    image_height: 256,
    grid_height: 8,
    grid_width: 11,
    logging: { display_iter: 100 },
  }
  it.each([
    ['lstm', { ...inception, slim_top_lname: 'Mixed_5c', ...lstm, ...none, ...wide }],
    ['lstm_rezoom', { ...inception, slim_top_lname: 'Mixed_5c', ...lstm, ...rezoom, ...wide }],
    ['lstm_rezoom_lung', { ...inception, slim_top_lname: 'Mixed_5c', ...lstm, ...rezoom, ...lung }],
    ['lstm_resnet_rezoom', { ...resnet, ...lstm, ...rezoom, ...wide }],
    ['lstm_resnet_rezoom_lung', { ...resnet, ...lstm, ...rezoom, ...lung }],
    ['overfeat', { ...inception, slim_top_lname: 'Mixed_5b', ...single, ...none, ...wide }],
    ['overfeat_rezoom', { ...inception, slim_top_lname: 'Mixed_5b', ...single, ...rezoom, ...wide }],
    ['overfeat_resnet_rezoom', { ...resnet, ...single, ...rezoom, ...wide }],
  ])("%s is TensorBox's", (name, expected) => {
    expect(readHypes(join(PACKAGE_ROOT, 'hypes', `${name}.json`))).toMatchObject({ ...same, ...expected })
  })
})

describe('changes of single keys', () => {
  const path = join(import.meta.dirname, '../../hypes/tiny.json')

  it('are JSON or text, in groups too, and checked like the file', () => {
    const hypes = readHypes(path, ['solver.learning_rate=3e-4', 'solver.opt=SGD', 'batch_size=7'])
    expect(hypes.solver).toMatchObject({ learning_rate: 3e-4, opt: 'SGD', epsilon: 1e-7 })
    expect(hypes.batch_size).toBe(7)
    expect(() => readHypes(path, ['solver.learning_rat=1'])).toThrow(/solver\.learning_rat: unknown key/)
    for (const change of ['__proto__.lstm_size=3', '__proto__=3', 'solver.__proto__=3'])
      expect(() => readHypes(path, [change])).toThrow(/__proto__: unknown key/)
    const based = file('proto.json', `{"base": ${JSON.stringify(path)}, "__proto__": {"augment": {}}}`)
    expect(() => readHypes(based)).toThrow(/proto\.json: __proto__: unknown key/)
    expect(() => readHypes(path, ['batch_size=many'])).toThrow(/batch_size.*"many"/s)
    expect(() => readHypes(path, ['batch_size'])).toThrow(
      /Expected key=value.* for set but received "batch_size"/,
    )
  })
})
