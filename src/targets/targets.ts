import type { Hypes } from '../config/hypes.js'
import { edgeToCell, intersectionArea } from '../geometry/box.js'
import type { CellBox, EdgeBox } from '../geometry/box.js'

/** What the cells of a batch should say; cells row by row, y outer. */
export interface Targets {
  /** Cell-relative cx, cy, w, h in frame pixels, [n, cells, rnn_len, 4]; 0 where there is no box. */
  boxes: Float32Array
  /** True boxes of each cell, [n * cells]: they stand in its first slots, nearest to the cell's center first. */
  counts: Int32Array
  /** 1 for a cell without a box that touches an excluded place, [n * cells]: its confidence costs nothing. */
  ignored: Uint8Array
}

/**
 * Hands the true boxes to the cells: a cell holds the boxes that intersect it, whose center is nearer than
 * focus_size * region_size to its own in x and in y, and that are smaller than biggest_box_px; at most rnn_len.
 * (TensorBox cuts to rnn_len before it looks at the distance, and reads the class flags in the unsorted order.)
 * @param boxes true boxes of each frame, frame pixels
 * @param excluded places of each frame that are neither right nor wrong
 */
export function buildTargets(
  boxes: readonly (readonly EdgeBox[])[],
  hypes: Hypes,
  excluded: readonly (readonly EdgeBox[])[] = [],
): Targets {
  const { grid_width: width, grid_height: height, region_size: size, rnn_len: slots } = hypes
  const cells = width * height
  const targets: Targets = {
    boxes: new Float32Array(boxes.length * cells * slots * 4),
    counts: new Int32Array(boxes.length * cells),
    ignored: new Uint8Array(boxes.length * cells),
  }
  const focus = hypes.focus_size * size
  const biggest = hypes.biggest_box_px
  boxes.forEach((frame, n) => {
    for (let cell = 0; cell < cells; cell++) {
      const x1 = (cell % width) * size
      const y1 = Math.floor(cell / width) * size
      const region = { x1, y1, x2: x1 + size, y2: y1 + size }
      const held = frame
        .filter((box) => intersectionArea(box, region) > 0)
        .map((box) => edgeToCell(box, x1 + size / 2, y1 + size / 2))
        .filter((box) => Math.abs(box.cx) < focus && Math.abs(box.cy) < focus)
        .filter((box) => box.w < biggest && box.h < biggest)
        .sort((a, b) => squaredDistance(a) - squaredDistance(b))
        .slice(0, slots)
      const index = n * cells + cell
      targets.counts[index] = held.length
      const unsure = excluded[n] ?? []
      if (held.length === 0 && unsure.some((box) => intersectionArea(box, region) > 0))
        targets.ignored[index] = 1
      held.forEach((box, slot) => {
        targets.boxes.set([box.cx, box.cy, box.w, box.h], (index * slots + slot) * 4)
      })
    }
  })
  return targets
}

function squaredDistance(box: CellBox): number {
  return box.cx * box.cx + box.cy * box.cy
}
