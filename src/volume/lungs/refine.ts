import { refineLungs } from '../../kernels/lungs.js'
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
  const { mask, sides, counts, box } = refineLungs(
    {
      data: volume.data,
      shape,
      factors,
      closed: [closed[0]?.data, closed[1]?.data],
      air: [air[0]?.data, air[1]?.data],
      trachea,
      surfaceHu,
      sides: o.sides === true,
    },
    o,
  )
  const ml = (geometry.spacing[0] * geometry.spacing[1] * geometry.spacing[2]) / 1000
  const [right, left] = [counts[0] * ml, counts[1] * ml]
  return {
    mask,
    ...(sides === undefined ? {} : { sides }),
    box: box ?? { z: [0, shape[0]], y: [0, shape[1]], x: [0, shape[2]] },
    volumeMl: { left, right, total: left + right },
    warnings,
  }
}
