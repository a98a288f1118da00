import * as tf from '@tensorflow/tfjs'
import type { Hypes } from '../config/hypes.js'
import { cutTile, hypesWindow, imageCanvas, readFrame, tilesOf } from '../dataset/index.js'
import type { FrameList, ListEntry, ModelFrame } from '../dataset/index.js'
import { evaluateSlices, pairImages } from '../evaluation/index.js'
import { NoduleError } from '../errors.js'
import type { SliceEvaluation } from '../evaluation/index.js'
import type { ScoredBox } from '../geometry/box.js'
import { frameOf } from '../inference/raw_frame.js'
import type { RawFrame } from '../inference/raw_frame.js'
import { STITCH_DEFAULTS, stitchFrame } from '../inference/stitch.js'
import type { StitchParameters } from '../inference/stitch.js'
import { stitchTiles, tileOverlap } from '../inference/stitch_tiles.js'
import type { TileBoxes } from '../inference/stitch_tiles.js'
import type { Detector } from '../model/detector.js'

/** As `nodule detect` has it where nobody says otherwise, so that its figures are those of `nodule evaluate`. */
export const STITCHING: StitchParameters = { ...STITCH_DEFAULTS, stitch: 'greedy' }

/** The precision at which the reference states its recall. */
const PRECISION = 0.735

export interface Validation {
  /** Null where the list has no true boxes. */
  ap: number | null
  /** The highest recall at precision 0.735 or more; 0 where that is not reached. */
  recall: number
  evaluation: SliceEvaluation
}

/**
 * Refuses a list that `validate` could not judge, such as one that names an image twice, and tiles that cannot be: before
 * the training, not at the first look. Throws NoduleError (FORMAT).
 */
export function checkValidated(
  { path, entries }: Pick<FrameList, 'path' | 'entries'>,
  hypes: Hypes,
  hypesPath: string,
): void {
  const { mm_per_pixel: mmPerPixel, tile_overlap_mm: overlapMm } = hypes.data
  const side = Math.min(hypes.image_width, hypes.image_height)
  // As tilesOf rounds it.
  if (mmPerPixel > 0 && Math.ceil(overlapMm / mmPerPixel - 1e-6) >= side)
    throw new NoduleError('FORMAT', 'no tiles can share so much', {
      path: hypesPath,
      place: 'data.tile_overlap_mm',
      expected: `less than a frame is wide and high, ${Number((side * mmPerPixel).toFixed(3))} mm, for looks at the whole test (logging.validate_iter)`,
      actual: String(overlapMm),
    })
  const nothing = entries.map(({ image_path }) => ({ image_path, rects: [] }))
  pairImages(entries, nothing, { ignoreExcluded: true, truthName: path })
}

/**
 * The model on every image of a list, as it would be used: moving averages, tiles with data.mm_per_pixel, stitching;
 * judged at IoU 0.5, findings that do not meet the criteria out of the count. Throws NoduleError (FILE, FORMAT).
 */
export async function validate(detector: Detector, list: FrameList): Promise<Validation> {
  const predictions: ListEntry[] = []
  // The next image is decoded while the model looks at this one.
  const read = async (index: number): Promise<ModelFrame | undefined> => {
    const entry = list.entries[index]
    return entry === undefined ? undefined : readFrame(list, entry, detector.hypes)
  }
  let next = read(0)
  for (const [index, entry] of list.entries.entries()) {
    const frame = (await next)!
    next = read(index + 1)
    next.catch(() => undefined)
    const rects = detect(detector, frame).map(({ x1, y1, x2, y2, score }) => ({
      x1: x1 / frame.scaleX,
      y1: y1 / frame.scaleY,
      x2: x2 / frame.scaleX,
      y2: y2 / frame.scaleY,
      score,
    }))
    predictions.push({ image_path: entry.image_path, rects })
  }
  const evaluation = evaluateSlices(list.entries, predictions, { ignoreExcluded: true })
  const recall = evaluation.recallAtPrecision.find(({ target }) => target === PRECISION)?.value ?? 0
  return { ap: evaluation.ap, recall, evaluation }
}

/** The boxes of an image, falling score, pixels of the frame. */
function detect(detector: Detector, image: { data: Uint8Array; width: number; height: number }): ScoredBox[] {
  const { hypes } = detector
  const { channels } = hypes.data
  const parts: TileBoxes[] = []
  const tiles = tilesOf(imageCanvas(image), hypes)
  for (let start = 0; start < tiles.length; start += hypes.batch_size) {
    const some = tiles.slice(start, start + hypes.batch_size)
    const values = hypes.image_width * hypes.image_height * channels
    const frames = new Float32Array(some.length * values)
    some.forEach((tile, n) => frames.set(cutTile(image, tile, channels, hypesWindow(hypes)), n * values))
    const raw = rawBoxes(detector, frames, some.length)
    some.forEach((tile, n) =>
      parts.push({ tile, boxes: stitchFrame(frameOf(raw, n, some.length), hypes, STITCHING) }),
    )
  }
  return stitchTiles(parts, tileOverlap(STITCHING))
}

/** What the model, as it is used, says about frames [n, image_height, image_width, channels]. */
function rawBoxes(detector: Detector, frames: Float32Array, n: number): RawFrame {
  const { image_height: height, image_width: width, data } = detector.hypes
  return tf.tidy(() => {
    const input = tf.tensor4d(frames, [n, height, width, data.channels])
    const { boxes, confidences } = detector.decode(detector.forward(input, { training: false }))
    return {
      boxes: boxes.dataSync() as Float32Array,
      confidences: confidences.dataSync() as Float32Array,
    }
  })
}
