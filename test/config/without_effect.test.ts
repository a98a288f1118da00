import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseHypes, readHypes } from '../../src/config/hypes.js'
import { isPatchHypes, parsePatchHypes, readPatchHypes } from '../../src/config/patch_hypes.js'
import { withoutEffect, withoutEffectOnPatches } from '../../src/config/without_effect.js'
import { PACKAGE_ROOT } from '../../src/version.js'

const folder = join(PACKAGE_ROOT, 'hypes')

describe('withoutEffect', () => {
  it.each(readdirSync(folder))('has nothing to say about %s', (name) => {
    const path = join(folder, name)
    const keys = isPatchHypes(path)
      ? withoutEffectOnPatches(readPatchHypes(path))
      : withoutEffect(readHypes(path))
    expect(keys).toEqual([])
  })

  it('names the solver keys that the optimizer or the schedule does not read', () => {
    const solver = { opt: 'Adam', weight_decay: 0.01, momentum: 0.9, step_factor: 0.5 }
    const told = [
      'solver.weight_decay (solver.opt is "Adam", not "AdamW")',
      'solver.momentum (solver.opt is "Adam", not "SGD")',
    ]
    const factor = (schedule: string): string =>
      `solver.step_factor (solver.schedule is "${schedule}", not "step")`
    expect(withoutEffect(parseHypes({ solver }))).toEqual([...told, factor('halving')])
    expect(withoutEffectOnPatches(parsePatchHypes({ solver }))).toEqual([...told, factor('cosine')])
    const read = { opt: 'AdamW', weight_decay: 0.01, schedule: 'step', step_factor: 0.5 }
    expect(withoutEffect(parseHypes({ solver: read }))).toEqual([])
  })

  it('names what varies nothing: without solver.use_jitter, and what is of crops alone, or of whole frames', () => {
    const vary = { jitter: { rotate_deg: 9 }, augment: { noise: 0.1, blur: 1 } }
    const off = 'solver.use_jitter is false'
    expect(withoutEffect(parseHypes(vary))).toEqual([
      `jitter.rotate_deg (${off})`,
      `augment.noise (${off})`,
      `augment.blur (${off})`,
    ])
    const solver = { use_jitter: true }
    expect(withoutEffect(parseHypes({ ...vary, solver }))).toEqual([
      'augment.noise (without data.mm_per_pixel frames vary by jitter)',
    ])
    expect(withoutEffect(parseHypes({ ...vary, solver, data: { mm_per_pixel: 0.7 } }))).toEqual([
      'jitter.rotate_deg (with data.mm_per_pixel frames vary by augment)',
    ])
  })
})
