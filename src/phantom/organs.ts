import type { Anatomy, Section } from './anatomy.js'
import { forEachInside, type Canvas, type CoarseField } from './canvas.js'
import { capsuleField, clamp, ellipsoid, ellipsoidField, smoothMax, smoothMin, smoothStep } from './fields.js'
import { greatest } from '../lists.js'

/** Muscle lies on the rib cage in layers, thicker along the spine, below the shoulder blades and under the arms. */
export function muscleField(
  section: Section,
  anatomy: Anatomy,
  x: number,
  y: number,
  cavity: number,
  body: number,
  grain: number,
): number {
  const level = section.z / anatomy.scale[2]
  const [sx, sy] = anatomy.scale
  const shoulder = smoothStep(120, 190, level)
  let layer = 13 + 5 * (1 - smoothStep(20, 90, level))
  layer += 24 * Math.exp(-((x / (46 * sx)) ** 2)) * smoothStep(20, 60, y)
  layer +=
    15 * shoulder * Math.exp(-(((Math.abs(x) - 62 * sx) / (36 * sx)) ** 2)) * smoothStep(-10, -45, y / sy)
  layer += 30 * shoulder * smoothStep(45, 90, Math.abs(x) / sx) * smoothStep(-35, 25, y / sy)
  layer += 14 * smoothStep(200, 235, level)
  const striped = Math.max(0, Math.abs(grain) - 0.75) * 2.2
  return Math.min(layer + cavity, body - 0.55 * anatomy.fat - 2, 30) - striped - 1.2 * Math.max(0, grain)
}

export interface SectionOrgans {
  heart: (x: number, y: number) => number
  blood: (x: number, y: number) => number
  /** Liver, spleen, stomach wall and kidneys, within `room`. */
  solid: (x: number, y: number, room: number) => number
  gas: ((x: number, y: number) => number) | undefined
}

export function sectionOrgans(anatomy: Anatomy, z: number): SectionOrgans {
  const [sx, sy, sz] = anatomy.scale
  const near = anatomy.vessels.filter((c) => {
    const reach = Math.max(c.ra, c.rb) + 3
    return Math.min(c.az, c.bz) - reach < z && Math.max(c.az, c.bz) + reach > z
  })
  const balls = anatomy.chambers.filter((b) => Math.abs(z - b.center[2]) < greatest(b.radii) + 3)
  const liver = ellipsoid([-50 * sx, -14 * sy, 20 * sz], [104 * sx, 92 * sy, 92 * sz])
  const spleen = ellipsoid([88 * sx, 40 * sy, 32 * sz], [26 * sx, 42 * sy, 44 * sz])
  const stomach = ellipsoid([56 * sx, -24 * sy, 34 * sz], [46 * sx, 44 * sy, 40 * sz], [0.8, -0.5, 0.3])
  const bubble = ellipsoid([52 * sx, -44 * sy, 44 * sz], [30 * sx, 19 * sy, 20 * sz])
  const kidneys = [-56, 58].map((x, n) =>
    ellipsoid([x * sx, 46 * sy, (n === 0 ? -28 : -16) * sz], [26 * sx, 22 * sy, 50 * sz]),
  )
  const solids = [liver, spleen, stomach, ...kidneys].filter(
    (b) => Math.abs(z - b.center[2]) < greatest(b.radii) + 3,
  )
  const gasNear = Math.abs(z - bubble.center[2]) < bubble.radii[2] + 2
  return {
    heart: (x, y) => ellipsoidField(anatomy.heart, x, y, z),
    blood: (x, y) => {
      let field = -99
      for (const c of near) field = smoothMax(field, capsuleField(c, x, y, z), 3)
      for (const b of balls) field = Math.max(field, ellipsoidField(b, x, y, z))
      return field
    },
    solid: (x, y, room) => {
      let field = -99
      for (const b of solids) field = Math.max(field, ellipsoidField(b, x, y, z))
      return smoothMin(field, room, 3)
    },
    gas: gasNear ? (x, y) => ellipsoidField(bubble, x, y, z) : undefined,
  }
}

export function paintGas(canvas: Canvas, abdomen: CoarseField, gas: (x: number, y: number) => number): void {
  forEachInside(canvas.size, abdomen, 5, (index, depth, row, column) => {
    const field = Math.min(gas(canvas.x0 + column * canvas.pixel, canvas.y0 + row * canvas.pixel), depth - 5)
    const cover = clamp(field / canvas.edge + 0.5, 0, 1)
    canvas.hu[index]! += (-950 - canvas.hu[index]!) * cover
  })
}
