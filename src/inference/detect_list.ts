import { checkObject, checkText } from '../check.js'
import {
  cutTile,
  hypesWindow,
  imageCanvas,
  readFrame,
  readList,
  tilesOf,
  writeList,
} from '../dataset/index.js'
import { checkListName } from '../dataset/list.js'
import { frameFormat } from '../dataset/read_frame.js'
import type { FrameList, ListEntry } from '../dataset/index.js'
import { NoduleError } from '../errors.js'
import { boxArea, clipBox } from '../geometry/box.js'
import type { EdgeBox } from '../geometry/box.js'
import { toPlanes } from '../onnx/planes.js'
import type { DetectNote } from '../scans/find_scans.js'
import { DETECT_DEFAULTS } from './detect_volume.js'
import { frameBytes } from './render_ahead.js'
import { listOverlayName, removeOverlays, writeOverlays } from '../pictures/overlay.js'
import type { Overlay } from '../pictures/overlay.js'
import { checkSession } from './session.js'
import type { Session } from './session.js'
import { checkStitchParameters, stitchFrame } from './stitch.js'
import { frameOf } from './raw_frame.js'
import type { StitchParameters } from './stitch.js'
import { stitchTiles, tileOverlap } from './stitch_tiles.js'
import type { TileBoxes } from './stitch_tiles.js'
import { agree, count } from '../words.js'
import { isStopped } from '../work.js'
import type { WorkOptions } from '../work.js'

export interface DetectListOptions extends Pick<WorkOptions, 'signal' | 'onProgress'> {
  parameters?: StitchParameters
  /** Draw the images with found (blue) or true (green) boxes into this folder. */
  overlays?: string
  /** Called for what is left out or noteworthy. */
  onNote?: (note: DetectNote) => void
}

export interface DetectListResult {
  entries: ListEntry[]
  boxes: number
  failed: number
  warnings: string[]
  interrupted: boolean
}

/**
 * Detects in the images of a TensorBox list and writes a list of the same entries, with the boxes found in place of the
 * true ones: pixels of the image, `score` in [0, 1]. With `data.mm_per_pixel` the images, of any size, are tiled.
 * `image_path` and other keys stay as they are. Images that cannot be read, or have other channels than the model, are
 * reported and left out. Nothing is written when the work is aborted, or where no image can be used.
 *
 * @throws NoduleError (FILE, FORMAT) of the lists; FORMAT where the list has images and none can be used; UNSUPPORTED for an
 *   output that no list is read from as JSON
 */
export async function detectList(
  listPath: string,
  session: Session,
  output: string,
  o: DetectListOptions = {},
): Promise<DetectListResult> {
  checkText('listPath', listPath)
  checkSession(session)
  checkText('output', output)
  checkObject('options', o)
  // Better known before the work.
  checkListName(output)
  const list = readList(listPath)
  const parameters = o.parameters ?? DETECT_DEFAULTS
  checkStitchParameters(parameters)
  const result: DetectListResult = {
    entries: [],
    boxes: 0,
    failed: 0,
    warnings: [...list.warnings],
    interrupted: false,
  }
  let firstFailure = ''
  const fail = (place: string, message: string, images = 1): void => {
    result.failed += images
    if (firstFailure === '') firstFailure = `${place}: ${message}`
    o.onNote?.({ failed: true, place, message })
  }
  const { fitting, unfit } = byChannels(list, session)
  if (unfit !== undefined) {
    if (fitting.length === 0) throw unfit.error
    fail(listPath, unfit.error.reason, unfit.images)
  }
  // The next image is decoded, and the last picture drawn, while the model runs on this one.
  let drawing: Promise<void> | undefined
  let next = attempt(list, fitting[0], session)
  for (const [n, index] of fitting.entries()) {
    const entry = list.entries[index]!
    if (isStopped(o.signal)) {
      result.interrupted = true
      break
    }
    const frame = await next
    next = attempt(list, fitting[n + 1], session)
    if (frame instanceof NoduleError) {
      fail(frame.path ?? entry.image_path, frame.reason)
      continue
    }
    if (frame === undefined) break
    // Pictures of an earlier run stay as long as its list does.
    if (o.overlays !== undefined && result.entries.length === 0) await removeOverlays(o.overlays)
    const rects = await detectFrame(frame, session, parameters)
    result.boxes += rects.length
    result.entries.push({ ...entry, rects })
    if (o.overlays !== undefined && rects.length + entry.rects.length > 0) {
      await drawing
      const name = listOverlayName(index, entry.image_path)
      drawing = writeOverlays(o.overlays, [overlayOf(name, frame, rects, entry.rects, session)])
      // Awaited when its turn comes; until then nobody would hear of an error.
      drawing.catch(() => undefined)
    }
    o.onProgress?.(index + 1, list.entries.length)
  }
  await next
  await drawing
  // Half a list of predictions would look like a whole one with misses.
  if (result.interrupted) return result
  if (result.failed > 0 && result.entries.length === 0)
    throw new NoduleError('FORMAT', 'no image of the list can be used', {
      path: listPath,
      expected: 'at least one',
      actual: `${count(result.failed, 'failure')}, first ${firstFailure}`,
    })
  if (o.overlays !== undefined && result.entries.length === 0) await removeOverlays(o.overlays)
  await writeList(output, result.entries)
  return result
}

