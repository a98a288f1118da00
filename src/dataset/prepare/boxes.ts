import { checkInteger, checkNumber } from '../../check.js'
import { clipBox } from '../../geometry/box.js'
import type { EdgeBox } from '../../geometry/box.js'
import { imageToFrame } from '../../geometry/frame.js'
import type { FrameMapping } from '../../geometry/frame.js'
import type { Hull, HullBox } from '../../geometry/hull.js'

/** What a finding must be to be trained on. */
export interface BoxRule {
  /** Readers who marked the nodule. */
  minReaders: number
  /** Axial diameter of the consensus nodule (see `ConsensusNodule`), mm. */
  minAxialDiameterMm: number
  /** Boxes narrower or lower than this are excluded, frame pixels. */
  minBoxPx: number
  /** Boxes are grown about their center to at least this side, frame pixels; the reference used 32. 0: as they are. */
  padBoxPx: number
}

export function checkBoxRule(rule: BoxRule): void {
  checkInteger('minReaders', rule.minReaders, 1, 100)
  checkNumber('minAxialDiameterMm', rule.minAxialDiameterMm, 0, 1000)
  checkNumber('minBoxPx', rule.minBoxPx, 0, 4096)
  checkNumber('padBoxPx', rule.padBoxPx, 0, 4096)
}

/** A finding on one slice, image pixels at the edges. */
export interface SliceFinding {
  id: string
  k: number
  box: EdgeBox
  /** Of the pixels that the box was put around; only for those that are accepted. */
  hull?: Hull
  /** Meets minReaders and minAxialDiameterMm. */
  accepted: boolean
  /** Marked as no nodule, which leaves its slice fit to be a negative. */
  nonNodule?: boolean
}

/** The boxes of one slice in its frame. */
export interface FrameBoxes {
  rects: HullBox[]
  /** The finding of each rect. */
  ids: string[]
  excluded: EdgeBox[]
}

/**
 * Puts findings into the frame, clipped to it.
 * @returns boxes by slice, only slices that have any; and how many boxes lie wholly outside the frame
 */
export function frameBoxes(
  findings: readonly SliceFinding[],
  mapping: FrameMapping,
  rule: BoxRule,
): { slices: Map<number, FrameBoxes>; outside: number } {
  const slices = new Map<number, FrameBoxes>()
  const { frameWidth, frameHeight } = mapping
  let outside = 0
  for (const { id, k, box, hull, accepted } of findings) {
    const whole = imageToFrame(mapping, box)
    const clipped = clipBox(whole, frameWidth, frameHeight)
    if (!(clipped.x2 > clipped.x1 && clipped.y2 > clipped.y1)) {
      outside++
      continue
    }
    const slice = slices.get(k) ?? { rects: [], ids: [], excluded: [] }
    slices.set(k, slice)
    if (accepted && Math.min(whole.x2 - whole.x1, whole.y2 - whole.y1) >= rule.minBoxPx) {
      const rect = clipBox(padBox(whole, rule.padBoxPx), frameWidth, frameHeight)
      // What was padded or clipped is no longer the box around it.
      const isOwn = SIDES.every((side) => rect[side] === whole[side])
      slice.rects.push(hull !== undefined && isOwn ? { ...rect, hull: hullInFrame(hull, mapping) } : rect)
      slice.ids.push(id)
    } else slice.excluded.push(clipped)
  }
  return { slices, outside }
}

const SIDES = ['x1', 'y1', 'x2', 'y2'] as const

/** Rounded to thousandths: lists are read by people too. */
function hullInFrame(hull: Hull, mapping: FrameMapping): Hull {
  const rounded = (value: number): number => Math.round(value * 1000) / 1000
  return hull.map(([x, y]) => {
    const { x1, y1 } = imageToFrame(mapping, { x1: x, y1: y, x2: x, y2: y })
    return [rounded(x1), rounded(y1)]
  })
}

/** Grows a box about its center until both sides are at least `side`. */
export function padBox(box: EdgeBox, side: number): EdgeBox {
  const growX = Math.max(0, side - (box.x2 - box.x1)) / 2
  const growY = Math.max(0, side - (box.y2 - box.y1)) / 2
  return { x1: box.x1 - growX, y1: box.y1 - growY, x2: box.x2 + growX, y2: box.y2 + growY }
}
