import type { Random } from '../random.js'
import type { Anatomy } from './anatomy.js'
import type { NoduleShape } from './nodules.js'
import {
  capsuleField,
  clamp,
  ellipsoid,
  ellipsoidField,
  normalize,
  smoothStep,
  type Capsule,
  type Ellipsoid,
} from './fields.js'
import { append } from '../lists.js'

type Point = readonly [number, number, number]

/** What else is in the lungs: none of it is a nodule, some of it looks like one. */
export interface Pathology {
  /** Share of the upper lungs that emphysema has eaten, 0 to 0.5. */
  emphysema: number
  /** Patches of consolidation or atelectasis, and their HU. */
  patches: { shape: Ellipsoid; hu: number; ragged: number }[]
  /** Scars: bent strands. */
  scars: Capsule[]
  /** Thickenings of the pleura: flat, on the lung's surface. */
  plaques: Ellipsoid[]
}

/** Free lung between a nodule and a finding, mm. */
const gap = 3
/** A patch is painted this far beyond its border, ever fainter, mm. */
export const patchFade = 4

/** Draws findings, none of them at a nodule; `hard` patients have more of everything. */
export function drawPathology(
  anatomy: Anatomy,
  random: Random,
  hard: boolean,
  zRange: readonly [number, number],
  nodules: readonly NoduleShape[],
): Pathology {
  const chance = random.uniform()
  const emphysema = chance < (hard ? 0.5 : 0.15) ? 0.1 + 0.35 * random.uniform() : 0
  /** Makes a finding at a place of that depth in the lungs; `reaches`: whether it, grown by that many mm, holds a point. */
  const place = <T>(
    depth: (d: number) => boolean,
    make: (at: Point) => T,
    reaches: (finding: T, center: Point, grow: number) => boolean,
  ): T | undefined => {
    const [sx, sy] = anatomy.scale
    for (let tries = 0; tries < 3000; tries++) {
      const x = (random.uniform() * 2 - 1) * 135 * sx
      const y = (random.uniform() * 2 - 1) * 110 * sy
      const z =
        Math.max(5, zRange[0]) +
        random.uniform() * (Math.min(anatomy.top, zRange[1]) - Math.max(5, zRange[0]))
      if (Math.abs(x) <= 40 * sx || !depth(anatomy.lung(x, y, z))) continue
      const finding = make([x, y, z])
      if (!nodules.some((nodule) => reaches(finding, nodule.center, nodule.reach + gap))) return finding
    }
    return undefined
  }
  const several = (high: number): number => random.integer(high + 1)
  const patches: Pathology['patches'] = []
  const wanted = random.uniform() < (hard ? 0.45 : 0.08) ? 1 + several(hard ? 2 : 0) : 0
  for (let n = 0; n < wanted; n++) {
    const size = 18 + 20 * random.uniform()
    const radii = [
      size,
      size * (0.5 + 0.4 * random.uniform()),
      size * (0.5 + 0.5 * random.uniform()),
    ] as const
    const along = [random.normal(), random.normal(), 0.4 * random.normal()] as const
    const ragged = 6 + 6 * random.uniform()
    const hu = random.uniform() < 0.6 ? 20 + 20 * random.uniform() : -450 + 200 * random.uniform()
    const patch = place(
      (d) => d > -2 && d < 12,
      (at) => ({ shape: ellipsoid(at, radii, along), hu, ragged }),
      (found, center, grow) =>
        ellipsoidHolds(found.shape, center, grow) ||
        ballPoints.some(([dx, dy, dz]) => {
          const at = [center[0] + dx * grow, center[1] + dy * grow, center[2] + dz * grow] as const
          return patchField(anatomy, found, ...at) > -patchFade
        }),
    )
    if (patch !== undefined) patches.push(patch)
  }
  const scars: Capsule[] = []
  for (let n = several(hard ? 4 : 1); n > 0; n--)
    append(
      scars,
      place(
        (d) => d > 3 && d < 25,
        (at) => drawScar(random, at),
        (scar, center, grow) => scar.some((piece) => capsuleField(piece, ...center) > -grow),
      ) ?? [],
    )
  const plaques: Ellipsoid[] = []
  for (let n = several(hard ? 3 : 1); n > 0; n--) {
    const radii = [1.6 + 2 * random.uniform(), 7 + 10 * random.uniform(), 6 + 8 * random.uniform()] as const
    const plaque = place(
      (d) => d > -0.5 && d < 1.5,
      (at) => ellipsoid(at, radii, surfaceNormal(anatomy, at)),
      ellipsoidHolds,
    )
    if (plaque !== undefined) plaques.push(plaque)
  }
  return { emphysema, patches, scars, plaques }
}

