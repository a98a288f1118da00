import { checkInteger, checkObject, invalidParameter } from '../check.js'
import { NoduleError } from '../errors.js'
import { clipBox } from '../geometry/box.js'
import type { ScoredBox } from '../geometry/box.js'
import { frameToImage } from '../geometry/frame.js'
import type { FrameMapping } from '../geometry/frame.js'
import type { Hypes } from '../config/hypes.js'
import type { Tile } from '../dataset/index.js'
import { voxelToPatient } from '../geometry/patient.js'
import { LINK_DEFAULTS, linkBoxes, rankNodules } from '../nodules/index.js'
import { checkLinkOptions } from '../nodules/link.js'
import type { Nodule3d } from '../nodules/index.js'
import { checkHuVolume } from '../volume/hu_volume.js'
import type { HuVolume } from '../volume/index.js'
import type { DetectParameters, DetectTiming, DetectedNodule, DetectedSlice } from './detections.js'
import { REGIONS, examinedRegion } from './region.js'
import type { Examined } from './region.js'
import { renderAhead } from './render_ahead.js'
import type { FramePlace } from './render_ahead.js'
import { rescoreNodules } from './second.js'
import { checkSession } from './session.js'
import type { Session } from './session.js'
import { STITCH_DEFAULTS, checkStitchParameters, stitchFrame } from './stitch.js'
import { frameOf } from './raw_frame.js'
import { stitchTiles, tileOverlap } from './stitch_tiles.js'
import type { TileBoxes } from './stitch_tiles.js'
import { isStopped } from '../work.js'
import type { WorkOptions } from '../work.js'

export const DETECT_DEFAULTS: DetectParameters = {
  ...STITCH_DEFAULTS,
  stitch: 'greedy',
  link: LINK_DEFAULTS,
  region: 'lungs',
}

/**
 * What a session's marks are cut at where nobody says otherwise. Two stages have a calibrated confidence: above 0.6,
 * none to four false marks were left on each of four whole scans (benchmarks/quality); boxes below 0.2 never get there.
 */
export function defaultConfidences(session: { second?: object | undefined }): {
  minScore: number
  minConfidence: number
} {
  return session.second === undefined
    ? { minScore: STITCH_DEFAULTS.minScore, minConfidence: LINK_DEFAULTS.minConfidence }
    : { minScore: 0.2, minConfidence: 0.6 }
}

/** Throws NoduleError (INVALID_PARAMETER) for what would be found wrong, or not at all, after the work. */
export function checkDetectParameters(parameters: DetectParameters): void {
  checkStitchParameters(checkObject('parameters', parameters))
  if (!REGIONS.includes(parameters.region))
    throw invalidParameter('region', `one of ${REGIONS.join(', ')}`, parameters.region)
  // With a second stage linking never gets to see the least confidence.
  checkLinkOptions(checkObject('link', parameters.link))
}

/** The frames of one run of the model. Throws NoduleError (INVALID_PARAMETER) for a number that cannot be. */
export function checkBatch(batch: number): number {
  return checkInteger('batch', batch, 1, 1024)
}

export interface VolumeDetections {
  frame: FrameMapping
  slices: DetectedSlice[]
  nodules: DetectedNodule[]
  timing: Omit<DetectTiming, 'read' | 'total'>
  warnings: string[]
}

/** Progress is that of the slices. */
export interface DetectVolumeOptions extends Pick<WorkOptions, 'signal' | 'onProgress'> {
  parameters?: DetectParameters
  /** Frames of one run of the model; default 1 on the CPU (more gain nothing there), 16 on a GPU. */
  batch?: number
  /** Default: the session's second stage, where it has one. */
  rescore?: Rescore
}

/**
 * A second stage: judges the linked nodules by the volume itself. It may change every field but `id` and `slices`, and
 * leave nodules out; the result is ranked by confidence anew.
 */
export type Rescore = (nodules: readonly Nodule3d[], volume: HuVolume) => Promise<Nodule3d[]>

/**
 * Everything that happens to a scan once its HU volume is in memory: lungs -> one mapping for all slices (a frame, or a
 * canvas of a fixed scale with tiles on it) -> 2.5-D frames -> model -> boxes stitched within and across frames -> image
 * pixels -> nodules -> the second stage. While the model runs on some frames, the next are rendered.
 *
 * @throws NoduleError INVALID_PARAMETER; INTERRUPTED where the signal is aborted: half a scan is no result
 */
