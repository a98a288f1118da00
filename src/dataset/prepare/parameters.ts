import { checkNumber, invalidParameter } from '../../check.js'
import type { Hypes } from '../../config/hypes.js'
import { checkBoxRule } from './boxes.js'
import type { BoxRule } from './boxes.js'
import type { FrameEncoding } from '../list.js'
import type { SliceRule } from './select.js'

/** Everything that the frames and boxes of a scan depend on, besides the scan and its annotations. */
export interface FrameParameters {
  frameWidth: number
  frameHeight: number
  windowLowHu: number
  windowHighHu: number
  neighborMm: number
  channels: number
  lungMarginMm: number
  mmPerPixel: number
  encoding: FrameEncoding
  slices: SliceRule
  boxes: BoxRule
  /** Draws the negatives. */
  seed: number
}

export const DEFAULT_BOX_RULE: Readonly<BoxRule> = {
  minReaders: 3,
  minAxialDiameterMm: 3,
  minBoxPx: 0,
  padBoxPx: 0,
}

/** The parameters of the hypes with what the caller chose; throws INVALID_PARAMETER. */
export function frameParameters(
  hypes: Hypes,
  chosen: {
    encoding?: FrameEncoding | undefined
    slices?: SliceRule | undefined
    boxes?: Partial<BoxRule> | undefined
    seed: number
  },
): FrameParameters {
  const boxes = { ...DEFAULT_BOX_RULE, ...chosen.boxes }
  checkBoxRule(boxes)
  const slices = chosen.slices ?? { kind: 'ratio', negatives: 1 }
  if (slices.kind === 'ratio') checkNumber('negatives', slices.negatives, 0, 1e6)
  else if (slices.kind !== 'all' && slices.kind !== 'nodules')
    throw invalidParameter('slices', '"all", "nodules" or "ratio"', slices)
  return {
    frameWidth: hypes.image_width,
    frameHeight: hypes.image_height,
    windowLowHu: hypes.data.window_low_hu,
    windowHighHu: hypes.data.window_high_hu,
    neighborMm: hypes.data.neighbor_mm,
    channels: hypes.data.channels,
    lungMarginMm: hypes.data.lung_margin_mm,
    mmPerPixel: hypes.data.mm_per_pixel,
    encoding: chosen.encoding ?? 'gray8',
    slices,
    boxes,
    // Another seed must not make frames again that do not depend on it.
    seed: slices.kind === 'ratio' ? chosen.seed : 0,
  }
}
