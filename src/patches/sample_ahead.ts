import { parsePatchHypes } from '../config/patch_hypes.js'
import { inThreads, runAhead } from '../dataset/run_ahead.js'
import { createSampler } from './batches.js'
import type { PatchBatch, PatchSampler } from './batches.js'
import { joinCubes, openCubes } from './store.js'

/** What a thread needs to draw a batch: it opens the cubes itself, once. */
export interface SampleTask {
  folders: readonly string[]
  hypes: unknown
  seed: number
  n: number
}

const samplers = new Map<string, Promise<PatchSampler>>()

/** Draws batch n, in whatever thread. */
export async function sample({ n, ...source }: SampleTask): Promise<PatchBatch> {
  const key = JSON.stringify(source)
  let sampler = samplers.get(key)
  if (sampler === undefined) {
    const open = async (): Promise<PatchSampler> => {
      const stores = await Promise.all(source.folders.map(openCubes))
      return createSampler(joinCubes(stores), parsePatchHypes(source.hypes), source.seed)
    }
    samplers.set(key, (sampler = open()))
  }
  return (await sampler).batch(n)
}

/** The sampler's batches, made ahead in threads; with none, when they are asked for. */
export function sampleAhead(
  sampler: PatchSampler,
  source: Omit<SampleTask, 'n'>,
  workers: number,
): { batch: (n: number) => PatchBatch | Promise<PatchBatch>; close: () => Promise<void> } {
  if (workers === 0) return { batch: sampler.batch, close: async () => undefined }
  const { run, close } = inThreads(workers, new URL('./sample_worker.js', import.meta.url), sample)
  return { batch: runAhead(async (n) => run({ ...source, n }), { ahead: workers + 1 }), close }
}
