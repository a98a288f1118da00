import { checkNumber } from '../check.js'
import type { ScoredBox } from '../geometry/box.js'
import { linearSumAssignment } from '../kernels/index.js'
import type { RawFrame } from './raw_frame.js'
import { append } from '../lists.js'

/** How the boxes of a frame lie: `slots` to a cell, cells row by row. */
export interface StitchGrid {
  /** Cells in a row. */
  columns: number
  /** Side of a cell, frame pixels. */
  cellSize: number
  slots: number
}

/** TensorBox's default: boxes with a larger IoU are rivals. */
export const TENSORBOX_TAU = 0.25

/** Each pass looks at the boxes above the first confidence; those above the second were decided on before. */
const PASSES = [
  [0.8, 1],
  [0.7, 0.9],
  [0.6, 0.8],
  [0.5, 0.7],
  [0.4, 0.6],
  [0.3, 0.5],
  [0.2, 0.4],
  [0.1, 0.3],
  [0.05, 0.2],
  [0.02, 0.1],
  [0.005, 0.04],
  [0.001, 0.01],
] as const
/** A more confident box takes the place of an accepted one only from this IoU on. */
const REPLACE_IOU = 0.7

/** Whole pixels; `score` is what is reported of the box, `confidence` what it is compared by. */
interface WholeBox {
  cx: number
  cy: number
  w: number
  h: number
  confidence: number
  score: number
}

/**
 * TensorBox's own stitching, to compare with its figures: passes of falling confidence go through the cells row by
 * row and match each cell's boxes to those accepted so far (least distance, rivals first, one to one). A box that is
 * matched to a rival is dropped, or takes its place, reported with the rival's confidence, where it is more confident
 * and IoU > 0.7; every other box is accepted. So two boxes of one cell never drop each other, and an accepted box
 * drops one box of a cell at most. All is in whole pixels, cut off towards the cell's center.
 *
 * Source: the behavior of utils/stitch_wrapper.pyx, stitch_rects.cpp and add_rectangles of
 * github.com/Russell91/TensorBox (read in forks of 2016 to 2018); written anew, and compared with the original on random
 * frames. Where two assignments cost the same (about 2 % of those), TensorBox's solver may choose the other.
 *
 * @param tau IoU above which boxes are rivals, in [0, 1]
 * @returns frame pixels, not clipped, scores above 0.001, in the order of acceptance
 */
export function stitchTensorBox(raw: RawFrame, grid: StitchGrid, tau = TENSORBOX_TAU): ScoredBox[] {
  checkNumber('tau', tau, 0, 1)
  const cells = wholeBoxes(raw, grid)
  const accepted: WholeBox[] = []
  for (const [low, high] of PASSES) {
    for (const cell of cells) {
      const boxes = cell.filter((box) => box.confidence > Math.fround(low))
      if (boxes.length > 0) acceptCell(boxes, accepted, Math.fround(high), tau)
    }
  }
  return accepted.map(({ cx, cy, w, h, score }) => ({
    x1: cx - w / 2,
    y1: cy - h / 2,
    x2: cx + w / 2,
    y2: cy + h / 2,
    score,
  }))
}

function wholeBoxes(raw: RawFrame, { columns, cellSize, slots }: StitchGrid): WholeBox[][] {
  const cells: WholeBox[][] = Array.from({ length: raw.confidences.length / slots }, () => [])
  raw.confidences.forEach((confidence, index) => {
    const [x1, y1, x2, y2] = raw.boxes.subarray(4 * index, 4 * index + 4) as unknown as Quad
    const cell = Math.floor(index / slots)
    const cellX = ((cell % columns) + 0.5) * cellSize
    const cellY = (Math.floor(cell / columns) + 0.5) * cellSize
    cells[cell]!.push({
      cx: cellX + Math.trunc((x1 + x2) / 2 - cellX),
      cy: cellY + Math.trunc((y1 + y2) / 2 - cellY),
      w: Math.trunc(x2 - x1),
      h: Math.trunc(y2 - y1),
      confidence,
      score: confidence,
    })
  })
  return cells
}
type Quad = [number, number, number, number]

/** Decides on the boxes of one cell; changes `accepted`. */
function acceptCell(boxes: readonly WholeBox[], accepted: WholeBox[], high: number, tau: number): void {
  const rivals = accepted.filter((other) => boxes.some((box) => areRivals(other, box, tau)))
  const cost = Float64Array.from(
    boxes.flatMap((box) =>
      rivals.map(
        (rival) => (areRivals(box, rival, tau) ? 9000 : 10000) + Math.trunc(distance(box, rival) / 10),
      ),
    ),
  )
  const { rowToColumn } = linearSumAssignment(cost, boxes.length, rivals.length)
  const taken: WholeBox[] = []
  boxes.forEach((box, index) => {
    const rival = rivals[rowToColumn[index]!]
    if (rival === undefined) taken.push(box)
    else if (box.confidence > high) return
    else if (!areRivals(box, rival, tau)) taken.push(box)
    else if (box.confidence > rival.confidence && wholeIou(box, rival) > REPLACE_IOU) {
      accepted.splice(accepted.indexOf(rival), 1)
      taken.push({ ...box, score: rival.confidence })
    }
  })
  append(accepted, taken)
}

function areRivals(a: WholeBox, b: WholeBox, tau: number): boolean {
  const near = Math.abs(a.cx - b.cx) <= (a.w + b.w) / 1.5 && Math.abs(a.cy - b.cy) <= (a.h + b.h) / 2
  return near && wholeIou(a, b) > tau
}

function distance(a: WholeBox, b: WholeBox): number {
  return Math.abs(a.cx - b.cx) + Math.abs(a.cy - b.cy) + Math.abs(a.w - b.w) + Math.abs(a.h - b.h)
}

function wholeIou(a: WholeBox, b: WholeBox): number {
  const shared = sharedLength(a.cx, a.w, b.cx, b.w) * sharedLength(a.cy, a.h, b.cy, b.h)
  return shared / (a.w * a.h + b.w * b.h - shared)
}

/** The whole pixels that two spans share. */
function sharedLength(centerA: number, sizeA: number, centerB: number, sizeB: number): number {
  const first = Math.trunc(Math.max(centerA - sizeA / 2, centerB - sizeB / 2))
  const end = Math.trunc(Math.min(centerA + sizeA / 2, centerB + sizeB / 2))
  return Math.max(0, end - first)
}