export async function detectVolume(
  volume: HuVolume,
  session: Session,
  o: DetectVolumeOptions = {},
): Promise<VolumeDetections> {
  checkHuVolume(volume)
  checkSession(session)
  const parameters = checkObject('options', o).parameters ?? DETECT_DEFAULTS
  checkDetectParameters(parameters)
  const batch = checkBatch(o.batch ?? (session.device === 'cuda' ? 16 : 1))
  const timing = { lungs: 0, render: 0, network: 0, stitch: 0, link: 0, rescore: 0 }
  const clock = stopwatch(timing)
  const { hypes } = session

  const examined = examinedRegion(volume, parameters.region, hypes, session.anyFrame)
  clock('lungs')

  const slices: DetectedSlice[] = []
  for await (const chunk of renderAhead(volume, examined, hypes, batch)) {
    clock('render')
    if (isStopped(o.signal)) throw new NoduleError('INTERRUPTED', 'stopped between slices')
    const found = new Map<number, TileBoxes[]>(chunk.slices.map((k) => [k, []]))
    let done = 0
    for (const part of batches(chunk.places, batch)) {
      const [first] = part
      const frameHypes = hypesOfTile(hypes, first.tile)
      const size = { width: frameHypes.image_width, height: frameHypes.image_height }
      const raw = await session.run(chunk.frames.subarray(first.offset), part.length, size)
      clock('network')
      for (const [n, { k, tile }] of part.entries())
        found.get(k)!.push({ tile, boxes: stitchFrame(frameOf(raw, n, part.length), frameHypes, parameters) })
      clock('stitch')
      done += part.length
      const share = done / chunk.places.length
      o.onProgress?.(slices.length + Math.floor(share * chunk.slices.length), examined.slices.length)
    }
    for (const [k, parts] of found)
      slices.push(detectedSlice(volume, k, stitchTiles(parts, tileOverlap(parameters)), examined))
    clock('stitch')
  }
  const { second } = session
  const { minConfidence: least } = parameters.link
  const rescore =
    o.rescore ??
    (second && (async (marks): Promise<Nodule3d[]> => rescoreNodules(marks, volume, second, least)))
  // What the list leaves out is decided by the second stage's confidence where there is one.
  const link = rescore === undefined ? parameters.link : { ...parameters.link, minConfidence: 0 }
  const linked = linkBoxes(slices, volume.geometry, link, examined.stepMm)
  clock('link')
  const rescored = rescore === undefined ? linked : await rescore(linked, volume)
  const nodules = listed(rankNodules(rescored, least), slices)
  clock('rescore')
  return { frame: examined.canvas, slices, nodules, timing, warnings: examined.warnings }
}

/** The hypes of a network whose frames have the size of the tile. */
function hypesOfTile(hypes: Hypes, { mapping }: Tile): Hypes {
  const { frameWidth: width, frameHeight: height } = mapping
  const cells = { grid_width: width / hypes.region_size, grid_height: height / hypes.region_size }
  return { ...hypes, ...cells, image_width: width, image_height: height }
}

/** The places that the model can see in one run: neighbors whose frames have one size; at most `batch`. */
function batches(places: readonly FramePlace[], batch: number): [FramePlace, ...FramePlace[]][] {
  const parts: [FramePlace, ...FramePlace[]][] = []
  for (const place of places) {
    const last = parts.at(-1)
    if (last !== undefined && last.length < batch && sameSize(last[0], place)) last.push(place)
    else parts.push([place])
  }
  return parts
}

function sameSize({ tile: { mapping: a } }: FramePlace, { tile: { mapping: b } }: FramePlace): boolean {
  return a.frameWidth === b.frameWidth && a.frameHeight === b.frameHeight
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

function detectedSlice(
  volume: HuVolume,
  k: number,
  stitched: readonly ScoredBox[],
  { canvas, inLungs }: Pick<Examined, 'canvas' | 'inLungs'>,
): DetectedSlice {
  const [, rows, columns] = volume.shape
  const boxes: ScoredBox[] = stitched
    .map((box) => ({ ...clipBox(frameToImage(canvas, box), columns, rows), score: box.score }))
    // The frame may reach beyond the image.
    .filter((box) => box.x2 > box.x1 && box.y2 > box.y1 && inLungs(k, box))
  return {
    k,
    sopInstanceUid: volume.sopInstanceUids[k] ?? '',
    z: voxelToPatient(volume.geometry, k, 0, 0)[2],
    boxes,
  }
}

/** Marks each box with the nodule that it went into, and leaves out what the result does not hold. */
function listed(nodules: readonly Nodule3d[], slices: readonly DetectedSlice[]): DetectedNodule[] {
  const bySlice = new Map(slices.map((slice) => [slice.k, slice]))
  for (const { id, slices: members } of nodules)
    for (const { k, index } of members) bySlice.get(k)!.boxes[index]!.nodule = id
  return nodules.map(({ slices: members, ...nodule }) => ({
    ...nodule,
    slices: [members[0]!.k, members.at(-1)!.k],
  }))
}
