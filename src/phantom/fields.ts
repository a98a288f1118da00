import type { Random } from '../random.js'
import { cross } from '../geometry/vector.js'
import { least } from '../lists.js'

/**
 * Shapes as fields: a function of position in mm that is positive inside the shape, negative outside, and close to
 * the distance from the surface in mm near it. That makes edges with partial volume cheap: the share of a pixel that
 * a shape covers is about `field / edge + 0.5`.
 */

/** Union of two fields whose seam is rounded over `k` mm (polynomial smooth maximum, Quilez). */
export function smoothMax(a: number, b: number, k: number): number {
  const h = k - Math.abs(a - b)
  return Math.max(a, b) + (h > 0 ? (h * h) / (4 * k) : 0)
}

/** Intersection with a rounded seam. */
export function smoothMin(a: number, b: number, k: number): number {
  const h = k - Math.abs(a - b)
  return Math.min(a, b) - (h > 0 ? (h * h) / (4 * k) : 0)
}

export function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value
}

/** 0 below `low`, 1 above `high`, smooth between. */
export function smoothStep(low: number, high: number, value: number): number {
  const t = clamp((value - low) / (high - low), 0, 1)
  return t * t * (3 - 2 * t)
}

/** A smooth curve through points (position, value) with ascending positions; constant beyond the ends. */
export function curve(points: readonly (readonly [number, number])[]): (position: number) => number {
  const last = points.length - 1
  // Finite-difference tangents: a Catmull-Rom spline on uneven knots.
  const tangents = points.map((_, n) => {
    const before = points[Math.max(0, n - 1)]!
    const after = points[Math.min(last, n + 1)]!
    return n === 0 || n === last ? 0 : (after[1] - before[1]) / (after[0] - before[0])
  })
  return (position) => {
    if (position <= points[0]![0]) return points[0]![1]
    if (position >= points[last]![0]) return points[last]![1]
    let n = 0
    while (points[n + 1]![0] < position) n++
    const [p0, v0] = points[n]!
    const [p1, v1] = points[n + 1]!
    const width = p1 - p0
    const t = (position - p0) / width
    const t2 = t * t
    const t3 = t2 * t
    return (
      v0 * (2 * t3 - 3 * t2 + 1) +
      tangents[n]! * width * (t3 - 2 * t2 + t) +
      v1 * (3 * t2 - 2 * t3) +
      tangents[n + 1]! * width * (t3 - t2)
    )
  }
}

/** Field of the superellipse |x/a|^2.25 + |y/b|^2.25 = 1 around the origin, measured along the ray from the center. */
export function superellipse(x: number, y: number, a: number, b: number): number {
  const u = Math.abs(x / a)
  const v = Math.abs(y / b)
  // Fourth roots by sqrt: the general power costs several times as much, and this is the innermost loop.
  const sum = u * u * Math.sqrt(Math.sqrt(u)) + v * v * Math.sqrt(Math.sqrt(v))
  if (sum < 1e-3) return Math.min(a, b)
  return Math.sqrt(x * x + y * y) * (sum ** (-1 / 2.25) - 1)
}

/** A ball that was stretched: center, three half axes (mm) and the directions of the axes (unit, orthogonal). */
export interface Ellipsoid {
  center: readonly [number, number, number]
  radii: readonly [number, number, number]
  axes: readonly (readonly [number, number, number])[]
}

const straight = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
] as const

/** An ellipsoid whose first axis points along `direction` (default: axes along x, y and z). */
export function ellipsoid(
  center: readonly [number, number, number],
  radii: readonly [number, number, number],
  direction?: readonly [number, number, number],
): Ellipsoid {
  if (direction === undefined) return { center, radii, axes: straight }
  const length = Math.hypot(...direction)
  const u = direction.map((value) => value / length) as unknown as readonly [number, number, number]
  const helper = Math.abs(u[2]) < 0.9 ? ([0, 0, 1] as const) : ([0, 1, 0] as const)
  const v = normalize(cross(helper, u))
  return { center, radii, axes: [u, v, cross(u, v)] }
}

export function normalize(a: readonly [number, number, number]): [number, number, number] {
  const length = Math.hypot(a[0], a[1], a[2])
  return length > 0 ? [a[0] / length, a[1] / length, a[2] / length] : [0, 0, 1]
}

