import { checkInteger, checkNumber } from '../check.js'
import type { EdgeBox } from '../geometry/box.js'
import { usualVoxels, voxelToPatient } from '../geometry/patient.js'
import type { Vector3 } from '../geometry/vector.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { clusterMarks } from './cluster.js'
import { agreeMasks, contourExtent, fillContours, joinExtents } from './mask.js'
import { measureMark } from './measures.js'
import { RATING_NAMES } from './types.js'
import type {
  ConsensusNodule,
  MarkMeasures,
  PlacedMark,
  PlacedReading,
  RatingSummary,
  VoxelMask,
} from './types.js'

export interface ConsensusOptions {
  /** Nodules that fewer readers outlined are left out; default 1. */
  minReaders?: number
  /** Part of the marks that must hold a voxel; default 0.5. */
  agreement?: number
}

/**
 * The nodules of a series as its readers see them together: clusters of outlines, the voxels that enough of them hold,
 * and pylidc's measures of each outline, averaged. Sorted from low to high z.
 */
export function consensusNodules(
  placed: PlacedReading,
  geometry: VolumeGeometry,
  o: ConsensusOptions = {},
): ConsensusNodule[] {
  const { minReaders, agreement } = consensusRule(o)
  return clusterMarks(placed.nodules, placed.thickness)
    .filter((marks) => readersOf(marks) >= minReaders)
    .map((marks) => {
      const measures = marks.map((mark) => measureMark(mark, geometry, placed.thickness))
      return { marks, measures, centroidVoxel: meanVector(measures.map((measure) => measure.centroidVoxel)) }
    })
    .sort((a, b) => a.centroidVoxel[0] - b.centroidVoxel[0])
    .map((group, index) => describe(index + 1, group, geometry, agreement))
}

/** Throws NoduleError (INVALID_PARAMETER). */
export function consensusRule(o: ConsensusOptions): Required<ConsensusOptions> {
  return {
    minReaders: checkInteger('minReaders', o.minReaders ?? 1, 1, 1000),
    agreement: checkNumber('agreement', o.agreement ?? 0.5, 0, 1),
  }
}

function describe(
  id: number,
  {
    marks,
    measures,
    centroidVoxel,
  }: { marks: PlacedMark[]; measures: MarkMeasures[]; centroidVoxel: Vector3 },
  geometry: VolumeGeometry,
  agreement: number,
): ConsensusNodule {
  const extent = joinExtents(marks.map((mark) => contourExtent(mark.contours)))
  const mask = agreeMasks(
    marks.map((mark) => fillContours(mark.contours, extent)),
    agreement,
  )
  const ratings = summarizeRatings(marks)
  const maskVolumeMm3 = maskVolume(mask, geometry)
  const average = (key: 'axialDiameterMm' | 'contourVolumeMm3' | 'surfaceMm2'): number =>
    mean(measures.map((m) => m[key]))
  return {
    id,
    readers: readersOf(marks),
    marks,
    markMeasures: measures,
    mask,
    boxes: boxesOf(mask),
    centroid: voxelToPatient(geometry, ...centroidVoxel),
    centroidVoxel,
    axialDiameterMm: average('axialDiameterMm'),
    contourVolumeMm3: average('contourVolumeMm3'),
    surfaceMm2: average('surfaceMm2'),
    maskVolumeMm3,
    equivalentDiameterMm: Math.cbrt((6 * maskVolumeMm3) / Math.PI),
    ratings,
    malignancy: ratings?.malignancy.mean,
  }
}

function readersOf(marks: readonly PlacedMark[]): number {
  return new Set(marks.map((mark) => mark.session)).size
}

/** Smallest box around the mask on each slice, pixel edges. */
export function boxesOf(mask: VoxelMask): { k: number; box: EdgeBox }[] {
  const [depth, height, width] = mask.shape
  const boxes: { k: number; box: EdgeBox }[] = []
  for (let k = 0; k < depth; k++) {
    const box: EdgeBox = { x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity }
    for (let j = 0; j < height; j++) {
      for (let i = 0; i < width; i++) {
        if (mask.voxels[(k * height + j) * width + i] !== 1) continue
        box.x1 = Math.min(box.x1, mask.i0 + i)
        box.y1 = Math.min(box.y1, mask.j0 + j)
        box.x2 = Math.max(box.x2, mask.i0 + i + 1)
        box.y2 = Math.max(box.y2, mask.j0 + j + 1)
      }
    }
    if (box.x2 > box.x1) boxes.push({ k: mask.k0 + k, box })
  }
  return boxes
}

function maskVolume(mask: VoxelMask, geometry: VolumeGeometry): number {
  const [z, y, x] = geometry.spacing
  const [depth, height, width] = mask.shape
  const counts = Array.from({ length: depth }, (_, k) =>
    mask.voxels.subarray(k * height * width, (k + 1) * height * width).reduce((sum, voxel) => sum + voxel, 0),
  )
  return usualVoxels(geometry, counts, mask.k0) * z * y * x
}

function summarizeRatings(marks: readonly PlacedMark[]): ConsensusNodule['ratings'] {
  const rated = marks.flatMap((mark) => (mark.ratings === undefined ? [] : [mark.ratings]))
  if (rated.length === 0) return undefined
  return Object.fromEntries(
    RATING_NAMES.map((name): [string, RatingSummary] => {
      const values = rated.map((ratings) => ratings[name])
      return [name, { mean: mean(values), median: median(values) }]
    }),
  ) as ConsensusNodule['ratings']
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function meanVector(vectors: readonly Vector3[]): Vector3 {
  return [0, 1, 2].map((axis) => mean(vectors.map((vector) => vector[axis]!))) as unknown as Vector3
}
