import type { PatchHypes } from '../config/patch_hypes.js'
import { NoduleError } from '../errors.js'
import { createRandom } from '../random.js'
import type { Random } from '../random.js'
import { randomView, renderView, storedSpec } from './augment.js'
import { cubePlanes, cubeSpec } from './cube.js'
import type { Reach } from './cube.js'
import { openCubes } from './store.js'
import type { CubeRecord, CubeStore } from './store.js'

/** What a training step takes. */
export interface PatchBatch {
  /** Gray levels 0..255, [n, size, size, planes]. */
  cubes: Float32Array
  /** [n, targets]; NaN: none. */
  labels: Float32Array
}

/** From this axial diameter on a nodule weighs sampling.large_weight, mm. */
const LARGE_MM = 12

/** How many times as often as they are there cubes of whole scans are drawn at most. */
const MOST_OFTEN = 4

/** What is drawn: a nodule with its cubes, or a single cube that is none. */
interface Choices {
  groups: number[][]
  /** Weights of the groups, summed up. */
  cumulative: Float64Array
}

/** A class of cubes. */
interface Class extends Choices {
  /** Those of stacks, which end soon, as often as they are drawn; undefined: none. */
  cut: Choices | undefined
  /** Those of whole scans. */
  whole: Choices | undefined
  /** The share of those of stacks of what is drawn. */
  cutShare: number
}

export interface PatchSampler {
  /** The batch of a step: the same for a seed and step, whatever was drawn before. */
  batch: (step: number) => PatchBatch
  nodules: number
  others: number
}

/**
 * Draws training cubes: nodules and others by `sampling.positive_share`, each in a random view.
 *
 * How far the volume around a cube reaches must tell nothing, but a nodule lies in the middle of its stack and what is
 * none beside it. So cubes of both classes are as often cut, and all that are cut reach no farther than a cube drawn from
 * the nodules' stacks does, and one drawn from the others': one of the two is the cube itself, if it is of a stack. In
 * whole scans nothing is cut: cubes of these are drawn more often than they are there, as `augment.z_truncation` wants.
 *
 * @throws NoduleError (FORMAT) where there are no nodules or nothing else
 */
export function createSampler(store: CubeStore, hypes: PatchHypes, seed: number): PatchSampler {
  const { sampling, augment, targets } = hypes
  const spec = cubeSpec(hypes)
  const positives = new Map<string, number[]>()
  const negatives: { index: number; weight: number }[] = []
  for (const [index, { record, source }] of store.cubes.entries()) {
    if (record.labels.nodule === undefined) continue
    if (record.labels.nodule < 0.5) {
      negatives.push({ index, weight: record.reason === 'mark' ? sampling.hard_weight : 1 })
      continue
    }
    const name = `${source.key} ${record.finding ?? index}`
    const group = positives.get(name)
    if (group === undefined) positives.set(name, [index])
    else group.push(index)
  }
  const recordOf = (index: number): CubeRecord => store.cubes[index]!.record
  const classOf = (groups: number[][], weights: readonly number[], what: string): Class => {
    const all = { groups, cumulative: summedUp(weights) }
    const sum = all.cumulative.at(-1) ?? 0
    if (!(sum > 0))
      throw new NoduleError('FORMAT', `the cubes hold no ${what}`, {
        path: store.folder,
        expected: `cubes of ${what}`,
      })
    const some = (wanted: (index: number) => boolean): Choices | undefined => {
      const parts = groups.map((group) => group.filter(wanted))
      const cumulative = summedUp(parts.map((part, n) => (weights[n]! * part.length) / groups[n]!.length))
      return cumulative.at(-1)! > 0 ? { groups: parts, cumulative } : undefined
    }
    const cut = some((index) => recordOf(index).reach !== undefined)
    const whole = some((index) => recordOf(index).reach === undefined)
    const cutSum = cut?.cumulative.at(-1) ?? 0
    return { ...all, cut, whole, cutShare: whole === undefined ? 1 : cutSum / sum }
  }
  const nodules = classOf(
    [...positives.values()],
    [...positives.values()].map((group) =>
      group.some((index) => (recordOf(index).axialDiameterMm ?? 0) >= LARGE_MM) ? sampling.large_weight : 1,
    ),
    'nodules',
  )
  const others = classOf(
    negatives.map(({ index }) => [index]),
    negatives.map(({ weight }) => weight),
    'marks or background without a nodule',
  )
  const someCut = nodules.cut !== undefined || others.cut !== undefined
  const least = ({ cutShare }: Class): number => 1 - MOST_OFTEN * (1 - cutShare)
  const share = someCut ? Math.max(augment.z_truncation, least(nodules), least(others)) : 0

  const planes = cubePlanes(spec)
  const size = spec.fine.size ** 2 * planes
  return {
    nodules: nodules.groups.length,
    others: others.groups.length,
    batch: (step) => {
      const random = createRandom(seed).fork(`cubes/${step}`)
      const n = hypes.batch_size
      const cubes = new Float32Array(n * size)
      const labels = new Float32Array(n * targets.length).fill(Number.NaN)
      for (let row = 0; row < n; row++) {
        const positive = random.uniform() < sampling.positive_share
        const own = positive ? nodules : others
        const cut = random.uniform() < share
        const index = draw(choices(own, cut, share, random), random)
        const record = recordOf(index)
        const view = randomView(augment, random)
        if (cut)
          for (const some of [nodules, others]) {
            const itself = record.reach !== undefined && some === own
            const by = itself || some.cut === undefined ? record : recordOf(draw(some.cut, random))
            if (by.reach !== undefined) view.reach = nearer(view.reach, by.reach)
          }
        renderView(store.read(index), spec, view, random, cubes.subarray(row * size, (row + 1) * size))
        targets.forEach((target, at) => {
          const label = record.labels[target]
          if (label !== undefined) labels[row * targets.length + at] = smooth(label, sampling.label_smoothing)
        })
      }
      return { cubes, labels }
    },
  }
}

