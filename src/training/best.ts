import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { NoduleError, fileError } from '../errors.js'
import { STEP_FILE, loadCheckpointOf } from '../checkpoints/checkpoint.js'
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

/** Removes all but the newest step-*.safetensors of a folder; 0: none. Throws NoduleError (FILE). */
export async function pruneCheckpoints(folder: string, keep: number): Promise<void> {
  if (keep === 0) return
  try {
    const steps = (await readdir(folder))
      .map((name) => STEP_FILE.exec(name))
      .filter((match) => match !== null)
      .sort((a, b) => Number(b[1]) - Number(a[1]))
    for (const [name] of steps.slice(keep)) await rm(join(folder, name))
  } catch (error) {
    throw fileError(folder, 'remove old checkpoints', error)
  }
}
