/** Mutants of the files of one parser: how many were read, what the dearest cost, and which broke the rule of src/limits.ts. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRandom } from '../../src/random.js'
import { voxelLimit } from '../../src/limits.js'
import { mutate } from '../dicom/mutate.js'
import { examine } from './examine.js'
import type { Target } from './targets.js'
import { mutateText } from './text_mutants.js'

export interface Figures {
  mutants: number
  /** The others were refused, with a NoduleError. */
  read: number
  /** Of the dearest mutant: processor time, ms, and growth of the process, bytes. */
  longestMs: number
  mostMemory: number
  /** Most memory of the process while a mutant was read, bytes. */
  peakRss: number
  failures: string[]
}

export const noFigures = (): Figures => ({
  ...{ mutants: 0, read: 0, longestMs: 0, mostMemory: 0, peakRss: 0, failures: [] },
})

/**
 * Reads mutants `from` to `to` (not included) of a target; the first few are its whole files, which have to be read. A
 * mutant depends on the seed and its number alone, so that a run can be cut into pieces. The one at work lies in `folder`.
 *
 * @param onFailure is given the mutant's path before the next one replaces it.
 */
export async function tryMutants(
  target: Target,
  { from, to, seed, folder }: { from: number; to: number; seed: number; folder: string },
  figures: Figures = noFigures(),
  onFailure: (path: string, label: string) => void = () => undefined,
): Promise<Figures> {
  const places = target.samples.map(({ name }) => join(folder, `${target.name} ${name}`))
  for (const place of places) mkdirSync(place, { recursive: true })
  for (let n = from; n < to; n++) {
    const which = n % target.samples.length
    const sample = target.samples[which]!
    const isWhole = n < target.samples.length
    const random = createRandom(seed).fork(`${target.name} ${n}`)
    const change = target.isText && random.uniform() < 0.8 ? mutateText : mutate
    const mutant = isWhole ? sample.bytes : change(sample.bytes, random)
    const path = join(places[which]!, sample.name)
    writeFileSync(path, mutant)
    const limit = target.isVolume === true ? voxelLimit : undefined
    const { isRead, ms, memory, rss, fault } = await examine(() => target.read(path), mutant.length, limit)
    const wrong = fault ?? (isWhole && !isRead ? 'the whole file is not read' : undefined)
    figures.mutants++
    if (isRead) figures.read++
    figures.longestMs = Math.max(figures.longestMs, ms)
    figures.mostMemory = Math.max(figures.mostMemory, memory)
    figures.peakRss = Math.max(figures.peakRss, rss)
    if (wrong === undefined) continue
    const label = `mutant ${n} of ${sample.name} (seed ${seed})`
    figures.failures.push(`${label}: ${wrong}`)
    onFailure(path, label)
  }
  return figures
}
