import { NoduleError, describeError } from '../../errors.js'
import { createRandom } from '../../random.js'
import type { Random } from '../../random.js'
import { insertNodules } from '../insertion/insert.js'
import type { InsertedNodule } from '../insertion/insert.js'
import type { Occupied } from '../insertion/place.js'
import { ownNodule } from '../stacks/own_nodule.js'
import type { StackEntry } from '../stacks/read_index.js'
import { readStack } from '../stacks/read_stack.js'
import type { NoduleStack } from '../stacks/read_stack.js'
import { frameBoxes } from './boxes.js'
import type { BoxRule, SliceFinding } from './boxes.js'
import { measuresById, prepareVolume, scanEntry } from './host.js'
import type { CommonTask, PreparedVolume, ScanMemory, ScanSource } from './host.js'
import { isAccepted } from './marks.js'
import { writeRecord } from './record.js'
import type { ScanRecord } from './record.js'
import { selectSlices } from './select.js'
import { writeFrames } from './write_frames.js'

/** How many nodules to put into how many copies of each scan. */
export interface InsertionPlan {
  /** Nodules in each copy. */
  count: number
  /** Copies of each scan. */
  variants: number
  seed: number
}

/** One scan to put nodules into. */
export interface InsertionTask extends CommonTask, ScanSource {
  kind: 'insertions'
  plan: InsertionPlan
  /** The folder of the stacks, and those that may be used: of patients of the scan's part. */
  donorFolder: string
  donors: StackEntry[]
}

/** Donors read for each nodule wanted: for some no place is found. */
const SPARE = 1.5

/**
 * Makes copies of a scan with nodules of other patients in it: frames of all slices that show one of them, and negatives
 * by the usual rule. Throws NoduleError where the scan cannot be used or no donor is there.
 */
export async function prepareInsertions(task: InsertionTask, memory: ScanMemory = {}): Promise<ScanRecord> {
  const { series, parameters, output, plan } = task
  const host = await prepareVolume(task, parameters, memory)
  const record: Omit<ScanRecord, 'format'> & { damaged: { path: string; reason: string }[] } = {
    ...{ key: task.key, patientId: series.patientId, studyInstanceUid: series.studyInstanceUid },
    ...{ seriesInstanceUid: series.seriesInstanceUid, part: 'insertions', slices: series.slices.length },
    ...{ nodules: [...host.nodules], entries: [], frames: {}, warnings: [...host.warnings], damaged: [] },
  }
  const occupied = occupiedBy(host)
  for (let variant = 0; variant < plan.variants; variant++) {
    const random = createRandom(plan.seed).fork(`insertion ${series.seriesInstanceUid} ${variant}`)
    const stacks = await drawDonors(task, random.fork('donors'), record.damaged)
    if (stacks.length === 0)
      throw new NoduleError('FORMAT', 'no nodule to put in', {
        path: task.donorFolder,
        expected: `a stack of a patient of the part of ${series.patientId}, of ${parameters.boxes.minReaders} readers`,
        actual: `${task.donors.length} stacks, none of use`,
      })
    const { minReaders } = parameters.boxes
    const options = { count: plan.count, occupied, minReaders }
    const { volume, placed, warnings } = insertNodules(host.volume, host.lungs, stacks, options, random)
    if (placed.length < plan.count) record.warnings.push(`copy ${variant}: ${warnings.at(-1)}`)
    const inserted = placed.map((nodule, n) => describeInserted(nodule, `insertion-${variant}-${n + 1}`))
    record.nodules.push(...inserted)
    const entries = variantEntries(task, host, volume, placed, inserted, variant)
    Object.assign(record.frames, await writeFrames(volume, entries, parameters, output))
    record.entries.push(...entries)
  }
  return writeRecord(output, record, task.old)
}

/** Stacks in an order drawn at random, more than are needed, only those that can become positives. */
async function drawDonors(
  { donors, donorFolder, plan, parameters }: InsertionTask,
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
      if (isAccepted(ownNodule(stack), parameters.boxes)) stacks.push(stack)
    } catch (error) {
      if (!(error instanceof NoduleError) || error.path === undefined) throw error
      const { path } = error
      if (damaged.every((file) => file.path !== path))
        damaged.push({ path, reason: describeError(error).replace(`${path}: `, '') })
    }
  }
  return stacks
}

/** The balls around what the scan holds itself. */
function occupiedBy({ findings, volume }: PreparedVolume): Occupied[] {
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
    const low = (get: (finding: SliceFinding) => number): number => Math.min(...group.map(get))
    const high = (get: (finding: SliceFinding) => number): number => Math.max(...group.map(get))
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

function variantEntries(
  task: InsertionTask,
  host: PreparedVolume,
  volume: PreparedVolume['volume'],
  placed: readonly InsertedNodule[],
  inserted: ScanRecord['nodules'],
  variant: number,
): ReturnType<typeof scanEntry>[] {
  const { series, parameters } = task
  const rule: BoxRule = parameters.boxes
  const own = frameBoxes(
    host.findings.filter((finding) => finding.nonNodule !== true),
    host.mapping,
    rule,
  ).slices
  const news: SliceFinding[] = placed.flatMap(({ boxes }, n) =>
    boxes.map(({ k, box }) => ({ id: inserted[n]!.id, k, box, accepted: true })),
  )
  const shown = frameBoxes(news, host.mapping, rule).slices
  const all = frameBoxes([...host.findings, ...news], host.mapping, rule).slices
  const positive = new Set([...shown].filter(([, slice]) => slice.rects.length > 0).map(([k]) => k))
  const chosen = selectSlices(
    series.slices.length,
    positive,
    new Set(own.keys()),
    host.lungs.box.z,
    // Slices without an inserted nodule are those of the scan itself: no need for all of them.
    parameters.slices.kind === 'all' ? { kind: 'ratio', negatives: 1 } : parameters.slices,
    createRandom(task.plan.seed).fork(`slices ${series.seriesInstanceUid} ${variant}`),
  )
  const measures = measuresById([...host.nodules, ...inserted])
  const ids = new Set(inserted.map((nodule) => nodule.id))
  return chosen.map((k) => {
    const entry = scanEntry({ series, volume, mapping: host.mapping }, k, all.get(k), measures, parameters, {
      origin: 'insertion',
      number: variant,
    })
    for (const [n, id] of entry.nodule.nodules.entries()) if (!ids.has(id)) entry.rects[n]!['origin'] = 'scan'
    return entry
  })
}