/**
 * The entries whose frames have the model's channels, by their indices; and what is to be said of the others, once: as a
 * rule the whole list was made for another model.
 */
function byChannels(
  list: FrameList,
  { path: model, hypes }: Session,
): { fitting: number[]; unfit: { images: number; error: NoduleError } | undefined } {
  const { channels } = hypes.data
  const found = list.entries.map((entry) => frameFormat(entry).channels)
  const fitting = [...found.keys()].filter((index) => found[index] === channels)
  const images = found.length - fitting.length
  if (images === 0) return { fitting, unfit: undefined }
  const first = found.findIndex((one) => one !== channels)
  const error = new NoduleError(
    'FORMAT',
    `${images} of ${count(found.length, 'frame')} ${agree(images, 'has', 'have')} another number of channels than ${model} takes`,
    {
      path: list.path,
      place: `/${first}`,
      expected: `data.channels = ${channels}`,
      actual: [...new Set(found)].filter((one) => one !== channels).join(', '),
      remedies: ["prepare the list with the model's hypes"],
    },
  )
  return { fitting, unfit: { images, error } }
}

type ReadFrame = Awaited<ReturnType<typeof readFrame>>

async function attempt(
  list: FrameList,
  index: number | undefined,
  session: Session,
): Promise<ReadFrame | NoduleError | undefined> {
  const entry = index === undefined ? undefined : list.entries[index]
  if (entry === undefined) return undefined
  try {
    return await readFrame(list, entry, session.hypes)
  } catch (error) {
    if (error instanceof NoduleError) return error
    throw error
  }
}

/** The frame's middle channel, the slice itself, with boxes that are given in pixels of the image. */
function overlayOf(
  name: string,
  { data, width, height, scaleX, scaleY }: ReadFrame,
  found: ListEntry['rects'],
  truth: ListEntry['rects'],
  session: Session,
): Overlay {
  const { channels } = session.hypes.data
  const middle = Math.floor(channels / 2)
  const onFrame = <Box extends EdgeBox>(box: Box): Box => ({
    ...box,
    x1: box.x1 * scaleX,
    y1: box.y1 * scaleY,
    x2: box.x2 * scaleX,
    y2: box.y2 * scaleY,
  })
  return {
    name,
    gray: Uint8Array.from({ length: width * height }, (_, n) => data[n * channels + middle]!),
    width,
    height,
    boxes: found.map((box) => ({ ...onFrame(box), score: box.score ?? 0 })),
    truth: truth.map(onFrame),
  }
}

/** Frames of one run of the model: an image of many tiles must not fill the memory. */
const MAX_BATCH = 16

async function detectFrame(
  { data, width, height, scaleX, scaleY }: ReadFrame,
  session: Session,
  parameters: StitchParameters,
): Promise<ListEntry['rects']> {
  const { hypes } = session
  const { channels } = hypes.data
  const tiles = tilesOf(imageCanvas({ width, height }), hypes)
  const parts: TileBoxes[] = []
  const batch = session.device === 'cuda' ? MAX_BATCH : 1
  for (let start = 0; start < tiles.length; start += batch) {
    const some = tiles.slice(start, start + batch)
    const bytes = frameBytes(some[0]!, hypes)
    const frames = new Uint8Array(some.length * bytes)
    some.forEach((tile, n) =>
      frames.set(
        toPlanes(cutTile({ data, width, height }, tile, channels, hypesWindow(hypes)), channels),
        n * bytes,
      ),
    )
    const raw = await session.run(frames, some.length)
    some.forEach((tile, n) =>
      parts.push({ tile, boxes: stitchFrame(frameOf(raw, n, some.length), hypes, parameters) }),
    )
  }
  return (
    stitchTiles(parts, tileOverlap(parameters))
      .map((box) => ({ ...clipBox(box, width, height), score: box.score }))
      // A tile may reach beyond the image.
      .filter((box) => boxArea(box) > 0)
      .map((box) => ({
        x1: box.x1 / scaleX,
        y1: box.y1 / scaleY,
        x2: box.x2 / scaleX,
        y2: box.y2 / scaleY,
        score: box.score,
      }))
  )
}
