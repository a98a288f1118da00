/**
 * The one box convention.
 *
 * Positions are measured at pixel edges: pixel column i covers [i, i + 1), its center is i + 0.5, and an image of
 * W columns spans [0, W]. A pixel index of DICOM or LIDC XML (which names pixel centers) is therefore i + 0.5 here.
 *
 * - `CellBox` {cx, cy, w, h}: pixels of the network frame, center relative to the center of a grid cell.
 * - `EdgeBox` {x1, y1, x2, y2}: pixels at the edges, of an image or of the frame (the variable's name says which);
 *   what files and reports hold.
 */
export interface CellBox {
  cx: number
  cy: number
  w: number
  h: number
}

export interface EdgeBox {
  x1: number
  y1: number
  x2: number
  y2: number
}

/** An edge box with a confidence in [0, 1]. */
export interface ScoredBox extends EdgeBox {
  score: number
}

/** Area in square pixels; 0 for boxes turned inside out. */
export function boxArea(box: EdgeBox): number {
  return Math.max(0, box.x2 - box.x1) * Math.max(0, box.y2 - box.y1)
}

/** Area shared by two boxes, square pixels. */
export function intersectionArea(a: EdgeBox, b: EdgeBox): number {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1)
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1)
  return width > 0 && height > 0 ? width * height : 0
}

/** Intersection over union in [0, 1]; 0 where the union has no area. */
export function iou(a: EdgeBox, b: EdgeBox): number {
  const shared = intersectionArea(a, b)
  const union = boxArea(a) + boxArea(b) - shared
  return union > 0 ? shared / union : 0
}

/** A cell-relative box, placed in the frame: `cell` is the center of its cell in frame pixels. */
export function cellToEdge(box: CellBox, cellCenterX: number, cellCenterY: number): EdgeBox {
  const x = cellCenterX + box.cx
  const y = cellCenterY + box.cy
  return { x1: x - box.w / 2, y1: y - box.h / 2, x2: x + box.w / 2, y2: y + box.h / 2 }
}

/** The inverse of `cellToEdge`. */
export function edgeToCell(box: EdgeBox, cellCenterX: number, cellCenterY: number): CellBox {
  return {
    cx: (box.x1 + box.x2) / 2 - cellCenterX,
    cy: (box.y1 + box.y2) / 2 - cellCenterY,
    w: box.x2 - box.x1,
    h: box.y2 - box.y1,
  }
}

/** The part of a box that lies in [0, width] x [0, height]. */
export function clipBox(box: EdgeBox, width: number, height: number): EdgeBox {
  const clamp = (value: number, high: number): number => Math.min(Math.max(value, 0), high)
  return {
    x1: clamp(box.x1, width),
    y1: clamp(box.y1, height),
    x2: clamp(box.x2, width),
    y2: clamp(box.y2, height),
  }
}
