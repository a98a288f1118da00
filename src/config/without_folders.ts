import { basename } from 'node:path'

/** Hypes as a model passes them on: weights that training started from by their file's name, without the machine's folders. */
export function withoutFolders<T extends { slim_ckpt?: string; solver: { weights: string } }>(hypes: T): T {
  const { slim_ckpt: backbone, solver } = hypes
  return {
    ...hypes,
    ...(backbone === undefined ? {} : { slim_ckpt: basename(backbone) }),
    solver: { ...solver, weights: basename(solver.weights) },
  }
}
