import { NoduleError, reasonBeside } from '../../errors.js'
import { createRandom } from '../../random.js'
import type { Random } from '../../random.js'
import { insertNodules } from '../insertion/insert.js'
import type { InsertedNodule } from '../insertion/insert.js'
import type { Occupied } from '../insertion/find_place.js'
import { MOST_MAGNIFIED, magnifiedStack } from '../stacks/magnified.js'
import { ownNodule } from '../stacks/own_nodule.js'
import type { StackEntry } from '../stacks/read_index.js'
import { readStack } from '../stacks/read_stack.js'
import type { NoduleStack } from '../stacks/read_stack.js'
import type { BoxRule, SliceFinding } from './boxes.js'
import type { PreparedVolume } from './host.js'
import { isAccepted } from './marks.js'
import type { ScanRecord } from './record.js'
import { greatest, least } from '../../lists.js'

/** How many nodules to put into how many copies of each scan. */
export interface InsertionPlan {
  /** Nodules in each copy. */
  count: number
  /** Copies of each scan. */
  variants: number
  seed: number
  /** Nodules are magnified, three times at most, to a size between these two, mm; absent: each has its own size. */
  magnifyMm?: readonly [number, number] | undefined
}

/** What is put into which scan. */
export interface InsertionSource {
  host: {
    patientId: string
    /** Unique; what is drawn depends on it. */
    name: string
  }
  plan: InsertionPlan
  /** The folder of the stacks, and those that may be used: of patients of the scan's part. */
  donorFolder: string
  donors: readonly StackEntry[]
  /** Which nodules are positives. */
  rule: BoxRule
}

/** What nodules can be put into. */
export interface InsertionHost extends Pick<PreparedVolume, 'volume' | 'findings'> {
  lungs: Pick<PreparedVolume['lungs'], 'mask' | 'box'>
}

/** A scan with nodules of other patients in it. */
export interface InsertedCopy {
  volume: PreparedVolume['volume']
  /** The nodules put in; those of the scan itself are not among them. */
  findings: SliceFinding[]
  nodules: ScanRecord['nodules']
  warnings: string[]
  damaged: { path: string; reason: string }[]
}

/** Donors read for each nodule wanted: for some no place is found. */
const SPARE = 1.5

/**
 * One copy of a scan with `plan.count` nodules of other patients in it, as far as places are found.
 * Throws NoduleError (FORMAT) where no donor is of use.
 * @param variant which copy; another one has other nodules
 */
export async function insertedCopy(
  host: InsertionHost,
  source: InsertionSource,
  variant: number,
): Promise<InsertedCopy> {
  const { host: about, plan, rule } = source
  const random = createRandom(plan.seed).fork(`insertion ${about.name} ${variant}`)
  const damaged: InsertedCopy['damaged'] = []
  const stacks = await drawDonors(source, random.fork('donors'), damaged)
  if (stacks.length === 0)
    throw new NoduleError('FORMAT', 'no nodule to put in', {
      path: source.donorFolder,
      expected: `a stack of a patient of the part of ${about.patientId}, of ${rule.minReaders} readers`,
      actual: `${source.donors.length} stacks, none of use`,
    })
  const options = { count: plan.count, occupied: occupiedBy(host), minReaders: rule.minReaders }
  const { volume, placed, warnings } = insertNodules(host.volume, host.lungs, stacks, options, random)
  const nodules = placed.map((nodule, n) => describeInserted(nodule, `insertion-${variant}-${n + 1}`))
  const findings = placed.flatMap(({ boxes }, n): SliceFinding[] =>
    boxes.map(({ k, box, hull }) => ({ id: nodules[n]!.id, k, box, hull, accepted: true })),
  )
  return {
    ...{ volume, findings, nodules, damaged },
    warnings: placed.length < plan.count ? [`copy ${variant}: ${warnings.at(-1)}`] : [],
  }
}

/** Stacks in an order drawn at random, more than are needed, only those that can become positives. */
async function drawDonors(
  { donors, donorFolder, plan, rule }: InsertionSource,
  random: Random,
  damaged: { path: string; reason: string }[],
): Promise<NoduleStack[]> {
  const pool = [...donors]
  const stacks: NoduleStack[] = []
  for (let n = 0; n < pool.length && stacks.length < Math.ceil(plan.count * SPARE); n++) {
    const at = n + random.integer(pool.length - n)
    const entry = pool[at]!
    pool[at] = pool[n]!
    try {
      const stack = await readStack(donorFolder, entry)
      const own = ownNodule(stack)
      if (!isAccepted(own, rule)) continue
      if (plan.magnifyMm === undefined) {
        stacks.push(stack)
        continue
      }
      const [low, high] = plan.magnifyMm
      const most = Math.min(high, MOST_MAGNIFIED * own.axialDiameterMm)
      if (most < low) continue
      const sizeMm = low + (most - low) * random.uniform()
      stacks.push(magnifiedStack(stack, Math.max(1, sizeMm / own.axialDiameterMm)))
    } catch (error) {
      if (!(error instanceof NoduleError) || error.path === undefined) throw error
      const { path } = error
      if (damaged.every((file) => file.path !== path))
        damaged.push({ path, reason: reasonBeside(path, error) })
    }
  }
  return stacks
}

/** The balls around what the scan holds itself. */
function occupiedBy({ findings, volume }: Pick<PreparedVolume, 'findings' | 'volume'>): Occupied[] {
  const [dz, dy, dx] = volume.geometry.spacing
  const byNodule = new Map<string, SliceFinding[]>()
  const groups: SliceFinding[][] = []
  for (const finding of findings) {
    const known = byNodule.get(finding.id)
    // Points have names of their own, which need not differ from a nodule's: each of their boxes counts for itself.
    if (finding.accepted && known !== undefined) known.push(finding)
    else {
      const group = [finding]
      groups.push(group)
      if (finding.accepted) byNodule.set(finding.id, group)
    }
  }
  return groups.map((group) => {
    const low = (get: (finding: SliceFinding) => number): number => least(group.map(get))
    const high = (get: (finding: SliceFinding) => number): number => greatest(group.map(get))
    const [z1, z2] = [low((f) => f.k), high((f) => f.k)]
    const [y1, y2] = [low((f) => f.box.y1), high((f) => f.box.y2)]
    const [x1, x2] = [low((f) => f.box.x1), high((f) => f.box.x2)]
    return {
      center: [(z1 + z2) / 2, (y1 + y2 - 1) / 2, (x1 + x2 - 1) / 2],
      diameterMm: Math.max((z2 - z1 + 1) * dz, (y2 - y1) * dy, (x2 - x1) * dx),
    }
  })
}

function describeInserted(nodule: InsertedNodule, id: string): ScanRecord['nodules'][number] {
  const { readers, axialDiameterMm, donorPatientId } = nodule
  return { id, readers, axialDiameterMm, donorPatientId, accepted: true }
}
