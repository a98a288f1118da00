import { assembleFrame, hypesWindow, lungFrame, neighbors, renderPlane } from '../dataset/index.js'
import { checkInteger, checkNumber } from '../check.js'
import { clipBox } from '../geometry/box.js'
import type { ScoredBox } from '../geometry/box.js'
import { frameToImage } from '../geometry/frame.js'
import type { FrameMapping } from '../geometry/frame.js'
import { voxelToPatient } from '../geometry/patient.js'
import { LINK_DEFAULTS, linkBoxes } from '../nodules/index.js'
import { segmentLungs } from '../volume/index.js'
import type { HuVolume } from '../volume/index.js'
import type { DetectParameters, DetectTiming, DetectedNodule, DetectedSlice } from './detections.js'
import type { Session } from './session.js'
import { STITCH_DEFAULTS, stitch } from './stitch.js'
import type { RawFrame } from './stitch.js'

export const DETECT_DEFAULTS: DetectParameters = {
  ...STITCH_DEFAULTS,
  link: LINK_DEFAULTS,
  allSlices: false,
}

export interface VolumeDetections {
  frame: FrameMapping
  slices: DetectedSlice[]
  nodules: DetectedNodule[]
  timing: Omit<DetectTiming, 'read' | 'total'>
  warnings: string[]
}

export interface DetectVolumeOptions {
  parameters?: DetectParameters
  /** Frames of one run of the model; default 1 on the CPU (more gain nothing there), 16 on a GPU. */
  batch?: number
  onSlice?: (done: number, total: number) => void
}

/**
 * Everything that happens to a scan once its HU volume is in memory: lungs -> one frame for all slices -> planes (each
 * rendered once) -> 2.5-D frames -> model -> stitched boxes -> image pixels -> nodules.
 */
export async function detectVolume(
  volume: HuVolume,
  session: Session,
  o: DetectVolumeOptions = {},
): Promise<VolumeDetections> {
  const parameters = o.parameters ?? DETECT_DEFAULTS
  checkNumber('minScore', parameters.minScore, 0, 1)
  const batch = checkInteger('batch', o.batch ?? (session.device === 'cuda' ? 16 : 1), 1, 1024)
  const timing = { lungs: 0, render: 0, network: 0, stitch: 0, link: 0 }
  const clock = stopwatch(timing)

  const lungs = segmentLungs(volume)
  const frame = lungFrame(volume, lungs, session.hypes)
  clock('lungs')

  const [first, end] = parameters.allSlices ? [0, volume.shape[0]] : lungs.box.z
  const frames = frameSource(volume, frame, session)
  const buffer = new Uint8Array(batch * frames.size)
  const slices: DetectedSlice[] = []
  for (let start = first; start < end; start += batch) {
    const count = Math.min(batch, end - start)
    for (let n = 0; n < count; n++)
      frames.write(start + n, buffer.subarray(n * frames.size, (n + 1) * frames.size))
    clock('render')
    const raw = await session.run(buffer, count)
    clock('network')
    for (let n = 0; n < count; n++)
      slices.push(detectedSlice(volume, start + n, part(raw, n, count), frame, parameters))
    clock('stitch')
    o.onSlice?.(start + count - first, end - first)
  }
  const nodules = linked(slices, volume, parameters)
  clock('link')
  return { frame, slices, nodules, timing, warnings: [...lungs.warnings] }
}

/** Adds the time since its last call to the stage that is named. */
function stopwatch<Stage extends string>(timing: Record<Stage, number>): (stage: Stage) => void {
  let last = performance.now()
  return (stage) => {
    const now = performance.now()
    timing[stage] += now - last
    last = now
  }
}

/** Makes the frame of each slice, in ascending order; planes are rendered once and dropped when they are passed. */
function frameSource(
  volume: HuVolume,
  mapping: FrameMapping,
  session: Session,
): { size: number; write: (k: number, out: Uint8Array) => void } {
  const { hypes } = session
  const window = hypesWindow(hypes)
  const planes: (Uint8Array | undefined)[] = []
  let oldest = 0
  return {
    size: 3 * mapping.frameWidth * mapping.frameHeight,
    write: (k, out) => {
      const three = neighbors(volume.geometry, k, hypes.data.neighbor_mm)
      for (const slice of three) planes[slice] ??= renderPlane(volume, slice, mapping, window)
      assembleFrame(planes as Uint8Array[], three, 'NCHW', out)
      for (; oldest < three[0]; oldest++) planes[oldest] = undefined
    },
  }
}

/** The part of a batch's result that belongs to frame n. */
function part(raw: RawFrame, n: number, count: number): RawFrame {
  const boxes = raw.confidences.length / count
  return {
    boxes: raw.boxes.subarray(n * boxes * 4, (n + 1) * boxes * 4),
    confidences: raw.confidences.subarray(n * boxes, (n + 1) * boxes),
  }
}

function detectedSlice(
  volume: HuVolume,
  k: number,
  raw: RawFrame,
  mapping: FrameMapping,
  { minScore, overlap }: DetectParameters,
): DetectedSlice {
  const [, rows, columns] = volume.shape
  const { frameWidth, frameHeight } = mapping
  const boxes: ScoredBox[] = stitch(raw, { minScore, overlap, frameWidth, frameHeight })
    .map((box) => ({ ...clipBox(frameToImage(mapping, box), columns, rows), score: box.score }))
    // The frame may reach beyond the image.
    .filter((box) => box.x2 > box.x1 && box.y2 > box.y1)
  return {
    k,
    sopInstanceUid: volume.sopInstanceUids[k] ?? '',
    z: voxelToPatient(volume.geometry, k, 0, 0)[2],
    boxes,
  }
}

/** Links the slices' boxes, and marks each box with the nodule that it went into. */
function linked(slices: DetectedSlice[], volume: HuVolume, parameters: DetectParameters): DetectedNodule[] {
  const nodules = linkBoxes(slices, volume.geometry, parameters.link)
  const bySlice = new Map(slices.map((slice) => [slice.k, slice]))
  for (const { id, slices: members } of nodules)
    for (const { k, index } of members) bySlice.get(k)!.boxes[index]!.nodule = id
  return nodules.map(({ slices: members, ...nodule }) => ({
    ...nodule,
    slices: [members[0]!.k, members.at(-1)!.k],
  }))
}
