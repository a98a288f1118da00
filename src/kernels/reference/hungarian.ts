/** The specification of native/hungarian: least-cost assignment of predicted to true boxes. */
import { cellToEdge, iou } from '../../geometry/box.js'

export interface MatchWork {
  cells: number
  p: number
  t: number
  minIou: number
  predictions: Float32Array
  truths: Float32Array
  counts: Int32Array
  assignment: Int32Array
  cost: Float64Array
}

/** ReInspect's cost of giving the prediction of rank `order` to a true box; both are 4 numbers cx, cy, w, h. */
export function matchCost(
  prediction: Float32Array,
  truth: Float32Array,
  order: number,
  minIou: number,
): number {
  const [cx, cy, w, h] = prediction as unknown as [number, number, number, number]
  const [tx, ty, tw, th] = truth as unknown as [number, number, number, number]
  const distance = Math.abs(cx - tx) + Math.abs(cy - ty) + Math.abs(w - tw) + Math.abs(h - th)
  const overlap = iou(cellToEdge({ cx, cy, w, h }, 0, 0), cellToEdge({ cx: tx, cy: ty, w: tw, h: th }, 0, 0))
  return order + distance / 2000 + (overlap < minIou ? 100 : 0)
}

/**
 * The assignment problem by shortest augmenting paths with potentials, O(rows^2 * columns); rows <= columns.
 * @returns the column of each row.
 */
function assign(cost: (row: number, column: number) => number, rows: number, columns: number): Int32Array {
  const rowPotential = new Float64Array(rows)
  const columnPotential = new Float64Array(columns)
  const rowOf = new Int32Array(columns).fill(-1)
  const columnOf = new Int32Array(rows).fill(-1)
  for (let start = 0; start < rows; start++) {
    // Dijkstra over the columns, with reduced costs, from the free row `start` to a free column.
    const shortest = new Float64Array(columns).fill(Infinity)
    const previousRow = new Int32Array(columns).fill(-1)
    const done = new Uint8Array(columns)
    const order: number[] = []
    let row = start
    let length = 0
    let column = -1
    do {
      column = -1
      for (let j = 0; j < columns; j++) {
        if (done[j] === 1) continue
        const through = length + cost(row, j) - (rowPotential[row] as number) - (columnPotential[j] as number)
        if (through < (shortest[j] as number)) {
          shortest[j] = through
          previousRow[j] = row
        }
        if (column === -1 || (shortest[j] as number) < (shortest[column] as number)) column = j
      }
      done[column] = 1
      order.push(column)
      length = shortest[column] as number
      row = rowOf[column] as number
    } while (row !== -1)
    // Potentials keep reduced costs >= 0, and 0 along the path.
    rowPotential[start] = (rowPotential[start] as number) + length
    for (const j of order) {
      const gain = length - (shortest[j] as number)
      columnPotential[j] = (columnPotential[j] as number) - gain
      const owner = rowOf[j] as number
      if (owner !== -1) rowPotential[owner] = (rowPotential[owner] as number) + gain
    }
    // Turn the path over: each row on it takes the column by which it was reached.
    while (column !== -1) {
      const owner = previousRow[column] as number
      const next = columnOf[owner] as number
      rowOf[column] = owner
      columnOf[owner] = column
      column = owner === start ? -1 : next
    }
  }
  return columnOf
}

/** The assignment problem for any sizes: the column of each row, or -1. */
export function assignReference(
  cost: (row: number, column: number) => number,
  rows: number,
  columns: number,
): Int32Array {
  if (rows <= columns) return assign(cost, rows, columns)
  const rowOf = assign((row, column) => cost(column, row), columns, rows)
  const columnOf = new Int32Array(rows).fill(-1)
  rowOf.forEach((row, column) => (columnOf[row] = column))
  return columnOf
}

/** Writes assignment [cells, p] and cost [cells] (the sum in the order of the predictions). */
export function hungarianReference(work: MatchWork): void {
  const { cells, p, t, minIou, predictions, truths, counts, assignment, cost } = work
  for (let cell = 0; cell < cells; cell++) {
    const count = counts[cell] as number
    const costs = Array.from({ length: p }, (_, i) =>
      Array.from({ length: count }, (_, j) => {
        const a = (cell * p + i) * 4
        const b = (cell * t + j) * 4
        return matchCost(predictions.subarray(a, a + 4), truths.subarray(b, b + 4), i, minIou)
      }),
    )
    const truthOf = assignReference((i, j) => costs[i]?.[j] as number, p, count)
    assignment.set(truthOf, cell * p)
    cost[cell] = truthOf.reduce((sum, j, i) => (j === -1 ? sum : sum + (costs[i]?.[j] as number)), 0)
  }
}
