import type { Random } from '../random.js'
import type { Anatomy } from './anatomy.js'
import { capsuleField, clamp, normalize, valueNoise, type Capsule, type ValueNoise } from './fields.js'
import type { LungTrees } from './tree.js'
import { greatest, least } from '../lists.js'

export type NoduleType = 'solid' | 'part-solid' | 'ground-glass'
/** None, or how a calcified nodule is calcified: LIDC's ratings 6 and 3, 5, 1. */
export type Calcification = 'none' | 'solid' | 'central' | 'popcorn'
export type Attachment = 'none' | 'pleura' | 'vessel'

type Point = readonly [number, number, number]

/** A nodule before it is drawn; lengths in the patient's millimeters. */
export interface NoduleShape {
  id: string
  type: NoduleType
  attachment: Attachment
  spiculated: boolean
  lobulated: boolean
  center: Point
  /** Radius of the ball that was deformed. */
  radius: number
  /** Farthest that the shape, spicules aside, reaches from its center. */
  reach: number
  calcification: Calcification
  /** HU of the bulk (of the ground glass where the type has some). */
  hu: number
  /** HU of the solid core or of the lime. */
  coreHu: number
  /** Core's radius as a share of the nodule's; 0 where there is none. */
  core: number
  /** Width over which the margin fades beyond the scanner's blur. */
  margin: number
  spicules: Capsule[]
  /** Positive inside; offsets from the center in mm. */
  field: (dx: number, dy: number, dz: number) => number
}

/** Measures of a nodule, from its shape and not from voxels. */
export interface NoduleMeasures {
  /** Centroid, the patient's mm. */
  center: Point
  /** Diameter of the ball of the same volume. */
  equivalentDiameterMm: number
  volumeMm3: number
}

/** Part of the nodule that lies in the chest wall is none: what counts reaches this far out of the lung, mm. */
const pleuraReach = 1

interface PlaceOptions {
  count: number
  diameter: readonly [number, number]
  /** Heights that the scan covers. */
  zRange: readonly [number, number]
  /** Fainter, and more of them at vessels and pleura. */
  hard: boolean
}

/** Draws nodules and finds places for them in the lungs, apart from each other. */
export function placeNodules(
  anatomy: Anatomy,
  trees: LungTrees,
  random: Random,
  o: PlaceOptions,
): NoduleShape[] {
  const nodules: NoduleShape[] = []
  const twigs = trees.vessels.filter((c) => c.ra > 0.9 && c.ra < 2.4)
  const wide = trees.vessels.filter((c) => c.ra > 1)
  for (let n = 0; n < o.count; n++) {
    const nodule = drawNodule(
      random.fork(`nodule ${n}`),
      `Nodule ${String(n + 1).padStart(3, '0')}`,
      o.diameter,
      o.hard,
    )
    const center = findPlace(anatomy, twigs, wide, random, nodule, nodules, o.zRange)
    // A crowded chest (many large nodules asked for) has no more room.
    if (center === undefined) continue
    nodules.push(nodule.at(center))
  }
  return nodules
}

/** Solid dots below 3 mm, which readers mark by one point. */
export function placeDots(
  anatomy: Anatomy,
  random: Random,
  count: number,
  others: readonly NoduleShape[],
  zRange: readonly [number, number],
): NoduleShape[] {
  const dots: NoduleShape[] = []
  for (let n = 0; n < count; n++) {
    const dot = drawNodule(random.fork(`dot ${n}`), `Dot ${n + 1}`, [1.8, 2.8], false)
    const center = findPlace(
      anatomy,
      [],
      [],
      random,
      { ...dot, attachment: 'none' },
      [...others, ...dots],
      zRange,
    )
    if (center !== undefined) dots.push(dot.at(center))
  }
  return dots
}

interface Unplaced {
  attachment: Attachment
  radius: number
  reach: number
  at: (center: Point) => NoduleShape
}

