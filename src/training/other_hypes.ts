/** A checkpoint of other hypes: which keys differ, and which tensors. */
import { restoreVariables } from '../checkpoints/checkpoint.js'
import type { Checkpoint, Variables } from '../checkpoints/checkpoint.js'
import { otherKeys } from '../checkpoints/other_keys.js'
import { NoduleError } from '../errors.js'

const MODEL = 'model/'

/**
 * Copies a checkpoint's weights into a model; keys that differ without a change of a shape are told.
 * Throws NoduleError (FORMAT) that names every key and every tensor that differs, both ways.
 */
export function restoreModel<H extends object>(
  { weights, hypes }: { weights: Variables; hypes: H },
  checkpoint: Pick<Checkpoint<H>, 'hypes' | 'tensors'>,
  path: string,
  onWarning?: (warning: string) => void,
): void {
  const keys = otherKeys(checkpoint.hypes, hypes)
  const said = keys.map(([key, there, here]) => `${key} (${there} there, ${here} here)`).join(', ')
  const { tensors } = checkpoint
  const there = [...tensors.keys()].flatMap((name) =>
    name.startsWith(MODEL) ? [name.slice(MODEL.length)] : [],
  )
  const here = [...weights.keys()]
  const missing = here.filter((name) => !tensors.has(MODEL + name))
  const leftOver = there.filter((name) => !weights.has(name))
  const otherShape = [...weights].flatMap(([name, { shape }]) => {
    const tensor = tensors.get(MODEL + name)
    if (tensor === undefined || tensor.shape.join() === shape.join()) return []
    return [`${name} ([${tensor.shape.join(', ')}] there, [${shape.join(', ')}] here)`]
  })
  if (missing.length + leftOver.length + otherShape.length > 0) {
    const parts = [
      ['lacks', inGroups(missing, here)],
      ['has besides', inGroups(leftOver, there)],
      ['has in another shape', otherShape],
    ] as const
    const told = parts.filter(([, names]) => names.length > 0)
    throw new NoduleError('FORMAT', `a checkpoint of other hypes: ${said === '' ? 'no key differs' : said}`, {
      path,
      place: 'solver.weights',
      expected: `the ${weights.size} weights that the hypes make`,
      actual: `a file that ${told.map(([what, names]) => `${what} ${names.join(', ')}`).join('; ')}`,
      remedies: [
        ...(said === '' ? [] : ['give the keys the values that they have there']),
        ...('slim_ckpt' in hypes
          ? [{ do: 'take the backbone alone', parameter: 'set', value: `solver.weights= slim_ckpt=${path}` }]
          : []),
      ],
    })
  }
  if (said !== '') onWarning?.(`${path}: other hypes, though the weights fit: ${said}`)
  restoreVariables(weights, tensors, MODEL, path)
}

/** All of `names`; where they are everything of `all` below a part of the path, as `part/* (how many)`. */
function inGroups(names: readonly string[], all: readonly string[], prefix = ''): string[] {
  const groups = new Map<string, string[]>()
  for (const name of names) {
    const path = prefix + /^[^/]*\/?/.exec(name.slice(prefix.length))![0]
    groups.set(path, [...(groups.get(path) ?? []), name])
  }
  return [...groups].flatMap(([path, inside]) => {
    if (inside.length === 1) return inside
    const whole = all.filter((name) => name.startsWith(path)).length
    return whole === inside.length ? [`${path}* (${whole})`] : inGroups(inside, all, path)
  })
}
