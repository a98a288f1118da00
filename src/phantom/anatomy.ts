import type { Random } from '../random.js'
import {
  aorta,
  arteriesToHead,
  azygos,
  bodyCenter,
  bodyDepth,
  bodyWidth,
  cavityCenter,
  cavityDepth,
  cavityWidth,
  esophagusPath,
  frontSeptum,
  leftBrachiocephalicVein,
  leftBronchus,
  lowerVein,
  pulmonaryTrunk,
  pulmonaryVeins,
  rightBronchus,
  rightPulmonaryArtery,
  septum,
  spineCurve,
  trachea,
  upperVein,
  type Path,
} from './anatomy_plan.js'
import {
  capsuleField,
  clamp,
  ellipsoid,
  ellipsoidField,
  smoothMax,
  smoothMin,
  smoothStep,
  smoothTube,
  superellipse,
  valueNoise,
  type Capsule,
  type Ellipsoid,
  type ValueNoise,
} from './fields.js'
import { greatest } from '../lists.js'

/**
 * The chest of one synthetic patient, as fields in the patient's own millimeters: x to the patient's left, y to the
 * back, z to the head; x = 0 is the midline and z = 0 the deepest point of the lungs behind the diaphragm. A chest
 * of `scale` 1 has its lung tips at z = 245.
 */
export interface Anatomy {
  scale: readonly [number, number, number]
  /** z of the tip of the lungs, mm. */
  top: number
  /** HU of blood with or without contrast agent. */
  blood: number
  /** HU of the parenchyma in the middle of the chest, and how much denser gravity makes it towards the back. */
  parenchyma: { hu: number; gradient: number }
  /** Thickness of the fat below the skin, mm. */
  fat: number
  vessels: Capsule[]
  airways: Capsule[]
  chambers: Ellipsoid[]
  heart: Ellipsoid
  esophagus: Capsule[]
  texture: ValueNoise
  section: (z: number) => Section
  /** Lungs' field (positive inside either lung) at a point. */
  lung: (x: number, y: number, z: number) => number
  /** y of the center of the vertebral body at height z. */
  spineY: (z: number) => number
}

/** What is constant over one axial plane, and the fields over that plane. */
export interface Section {
  z: number
  spineY: number
  /** Half width, half depth and center of the inside of the rib cage. */
  cavityWidth: number
  cavityDepth: number
  cavityY: number
  bodyWidth: number
  bodyDepth: number
  bodyY: number
  body: (x: number, y: number) => number
  cavity: (x: number, y: number) => number
  /** Positive below the diaphragm. */
  abdomen: (x: number, y: number) => number
  mediastinum: (x: number, y: number) => number
  /** From the fields of cavity and abdomen at the same point. */
  lung: (x: number, y: number, cavity: number, abdomen?: number) => number
}

