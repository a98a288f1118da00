import { basename } from 'node:path'

/**
 * Hypes as they are passed on: weights that training started from by their file's name, without the machine's folders.
 * What is no hypes stays as it is.
 */
export function withoutFolders<T>(hypes: T): T {
  if (typeof hypes !== 'object' || hypes === null) return hypes
  const { slim_ckpt: backbone, solver } = hypes as { slim_ckpt?: unknown; solver?: { weights?: unknown } }
  return {
    ...hypes,
    ...(typeof backbone === 'string' ? { slim_ckpt: basename(backbone) } : {}),
    ...(typeof solver?.weights === 'string'
      ? { solver: { ...solver, weights: basename(solver.weights) } }
      : {}),
  }
}
