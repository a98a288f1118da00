import { createRandom } from '../../random.js'
import { frameBoxes } from './boxes.js'
import { measuresById, prepareVolume, scanEntry } from './host.js'
import type { CommonTask, ScanMemory, ScanSource } from './host.js'
import { writeRecord } from './record.js'
import type { ScanRecord } from './record.js'
import { selectSlices } from './select.js'
import { writeFrames } from './write_frames.js'
import { agree, count } from '../../words.js'

/** One scan to prepare. */
export interface ScanTask extends CommonTask, ScanSource {
  kind: 'scan'
}

/**
 * Makes the frames of one scan and its record: volume, lungs, one mapping for all slices, boxes of the consensus
 * nodules, slices by rule, one PNG each. Throws NoduleError where the scan cannot be used.
 */
export async function prepareScan(task: ScanTask, memory: ScanMemory = {}): Promise<ScanRecord> {
  const { series, parameters, output } = task
  const host = await prepareVolume(task, parameters, memory)
  const { volume, lungs, mapping, findings, nodules, warnings } = host
  const { slices: boxes } = frameBoxes(findings, mapping, parameters.boxes)
  const doubtful = findings.filter((finding) => finding.nonNodule !== true)
  const { slices: shown, outside } = frameBoxes(doubtful, mapping, parameters.boxes)
  if (outside > 0)
    warnings.push(
      `${count(outside, 'box')} ${agree(outside, 'lies', 'lie')} outside the frame, which is fitted around the lungs`,
    )
  const positive = new Set([...boxes].filter(([, slice]) => slice.rects.length > 0).map(([k]) => k))
  const excluded = new Set([...shown].filter(([, slice]) => slice.excluded.length > 0).map(([k]) => k))
  const unread = task.annotationFiles.length === 0
  const chosen = selectSlices(
    series.slices.length,
    positive,
    excluded,
    lungs.box.z,
    parameters.slices,
    createRandom(parameters.seed).fork(`slices ${series.seriesInstanceUid}`),
    // Of a scan that nobody read there is nothing to be in proportion to.
    unread ? series.slices.length : undefined,
  )
  const measures = measuresById(nodules)
  const entries = chosen.map((k) => scanEntry({ series, ...host }, k, boxes.get(k), measures, parameters))
  const frames = await writeFrames(volume, entries, parameters, output)
  return writeRecord(
    output,
    {
      key: task.key,
      patientId: series.patientId,
      studyInstanceUid: series.studyInstanceUid,
      seriesInstanceUid: series.seriesInstanceUid,
      slices: series.slices.length,
      nodules,
      entries,
      frames,
      warnings,
    },
    task.old,
  )
}