function drawNodule(
  random: Random,
  id: string,
  diameter: readonly [number, number],
  hard: boolean,
): Unplaced {
  const [low, high] = diameter
  // Small nodules are common, large ones rare: LIDC's median is about 8 mm, with a tail to 30.
  const size = low * (high / low) ** (random.uniform() ** 1.35)
  const radius = size / 2
  const kind = random.uniform()
  const type: NoduleType =
    size < 5 || kind < (hard ? 0.5 : 0.66)
      ? 'solid'
      : kind < (hard ? 0.7 : 0.82)
        ? 'part-solid'
        : 'ground-glass'
  const place = random.uniform()
  const attachment: Attachment =
    place < (hard ? 0.25 : 0.45) ? 'none' : place < (hard ? 0.6 : 0.73) ? 'pleura' : 'vessel'
  const spiculated = type !== 'ground-glass' && size > 8 && random.uniform() < 0.35
  const lobulated = size > 6 && random.uniform() < 0.4
  const bumps = valueNoise(random)
  const amplitude = lobulated ? 0.17 : 0.05
  // Half axes: an egg, seldom a ball.
  const flat = 0.72 + 0.28 * random.uniform()
  const wide = 0.85 + 0.15 * random.uniform()
  const even = (flat * wide) ** (-1 / 3)
  const radii = [radius * even, radius * wide * even, radius * flat * even]
  const axes = randomAxes(random)
  const smallest = least(radii)
  const field = (dx: number, dy: number, dz: number): number => {
    let k = 0
    for (let n = 0; n < 3; n++) {
      const axis = axes[n]!
      const along = (dx * axis[0] + dy * axis[1] + dz * axis[2]) / radii[n]!
      k += along * along
    }
    k = Math.sqrt(k)
    if (k < 1e-3) return smallest
    const d = Math.sqrt(dx * dx + dy * dy + dz * dz)
    const f = 1.7 / d
    const bump = 1 + amplitude * clamp(bumps(dx * f + 7, dy * f + 7, dz * f + 7), -1.8, 1.8)
    return d * (bump / k - 1)
  }
  const reach = greatest(radii) * (1 + 1.8 * amplitude)
  const spicules: { way: Point; length: number; width: number }[] = []
  if (spiculated) {
    const count = 14 + random.integer(16)
    for (let n = 0; n < count; n++)
      spicules.push({
        way: normalize([random.normal(), random.normal(), random.normal()]),
        length: radius * (1.15 + 0.95 * random.uniform() ** 2) + 1.5,
        width: 0.6 + 0.16 * radius * random.uniform() ** 1.5,
      })
  }
  const calcification = type === 'solid' && !spiculated && size < 16 ? drawCalcification(random) : 'none'
  const hu = type === 'solid' ? 15 + 45 * random.uniform() : (hard ? -740 : -690) + 230 * random.uniform()
  const core = type === 'part-solid' ? 0.35 + 0.35 * random.uniform() : calcification === 'central' ? 0.5 : 0
  const coreHu = calcification === 'none' ? 40 * random.uniform() : 280 + 500 * random.uniform()
  const margin = type === 'ground-glass' ? 1 + 1.5 * random.uniform() : type === 'part-solid' ? 1 : 0.3
  const at = (center: Point): NoduleShape => ({
    id,
    type,
    attachment,
    spiculated,
    lobulated,
    calcification,
    center,
    radius,
    reach,
    hu,
    coreHu,
    core,
    margin,
    field,
    spicules: spicules.map(({ way, length, width }) => ({
      ax: center[0] + way[0] * radius * 0.7,
      ay: center[1] + way[1] * radius * 0.7,
      az: center[2] + way[2] * radius * 0.7,
      bx: center[0] + way[0] * length,
      by: center[1] + way[1] * length,
      bz: center[2] + way[2] * length,
      ra: width,
      rb: 0.25,
    })),
  })
  return { attachment, radius, reach, at }
}

function drawCalcification(random: Random): Calcification {
  const chance = random.uniform()
  return chance < 0.88 ? 'none' : chance < 0.93 ? 'solid' : chance < 0.97 ? 'central' : 'popcorn'
}

function randomAxes(random: Random): readonly Point[] {
  const u = normalize([random.normal(), random.normal(), random.normal()])
  const other = normalize([random.normal(), random.normal(), random.normal()])
  const v = normalize([
    u[1] * other[2] - u[2] * other[1],
    u[2] * other[0] - u[0] * other[2],
    u[0] * other[1] - u[1] * other[0],
  ])
  return [u, v, [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]]
}

