import type { Series } from '../../dicom/index.js'
import { createRandom } from '../../random.js'
import { loadVolume, segmentLungs } from '../../volume/index.js'
import { frameBoxes } from './boxes.js'
import { readFindings } from './findings.js'
import { lungFrame } from '../frames.js'
import type { NoduleMeasures } from '../list.js'
import type { FrameParameters } from './parameters.js'
import { fileName, writeRecord } from './record.js'
import type { ScanRecord } from './record.js'
import { selectSlices } from './select.js'
import { writeFrames } from './write_frames.js'

/** What all tasks have; plain data, so that it can go to another thread. */
export interface CommonTask {
  /** LIDC XML files of the series. */
  annotationFiles: string[]
  parameters: FrameParameters
  /** The data set's folder. */
  output: string
  key: string
  /** The record of an earlier run, whose frames go when they are not made again. */
  old: ScanRecord | undefined
}

/** One scan to prepare. */
export interface ScanTask extends CommonTask {
  kind: 'scan'
  series: Series
}

/** Buffers of an earlier scan, to be used again: fresh memory costs more than the work. For one scan at a time. */
export interface ScanMemory {
  volume?: Int16Array
}

/**
 * Makes the frames of one scan and its record: volume, lungs, one mapping for all slices, boxes of the consensus
 * nodules, slices by rule, one PNG each. Throws NoduleError where the scan cannot be used.
 */
export async function prepareScan(task: ScanTask, memory: ScanMemory = {}): Promise<ScanRecord> {
  const { series, parameters, output } = task
  const volume = await loadVolume(series, memory.volume && { reuse: memory.volume })
  if (volume.data.length > (memory.volume?.length ?? 0)) memory.volume = volume.data
  const lungs = segmentLungs(volume)
  const mapping = lungFrame(volume, lungs, {
    image_width: parameters.frameWidth,
    image_height: parameters.frameHeight,
    data: { lung_margin_mm: parameters.lungMarginMm, mm_per_pixel: parameters.mmPerPixel },
  })
  const found = await readFindings(series, task.annotationFiles, parameters.boxes)
  const { slices: boxes } = frameBoxes(found.findings, mapping, parameters.boxes)
  const doubtful = found.findings.filter((finding) => finding.nonNodule !== true)
  const { slices: nodules, outside } = frameBoxes(doubtful, mapping, parameters.boxes)
  const warnings = [...lungs.warnings, ...found.warnings]
  if (outside > 0) warnings.push(`${outside} boxes lie outside the frame, which is fitted around the lungs`)
  const positive = new Set([...boxes].filter(([, slice]) => slice.rects.length > 0).map(([k]) => k))
  const excluded = new Set([...nodules].filter(([, slice]) => slice.excluded.length > 0).map(([k]) => k))
  const chosen = selectSlices(
    series.slices.length,
    positive,
    excluded,
    lungs.box.z,
    parameters.slices,
    createRandom(parameters.seed).fork(`slices ${series.seriesInstanceUid}`),
  )
  const measures = new Map(
    found.nodules.map(({ id, readers, axialDiameterMm, texture }): [string, NoduleMeasures] => [
      id,
      { readers, axialDiameterMm, ...(texture === undefined ? {} : { texture }) },
    ]),
  )
  const name = `${fileName(series.patientId)}_${fileName(series.seriesInstanceUid)}`
  const entries = chosen.map((k) => {
    const slice = boxes.get(k) ?? { rects: [], ids: [], excluded: [] }
    return {
      image_path: `frames/${name}_${String(k).padStart(4, '0')}.png`,
      rects: slice.rects.map((box) => ({ ...box })),
      nodule: {
        patientId: series.patientId,
        seriesInstanceUid: series.seriesInstanceUid,
        sopInstanceUid: series.slices[k]!.sopInstanceUid,
        k,
        positionMm: volume.geometry.slicePositions[k]!,
        mapping,
        encoding: parameters.encoding,
        ...(parameters.channels === 3 ? {} : { channels: parameters.channels }),
        nodules: slice.ids,
        measures: slice.ids.map((id) => measures.get(id)!),
        excluded: slice.excluded,
      },
    }
  })
  const frames = await writeFrames(volume, entries, parameters, output)
  return writeRecord(
    output,
    {
      key: task.key,
      patientId: series.patientId,
      studyInstanceUid: series.studyInstanceUid,
      seriesInstanceUid: series.seriesInstanceUid,
      slices: series.slices.length,
      nodules: found.nodules,
      entries,
      frames,
      warnings,
    },
    task.old,
  )
}
