import { createRandom } from '../../random.js'
import { scanOrigin } from '../list.js'
import type { StackEntry } from '../stacks/read_index.js'
import { frameBoxes } from './boxes.js'
import type { BoxRule } from './boxes.js'
import { measuresById, prepareVolume, scanEntry } from './host.js'
import type { CommonTask, PreparedVolume, ScanMemory, ScanSource } from './host.js'
import { insertedCopy } from './inserted_copy.js'
import type { InsertedCopy, InsertionPlan } from './inserted_copy.js'
import { writeRecord } from './record.js'
import type { ScanRecord } from './record.js'
import { selectSlices } from './select.js'
import { writeFrames } from './write_frames.js'
import { append } from '../../lists.js'

/** One scan to put nodules into. */
export interface InsertionTask extends CommonTask, ScanSource {
  kind: 'insertions'
  plan: InsertionPlan
  /** The folder of the stacks, and those that may be used: of patients of the scan's part. */
  donorFolder: string
  donors: StackEntry[]
}

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
  for (let variant = 0; variant < plan.variants; variant++) {
    const source = {
      ...task,
      host: { patientId: series.patientId, name: series.seriesInstanceUid },
      rule: parameters.boxes,
    }
    const copy = await insertedCopy(host, source, variant)
    for (const file of copy.damaged)
      if (record.damaged.every(({ path }) => path !== file.path)) record.damaged.push(file)
    append(record.warnings, copy.warnings)
    append(record.nodules, copy.nodules)
    const entries = variantEntries(task, host, copy, variant)
    Object.assign(record.frames, await writeFrames(copy.volume, entries, parameters, output))
    append(record.entries, entries)
  }
  return writeRecord(output, record, task.old)
}

function variantEntries(
  task: InsertionTask,
  host: PreparedVolume,
  copy: InsertedCopy,
  variant: number,
): ReturnType<typeof scanEntry>[] {
  const { series, parameters } = task
  const rule: BoxRule = parameters.boxes
  const own = frameBoxes(
    host.findings.filter((finding) => finding.nonNodule !== true),
    host.mapping,
    rule,
  ).slices
  const shown = frameBoxes(copy.findings, host.mapping, rule).slices
  const all = frameBoxes([...host.findings, ...copy.findings], host.mapping, rule).slices
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
  const measures = measuresById([...host.nodules, ...copy.nodules])
  const ids = new Set(copy.nodules.map((nodule) => nodule.id))
  return chosen.map((k) => {
    const entry = scanEntry(
      { series, volume: copy.volume, mapping: host.mapping },
      k,
      all.get(k),
      measures,
      parameters,
      {
        origin: 'insertion',
        number: variant,
      },
    )
    for (const [n, id] of entry.nodule.nodules.entries())
      if (!ids.has(id)) entry.rects[n]!['origin'] = scanOrigin(series.patientId)
    return entry
  })
}
