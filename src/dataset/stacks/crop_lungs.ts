import { closeMask, findParts } from '../../volume/lungs/grid.js'
import type { Grid } from '../../volume/lungs/grid.js'
import type { HuVolume, Lungs } from '../../volume/index.js'

/** Darker is air or lung, HU. */
const AIR_HU = -500
/** Air of this mean or below is no lung but what surrounds the patient, HU. */
const OUTSIDE_HU = -965
/** Smaller patches of air in a slice are bowel, or an airway, mm2. */
const LEAST_MM2 = 150
/** Vessels and fissures narrower than about twice this belong to the lung, mm. */
const CLOSING_MM = 3.5

/**
 * Lung tissue of a volume that is only a part of a chest, where `segmentLungs` finds no whole lung: in each slice the
 * large dark patches but for the air around the patient, and what lies between them. Good enough to look for a place in.
 */
export function cropLungs({ data, shape, geometry }: HuVolume): Pick<Lungs, 'mask' | 'box'> {
  const [slices, rows, columns] = shape
  const [, sy, sx] = geometry.spacing
  const air: Grid = { data: new Uint8Array(data.length), shape, spacing: geometry.spacing }
  for (let n = 0; n < data.length; n++) air.data[n] = data[n]! < AIR_HU ? 1 : 0
  const { labels, starts, ends, sizes } = findParts(air, { planar: true })
  const sums = new Float64Array(sizes.length)
  for (const [run, label] of labels.entries())
    for (let n = starts[run]!; n < ends[run]!; n++) sums[label]! += data[n]!
  for (const [run, label] of labels.entries()) {
    const size = sizes[label]!
    if (size * sy * sx < LEAST_MM2 || sums[label]! / size <= OUTSIDE_HU)
      air.data.fill(0, starts[run], ends[run])
  }
  // In each slice for itself: the next one is out of reach.
  const flat: Grid = { ...air, spacing: [1e6, sy, sx] }
  return {
    mask: closeMask(flat, CLOSING_MM).data,
    box: { z: [0, slices], y: [0, rows], x: [0, columns] },
  }
}
