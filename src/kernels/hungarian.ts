import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import {
  type Device,
  type MatchArguments,
  chooseDevice,
  findAddon,
  nativeError,
  requireAddon,
} from './addon.js'
import { checkArray, checkFinite, checked } from './arrays.js'
import { holdBuffers } from './hold_buffers.js'
import { type MatchWork, assignReference, hungarianReference } from './reference/hungarian.js'

export interface MatchInput {
  /** [cells, p, 4]: cx, cy, w, h, cell-relative; finite. */
  predictions: Float32Array
  /** [cells, t, 4]; the real ones finite. */
  truths: Float32Array
  /** [cells]: how many true boxes are real, the first counts[c] of t. */
  counts: Int32Array
  /** Predictions per cell, 0 to 64. */
  p: number
  /** Room for true boxes per cell, 0 to 64. */
  t: number
  /** A pair with a lower intersection over union costs 100 more. */
  minIou: number
  /** Written and returned when given: [cells, p] and [cells]. */
  out?: Match | undefined
}

export interface MatchOptions {
  /** Default 'auto'. */
  device?: Device | undefined
}

export interface Match {
  /** [cells, p]: the index of the prediction's true box, or -1. */
  assignment: Int32Array
  /** [cells]: the total cost of the matched pairs. */
  cost: Float64Array
}

const MAX_MATCH = 64
const MAX_SIZE = 2 ** 20

function output(out: Match | undefined, cells: number, p: number): Match {
  if (out !== undefined)
    return {
      assignment: checkArray('out.assignment', out.assignment, [Int32Array], cells * p),
      cost: checkArray('out.cost', out.cost, [Float64Array], cells),
    }
  // One buffer: making one takes as long as matching five cells.
  const buffer = new ArrayBuffer(cells * (8 + 4 * p))
  return {
    assignment: new Int32Array(buffer, cells * 8, cells * p),
    cost: new Float64Array(buffer, 0, cells),
  }
}

function prepare(input: MatchInput, options: MatchOptions): MatchWork & { device: string } {
  const p = checkInteger('p', input.p, 0, MAX_MATCH)
  const t = checkInteger('t', input.t, 0, MAX_MATCH)
  const counts = checkArray('counts', input.counts, [Int32Array])
  const cells = checkInteger('counts.length', counts.length, 0, MAX_SIZE)
  const work = {
    cells,
    p,
    t,
    minIou: checkNumber('minIou', input.minIou, 0, 1),
    predictions: checkArray('predictions', input.predictions, [Float32Array], cells * p * 4),
    truths: checkArray('truths', input.truths, [Float32Array], cells * t * 4),
    counts,
    ...output(input.out, cells, p),
    device: chooseDevice(options.device),
  }
  // The addon checks the numbers itself.
  if (work.device === 'reference') {
    checkFinite('predictions', work.predictions, 0, work.predictions.length)
    for (let cell = 0; cell < cells; cell++) {
      const count = checkInteger(`counts[${cell}]`, counts[cell], 0, t)
      checkFinite('truths', work.truths, cell * t * 4, (cell * t + count) * 4)
    }
  }
  return work
}

const positions = (w: MatchWork & { device: string }): MatchArguments => [
  w.predictions,
  w.truths,
  w.counts,
  w.assignment,
  w.cost,
  w.p,
  w.t,
  w.minIou,
  w.device,
]

/**
 * Assigns predicted to true boxes in each cell at the least total cost:
 * cost(i, j) = i + sum|delta| / 2000 + 100 * [IoU < minIou]; missing true boxes cost 0. Runs off the event loop.
 *
 * @throws NoduleError INVALID_PARAMETER (also for NaN and infinity), UNAVAILABLE
 */
export async function hungarianMatch(input: MatchInput, options: MatchOptions = {}): Promise<Match> {
  const work = checked('input', input, () => prepare(input, options))
  const release = holdBuffers(work)
  try {
    if (work.device === 'reference') hungarianReference(work)
    else await requireAddon().hungarianMatch(...positions(work))
  } catch (error) {
    throw nativeError(error)
  } finally {
    release()
  }
  return input.out ?? { assignment: work.assignment, cost: work.cost }
}

/** `hungarianMatch` on the calling thread: the training step needs it between two operations. */
export function hungarianMatchSync(input: MatchInput, options: MatchOptions = {}): Match {
  const work = checked('input', input, () => prepare(input, options))
  try {
    if (work.device === 'reference') hungarianReference(work)
    else requireAddon().hungarianMatchSync(...positions(work))
  } catch (error) {
    throw nativeError(error)
  }
  return input.out ?? { assignment: work.assignment, cost: work.cost }
}

export interface Assignment {
  /** [rows]: the row's column, or -1 when unmatched (more rows than columns). */
  rowToColumn: Int32Array
  /** The sum of the matched entries. */
  cost: number
}

/**
 * The assignment problem for a dense matrix: min(rows, columns) pairs of least total cost. On the calling thread.
 *
 * @param cost [rows, columns]; magnitudes up to 1e100, so that no sum overflows
 * @param options device 'auto', 'reference' or 'cpu'
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export function linearSumAssignment(
  cost: Float64Array,
  rows: number,
  columns: number,
  options: { device?: 'auto' | 'reference' | 'cpu' | undefined } = {},
): Assignment {
  checkInteger('rows', rows, 0, MAX_SIZE)
  checkInteger('columns', columns, 0, MAX_SIZE)
  checkArray('cost', cost, [Float64Array], rows * columns)
  const device = checked('options', options, () => options.device ?? 'auto')
  if ((device as string) === 'cuda')
    throw invalidParameter('device', "'auto', 'reference' or 'cpu' (there is no CUDA version)", device)
  if (chooseDevice(device) === 'cpu') {
    const rowToColumn = new Int32Array(rows)
    try {
      const total = findAddon()?.linearSumAssignment({ cost, rows, columns, rowToColumn }) ?? Number.NaN
      return { rowToColumn, cost: total }
    } catch (error) {
      throw nativeError(error)
    }
  }
  checkFinite('cost', cost, 0, cost.length)
  const rowToColumn = assignReference((i, j) => cost[i * columns + j] as number, rows, columns)
  const total = rowToColumn.reduce(
    (sum, j, i) => (j === -1 ? sum : sum + (cost[i * columns + j] as number)),
    0,
  )
  return { rowToColumn, cost: total }
}
