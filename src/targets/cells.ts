import type { Hypes } from '../config/hypes.js'
import { edgeToCell, intersectionArea } from '../geometry/box.js'
import type { CellBox, EdgeBox } from '../geometry/box.js'

/** What the targets depend on. */
export type TargetHypes = Pick<
  Hypes,
  'grid_width' | 'grid_height' | 'region_size' | 'rnn_len' | 'focus_size' | 'biggest_box_px'
>

/** The boxes of a frame (by their index) that each cell would take if it had slots for all, nearest first. */
export function boxesOfCells(
  frame: readonly EdgeBox[],
  hypes: TargetHypes,
): Map<number, { index: number; box: CellBox }[]> {
  const { grid_width: width, region_size: size, biggest_box_px: biggest } = hypes
  const focus = hypes.focus_size * size
  const cells = new Map<number, { index: number; box: CellBox }[]>()
  for (const [index, edge] of frame.entries()) {
    for (const cell of cellsOf(edge, hypes)) {
      const box = edgeToCell(edge, ((cell % width) + 0.5) * size, (Math.floor(cell / width) + 0.5) * size)
      if (!(Math.abs(box.cx) < focus && Math.abs(box.cy) < focus)) continue
      if (!(box.w < biggest && box.h < biggest)) continue
      const others = cells.get(cell)
      if (others === undefined) cells.set(cell, [{ index, box }])
      else others.push({ index, box })
    }
  }
  for (const near of cells.values()) near.sort((a, b) => squaredDistance(a.box) - squaredDistance(b.box))
  return cells
}

/** The cells that share an area with a box, row by row. */
export function* cellsOf(box: EdgeBox, hypes: TargetHypes): Generator<number> {
  const { grid_width: width, grid_height: height, region_size: size } = hypes
  const first = (edge: number): number => Math.max(0, Math.floor(edge / size))
  const end = (edge: number, count: number): number => Math.min(count, Math.ceil(edge / size))
  for (let row = first(box.y1); row < end(box.y2, height); row++)
    for (let column = first(box.x1); column < end(box.x2, width); column++) {
      const [x1, y1] = [column * size, row * size]
      if (intersectionArea(box, { x1, y1, x2: x1 + size, y2: y1 + size }) > 0) yield row * width + column
    }
}

function squaredDistance(box: CellBox): number {
  return box.cx * box.cx + box.cy * box.cy
}
