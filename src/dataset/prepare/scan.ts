import { join } from 'node:path'
import type { Series } from '../../dicom/index.js'
import { makeFolder, writeFileAtomic } from '../../files.js'
import { createRandom } from '../../random.js'
import { loadVolume, segmentLungs } from '../../volume/index.js'
import type { HuVolume } from '../../volume/index.js'
import { frameBoxes } from './boxes.js'
import { readFindings } from './findings.js'
import { channelSlices, lungFrame, renderPlaneHu } from '../frames.js'
import type { FrameMapping } from '../../geometry/frame.js'
import { encodeFrame, encodeHuPng } from '../images.js'
import type { ListEntry, NoduleMeasures } from '../list.js'
import type { FrameParameters } from './parameters.js'
import { fileName, sha256, writeRecord } from './record.js'
import type { ScanRecord } from './record.js'
import { selectSlices } from './select.js'
import { renderSliceFrames } from '../slice_frames.js'

/** One scan to prepare; plain data, so that it can go to another thread. */
export interface ScanTask {
  series: Series
  /** Its LIDC XML files. */
  annotationFiles: string[]
  parameters: FrameParameters
  /** The data set's folder. */
  output: string
  key: string
  /** The record of an earlier run, whose frames go when they are not made again. */
  old: ScanRecord | undefined
}

/** Buffers of an earlier scan, to be used again: fresh memory costs more than the work. For one scan at a time. */
export interface ScanMemory {
  volume?: Int16Array
}

/** Frames rendered and encoded together. */
const FRAMES_AT_ONCE = 16

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
  const { slices: boxes, outside } = frameBoxes(found.findings, mapping, parameters.boxes)
  const warnings = [...lungs.warnings, ...found.warnings]
  if (outside > 0) warnings.push(`${outside} boxes lie outside the frame, which is fitted around the lungs`)
  const positive = new Set([...boxes].filter(([, slice]) => slice.rects.length > 0).map(([k]) => k))
  const excluded = new Set([...boxes].filter(([, slice]) => slice.excluded.length > 0).map(([k]) => k))
  const chosen = selectSlices(
    series.slices.length,
    positive,
    excluded,
    lungs.box.z,
    parameters.slices,
    createRandom(parameters.seed).fork(`slices ${series.seriesInstanceUid}`),
  )
  const measures = new Map(
    found.nodules.map(({ id, readers, diameterMm, texture }): [string, NoduleMeasures] => [
      id,
      { readers, diameterMm, ...(texture === undefined ? {} : { texture }) },
    ]),
  )
  const name = `${fileName(series.patientId)}_${fileName(series.seriesInstanceUid)}`
  const entries: ListEntry[] = chosen.map((k) => {
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
  const frames: Record<string, string> = {}
  await makeFolder(join(output, 'frames'))
  for (let first = 0; first < chosen.length; first += FRAMES_AT_ONCE) {
    const pngs = await framesAsPng(volume, mapping, chosen.slice(first, first + FRAMES_AT_ONCE), parameters)
    for (const [n, png] of pngs.entries()) {
      const path = entries[first + n]!.image_path
      frames[path] = sha256(png)
      await writeFileAtomic(join(output, path), png)
    }
  }
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

async function framesAsPng(
  volume: HuVolume,
  mapping: FrameMapping,
  slices: readonly number[],
  parameters: FrameParameters,
): Promise<Buffer[]> {
  const { frameWidth: width, frameHeight: height } = mapping
  const { neighborMm, channels, windowLowHu: low, windowHighHu: high } = parameters
  if (parameters.encoding === 'hu16') {
    const planes: Record<number, Float32Array> = {}
    const plane = (k: number): Float32Array =>
      (planes[k] ??= renderPlaneHu(volume, k, mapping, new Float32Array(width * height)))
    return Promise.all(
      slices.map((k) =>
        encodeHuPng(width, height, channelSlices(volume.geometry, k, neighborMm, channels).map(plane)),
      ),
    )
  }
  const layout = channels === 3 ? 'NHWC' : 'NCHW'
  const style = { mapping, window: { low, high }, neighborMm, channels, layout } as const
  const frames = await renderSliceFrames(volume, slices, style)
  const size = width * height * channels
  return Promise.all(
    slices.map((_, n) =>
      encodeFrame({ width, height, channels, data: frames.subarray(n * size, (n + 1) * size) }),
    ),
  )
}
