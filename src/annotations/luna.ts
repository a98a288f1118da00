import { usualVoxels, voxelToPatient } from '../geometry/patient.js'
import type { Vector3 } from '../geometry/vector.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { contourExtent, fillContours } from './mask.js'
import type { ConsensusNodule, PlacedMark } from './types.js'

/** A nodule as LUNA16's annotations.csv has it. */
export interface LunaNodule {
  /** Patient space (LPS), mm. */
  center: Vector3
  /** Of the readers' own outlines, averaged; the consensus mask's is another number. */
  equivalentDiameterMm: number
}

/**
 * Center and diameter of a nodule as LUNA16 computed them: each reader's outline gives the center of its voxels and the
 * diameter of the sphere with their volume; these are averaged in pairs, the last reader with the one before, the mean
 * with the one before that, and so on. Found by comparing with LUNA16's files, whose annotations_excluded.csv holds the
 * means on the way. undefined where no outline encloses a voxel.
 */
export function lunaNodule(
  nodule: Pick<ConsensusNodule, 'marks'>,
  geometry: VolumeGeometry,
): LunaNodule | undefined {
  const single = nodule.marks.map((mark) => describeMark(mark, geometry)).filter((mark) => mark !== undefined)
  return single.reduceRight<LunaNodule | undefined>(
    (merged, mark) =>
      merged === undefined
        ? mark
        : {
            center: [0, 1, 2].map(
              (axis) => (merged.center[axis]! + mark.center[axis]!) / 2,
            ) as unknown as Vector3,
            equivalentDiameterMm: (merged.equivalentDiameterMm + mark.equivalentDiameterMm) / 2,
          },
    undefined,
  )
}

function describeMark(mark: PlacedMark, geometry: VolumeGeometry): LunaNodule | undefined {
  const { voxels, shape, k0, j0, i0 } = fillContours(mark.contours, contourExtent(mark.contours))
  const [depth, height, width] = shape
  const counts = new Float64Array(depth)
  const sum = [0, 0, 0] as [number, number, number]
  let count = 0
  voxels.forEach((voxel, at) => {
    if (voxel === 0) return
    const k = Math.floor(at / (height * width))
    counts[k]!++
    sum[0] += k0 + k
    sum[1] += j0 + (Math.floor(at / width) % height)
    sum[2] += i0 + (at % width)
    count++
  })
  if (count === 0) return undefined
  const [z, y, x] = geometry.spacing
  return {
    center: voxelToPatient(geometry, sum[0] / count, sum[1] / count, sum[2] / count),
    equivalentDiameterMm: Math.cbrt((6 * usualVoxels(geometry, counts, k0) * z * y * x) / Math.PI),
  }
}
