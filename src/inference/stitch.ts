import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import type { Hypes } from '../config/hypes.js'
import { boxArea, clipBox, intersectionArea } from '../geometry/box.js'
import type { EdgeBox, ScoredBox } from '../geometry/box.js'
import type { RawFrame } from './raw_frame.js'
import { TENSORBOX_TAU, stitchTensorBox } from './stitch_tensorbox.js'

export interface StitchOptions {
  /** Boxes below this confidence are dropped. */
  minScore?: number
  /**
   * Two boxes are the same object when they share at least this part of the smaller one's area. (Not IoU: a box
   * within a larger one is a duplicate, whatever their sizes. 0: any overlap.)
   */
  overlap?: number
  /** Frame size in pixels: boxes are clipped to it, those outside are dropped. */
  frameWidth?: number
  frameHeight?: number
}

export const STITCH_DEFAULTS = { minScore: 0.1, overlap: 0.3 } as const

/** Which way the boxes of a frame become one list: `stitch`'s, or TensorBox's (`stitchTensorBox`). */
export const STITCH_RULES = ['greedy', 'tensorbox'] as const
export type StitchRule = (typeof STITCH_RULES)[number]

/** What decides about the boxes of a frame. */
export interface StitchParameters {
  stitch: StitchRule
  /** Boxes below this confidence are dropped, in [0, 1]. */
  minScore: number
  /** greedy: `StitchOptions.overlap`; tensorbox: its tau, the IoU above which boxes are rivals; in [0, 1]. */
  overlap: number
}

/** The overlap that a rule has where none is asked for. */
export function defaultOverlap(rule: StitchRule): number {
  return rule === 'tensorbox' ? TENSORBOX_TAU : STITCH_DEFAULTS.overlap
}

/** Throws NoduleError (INVALID_PARAMETER) for a value out of range. */
export function checkStitchParameters({ stitch: rule, minScore, overlap }: StitchParameters): void {
  if (!STITCH_RULES.includes(rule))
    throw invalidParameter('stitch', `one of ${STITCH_RULES.join(', ')}`, rule)
  checkNumber('minScore', minScore, 0, 1)
  checkNumber('overlap', overlap, 0, 1)
}

/**
 * Stitches one frame of a model by the rule that the parameters name.
 * @returns frame pixels, clipped to the frame, falling score
 */
export function stitchFrame(raw: RawFrame, hypes: Hypes, o: StitchParameters): ScoredBox[] {
  const { image_width: frameWidth, image_height: frameHeight } = hypes
  const { minScore, overlap } = o
  if (o.stitch === 'greedy') return stitch(raw, { minScore, overlap, frameWidth, frameHeight })
  const grid = { columns: hypes.grid_width, cellSize: hypes.region_size, slots: hypes.rnn_len }
  return stitchTensorBox(raw, grid, overlap)
    .filter((box) => box.score >= minScore)
    .map((box) => ({ ...clipBox(box, frameWidth, frameHeight), score: box.score }))
    .filter((box) => boxArea(box) > 0)
    .sort((a, b) => b.score - a.score)
}

/**
 * Turns the overlapping boxes of all cells of one frame into one list: the most confident box is accepted, everything
 * that overlaps it is dropped, whichever cell or slot it comes from; then the next.
 *
 * TensorBox's rule (stitch_tensorbox.ts) lets duplicates inside a cell survive, and an accepted box drops only one box
 * of a cell. Neither can happen here: no two results overlap.
 *
 * @returns frame pixels, falling score; boxes of equal score in the order of cells and slots
 */
export function stitch(raw: RawFrame, options: StitchOptions = {}): ScoredBox[] {
  const minScore = checkNumber('minScore', options.minScore ?? STITCH_DEFAULTS.minScore, 0, 1)
  const overlap = checkNumber('overlap', options.overlap ?? STITCH_DEFAULTS.overlap, 0, 1)
  for (const name of ['frameWidth', 'frameHeight'] as const)
    if (options[name] !== undefined) checkInteger(name, options[name], 1, 65536)
  return dropOverlapping(candidatesOf(raw, minScore, options), overlap)
}

/**
 * The stitching of boxes that lie in one list already: the most confident one is accepted, everything that overlaps it
 * is dropped; then the next. `overlap` as in `StitchOptions`, in [0, 1].
 *
 * @returns falling score; boxes of equal score in their order
 */
export function dropOverlapping(boxes: readonly ScoredBox[], overlap: number): ScoredBox[] {
  checkNumber('overlap', overlap, 0, 1)
  const accepted: ScoredBox[] = []
  for (const box of [...boxes].sort((a, b) => b.score - a.score)) {
    if (!accepted.some((other) => sameObject(box, other, overlap))) accepted.push(box)
  }
  return accepted
}

/** Whether two boxes are one object; `overlap` as in `StitchOptions`. */
export function sameObject(a: EdgeBox, b: EdgeBox, overlap: number): boolean {
  const shared = intersectionArea(a, b)
  return shared > 0 && shared >= overlap * Math.min(boxArea(a), boxArea(b))
}

function candidatesOf(raw: RawFrame, minScore: number, o: StitchOptions): ScoredBox[] {
  const result: ScoredBox[] = []
  raw.confidences.forEach((score, index) => {
    // Also false for NaN, which a damaged model may give.
    if (!(score >= minScore)) return
    const at = 4 * index
    const whole = {
      x1: raw.boxes[at]!,
      y1: raw.boxes[at + 1]!,
      x2: raw.boxes[at + 2]!,
      y2: raw.boxes[at + 3]!,
    }
    const box =
      o.frameWidth === undefined || o.frameHeight === undefined
        ? whole
        : clipBox(whole, o.frameWidth, o.frameHeight)
    if (boxArea(box) > 0 && Number.isFinite(boxArea(box))) result.push({ ...box, score })
  })
  return result
}
