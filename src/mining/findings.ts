import type { SliceFinding } from '../dataset/prepare/boxes.js'
import { sliceToPosition } from '../geometry/patient.js'
import type { Vector3 } from '../geometry/vector.js'
import type { VolumeGeometry } from '../geometry/patient.js'

/** A nodule of the readers, as the ball that marks must hit. */
export interface TrueNodule {
  id: string
  /** Fractional voxel indices k, j, i. */
  voxel: Vector3
  axialDiameterMm: number
}

/** What a mark is: it hits a nodule; it lies where nothing can be said; or neither. */
export type MarkLabel = { kind: 'hit'; nodule: TrueNodule } | { kind: 'ignored' } | { kind: 'false' }

/** Marks this near the border of a nodule, outside of it, are neither right nor wrong, mm. */
const DOUBT_MM = 3
/** Radius of a finding that is neither right nor wrong, at least, mm. */
const LEAST_RADIUS_MM = 2.5

/**
 * The accepted nodules as balls: in the middle of their slices, at the mean of the boxes' centers, weighted by area.
 * @param diameters of the consensus nodules by id, mm
 */
export function trueNodules(
  findings: readonly SliceFinding[],
  diameters: ReadonlyMap<string, number>,
): TrueNodule[] {
  const byId = new Map<string, SliceFinding[]>()
  for (const finding of findings) {
    if (!finding.accepted) continue
    const known = byId.get(finding.id)
    if (known === undefined) byId.set(finding.id, [finding])
    else known.push(finding)
  }
  return [...byId].map(([id, own]) => {
    let [area, x, y, z] = [0, 0, 0, 0]
    for (const { k, box } of own) {
      const weight = (box.x2 - box.x1) * (box.y2 - box.y1)
      area += weight
      x += (weight * (box.x1 + box.x2)) / 2
      y += (weight * (box.y1 + box.y2)) / 2
      z += weight * k
    }
    // Edges to indices, which name centers of pixels: half a pixel less.
    return { id, voxel: [z / area, y / area - 0.5, x / area - 0.5], axialDiameterMm: diameters.get(id) ?? 0 }
  })
}

/**
 * What a mark is, by its center. A hit lies within a nodule's radius of its center, or in one of its boxes; a mark near a
 * nodule, or at a finding that is not accepted (too few readers, too small, a non-nodule), is ignored.
 *
 * @param voxel center of the mark, voxel indices
 */
export function labelMark(
  voxel: Vector3,
  nodules: readonly TrueNodule[],
  findings: readonly SliceFinding[],
  geometry: VolumeGeometry,
): MarkLabel {
  const distance = (other: Vector3): number => distanceMm(voxel, other, geometry)
  const nearest = nodules
    .map((nodule) => ({ nodule, beyond: distance(nodule.voxel) - nodule.axialDiameterMm / 2 }))
    .sort((a, b) => a.beyond - b.beyond)[0]
  if (nearest !== undefined && nearest.beyond <= 0) return { kind: 'hit', nodule: nearest.nodule }
  const inside = findings.find(
    (finding) => finding.accepted && Math.abs(finding.k - voxel[0]) <= 0.5 && contains(finding, voxel),
  )
  const nodule = nodules.find(({ id }) => id === inside?.id)
  if (nodule !== undefined) return { kind: 'hit', nodule }
  if (nearest !== undefined && nearest.beyond <= DOUBT_MM) return { kind: 'ignored' }
  const doubtful = findings.some((finding) => distance(centerOf(finding)) <= radiusMm(finding, geometry))
  return doubtful ? { kind: 'ignored' } : { kind: 'false' }
}

/** How far a point is from the nearest border of any finding, mm; Infinity without findings. */
export function distanceToFindings(
  voxel: Vector3,
  findings: readonly SliceFinding[],
  geometry: VolumeGeometry,
): number {
  return findings.reduce(
    (least, finding) =>
      Math.min(least, distanceMm(voxel, centerOf(finding), geometry) - radiusMm(finding, geometry)),
    Infinity,
  )
}

function contains({ box }: SliceFinding, [, j, i]: Vector3): boolean {
  const [y, x] = [j + 0.5, i + 0.5]
  return x >= box.x1 && x <= box.x2 && y >= box.y1 && y <= box.y2
}

function centerOf({ k, box }: SliceFinding): Vector3 {
  return [k, (box.y1 + box.y2 - 1) / 2, (box.x1 + box.x2 - 1) / 2]
}

/** Half of the longer side; half a slice distance at least, since a finding fills its slice. */
function radiusMm({ box }: SliceFinding, { spacing }: VolumeGeometry): number {
  const side = Math.max((box.x2 - box.x1) * spacing[2], (box.y2 - box.y1) * spacing[1])
  return Math.max(side / 2, spacing[0] / 2, LEAST_RADIUS_MM)
}

export function distanceMm(a: Vector3, b: Vector3, geometry: VolumeGeometry): number {
  const [, rowMm, columnMm] = geometry.spacing
  return Math.hypot(
    sliceToPosition(geometry, a[0]) - sliceToPosition(geometry, b[0]),
    (a[1] - b[1]) * rowMm,
    (a[2] - b[2]) * columnMm,
  )
}
