import type { Random } from '../random.js'
import type { Anatomy } from './anatomy.js'
import { hila } from './anatomy_plan.js'
import { normalize, type Capsule } from './fields.js'
import { subtract } from '../geometry/vector.js'
import { append } from '../lists.js'

type Point = readonly [number, number, number]

/** Vessels and airways inside both lungs. */
export interface LungTrees {
  /** Arteries and veins. */
  vessels: Capsule[]
  airways: Capsule[]
}

/** Exponent of the law by which the radius of a branch grows with the ends that it feeds (Murray's law: 1/3). */
const murray = 1 / 2.9
/** Radius of the last twigs, mm: seen only as a faint line. */
const endRadius = 0.48

/**
 * Grows arteries, veins and airways from the hila until they fill the lungs: the points to be supplied are split in
 * two by a plane through the branch, each half gets a branch 40 % of the way to its centroid, and so on (Tawhai et al.,
 * "Generation of an anatomically based geometric model of the conducting airways", 2000).
 */
export function growTrees(anatomy: Anatomy, random: Random, ends = 1900): LungTrees {
  const vessels: Capsule[] = []
  const airways: Capsule[] = []
  const [sx, sy, sz] = anatomy.scale
  const place = (p: readonly number[]): Point => [p[0]! * sx, p[1]! * sy, p[2]! * sz]
  for (const side of [0, 1] as const) {
    const outward: Point = [side === 0 ? -1 : 1, 0, 0]
    const arteries = lungPoints(anatomy, random, side, ends)
    append(vessels, growTree(place(hila.artery[side]), outward, arteries, endRadius, random))
    for (const vein of hila.veins[side]) {
      const upper = vein[2]! > 135
      const points = lungPoints(anatomy, random, side, Math.round(ends * 0.8)).filter(
        (p) => p[2] > 120 * sz === upper,
      )
      append(vessels, growTree(place(vein), outward, points, endRadius, random))
    }
    // The airways keep company with the arteries: they are drawn to the same places.
    const bundles = arteries.filter((_, n) => n % 16 === 0)
    append(airways, growTree(place(hila.airway[side]), outward, bundles, 0.85, random))
  }
  return { vessels, airways }
}

/** Points spread evenly inside one lung, at least 3 mm from its surface. */
function lungPoints(anatomy: Anatomy, random: Random, side: 0 | 1, count: number): Point[] {
  const points: Point[] = []
  const [sx, sy] = anatomy.scale
  for (let tries = 0; points.length < count && tries < 100 * count; tries++) {
    const x = (side === 0 ? -1 : 1) * random.uniform() * 135 * sx
    const y = (random.uniform() * 2 - 1) * 110 * sy
    const z = random.uniform() * anatomy.top
    if (anatomy.lung(x, y, z) > 3) points.push([x, y, z])
  }
  return points
}

function growTree(
  root: Point,
  direction: Point,
  ends: Point[],
  endRadius: number,
  random: Random,
): Capsule[] {
  const out: Capsule[] = []
  const grow = (from: Point, heading: Point, radius: number, points: Point[], depth: number): void => {
    if (points.length === 0) return
    const center = centroid(points)
    if (points.length === 1 || depth > 24) {
      bend(out, from, heading, center, radius, endRadius * 0.7)
      return
    }
    for (const half of splitPoints(from, center, points, random)) {
      if (half.length === 0) continue
      const target = centroid(half)
      const toward = subtract(target, from)
      const distance = Math.hypot(...toward)
      if (distance < 1e-3) continue
      const share = (half.length === 1 ? 0.9 : 0.38 + 0.08 * random.uniform()) * distance
      // A branch leaves its parent at 65 degrees at most.
      const way = limitAngle(normalize(toward), heading, 0.42)
      const to: Point = [from[0] + way[0] * share, from[1] + way[1] * share, from[2] + way[2] * share]
      const childRadius = Math.min(radius, endRadius * half.length ** murray)
      bend(out, from, heading, to, Math.min(radius, childRadius * 1.06), childRadius)
      grow(to, normalize(subtract(to, mix(from, heading, share))), childRadius, half, depth + 1)
    }
  }
  grow(root, direction, endRadius * ends.length ** murray, ends, 0)
  return out
}

