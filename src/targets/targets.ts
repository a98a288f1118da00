import type { EdgeBox } from '../geometry/box.js'
import { boxesOfCells, cellsOf } from './cells.js'
import type { TargetHypes } from './cells.js'

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
  hypes: TargetHypes,
  excluded: readonly (readonly EdgeBox[])[] = [],
): Targets {
  const { rnn_len: slots } = hypes
  const cells = hypes.grid_width * hypes.grid_height
  const targets: Targets = {
    boxes: new Float32Array(boxes.length * cells * slots * 4),
    counts: new Int32Array(boxes.length * cells),
    ignored: new Uint8Array(boxes.length * cells),
  }
  boxes.forEach((frame, n) => {
    for (const [cell, near] of boxesOfCells(frame, hypes)) {
      const index = n * cells + cell
      const held = near.slice(0, slots)
      targets.counts[index] = held.length
      for (const [slot, { box }] of held.entries())
        targets.boxes.set([box.cx, box.cy, box.w, box.h], (index * slots + slot) * 4)
    }
    for (const box of excluded[n] ?? [])
      for (const cell of cellsOf(box, hypes))
        if (targets.counts[n * cells + cell] === 0) targets.ignored[n * cells + cell] = 1
  })
  return targets
}
