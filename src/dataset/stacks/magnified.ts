import { checkNumber } from '../../check.js'
import { ownNodule } from './own_nodule.js'
import type { NoduleStack } from './read_stack.js'

/** A nodule magnified by more than this is a blur. */
export const MOST_MAGNIFIED = 3

/**
 * A stack whose nodule has another size: the voxels are the same, pixels and slices so much larger or smaller.
 * @param sizeMm greatest axial diameter that the consensus gets
 * @throws NoduleError (INVALID_PARAMETER): the size, or a stack whose readers agree on nothing
 */
export function magnifiedStack(stack: NoduleStack, sizeMm: number): NoduleStack {
  const { entry, volume } = stack
  checkNumber('sizeMm', sizeMm, 1, 1000)
  const own = checkNumber('axialDiameterMm', ownNodule(stack).axialDiameterMm, 1e-3, 1000)
  const factor = sizeMm / own
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
