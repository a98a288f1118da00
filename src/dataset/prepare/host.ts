import { readSegmentation } from '../../dicom/index.js'
import type { Series } from '../../dicom/index.js'
import type { EdgeBox } from '../../geometry/box.js'
import type { FrameMapping } from '../../geometry/frame.js'
import { patientToVoxel } from '../../geometry/patient.js'
import { loadVolume, segmentLungs } from '../../volume/index.js'
import type { HuVolume, Lungs } from '../../volume/index.js'
import { lungFrame } from '../frames.js'
import { scanOrigin } from '../list.js'
import type { FrameOrigin, FrameSource, ListEntry, NoduleMeasures } from '../list.js'
import type { FrameBoxes, SliceFinding } from './boxes.js'
import { readFindings } from './findings.js'
import type { FrameParameters } from './parameters.js'
import { scanName } from './record.js'
import type { ScanRecord } from './record.js'

/** What all tasks have; plain data, so that it can go to another thread. */
export interface CommonTask {
  parameters: FrameParameters
  /** The data set's folder. */
  output: string
  key: string
  /** The record of an earlier run, whose frames go when they are not made again. */
  old: ScanRecord | undefined
}

/** A whole scan with what is known of its nodules. */
export interface ScanSource {
  series: Series
  /** Its LIDC XML files; none where nobody read it. */
  annotationFiles: string[]
  /** DICOM segmentations of it, which count where there is no XML file. */
  segmentations: string[]
}

/** Buffers of an earlier scan, to be used again: fresh memory costs more than the work. For one scan at a time. */
export interface ScanMemory {
  volume?: Int16Array
}

/** A scan as frames are made of it. */
export interface PreparedVolume {
  volume: HuVolume
  lungs: Lungs
  mapping: FrameMapping
  findings: SliceFinding[]
  nodules: ScanRecord['nodules']
  warnings: string[]
}

/** Loads a scan, finds its lungs and the frame around them, and reads its findings. Throws NoduleError. */
export async function prepareVolume(
  { series, annotationFiles, segmentations }: ScanSource,
  parameters: FrameParameters,
  memory: ScanMemory,
): Promise<PreparedVolume> {
  const volume = await loadVolume(series, memory.volume && { reuse: memory.volume })
  if (volume.data.length > (memory.volume?.length ?? 0)) memory.volume = volume.data
  const lungs = segmentLungs(volume)
  const mapping = lungFrame(volume, lungs, {
    image_width: parameters.frameWidth,
    image_height: parameters.frameHeight,
    data: { lung_margin_mm: parameters.lungMarginMm, mm_per_pixel: parameters.mmPerPixel },
  })
  const found =
    annotationFiles.length > 0
      ? await readFindings(series, annotationFiles, parameters.boxes)
      : { findings: await segmentedFindings(series, segmentations), nodules: [], warnings: [] }
  return { volume, lungs, mapping, ...found, warnings: [...lungs.warnings, ...found.warnings] }
}

/** What segmentations outline, as findings that are not accepted: who drew them is not known. */
export async function segmentedFindings(series: Series, paths: readonly string[]): Promise<SliceFinding[]> {
  const boxes = new Map<number, EdgeBox>()
  for (const path of paths) {
    const { frames } = await readSegmentation(path)
    for (const { position, box } of frames) {
      const [slice, row, column] = patientToVoxel(series.geometry, position)
      const k = Math.round(slice)
      if (k < 0 || k >= series.slices.length) continue
      const own = boxes.get(k) ?? { x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity }
      boxes.set(k, {
        x1: Math.min(own.x1, box.x1 + column),
        y1: Math.min(own.y1, box.y1 + row),
        x2: Math.max(own.x2, box.x2 + column),
        y2: Math.max(own.y2, box.y2 + row),
      })
    }
  }
  return [...boxes].map(([k, box]) => ({ id: 'segmented', k, box, accepted: false }))
}

/** The measures of nodules by id. */
export function measuresById(nodules: readonly ScanRecord['nodules'][number][]): Map<string, NoduleMeasures> {
  return new Map(
    nodules.map(({ id, readers, axialDiameterMm, texture, donorPatientId }): [string, NoduleMeasures] => [
      id,
      {
        readers,
        axialDiameterMm,
        ...(texture === undefined ? {} : { texture }),
        ...(donorPatientId === undefined ? {} : { donorPatientId }),
      },
    ]),
  )
}

/**
 * The list's entry of a slice of a scan.
 * @param variant which of several data sets of the same scan
 */
export function scanEntry(
  { series, volume, mapping }: { series: Series } & Pick<PreparedVolume, 'volume' | 'mapping'>,
  k: number,
  boxes: FrameBoxes | undefined,
  measures: ReadonlyMap<string, NoduleMeasures>,
  parameters: FrameParameters,
  variant?: { origin: FrameOrigin; number: number },
): ListEntry & { nodule: FrameSource } {
  const slice = boxes ?? { rects: [], ids: [], excluded: [] }
  const suffix = variant === undefined ? '' : `_${variant.origin}-${variant.number}`
  const name = `${scanName(series)}${suffix}`
  return {
    image_path: `frames/${name}_${String(k).padStart(4, '0')}.png`,
    rects: slice.rects.map((box) => ({ ...box })),
    nodule: {
      patientId: series.patientId,
      seriesInstanceUid: series.seriesInstanceUid,
      sopInstanceUid: series.slices[k]!.sopInstanceUid,
      ...(variant === undefined ? {} : { variant: variant.number }),
      k,
      positionMm: volume.geometry.slicePositions[k]!,
      mapping,
      encoding: parameters.encoding,
      ...(parameters.channels === 3 ? {} : { channels: parameters.channels }),
      origin: variant?.origin ?? scanOrigin(series.patientId),
      nodules: slice.ids,
      measures: slice.ids.map((id) => measures.get(id)!),
      excluded: slice.excluded,
    },
  }
}
