import { greatest, least } from '../../lists.js'
import { readSegmentation } from '../../dicom/index.js'
import type { SegmentedFrame, Series } from '../../dicom/index.js'
import { NoduleError } from '../../errors.js'
import type { EdgeBox } from '../../geometry/box.js'
import type { FrameMapping } from '../../geometry/frame.js'
import { patientToVoxel, voxelToPatient } from '../../geometry/patient.js'
import type { VolumeGeometry } from '../../geometry/patient.js'
import { cross, dot } from '../../geometry/vector.js'
import type { Vector3 } from '../../geometry/vector.js'
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

/**
 * What segmentations outline, as findings that are not accepted: who drew them is not known. Throws NoduleError, also
 * UNSUPPORTED where the planes of one are not those of the slices.
 */
export async function segmentedFindings(series: Series, paths: readonly string[]): Promise<SliceFinding[]> {
  const boxes = new Map<number, EdgeBox>()
  for (const path of paths) {
    const { frames } = await readSegmentation(path)
    for (const frame of frames) {
      const { k, box } = boxInSlice(series.geometry, frame, path)
      if (k < 0 || k >= series.slices.length) continue
      const own = boxes.get(k) ?? box
      boxes.set(k, {
        x1: Math.min(own.x1, box.x1),
        y1: Math.min(own.y1, box.y1),
        x2: Math.max(own.x2, box.x2),
        y2: Math.max(own.y2, box.y2),
      })
    }
  }
  return [...boxes].map(([k, box]) => ({ id: 'segmented', k, box, accepted: false }))
}

/** Planes that are turned by more than this out of the slices are others: cosine of 5 degrees. */
const SAME_PLANE = 0.996

/** The slice that a frame of a segmentation lies in, and its box there: the frame may be turned, or have other pixels. */
function boxInSlice(
  geometry: VolumeGeometry,
  frame: SegmentedFrame,
  path: string,
): { k: number; box: EdgeBox } {
  const { rowDirection, columnDirection, spacing } = geometry
  const [row, column] = frame.directions ?? [rowDirection, columnDirection]
  const [rowMm, columnMm] = frame.pixelSpacing ?? [spacing[1], spacing[2]]
  const parallel = Math.abs(dot(cross(row, column), cross(rowDirection, columnDirection)))
  if (!(parallel > SAME_PLANE))
    throw new NoduleError('UNSUPPORTED', 'cannot use a segmentation of other planes than the slices', {
      path,
      place: '(0020,0037)',
      expected: `${[...rowDirection, ...columnDirection].join('\\')} or in its plane`,
      actual: [...row, ...column].join('\\'),
    })
  // Pixel centers have whole indices, edges lie half a pixel beside them.
  const at = (x: number, y: number): Vector3 => {
    const [i, j] = [(x - 0.5) * columnMm, (y - 0.5) * rowMm]
    const mm = (axis: 0 | 1 | 2): number => frame.position[axis] + row[axis] * i + column[axis] * j
    return patientToVoxel(geometry, [mm(0), mm(1), mm(2)])
  }
  const { x1, y1, x2, y2 } = frame.box
  const corners = [at(x1, y1), at(x2, y1), at(x1, y2), at(x2, y2)]
  const [ys, xs] = [corners.map(([, y]) => y + 0.5), corners.map(([, , x]) => x + 0.5)]
  return {
    k: Math.round(at((x1 + x2) / 2, (y1 + y2) / 2)[0]),
    box: { x1: least(xs), y1: least(ys), x2: greatest(xs), y2: greatest(ys) },
  }
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
      z: voxelToPatient(volume.geometry, k, 0, 0)[2],
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
