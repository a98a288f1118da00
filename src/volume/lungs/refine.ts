import { refineLungs } from '../../kernels/lungs.js'
import { hasUsualVoxels, usualVoxels } from '../../geometry/patient.js'
import type { VolumeGeometry } from '../../geometry/patient.js'
import type { Grid } from './grid.js'
import type { HuVolume } from '../hu_volume.js'
import type { Lungs, SegmentOptions } from './types.js'

/** Lung surface at full resolution: voxels below are lung, above are wall, HU. */
const surfaceHu = -400

interface CoarseLungs {
  /** Right and left lung after closing. */
  closed: readonly [Grid | undefined, Grid | undefined]
  /** Right and left lung before: dark voxels only. */
  air: readonly [Grid | undefined, Grid | undefined]
  /** Voxels of the full resolution that are left out. */
  trachea: Int32Array
}

/** Brings the lungs from the coarse grid to full resolution; see `refineLungs`. */
export function refineMask(
  volume: HuVolume,
  factors: readonly [number, number, number],
  { closed, air, trachea }: CoarseLungs,
  warnings: string[],
  o: SegmentOptions,
): Lungs {
  const { shape, geometry } = volume
  const areAlike = hasUsualVoxels(geometry)
  const { mask, sides, counts, box } = refineLungs(
    {
      data: volume.data,
      shape,
      factors,
      closed: [closed[0]?.data, closed[1]?.data],
      air: [air[0]?.data, air[1]?.data],
      trachea,
      surfaceHu,
      // Where slices differ, it matters which ones a lung lies on.
      sides: o.sides === true || !areAlike,
    },
    o,
  )
  const ml = (geometry.spacing[0] * geometry.spacing[1] * geometry.spacing[2]) / 1000
  const voxels = areAlike || sides === undefined ? counts : countUsual(sides, shape, geometry)
  const [right, left] = [voxels[0] * ml, voxels[1] * ml]
  return {
    mask,
    ...(sides === undefined || o.sides !== true ? {} : { sides }),
    box: box ?? { z: [0, shape[0]], y: [0, shape[1]], x: [0, shape[2]] },
    volumeMl: { left, right, total: left + right },
    warnings,
  }
}

/** What the voxels of the right and of the left lung amount to in voxels of the usual size. */
function countUsual(sides: Uint8Array, shape: HuVolume['shape'], geometry: VolumeGeometry): [number, number] {
  const [depth, rows, columns] = shape
  const plane = rows * columns
  const counts = [new Float64Array(depth), new Float64Array(depth)] as const
  for (let k = 0, n = 0; k < depth; k++)
    for (const end = n + plane; n < end; n++) {
      const side = sides[n]!
      if (side > 0) counts[side - 1]![k]!++
    }
  return [usualVoxels(geometry, counts[0]), usualVoxels(geometry, counts[1])]
}
