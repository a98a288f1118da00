import { HYPES_KEYS } from './hypes.js'
import type { Hypes } from './hypes.js'
import { PATCH_HYPES_KEYS } from './patch_hypes.js'
import type { PatchHypes } from './patch_hypes.js'
import type { Keys } from './schema.js'

/** Solver keys that only some choice of another key reads. */
const READ_WITH = {
  weight_decay: { key: 'opt', is: 'AdamW' },
  momentum: { key: 'opt', is: 'SGD' },
  step_factor: { key: 'schedule', is: 'step' },
} as const

/** Of `augment`, what whole frames are varied by too. */
const OF_WHOLE_FRAMES = new Set(['blur', 'elastic'])

/** Keys that were given another value than their default, and do nothing beside the others: each with the reason. */
export function withoutEffect(hypes: Hypes): string[] {
  const { jitter, augment, solver, data } = hypes
  const varies = solver.use_jitter
  const why = varies ? undefined : 'solver.use_jitter is false'
  const isTiled = data.mm_per_pixel > 0
  return [
    ...idleSolverKeys(HYPES_KEYS.solver, solver),
    ...changed(HYPES_KEYS.jitter, jitter).flatMap((name) =>
      reason(
        `jitter.${name}`,
        why ?? (isTiled ? 'with data.mm_per_pixel frames vary by augment' : undefined),
      ),
    ),
    ...changed(HYPES_KEYS.augment, augment).flatMap((name) =>
      reason(
        `augment.${name}`,
        why ??
          (isTiled || OF_WHOLE_FRAMES.has(name)
            ? undefined
            : 'without data.mm_per_pixel frames vary by jitter'),
      ),
    ),
  ]
}

/** The same of a second stage. */
export function withoutEffectOnPatches({ solver }: PatchHypes): string[] {
  return idleSolverKeys(PATCH_HYPES_KEYS.solver, solver)
}

function idleSolverKeys(keys: Keys, solver: Hypes['solver'] | PatchHypes['solver']): string[] {
  const given = changed(keys, solver)
  return Object.entries(READ_WITH).flatMap(([name, { key, is }]) =>
    given.includes(name) && solver[key] !== is
      ? [`solver.${name} (solver.${key} is ${JSON.stringify(solver[key])}, not ${JSON.stringify(is)})`]
      : [],
  )
}

function changed(keys: Keys, values: object): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    JSON.stringify(value) === JSON.stringify(keys[name]!.default) ? [] : [name],
  )
}

function reason(key: string, why: string | undefined): string[] {
  return why === undefined ? [] : [`${key} (${why})`]
}

/** Tells them in one line. */
export function tellWithoutEffect(
  path: string,
  keys: readonly string[],
  onWarning: ((warning: string) => void) | undefined,
): void {
  if (keys.length > 0) onWarning?.(`${path}: without effect: ${keys.join(', ')}`)
}
