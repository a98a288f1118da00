import { NoduleError, reasonBeside } from '../../errors.js'
import { append } from '../../lists.js'
import type { LidcReading } from '../../annotations/index.js'
import { cropLungs } from '../stacks/crop_lungs.js'
import type { StackEntry } from '../stacks/read_index.js'
import { readStack, stackFiles } from '../stacks/read_stack.js'
import type { BoxRule } from './boxes.js'
import type { CommonTask } from './host.js'
import { insertedCopy } from './inserted_copy.js'
import type { InsertedCopy, InsertionHost, InsertionPlan, InsertionSource } from './inserted_copy.js'
import { writeRecord } from './record.js'
import type { ScanRecord } from './record.js'
import { readReading, stackEntries, stackFindings } from './stacks.js'
import { writeFrames } from './write_frames.js'

/** The nodule stacks of one series to put nodules of other patients into. */
export interface StackCopiesTask extends CommonTask {
  kind: 'stack-copies'
  folder: string
  /** Those thick enough: see `isHost`. */
  stacks: StackEntry[]
  annotationFiles: string[]
  plan: InsertionPlan
  donorFolder: string
  donors: StackEntry[]
}

/** A stack thinner than this is all nodule: what is put in would have no slices above and below, mm. */
const LEAST_MM = 9
const LEAST_SLICES = 4
/** Room for so many beside the stack's own. */
const MOST = 3

/** Whether other nodules can be put into a stack. */
export function isHost({ slices, sliceSpacing }: StackEntry): boolean {
  const whole = slices.every(({ steps }, n) => steps === slices[0]!.steps + n)
  return whole && slices.length >= LEAST_SLICES && slices.length * sliceSpacing >= LEAST_MM
}

/** A stack as nodules are put into it. */
export interface StackHost extends InsertionHost {
  entry: StackEntry
  nodules: ReturnType<typeof stackFindings>['nodules']
}

/** Reads a stack, what it holds itself, and its lung tissue. Throws NoduleError. */
export async function stackHost(
  folder: string,
  entry: StackEntry,
  reading: LidcReading | undefined,
  rule: BoxRule,
): Promise<StackHost> {
  const stack = await readStack(folder, entry)
  return {
    entry,
    volume: stack.volume,
    lungs: cropLungs(stack.volume),
    ...stackFindings(stack, reading, rule),
  }
}

/** One copy of a stack with nodules of other patients. Throws NoduleError. */
export async function stackCopy(
  host: StackHost,
  from: Omit<InsertionSource, 'host'>,
  variant: number,
): Promise<InsertedCopy> {
  const { patientId, seriesInstanceUid, nodule } = host.entry
  const source = {
    ...from,
    plan: { ...from.plan, count: Math.min(MOST, from.plan.count) },
    donors: from.donors.filter((donor) => donor.patientId !== patientId),
    host: { patientId, name: `${seriesInstanceUid} ${nodule}` },
  }
  return insertedCopy(host, source, variant)
}

/** Makes the frames of copies of stacks, of the slices that show what was put in, and their record. */
export async function prepareStackCopies(task: StackCopiesTask): Promise<ScanRecord> {
  const { folder, stacks, parameters, output, plan } = task
  const { patientId, seriesInstanceUid } = stacks[0]!
  const reading = await readReading(task.annotationFiles)
  const record: Omit<ScanRecord, 'format'> & { damaged: { path: string; reason: string }[] } = {
    ...{ key: task.key, patientId, studyInstanceUid: '', seriesInstanceUid, part: 'insertions', slices: 0 },
    ...{ nodules: [], entries: [], frames: {}, warnings: [...(reading?.warnings ?? [])], damaged: [] },
  }
  const damage = (path: string, reason: string): void => {
    if (record.damaged.every((file) => file.path !== path)) record.damaged.push({ path, reason })
  }
  for (const entry of stacks) {
    try {
      const host = await stackHost(folder, entry, reading, parameters.boxes)
      for (let variant = 0; variant < plan.variants; variant++) {
        const copy = await stackCopy(host, { ...task, rule: parameters.boxes }, variant)
        for (const { path, reason } of copy.damaged) damage(path, reason)
        const nodules = [...host.nodules, ...copy.nodules]
        const findings = [...host.findings, ...copy.findings]
        const inserted = new Set(copy.nodules.map(({ id }) => id))
        const entries = stackEntries({ entry, volume: copy.volume }, findings, nodules, parameters, {
          variant,
          inserted,
        })
        if (entries.length === 0) continue
        Object.assign(record.frames, await writeFrames(copy.volume, entries, parameters, output))
        record.slices += entries.length
        append(
          record.nodules,
          copy.nodules.map((nodule) => ({ ...nodule, id: `${entry.nodule} ${nodule.id}` })),
        )
        append(record.entries, entries)
      }
    } catch (error) {
      const path = error instanceof NoduleError ? (error.path ?? '') : ''
      const files = stackFiles(folder, entry)
      if (!(error instanceof NoduleError) || (path !== files.slices && path !== files.readers)) throw error
      damage(path, reasonBeside(path, error))
    }
  }
  return writeRecord(output, record, task.old)
}
