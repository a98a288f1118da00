/** What a run starts from: an earlier one, a checkpoint's weights, or the seed alone. */
import { NoduleError } from '../errors.js'
import { newestCheckpoint } from './checkpoint.js'
import type { Checkpoint } from './checkpoint.js'

interface RunOptions {
  /** The hypes file, for error messages. */
  hypes: string
  resume?: boolean | undefined
  seed?: number | undefined
}

/** What may change when a run goes on, of the hypes of any model. */
interface RunHypes {
  logging: object
  solver: { max_iter: number }
}

export function required(path: string, file: string): string {
  if (path !== '') return path
  throw new NoduleError('FORMAT', 'no list of training frames', {
    path: file,
    place: 'data.train_idl',
    expected: 'a list',
    remedies: [{ do: 'name one for this run', parameter: 'train' }],
  })
}

/**
 * The newest checkpoint of the folder, when asked to resume; undefined for a new run, whose folder must hold no
 * checkpoints (they would be taken for its own). Throws NoduleError (FILE, FORMAT).
 */
export async function findEarlier<H extends RunHypes>(
  folder: string,
  hypes: H,
  options: RunOptions,
  load: (path: string) => Promise<Checkpoint<H>>,
): Promise<(Checkpoint<H> & { path: string }) | undefined> {
  const path = await newestCheckpoint(folder)
  if (options.resume !== true) {
    if (path === undefined) return undefined
    throw new NoduleError('FILE', 'the folder holds another run: resume it or name another folder', { path })
  }
  if (path === undefined) throw new NoduleError('FILE', 'no checkpoint to resume from', { path: folder })
  const earlier = await load(path)
  checkSameRun(earlier, path, hypes, options)
  return { ...earlier, path }
}

/** A run goes on with the hypes and the seed that it started with; only its length and its logging may change. */
function checkSameRun<H extends RunHypes>(
  earlier: Checkpoint<H>,
  path: string,
  hypes: H,
  options: RunOptions,
): void {
  const fixed = (value: H): Record<string, unknown> => {
    const { logging: _, solver, ...rest } = value
    const { max_iter: __, ...solving } = solver
    return { ...rest, ...Object.fromEntries(Object.entries(solving).map(([key, v]) => [`solver.${key}`, v])) }
  }
  const before = fixed(earlier.hypes)
  for (const [key, value] of Object.entries(fixed(hypes))) {
    if (JSON.stringify(before[key]) === JSON.stringify(value)) continue
    throw new NoduleError('FORMAT', 'the run to resume had other hypes', {
      path: options.hypes,
      place: key,
      expected: `${JSON.stringify(before[key])} as in ${path}`,
      actual: JSON.stringify(value),
    })
  }
  if (options.seed !== undefined && options.seed !== earlier.seed) {
    throw new NoduleError('FORMAT', 'the run to resume had another seed', {
      path,
      expected: String(earlier.seed),
      actual: String(options.seed),
    })
  }
}
