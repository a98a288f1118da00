import { checkNumber } from '../../check.js'
import type { LungsOptions } from '../../kernels/lungs.js'

export interface Lungs {
  /** [z, y, x], 1 in the lungs, vessels and nodules inside them included; 0 elsewhere. */
  mask: Uint8Array
  /** Right and left lung of the patient apart: 1 and 2; same order. Only with `sides`. */
  sides?: Uint8Array
  /** Box around both lungs, voxels at the edges, [low, high). */
  box: { z: [number, number]; y: [number, number]; x: [number, number] }
  volumeMl: { left: number; right: number; total: number }
  warnings: string[]
}

/** A lung is not wider. */
const MAX_CLOSING_MM = 50

/** The value of `closingMm`, checked. Throws NoduleError (INVALID_PARAMETER). */
export function checkClosing(closingMm: number): number {
  return checkNumber('closing', closingMm, 0, MAX_CLOSING_MM)
}

export interface SegmentOptions extends LungsOptions {
  /** Also tell the two lungs apart voxel by voxel. */
  sides?: boolean
  /** Dents of the lungs' surface narrower than about twice this are filled: nodules at the pleura. 0 to 50 mm, default 9. */
  closingMm?: number
}
