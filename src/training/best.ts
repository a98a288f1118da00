import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { NoduleError, fileError } from '../errors.js'
import { checkpointsIn, loadCheckpointOf } from '../checkpoints/checkpoint.js'
import type { Best, ModelKind } from '../checkpoints/checkpoint.js'

/** Counts a look's score, higher is better: `improved` says whether it is the best yet. */
export function countLook(
  best: Best | undefined,
  score: number,
  step: number,
): { best: Best; improved: boolean } {
  if (best === undefined || score > best.score) return { best: { score, step, stale: 0 }, improved: true }
  return { best: { ...best, stale: best.stale + 1 }, improved: false }
}

/**
 * The score of the best model that a run has kept; -Infinity where there is no such file, or none that can be read: the
 * next best takes its place.
 */
export async function keptScore(
  path: string,
  kind: ModelKind,
  onWarning?: (warning: string) => void,
): Promise<number> {
  if (!existsSync(path)) return -Infinity
  try {
    const { progress } = await loadCheckpointOf(path, kind, (hypes) => hypes)
    return progress?.best?.score ?? -Infinity
  } catch (error) {
    if (!(error instanceof NoduleError)) throw error
    onWarning?.(`${error.message}: the next best model replaces it`)
    return -Infinity
  }
}

/**
 * Removes all but the newest step-*.safetensors of a folder; 0: none. Those after the run's step, damaged ones that it did
 * not go on from, neither count nor go. Throws NoduleError (FILE).
 */
export async function pruneCheckpoints(folder: string, keep: number, step: number): Promise<void> {
  if (keep === 0) return
  const own = await checkpointsIn(folder, step)
  try {
    for (const path of own.slice(keep)) await rm(path)
  } catch (error) {
    throw fileError(folder, 'remove old checkpoints', error)
  }
}