/** Field of an ellipsoid (Quilez's bound, good near the surface). */
export function ellipsoidField(e: Ellipsoid, x: number, y: number, z: number): number {
  const dx = x - e.center[0]
  const dy = y - e.center[1]
  const dz = z - e.center[2]
  let k0 = 0
  let k1 = 0
  for (let n = 0; n < 3; n++) {
    const axis = e.axes[n]!
    const along = (dx * axis[0] + dy * axis[1] + dz * axis[2]) / e.radii[n]!
    k0 += along * along
    const scaled = along / e.radii[n]!
    k1 += scaled * scaled
  }
  k0 = Math.sqrt(k0)
  k1 = Math.sqrt(k1)
  return k1 < 1e-6 ? least(e.radii) : (k0 * (1 - k0)) / k1
}

/** A piece of a tube: a cone with round ends from a (radius ra) to b (radius rb), mm. */
export interface Capsule {
  ax: number
  ay: number
  az: number
  bx: number
  by: number
  bz: number
  ra: number
  rb: number
}

/** A polyline of (x, y, z, radius) as capsules. */
export function tube(points: readonly (readonly [number, number, number, number])[]): Capsule[] {
  const out: Capsule[] = []
  for (let n = 0; n + 1 < points.length; n++) {
    const [ax, ay, az, ra] = points[n]!
    const [bx, by, bz, rb] = points[n + 1]!
    out.push({ ax, ay, az, bx, by, bz, ra, rb })
  }
  return out
}

/** A smooth tube through (x, y, z, radius): `steps` capsules between neighboring points (Catmull-Rom). */
export function smoothTube(
  points: readonly (readonly [number, number, number, number])[],
  steps = 4,
): Capsule[] {
  const dense: [number, number, number, number][] = []
  for (let n = 0; n + 1 < points.length; n++) {
    const p = [
      points[Math.max(0, n - 1)]!,
      points[n]!,
      points[n + 1]!,
      points[Math.min(points.length - 1, n + 2)]!,
    ]
    for (let s = 0; s < steps; s++) {
      const t = s / steps
      const at = (axis: 0 | 1 | 2 | 3): number => {
        const [a, b, c, d] = [p[0]![axis], p[1]![axis], p[2]![axis], p[3]![axis]]
        return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
      }
      dense.push([at(0), at(1), at(2), Math.max(0.2, at(3))])
    }
  }
  dense.push([...points[points.length - 1]!] as [number, number, number, number])
  return tube(dense)
}

/** Field of a capsule. */
export function capsuleField(c: Capsule, x: number, y: number, z: number): number {
  const bx = c.bx - c.ax
  const by = c.by - c.ay
  const bz = c.bz - c.az
  const px = x - c.ax
  const py = y - c.ay
  const pz = z - c.az
  const length2 = bx * bx + by * by + bz * bz
  const t = length2 > 0 ? clamp((px * bx + py * by + pz * bz) / length2, 0, 1) : 0
  const dx = px - t * bx
  const dy = py - t * by
  const dz = pz - t * bz
  return c.ra + (c.rb - c.ra) * t - Math.sqrt(dx * dx + dy * dy + dz * dz)
}

const latticeSize = 32

/** Smooth random field: values about normal (mean 0, deviation about 0.6) that vary over one unit of length. */
export type ValueNoise = (x: number, y: number, z: number) => number

/** Value noise on a periodic lattice of 32 units a side, from the stream of random numbers. */
export function valueNoise(random: Random): ValueNoise {
  const lattice = new Float32Array(latticeSize ** 3)
  for (let n = 0; n < lattice.length; n++) lattice[n] = random.normal()
  const mask = latticeSize - 1
  return (x, y, z) => {
    const xf = Math.floor(x)
    const yf = Math.floor(y)
    const zf = Math.floor(z)
    let tx = x - xf
    let ty = y - yf
    let tz = z - zf
    tx = tx * tx * (3 - 2 * tx)
    ty = ty * ty * (3 - 2 * ty)
    tz = tz * tz * (3 - 2 * tz)
    const x0 = xf & mask
    const x1 = (xf + 1) & mask
    const y0 = (yf & mask) * latticeSize
    const y1 = ((yf + 1) & mask) * latticeSize
    const z0 = (zf & mask) * latticeSize * latticeSize
    const z1 = ((zf + 1) & mask) * latticeSize * latticeSize
    const a = lattice[z0 + y0 + x0]! * (1 - tx) + lattice[z0 + y0 + x1]! * tx
    const b = lattice[z0 + y1 + x0]! * (1 - tx) + lattice[z0 + y1 + x1]! * tx
    const c = lattice[z1 + y0 + x0]! * (1 - tx) + lattice[z1 + y0 + x1]! * tx
    const d = lattice[z1 + y1 + x0]! * (1 - tx) + lattice[z1 + y1 + x1]! * tx
    return (a * (1 - ty) + b * ty) * (1 - tz) + (c * (1 - ty) + d * ty) * tz
  }
}
