import { checkNumber } from '../../check.js'
import type { NoduleStack } from './read_stack.js'

/** A nodule magnified by more than this is a blur. */
export const MOST_MAGNIFIED = 3

/**
 * A stack whose nodule has another size: the voxels are the same, pixels and slices `factor` times as large.
 * @throws NoduleError (INVALID_PARAMETER)
 */
export function magnifiedStack(stack: NoduleStack, factor: number): NoduleStack {
  checkNumber('factor', factor, 1e-3, 1000)
  const { entry, volume } = stack
  const { geometry } = volume
  const [z, y, x] = geometry.spacing
  return {
    ...stack,
    entry: {
      ...entry,
      pixelSpacing: entry.pixelSpacing * factor,
      sliceSpacing: entry.sliceSpacing * factor,
    },
    volume: {
      ...volume,
      geometry: {
        ...geometry,
        spacing: [z * factor, y * factor, x * factor],
        slicePositions: geometry.slicePositions.map((position) => position * factor),
      },
    },
  }
}