/** Which cubes one is drawn from that is to be cut, or not: cut ones are those of stacks, and so many others as are missing. */
function choices(
  { groups, cumulative, cut, whole, cutShare }: Class,
  isCut: boolean,
  share: number,
  random: Random,
): Choices {
  const fromStack = isCut && random.uniform() * share < cutShare
  return (fromStack ? cut : whole) ?? { groups, cumulative }
}

function summedUp(weights: readonly number[]): Float64Array {
  let sum = 0
  return Float64Array.from(weights, (weight) => (sum += weight))
}

function nearer(one: Readonly<Reach>, other: Readonly<Reach>): Reach {
  const least = <T extends readonly number[]>(a: T, b: T): T =>
    a.map((mm, n) => Math.min(mm, b[n]!)) as unknown as T
  return { ends: least(one.ends, other.ends), sides: least(one.sides, other.sides) }
}

/** A label of a binary target drawn towards 0.5. */
function smooth(label: number, part: number): number {
  return label * (1 - part) + part / 2
}

function draw({ groups, cumulative }: Choices, random: Random): number {
  const at = random.uniform() * cumulative.at(-1)!
  let low = 0
  let high = groups.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (cumulative[middle]! > at) high = middle
    else low = middle + 1
  }
  const group = groups[low]!
  return group[random.integer(group.length)]!
}

/** Opens folders of cubes, all or none. Throws NoduleError (FILE, FORMAT), also where they are not what the hypes need. */
export async function openCubesFor(hypes: PatchHypes, folders: readonly string[]): Promise<CubeStore[]> {
  const stores: CubeStore[] = []
  try {
    for (const folder of folders) {
      const store = await openCubes(folder)
      stores.push(store)
      checkStore(store, hypes)
    }
    return stores
  } catch (error) {
    for (const store of stores) store.close()
    throw error
  }
}

/** Throws NoduleError (FORMAT) where the stored cubes are not what the hypes need. */
export function checkStore(store: CubeStore, hypes: PatchHypes): void {
  const [wanted, found] = [storedSpec(cubeSpec(hypes)), store.header.spec].map((spec) => JSON.stringify(spec))
  if (wanted === found) return
  throw new NoduleError('FORMAT', 'the cubes were made for other hypes', {
    path: store.folder,
    place: 'cube',
    expected: wanted,
    actual: found,
  })
}
