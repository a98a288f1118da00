import { NoduleError } from '../errors.js'
import type { Variables } from '../checkpoints/checkpoint.js'

/**
 * Ends the training of weights whose names begin as a pattern says, where * stands for any letters.
 * Throws NoduleError (FORMAT) for a pattern that no weight fits, and where nothing is left to train.
 */
export function freeze(weights: Variables, patterns: readonly string[], path: string): void {
  for (const [index, pattern] of patterns.entries()) {
    const pieces = pattern.split('*').map((piece) => piece.replaceAll(/[^\w/]/g, String.raw`\$&`))
    const form = new RegExp(`^${pieces.join('.*')}`)
    const found = [...weights].filter(([name]) => form.test(name))
    if (found.length === 0) {
      const layers = [...new Set([...weights.keys()].map((name) => name.split('/').slice(0, 2).join('/')))]
      throw new NoduleError('FORMAT', 'no layer has such a name', {
        path,
        place: `solver.freeze[${index}]`,
        expected: `the beginning of a name, such as ${layers.slice(0, 5).join(', ')}`,
        actual: JSON.stringify(pattern),
      })
    }
    for (const [, weight] of found) weight.trainable = false
  }
  if ([...weights.values()].some(({ trainable }) => trainable)) return
  throw new NoduleError('FORMAT', 'nothing is left to train', {
    path,
    place: 'solver.freeze',
    expected: 'patterns that leave some layers',
    actual: JSON.stringify(patterns),
  })
}
