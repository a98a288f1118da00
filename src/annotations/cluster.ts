import type { PlacedMark } from './types.js'

/** LIDC has at most four readers a series, so a nodule has at most four outlines. */
const MAX_MARKS = 4
const FACTOR = 0.9
const MIN_TOLERANCE = 0.1

/**
 * Which outlines mean the same nodule, as pylidc's `Scan.cluster_annotations` decides it: outlines whose nearest contour
 * points are at most `tolerance` apart belong together; while a group has more than four, the tolerance shrinks by 0.9.
 * Like pylidc's code (not its text) it measures in voxel indices and starts from the slice thickness.
 *
 * @returns groups in the order of their first mark; marks in their order
 */
export function clusterMarks(marks: readonly PlacedMark[], tolerance: number): PlacedMark[][] {
  if (marks.length === 0) return []
  const distances = distanceMatrix(marks, tolerance)
  let groups = connect(distances, tolerance)
  while (groups.some((group) => group.length > MAX_MARKS)) {
    tolerance *= FACTOR
    // Two nodules may touch: pylidc gives up here too.
    if (tolerance < MIN_TOLERANCE) break
    groups = connect(distances, tolerance)
  }
  return groups.map((group) => group.map((index) => marks[index]!))
}

/**
 * Smallest distance of two contour points for each pair of marks, in voxel indices; where even the blocks around them are
 * more than `tolerance` apart, that distance.
 */
function distanceMatrix(marks: readonly PlacedMark[], tolerance: number): number[][] {
  const points = marks.map(({ contours }) => {
    const flat = contours.flatMap(({ points, k }) => points.flatMap(({ x, y }) => [x, y, k]))
    return Float64Array.from(flat)
  })
  const bounds = points.map(boundsOf)
  const distances = marks.map(() => marks.map(() => 0))
  for (let a = 0; a < marks.length; a++) {
    for (let b = a + 1; b < marks.length; b++) {
      const apart = boxDistance(bounds[a]!, bounds[b]!)
      const distance = apart > tolerance ? apart : leastDistance(points[a]!, points[b]!)
      distances[a]![b] = distances[b]![a] = distance
    }
  }
  return distances
}

function leastDistance(a: Float64Array, b: Float64Array): number {
  let least = Infinity
  for (let m = 0; m < a.length; m += 3) {
    for (let n = 0; n < b.length; n += 3) {
      const x = a[m]! - b[n]!
      const y = a[m + 1]! - b[n + 1]!
      const z = a[m + 2]! - b[n + 2]!
      const squared = x * x + y * y + z * z
      if (squared < least) least = squared
    }
    // Outlines of one nodule mostly share a pixel.
    if (least === 0) return 0
  }
  return Math.sqrt(least)
}

type Bounds = readonly (readonly [number, number])[]

function boundsOf(points: Float64Array): Bounds {
  return [0, 1, 2].map((axis) => {
    let low = Infinity
    let high = -Infinity
    for (let n = axis; n < points.length; n += 3) {
      low = Math.min(low, points[n]!)
      high = Math.max(high, points[n]!)
    }
    return [low, high] as const
  })
}

function boxDistance(a: Bounds, b: Bounds): number {
  return Math.hypot(...a.map(([low, high], axis) => Math.max(0, low - b[axis]![1], b[axis]![0] - high)))
}

/** Connected components of "distance <= tolerance". */
function connect(distances: readonly (readonly number[])[], tolerance: number): number[][] {
  const group = new Int32Array(distances.length).fill(-1)
  const groups: number[][] = []
  for (let start = 0; start < distances.length; start++) {
    if (group[start] !== -1) continue
    const id = groups.length
    const open = [start]
    group[start] = id
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      distances[at]!.forEach((distance, other) => {
        if (group[other] === -1 && distance <= tolerance) {
          group[other] = id
          open.push(other)
        }
      })
    }
    groups.push([])
  }
  group.forEach((id, index) => groups[id]!.push(index))
  return groups
}