/** Whether an ellipsoid with half axes longer by that many mm holds a point. */
function ellipsoidHolds(e: Ellipsoid, point: Point, grow: number): boolean {
  const [a, b, c] = e.radii
  return ellipsoidField({ ...e, radii: [a + grow, b + grow, c + grow] }, ...point) > 0
}

/** Direction in which the lungs' field falls fastest. */
function surfaceNormal(anatomy: Anatomy, [x, y, z]: Point): [number, number, number] {
  const step = 2
  return normalize([
    anatomy.lung(x - step, y, z) - anatomy.lung(x + step, y, z),
    anatomy.lung(x, y - step, z) - anatomy.lung(x, y + step, z),
    anatomy.lung(x, y, z - step) - anatomy.lung(x, y, z + step),
  ])
}

function drawScar(random: Random, from: Point): Capsule[] {
  const out: Capsule[] = []
  let way = normalize([random.normal(), random.normal(), 0.6 * random.normal()])
  let [x, y, z] = from
  const radius = 0.6 + 0.9 * random.uniform()
  const pieces = 3 + random.integer(4)
  for (let n = 0; n < pieces; n++) {
    way = normalize([
      way[0] + 0.4 * random.normal(),
      way[1] + 0.4 * random.normal(),
      way[2] + 0.3 * random.normal(),
    ])
    const length = 4 + 5 * random.uniform()
    const rb = radius * (1 - (n + 1) / (pieces + 1))
    const [bx, by, bz] = [x + way[0] * length, y + way[1] * length, z + way[2] * length]
    out.push({ ax: x, ay: y, az: z, bx, by, bz, ra: out.at(-1)?.rb ?? radius, rb })
    x = bx
    y = by
    z = bz
  }
  return out
}

/**
 * Signed distance in mm to the oblique fissure of the lung at x, positive behind it; the fissure climbs from the front of
 * the diaphragm to the back of the upper chest.
 */
export function obliqueFissure(anatomy: Anatomy, x: number, y: number, z: number): number {
  const [sx, sy, sz] = anatomy.scale
  const lateral = (Math.abs(x) / sx - 60) / 60
  const climb = 0.74
  const at =
    -58 +
    climb * (z / sz - 42) +
    (x < 0 ? 0 : 6) +
    7 * lateral * lateral +
    3 * anatomy.texture(x / 50, 3, z / 60)
  return (y / sy - at) / Math.sqrt(1 + climb * climb)
}

/** Signed distance in mm to the horizontal fissure of the right lung, which ends at the oblique one. */
export function horizontalFissure(anatomy: Anatomy, x: number, y: number, z: number): number {
  const [sx, sy, sz] = anatomy.scale
  const dx = (x / sx + 70) / 70
  const dy = (y / sy + 35) / 60
  return z / sz - (132 - 9 * (dx * dx + dy * dy) + 3 * anatomy.texture(x / 40, y / 40, 7))
}

/** How much of the lung emphysema has taken at a point, 0 to 1: small holes, more of them in the upper lungs. */
export function emphysemaAt(anatomy: Anatomy, amount: number, x: number, y: number, z: number): number {
  const upper = smoothStep(40, 190, z / anatomy.scale[2])
  const hole =
    anatomy.texture(x / 6.5 + 13, y / 6.5, z / 6.5) + 0.5 * anatomy.texture(x / 3 + 5, y / 3, z / 3)
  const threshold = 1.15 - 2.2 * amount * (0.35 + 0.65 * upper)
  return clamp((hole - threshold) / 0.35, 0, 1)
}

/** Field of a patch: an ellipsoid with bays along its lobules. None of it lies apart, where it would be a nodule. */
export function patchField(
  anatomy: Anatomy,
  patch: Pathology['patches'][number],
  x: number,
  y: number,
  z: number,
): number {
  const depth = ellipsoidField(patch.shape, x, y, z)
  if (depth < -patchFade) return depth
  const swing = acini(anatomy, x, y, z, 14) + 0.4 * acini(anatomy, x, y, z, 7)
  return depth + patch.ragged * Math.min(0.3, swing)
}

/** Smooth noise over `size` mm, on a lattice that is turned out of the slices' rows and columns. */
export function acini(anatomy: Anatomy, x: number, y: number, z: number, size: number): number {
  return anatomy.texture(
    (0.8 * x + 0.6 * y) / size,
    (-0.48 * x + 0.64 * y + 0.6 * z) / size + size,
    (0.36 * x - 0.48 * y + 0.8 * z) / size,
  )
}

/** The middle of a ball of radius 1, and 26 points on it. */
const ballPoints: readonly Point[] = [-1, 0, 1].flatMap((x) =>
  [-1, 0, 1].flatMap((y) =>
    [-1, 0, 1].map((z): Point => (x === 0 && y === 0 && z === 0 ? [0, 0, 0] : normalize([x, y, z]))),
  ),
)
