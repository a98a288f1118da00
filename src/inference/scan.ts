import { hypesWindow, lungFrame, renderSliceFrames } from '../dataset/index.js'
import { checkInteger } from '../check.js'
import type { Hypes } from '../config/hypes.js'
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
import { STITCH_DEFAULTS, checkStitchParameters, stitchFrame } from './stitch.js'
import type { RawFrame } from './stitch.js'

export const DETECT_DEFAULTS: DetectParameters = {
  ...STITCH_DEFAULTS,
  stitch: 'greedy',
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
 * Everything that happens to a scan once its HU volume is in memory: lungs -> one mapping for all slices -> 2.5-D frames
 * -> model -> stitched boxes -> image pixels -> nodules. While the model runs on some frames, the next are rendered.
 */
export async function detectVolume(
  volume: HuVolume,
  session: Session,
  o: DetectVolumeOptions = {},
): Promise<VolumeDetections> {
  const parameters = o.parameters ?? DETECT_DEFAULTS
  checkStitchParameters(parameters)
  const batch = checkInteger('batch', o.batch ?? (session.device === 'cuda' ? 16 : 1), 1, 1024)
  const timing = { lungs: 0, render: 0, network: 0, stitch: 0, link: 0 }
  const clock = stopwatch(timing)

  const lungs = segmentLungs(volume)
  const frame = lungFrame(volume, lungs, session.hypes)
  clock('lungs')

  const [first, end] = parameters.allSlices ? [0, volume.shape[0]] : lungs.box.z
  const slices: DetectedSlice[] = []
  for await (const chunk of renderAhead(volume, frame, session.hypes, first, end, Math.max(batch, CHUNK))) {
    clock('render')
    for (let start = 0; start < chunk.slices.length; start += batch) {
      const part = chunk.slices.slice(start, start + batch)
      const raw = await session.run(chunk.frames.subarray(start * chunk.frameSize), part.length)
      clock('network')
      part.forEach((k, n) => {
        slices.push(
          detectedSlice(
            volume,
            k,
            stitchFrame(frameOf(raw, n, part.length), session.hypes, parameters),
            frame,
          ),
        )
      })
      clock('stitch')
      o.onSlice?.(slices.length, end - first)
    }
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

/** Frames rendered at a time: their planes are shared between neighbors. */
const CHUNK = 16

interface Chunk {
  slices: number[]
  /** [slices, channels, height, width]; valid until the next chunk is asked for. */
  frames: Uint8Array
  frameSize: number
}

/** The frames of slices [first, end) in chunks; the next chunk is rendered while the caller works on one. */
async function* renderAhead(
  volume: HuVolume,
  mapping: FrameMapping,
  hypes: Hypes,
  first: number,
  end: number,
  size: number,
): AsyncGenerator<Chunk> {
  const style = {
    mapping,
    window: hypesWindow(hypes),
    neighborMm: hypes.data.neighbor_mm,
    channels: hypes.data.channels,
    layout: 'NCHW' as const,
  }
  const frameSize = hypes.data.channels * mapping.frameWidth * mapping.frameHeight
  const buffers = [0, 1].map(() => new Uint8Array(Math.min(size, end - first) * frameSize))
  const render = async (start: number): Promise<Chunk> => {
    const slices = Array.from({ length: Math.min(size, end - start) }, (_, n) => start + n)
    const frames = buffers.shift()!
    buffers.push(frames)
    await renderSliceFrames(volume, slices, style, frames.subarray(0, slices.length * frameSize))
    return { slices, frames, frameSize }
  }
  let next = first < end ? render(first) : undefined
  try {
    for (let start = first; start < end; start += size) {
      const chunk = await next!
      next = start + size < end ? render(start + size) : undefined
      // Awaited when its turn comes; until then nobody would hear of an error.
      next?.catch(() => undefined)
      yield chunk
    }
  } finally {
    // The caller may leave early: the volume must not change while it is being rendered.
    await next?.catch(() => undefined)
  }
}

/** The part of a batch's result that belongs to frame n. */
function frameOf(raw: RawFrame, n: number, count: number): RawFrame {
  const boxes = raw.confidences.length / count
  return {
    boxes: raw.boxes.subarray(n * boxes * 4, (n + 1) * boxes * 4),
    confidences: raw.confidences.subarray(n * boxes, (n + 1) * boxes),
  }
}

function detectedSlice(
  volume: HuVolume,
  k: number,
  stitched: readonly ScoredBox[],
  mapping: FrameMapping,
): DetectedSlice {
  const [, rows, columns] = volume.shape
  const boxes: ScoredBox[] = stitched
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