/** A patient drawn at random: size, depth of the chest, height of the diaphragm, heart, fat, contrast. */
export function makeAnatomy(random: Random, contrast: boolean): Anatomy {
  const size = 1 + 0.06 * clamp(random.normal(), -1.5, 1.5)
  const sx = size * (1 + 0.03 * clamp(random.normal(), -2, 2))
  const sy = size * (1 + 0.04 * clamp(random.normal(), -2, 2))
  const sz = size * (1 + 0.05 * clamp(random.normal(), -2, 2))
  const fat = 6 + 16 * random.uniform() ** 1.5
  const heartSize = 1 + 0.08 * clamp(random.normal(), -1.5, 1.5)
  const domeRight = 96 + 10 * clamp(random.normal(), -1.5, 1.5)
  const domeLeft = domeRight - 12 - 6 * random.uniform()
  const wobble = valueNoise(random)
  const texture = valueNoise(random)
  const shift = (): number => 2.5 * clamp(random.normal(), -2, 2)
  const place = (path: Path, jitter = 1): Capsule[] => {
    const offset = [shift() * jitter, shift() * jitter, shift() * jitter] as const
    return smoothTube(
      path.map(
        ([x, y, z, r]) =>
          [(x + offset[0]) * sx, (y + offset[1]) * sy, (z + offset[2]) * sz, r * size] as const,
      ),
    )
  }
  const ball = (
    center: Path[number] | readonly number[],
    radii: readonly number[],
    along?: Ellipsoid['center'],
  ) =>
    ellipsoid(
      [center[0]! * sx, center[1]! * sy, center[2]! * sz],
      [radii[0]! * size * heartSize, radii[1]! * size * heartSize, radii[2]! * size * heartSize],
      along,
    )
  const apex = [0.8, -0.42, -0.42] as const
  const heart = ball([26, -22, 111], [60, 45, 40], apex)
  const chambers = [
    ball([44, -22, 103], [36, 21, 19], apex), // left ventricle
    ball([16, -46, 110], [34, 16, 28], [0.9, -0.3, -0.35]), // right ventricle
    ball([-22, -16, 118], [21, 24, 29]), // right atrium
    ball([6, 14, 134], [29, 15, 18]), // left atrium
  ]
  const vessels = [
    ...place(aorta, 0.6),
    ...place(pulmonaryTrunk, 0),
    ...place(rightPulmonaryArtery, 0),
    ...place(upperVein, 0.5),
    ...place(leftBrachiocephalicVein, 0.5),
    ...arteriesToHead.flatMap((path) => place(path, 0.3)),
    ...place(lowerVein, 0.3),
    ...place(azygos, 0.5),
    ...pulmonaryVeins.flatMap((path) => place(path, 0)),
  ]
  const airways = [...place(trachea, 0), ...place(rightBronchus, 0), ...place(leftBronchus, 0)]
  const esophagus = place(esophagusPath, 0.5)
  // What pushes the lungs aside, each with its own coat of fat.
  const coats: { capsule: Capsule; coat: number }[] = [
    ...vessels.map((capsule) => ({ capsule, coat: 2.5 })),
    ...airways.map((capsule) => ({ capsule, coat: 3.5 })),
    ...esophagus.map((capsule) => ({ capsule, coat: 2.5 })),
  ]
  const balls = [heart, ...chambers]

  // Height of the diaphragm and its slope.
  const dome = (x: number, y: number): { height: number; slope: number } => {
    const right = x < 0
    const back = y / sy > -22 ? 104 : 92
    const dx = (x / sx - (right ? -62 : 66)) / 72
    const dy = (y / sy + 22) / back
    const q = dx * dx + dy * dy
    const power = q ** 0.15
    const height = (right ? domeRight : domeLeft) - 84 * q * power + 3 * wobble(x / 45, y / 45, 9)
    const gx = (2 * dx) / (72 * sx)
    const gy = (2 * dy) / (back * sy)
    return { height: height * sz, slope: 84 * sz * 1.15 * power * Math.sqrt(gx * gx + gy * gy) }
  }
  const top = 245 * sz

  const makeSection = (z: number): Section => {
    const level = z / sz
    const width = cavityWidth(level) * sx
    const depth = cavityDepth(level) * sy
    const center = cavityCenter(level) * sy
    const spineY = spineCurve(level) * sy
    const outerWidth = bodyWidth(level) * sx + 0.9 * (fat - 8)
    const outerDepth = bodyDepth(level) * sy + 0.7 * (fat - 8)
    const outerY = bodyCenter(level) * sy
    const half = septum(level) * sx
    const frontHalf = frontSeptum(level) * sx
    const near = coats.filter(({ capsule: c, coat }) => {
      const reach = Math.max(c.ra, c.rb) + coat + 14
      return Math.min(c.az, c.bz) - reach < z && Math.max(c.az, c.bz) + reach > z
    })
    const nearBalls = balls.filter((b) => Math.abs(z - b.center[2]) < greatest(b.radii) + 16)
    const body = (x: number, y: number): number =>
      superellipse(x, y - outerY, outerWidth, outerDepth) +
      2.5 * wobble(x / 60, y / 60, z / 80) -
      // The furrow over the spine.
      (y > outerY && Math.abs(x) < 48
        ? 6 * Math.exp(-((x / 16) ** 2)) * smoothStep(0, outerDepth, y - outerY)
        : 0)
    const cavity = (x: number, y: number): number => {
      const wall = superellipse(x, y - center, width, depth) + 2.2 * wobble(x / 38, y / 38, z / 50 + 5)
      const tipX = (Math.abs(x) / sx - 46) / 62
      const tipY = (y / sy - 16) / 62
      const q = tipX * tipX + tipY * tipY
      const roof = (top - 44 * sz * q - z) / Math.sqrt(1 + 2.02 * q)
      return smoothMin(wall, roof, 16)
    }
    const abdomen = (x: number, y: number): number => {
      const { height, slope } = dome(x, y)
      return (height - z) / Math.sqrt(1 + slope * slope)
    }
    const mediastinum = (x: number, y: number): number => {
      // Thin behind the sternum, wider in front of the spine.
      const share = smoothStep(center - depth, -5, y)
      let field = frontHalf + (half - frontHalf) * share - Math.abs(x - 3 * (1 - share))
      // The spine with its muscles and the heads of the ribs.
      field = smoothMax(field, ellipsoidPlane(x, y - (spineY + 15 * sy), 31 * sx, 33 * sy), 8)
      for (const { capsule, coat } of near) {
        const f = capsuleField(capsule, x, y, z) + coat
        if (f > -14) field = smoothMax(field, f, 8)
      }
      for (const b of nearBalls) {
        const f = ellipsoidField(b, x, y, z) + 3
        if (f > -14) field = smoothMax(field, f, 8)
      }
      return field
    }
    const lung = (x: number, y: number, c: number, below = abdomen(x, y)): number => {
      if (c < -12) return c
      if (below > 12) return -below
      return smoothMin(smoothMin(c - 1, -below, 5), -mediastinum(x, y), 5)
    }
    return {
      z,
      spineY,
      cavityWidth: width,
      cavityDepth: depth,
      cavityY: center,
      bodyWidth: outerWidth,
      bodyDepth: outerDepth,
      bodyY: outerY,
      body,
      cavity,
      abdomen,
      mediastinum,
      lung,
    }
  }
  const cache = new Map<number, Section>()
  const section = (z: number): Section => {
    const found = cache.get(z)
    if (found !== undefined) return found
    const made = makeSection(z)
    cache.set(z, made)
    return made
  }
  return {
    scale: [sx, sy, sz],
    top,
    blood: contrast ? 190 + 90 * random.uniform() : 42,
    parenchyma: {
      hu: -862 + 22 * clamp(random.normal(), -1.4, 1.8),
      gradient: 16 + 30 * random.uniform(),
    },
    fat,
    vessels,
    airways,
    chambers,
    heart,
    esophagus,
    texture,
    section,
    lung: (x, y, z) => {
      // Half a millimeter is finer than any use of single points (placing branches and nodules).
      const s = section(Math.round(z * 2) / 2)
      return s.lung(x, y, s.cavity(x, y))
    },
    spineY: (z) => spineCurve(z / sz) * sy,
  }
}

function ellipsoidPlane(x: number, y: number, a: number, b: number): number {
  const u = x / a
  const v = y / b
  const k0 = Math.sqrt(u * u + v * v)
  const k1 = Math.sqrt((u * u) / (a * a) + (v * v) / (b * b))
  return k1 < 1e-6 ? Math.min(a, b) : (k0 * (1 - k0)) / k1
}