/** A curved branch that leaves along `heading`: a quadratic Bezier curve as three capsules. */
function bend(out: Capsule[], from: Point, heading: Point, to: Point, ra: number, rb: number): void {
  const length = Math.hypot(...subtract(to, from))
  const control = mix(from, heading, length)
  const steps = length > 3 ? 3 : length > 1.5 ? 2 : 1
  let before = from
  let radius = ra
  for (let n = 1; n <= steps; n++) {
    const t = n / steps
    const u = 1 - t
    const at = (axis: 0 | 1 | 2): number => u * u * from[axis] + 2 * u * t * control[axis] + t * t * to[axis]
    const point: Point = [at(0), at(1), at(2)]
    const next = ra + (rb - ra) * t
    out.push({
      ax: before[0],
      ay: before[1],
      az: before[2],
      bx: point[0],
      by: point[1],
      bz: point[2],
      ra: radius,
      rb: next,
    })
    before = point
    radius = next
  }
}

/** The control point of a branch: 40 % of its length along the way it starts. */
function mix(from: Point, heading: Point, length: number): Point {
  return [
    from[0] + heading[0] * length * 0.4,
    from[1] + heading[1] * length * 0.4,
    from[2] + heading[2] * length * 0.4,
  ]
}

function centroid(points: readonly Point[]): Point {
  let x = 0
  let y = 0
  let z = 0
  for (const p of points) {
    x += p[0]
    y += p[1]
    z += p[2]
  }
  return [x / points.length, y / points.length, z / points.length]
}

/** Turns a unit vector towards `heading` until their cosine is at least `low`. */
function limitAngle(way: Point, heading: Point, low: number): Point {
  const cosine = way[0] * heading[0] + way[1] * heading[1] + way[2] * heading[2]
  if (cosine >= low) return way
  const across = normalize([
    way[0] - cosine * heading[0],
    way[1] - cosine * heading[1],
    way[2] - cosine * heading[2],
  ])
  const sine = Math.sqrt(1 - low * low)
  return [
    low * heading[0] + sine * across[0],
    low * heading[1] + sine * across[1],
    low * heading[2] + sine * across[2],
  ]
}

/** Halves points by a plane through `from` and their center, across the direction in which they spread most. */
function splitPoints(
  from: Point,
  center: Point,
  points: readonly Point[],
  random: Random,
): [Point[], Point[]] {
  const along = normalize(subtract(center, from))
  const helper: Point = Math.abs(along[2]) < 0.8 ? [0, 0, 1] : [0, 1, 0]
  const u = normalize([
    helper[1] * along[2] - helper[2] * along[1],
    helper[2] * along[0] - helper[0] * along[2],
    helper[0] * along[1] - helper[1] * along[0],
  ])
  const v: Point = [
    along[1] * u[2] - along[2] * u[1],
    along[2] * u[0] - along[0] * u[2],
    along[0] * u[1] - along[1] * u[0],
  ]
  let uu = 0
  let uv = 0
  let vv = 0
  for (const p of points) {
    const d = subtract(p, center)
    const a = d[0] * u[0] + d[1] * u[1] + d[2] * u[2]
    const b = d[0] * v[0] + d[1] * v[1] + d[2] * v[2]
    uu += a * a
    uv += a * b
    vv += b * b
  }
  const angle = 0.5 * Math.atan2(2 * uv, uu - vv) + 0.35 * random.normal()
  const nu = Math.cos(angle)
  const nv = Math.sin(angle)
  const normal: Point = [nu * u[0] + nv * v[0], nu * u[1] + nv * v[1], nu * u[2] + nv * v[2]]
  const low: Point[] = []
  const high: Point[] = []
  for (const p of points) {
    const d = subtract(p, center)
    const side = d[0] * normal[0] + d[1] * normal[1] + d[2] * normal[2]
    if (side < 0) low.push(p)
    else high.push(p)
  }
  return [low, high]
}