function findPlace(
  anatomy: Anatomy,
  twigs: readonly Capsule[],
  wide: readonly Capsule[],
  random: Random,
  nodule: Unplaced,
  others: readonly NoduleShape[],
  zRange: readonly [number, number],
): Point | undefined {
  const [sx, sy] = anatomy.scale
  const { radius, reach, attachment } = nodule
  const low = Math.max(zRange[0] + reach, 5)
  const high = Math.min(zRange[1] - reach, anatomy.top - 5)
  for (let tries = 0; tries < 4000; tries++) {
    let point: Point
    if (attachment === 'vessel' && twigs.length > 0 && tries < 2000) {
      const twig = twigs[random.integer(twigs.length)]!
      const way = normalize([random.normal(), random.normal(), random.normal()])
      const off = 0.7 * radius
      // Anywhere along it: where twigs branch a nodule looks like their junction.
      const along = random.uniform()
      const at = (a: number, b: number, n: 0 | 1 | 2): number => a + (b - a) * along + way[n] * off
      point = [at(twig.ax, twig.bx, 0), at(twig.ay, twig.by, 1), at(twig.az, twig.bz, 2)]
    } else {
      point = [
        (random.uniform() * 2 - 1) * 135 * sx,
        (random.uniform() * 2 - 1) * 110 * sy,
        low + random.uniform() * (high - low),
      ]
    }
    const [x, y, z] = point
    if (z < low || z > high) continue
    const depth = anatomy.lung(x, y, z)
    if (attachment === 'pleura') {
      // At the chest wall or a dome of the diaphragm, not at the mediastinum.
      if (depth < 0.25 * radius || depth > 0.75 * radius || Math.abs(x) < 45 * sx) continue
      if (!hasRoom(anatomy, point, radius)) continue
    } else if (depth < reach + 2) continue
    const clear = others.every(
      (o) => Math.hypot(o.center[0] - x, o.center[1] - y, o.center[2] - z) > o.reach + reach + 8,
    )
    // On a vessel about as wide a nodule cannot be told from its bend.
    if (clear && !wide.some((c) => c.ra > 0.7 * radius && capsuleField(c, x, y, z) > -radius)) return point
  }
  return undefined
}

/** Whether the lung is deep beneath a place at its surface: the recess behind the diaphragm is no place for a nodule. */
function hasRoom(anatomy: Anatomy, [x, y, z]: Point, radius: number): boolean {
  const way = normalize([
    anatomy.lung(x + 1, y, z) - anatomy.lung(x - 1, y, z),
    anatomy.lung(x, y + 1, z) - anatomy.lung(x, y - 1, z),
    anatomy.lung(x, y, z + 1) - anatomy.lung(x, y, z - 1),
  ])
  const far = 1.2 * radius + 3
  return anatomy.lung(x + way[0] * far, y + way[1] * far, z + way[2] * far) > radius
}

/** Measures a shape by sampling it at an eighth of its radius; what lies outside of the lung does not count. */
export function measureNodule(anatomy: Anatomy, nodule: NoduleShape): NoduleMeasures {
  const step = nodule.radius / 8
  const steps = Math.ceil(nodule.reach / step)
  const [cx, cy, cz] = nodule.center
  const sum = [0, 0, 0]
  let count = 0
  for (let k = -steps; k <= steps; k++)
    for (let j = -steps; j <= steps; j++)
      for (let i = -steps; i <= steps; i++) {
        const d: Point = [i * step, j * step, k * step]
        if (nodule.field(...d) <= 0) continue
        if (nodule.attachment === 'pleura' && anatomy.lung(cx + d[0], cy + d[1], cz + d[2]) < -pleuraReach)
          continue
        sum[0]! += d[0]
        sum[1]! += d[1]
        sum[2]! += d[2]
        count++
      }
  const volumeMm3 = count * step ** 3
  return {
    center: [cx + sum[0]! / count, cy + sum[1]! / count, cz + sum[2]! / count],
    volumeMm3,
    equivalentDiameterMm: Math.cbrt((6 * volumeMm3) / Math.PI),
  }
}

/** HU inside a nodule at an offset from its center; `depth` is the field there. */
export function noduleHu(
  nodule: NoduleShape,
  texture: ValueNoise,
  depth: number,
  x: number,
  y: number,
  z: number,
): number {
  const mottle = texture(x / 1.6, y / 1.6, z / 1.6)
  if (nodule.type === 'solid') {
    const soft = nodule.hu + 18 * mottle
    if (nodule.calcification === 'none') return soft
    const lime =
      nodule.calcification === 'solid'
        ? 1
        : nodule.calcification === 'central'
          ? clamp((depth - nodule.radius * (1 - nodule.core)) / 1.2 + 0.5, 0, 1)
          : clamp(texture(x / 2.2 + 9, y / 2.2, z / 2.2) * 2, 0, 1)
    return soft + (nodule.coreHu - soft) * lime
  }
  const glass = nodule.hu + 55 * mottle
  return glass + (nodule.coreHu - glass) * coreShare(nodule, depth, mottle)
}

/** Share of the core in a part-solid nodule where its field is `depth`; `mottle`, about normal, makes its border uneven. */
export function coreShare(nodule: NoduleShape, depth: number, mottle = 0): number {
  if (nodule.type !== 'part-solid') return 0
  return clamp((depth - nodule.radius * (1 - nodule.core)) / 1.5 + 0.5 + 0.5 * mottle, 0, 1)
}
