import { hullOnSlice } from '../../annotations/mask.js'
import type { ConsensusNodule, PlacedMark, PlacedPoint, PlacedReading } from '../../annotations/index.js'
import type { EdgeBox } from '../../geometry/box.js'
import type { VolumeGeometry } from '../../geometry/patient.js'
import type { BoxRule, SliceFinding } from './boxes.js'
import { append } from '../../lists.js'

/** The greatest size of a nodule that LIDC's readers mark with a point. */
const SMALL_NODULE_MM = 3
/** Other findings are marked with a point from 3 mm; most are not much larger. */
const NON_NODULE_MM = 5

/** Whether a nodule is one to train on. */
export function isAccepted(nodule: { readers: number; axialDiameterMm: number }, rule: BoxRule): boolean {
  return nodule.readers >= rule.minReaders && nodule.axialDiameterMm >= rule.minAxialDiameterMm
}

/**
 * What the readers of a series marked, on its slices: consensus nodules with their boxes; what some reader outlined on
 * slices where the readers do not agree, and everything that is marked by a point, as findings that are not accepted.
 */
export function findingsOnSlices(
  nodules: readonly ConsensusNodule[],
  placed: Pick<PlacedReading, 'smallNodules' | 'nonNodules'>,
  geometry: VolumeGeometry,
  rule: BoxRule,
): SliceFinding[] {
  const findings: SliceFinding[] = []
  for (const nodule of nodules) {
    const id = String(nodule.id)
    const accepted = isAccepted(nodule, rule)
    for (const { k, box } of nodule.boxes)
      findings.push({ id, k, box, accepted, ...(accepted ? { hull: hullOnSlice(nodule.mask, k) } : {}) })
    const agreed = new Set(nodule.boxes.map(({ k }) => k))
    for (const { k, box } of outlineBoxes(nodule.marks))
      if (!agreed.has(k)) findings.push({ id, k, box, accepted: false })
  }
  for (const point of placed.smallNodules) append(findings, pointFindings(point, SMALL_NODULE_MM, geometry))
  for (const point of placed.nonNodules)
    for (const finding of pointFindings(point, NON_NODULE_MM, geometry))
      findings.push({ ...finding, nonNodule: true })
  return findings
}

/** Smallest box around all outlines of each slice, the lines included, image pixels. */
function outlineBoxes(marks: readonly PlacedMark[]): { k: number; box: EdgeBox }[] {
  const boxes = new Map<number, EdgeBox>()
  for (const { k, points } of marks.flatMap((mark) => mark.contours)) {
    const box = boxes.get(k) ?? { x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity }
    boxes.set(k, box)
    for (const { x, y } of points) {
      box.x1 = Math.min(box.x1, x)
      box.y1 = Math.min(box.y1, y)
      box.x2 = Math.max(box.x2, x + 1)
      box.y2 = Math.max(box.y2, y + 1)
    }
  }
  return [...boxes].map(([k, box]) => ({ k, box }))
}

/** A point, made a box of a diameter, on all slices that a ball of it meets. */
function pointFindings(point: PlacedPoint, diameterMm: number, geometry: VolumeGeometry): SliceFinding[] {
  const [, spacingY, spacingX] = geometry.spacing
  const positions = geometry.slicePositions
  const [w, h] = [diameterMm / spacingX / 2, diameterMm / spacingY / 2]
  // XML names the pixel, whose center is half a pixel on.
  const [x, y] = [point.x + 0.5, point.y + 0.5]
  const box = { x1: x - w, y1: y - h, x2: x + w, y2: y + h }
  return positions.flatMap((position, k) =>
    k === point.k || Math.abs(position - positions[point.k]!) < diameterMm / 2
      ? [{ id: point.id, k, box, accepted: false }]
      : [],
  )
}
