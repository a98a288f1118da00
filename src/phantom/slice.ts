import type { Anatomy, Section } from './anatomy.js'
import { paintBones, paintTable } from './bones.js'
import {
  coarseField,
  coverTubes,
  forEachInside,
  paintField,
  type Canvas,
  type CoarseField,
} from './canvas.js'
import { capsuleField, clamp, ellipsoid, ellipsoidField, smoothMax, smoothMin, smoothStep } from './fields.js'
import { noduleHu, type NoduleShape } from './nodules.js'
import { tileSize } from './noise.js'
import type { LungTrees } from './tree.js'

/** Everything that is in one patient's scan. */
export interface Scene {
  anatomy: Anatomy
  trees: LungTrees
  nodules: readonly NoduleShape[]
  /** Slice thickness, mm. */
  thickness: number
  noise: readonly [Float32Array, Float32Array]
  /** Standard deviation of the noise in the body, HU. */
  sigma: number
  /** Radius of the reconstructed circle, mm; the padding lies outside. */
  radius: number
}

/** Memory of one slice, used again for the next. */
export interface Workspace {
  canvas: Canvas
  /** Lungs' field at each pixel, -99 where it was not evaluated. */
  lung: Float32Array
  cover: [Float32Array, Float32Array, Float32Array]
  /** Rows [low, high) of `cover` that are not 0. */
  used: { low: number; high: number }
  inside: Float32Array
  fields: CoarseField[]
}

export function makeWorkspace(size: number, pixel: number, x0: number, y0: number): Workspace {
  const step = Math.max(1, Math.min(8, Math.round(2.4 / pixel)))
  const plane = (): Float32Array => new Float32Array(size * size)
  return {
    canvas: { size, pixel, x0, y0, hu: plane(), edge: Math.max(1.1, 1.05 * pixel) },
    lung: plane(),
    cover: [plane(), plane(), plane()],
    used: { low: 0, high: 0 },
    inside: plane(),
    fields: Array.from({ length: 9 }, () => coarseField(size, step)),
  }
}

const fatHu = -102
const muscleHu = 56

/** Paints the slice at height z: HU into `work.canvas.hu`, the lungs' field into `work.lung`; noise comes later. */
export function paintSlice(scene: Scene, work: Workspace, z: number): void {
  const { canvas } = work
  const { anatomy } = scene
  const { blood } = anatomy
  const section = anatomy.section(z)
  canvas.hu.fill(-1000)
  work.lung.fill(-99)
  work.inside.fill(0)
  const [body, muscle, cavity, abdomen, lung, heart, vessels, bowel, texture] = work.fields as [
    CoarseField,
    CoarseField,
    CoarseField,
    CoarseField,
    CoarseField,
    CoarseField,
    CoarseField,
    CoarseField,
    CoarseField,
  ]
  const contrast = blood > 100
  const organs = sectionOrgans(anatomy, z)
  const { step, side } = body
  for (let gy = 0; gy < side; gy++) {
    for (let gx = 0; gx < side; gx++) {
      const x = canvas.x0 + gx * step * canvas.pixel
      const y = canvas.y0 + gy * step * canvas.pixel
      const n = gy * side + gx
      const b = section.body(x, y)
      body.values[n] = b
      for (const field of work.fields.slice(1)) field.values[n] = -99
      if (b < -8) continue
      const grain = anatomy.texture(x / 5, y / 5, z / 7)
      texture.values[n] = grain
      const c = section.cavity(x, y)
      cavity.values[n] = c
      muscle.values[n] = muscleField(section, anatomy, x, y, c, b, grain)
      if (c < -10) continue
      const a = section.abdomen(x, y)
      abdomen.values[n] = Math.min(c - 2, a)
      lung.values[n] = section.lung(x, y, c, a)
      heart.values[n] = smoothMin(organs.heart(x, y), -a - 1, 3)
      vessels.values[n] = organs.blood(x, y)
      bowel.values[n] = a > -4 ? organs.solid(x, y, Math.min(c - 5, a - 3)) : -99
    }
  }
  paintTable(canvas, anatomy, section)
  forEachInside(canvas.size, body, -2, (index, value) => {
    work.inside[index] = clamp(value / 20, 0, 1)
  })
  paintField(canvas, body, (depth) => (depth < 1.6 ? 10 : fatHu))
  // Fat is not even: strands of tissue.
  forEachInside(canvas.size, texture, -90, (index, grain) => {
    if (canvas.hu[index]! < -60 && canvas.hu[index]! > -140) canvas.hu[index]! += 7 * grain
  })
  paintField(canvas, muscle, (depth) => muscleHu - (depth < 1 ? 12 : 0))
  paintField(canvas, cavity, fatHu + 12)
  paintField(canvas, abdomen, (depth) => (depth < 3 ? muscleHu : fatHu))
  paintField(canvas, bowel, contrast ? 105 : 58)
  if (organs.gas !== undefined) paintGas(canvas, abdomen, organs.gas)
  paintBones(canvas, anatomy, section, cavity)
  paintField(canvas, heart, contrast ? 105 : 46)
  paintField(canvas, vessels, blood)
  blend(canvas.hu, meanCover(work, anatomy.esophagus, [z]), 38)
  paintLungs(scene, work, lung, texture, z)
  paintAirways(scene, work, z)
  paintNodules(scene, work, z)
}

/** Muscle lies on the rib cage in layers, thicker along the spine, below the shoulder blades and under the arms. */
function muscleField(
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

interface SectionOrgans {
  heart: (x: number, y: number) => number
  blood: (x: number, y: number) => number
  /** Liver, spleen, stomach wall and kidneys, within `room`. */
  solid: (x: number, y: number, room: number) => number
  gas: ((x: number, y: number) => number) | undefined
}

function sectionOrgans(anatomy: Anatomy, z: number): SectionOrgans {
  const [sx, sy, sz] = anatomy.scale
  const near = anatomy.vessels.filter((c) => {
    const reach = Math.max(c.ra, c.rb) + 3
    return Math.min(c.az, c.bz) - reach < z && Math.max(c.az, c.bz) + reach > z
  })
  const balls = anatomy.chambers.filter((b) => Math.abs(z - b.center[2]) < Math.max(...b.radii) + 3)
  const liver = ellipsoid([-50 * sx, -14 * sy, 20 * sz], [104 * sx, 92 * sy, 92 * sz])
  const spleen = ellipsoid([88 * sx, 40 * sy, 32 * sz], [26 * sx, 42 * sy, 44 * sz])
  const stomach = ellipsoid([56 * sx, -24 * sy, 34 * sz], [46 * sx, 44 * sy, 40 * sz], [0.8, -0.5, 0.3])
  const bubble = ellipsoid([52 * sx, -44 * sy, 44 * sz], [30 * sx, 19 * sy, 20 * sz])
  const kidneys = [-56, 58].map((x, n) =>
    ellipsoid([x * sx, 46 * sy, (n === 0 ? -28 : -16) * sz], [26 * sx, 22 * sy, 50 * sz]),
  )
  const solids = [liver, spleen, stomach, ...kidneys].filter(
    (b) => Math.abs(z - b.center[2]) < Math.max(...b.radii) + 3,
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

function paintGas(canvas: Canvas, abdomen: CoarseField, gas: (x: number, y: number) => number): void {
  forEachInside(canvas.size, abdomen, 5, (index, depth, row, column) => {
    const field = Math.min(gas(canvas.x0 + column * canvas.pixel, canvas.y0 + row * canvas.pixel), depth - 5)
    const cover = clamp(field / canvas.edge + 0.5, 0, 1)
    canvas.hu[index]! += (-950 - canvas.hu[index]!) * cover
  })
}

/** Heights at which thin things are sampled within the thickness of the slice. */
function subSlices(thickness: number, z: number): number[] {
  if (thickness < 1) return [z]
  return [z - thickness / 3, z, z + thickness / 3]
}

/** Rows [low, high) of the slice that something was painted into, and the share of each pixel that it covers. */
interface Cover {
  share: Float32Array
  low: number
  high: number
}

/** Mean over sub-slices of the cover by tubes. What it returns is valid until the next call. */
function meanCover(
  work: Workspace,
  capsules: Parameters<typeof coverTubes>[1],
  heights: readonly number[],
  grow = 0,
): Cover {
  const { canvas, cover, used } = work
  const { size } = canvas
  for (const plane of cover) plane.fill(0, used.low * size, used.high * size)
  used.low = size
  used.high = 0
  for (const [n, height] of heights.entries()) {
    const rows = coverTubes(canvas, capsules, height, cover[n]!, grow)
    used.low = Math.min(used.low, rows.low)
    used.high = Math.max(used.high, rows.high)
  }
  const [share, second, third] = cover
  if (heights.length === 3)
    for (let p = used.low * size; p < used.high * size; p++)
      share[p] = (share[p]! + second[p]! + third[p]!) / 3
  return { share, low: used.low * size, high: used.high * size }
}

function blend(hu: Float32Array, { share, low, high }: Cover, value: number): void {
  for (let p = low; p < high; p++) if (share[p]! > 0) hu[p] = hu[p]! + (value - hu[p]!) * share[p]!
}

/** Parenchyma (denser where gravity presses it), then the vessels inside it. */
function paintLungs(
  scene: Scene,
  work: Workspace,
  field: CoarseField,
  texture: CoarseField,
  z: number,
): void {
  const { canvas, lung } = work
  const { anatomy, trees, thickness } = scene
  const { size, pixel, y0, edge } = canvas
  let any = false
  const depthOf = anatomy.section(z).cavityDepth
  forEachInside(size, field, -6, (index, value, row) => {
    lung[index] = value
    any = true
    if (value <= -edge / 2) return
    const y = (y0 + row * pixel) / depthOf
    const color = -868 + 26 * y + 10 * smoothStep(60, 0, z)
    canvas.hu[index] = canvas.hu[index]! + (color - canvas.hu[index]!) * Math.min(1, value / edge + 0.5)
  })
  if (!any) return
  forEachInside(size, texture, -90, (index, grain) => {
    if (lung[index]! > 1) canvas.hu[index]! += 9 * grain
  })
  const cover = meanCover(work, trees.vessels, subSlices(thickness, z))
  const { hu } = canvas
  const blood = Math.max(35, anatomy.blood * 0.85)
  const { share } = cover
  for (let p = cover.low; p < cover.high; p++)
    if (share[p]! > 0 && lung[p]! > -edge) hu[p] = hu[p]! + (blood - hu[p]!) * share[p]!
}

/** Walls and lumen of the trachea and the bronchi, outside and inside of the lungs. */
function paintAirways(scene: Scene, work: Workspace, z: number): void {
  const { anatomy, trees, thickness } = scene
  const { canvas } = work
  const heights = subSlices(thickness, z)
  const wide = trees.airways.filter((c) => c.ra > 1)
  blend(canvas.hu, meanCover(work, anatomy.airways, heights, 1.6), 20)
  // Thin walls: a share of soft tissue only, where partial volume has its way.
  const walls = meanCover(work, wide, heights, 0.75)
  for (let p = walls.low; p < walls.high; p++)
    if (walls.share[p]! > 0) canvas.hu[p] = Math.max(canvas.hu[p]!, -860 + 620 * walls.share[p]!)
  blend(canvas.hu, meanCover(work, anatomy.airways, heights), -990)
  blend(canvas.hu, meanCover(work, wide, heights, -0.1), -960)
}

function paintNodules(scene: Scene, work: Workspace, z: number): void {
  const { canvas, lung } = work
  const { size, pixel, x0, y0 } = canvas
  const heights = subSlices(scene.thickness, z)
  for (const nodule of scene.nodules) {
    const [cx, cy, cz] = nodule.center
    const tall = nodule.reach * (nodule.spiculated ? 2.4 : 1) + scene.thickness
    if (Math.abs(z - cz) > tall) continue
    if (nodule.spicules.length > 0) {
      const { share, low, high } = meanCover(work, nodule.spicules, heights)
      for (let p = low; p < high; p++)
        if (share[p]! > 0 && lung[p]! > 0) canvas.hu[p]! += (0 - canvas.hu[p]!) * 0.9 * share[p]!
    }
    const edge = canvas.edge + nodule.margin
    const reach = nodule.reach + edge
    const i1 = Math.max(0, Math.floor((cx - reach - x0) / pixel))
    const i2 = Math.min(size - 1, Math.ceil((cx + reach - x0) / pixel))
    const j1 = Math.max(0, Math.floor((cy - reach - y0) / pixel))
    const j2 = Math.min(size - 1, Math.ceil((cy + reach - y0) / pixel))
    for (let j = j1; j <= j2; j++)
      for (let i = i1; i <= i2; i++) {
        const p = j * size + i
        const room = clamp((lung[p]! + 2) / canvas.edge + 0.5, 0, 1)
        if (room <= 0) continue
        const dx = x0 + i * pixel - cx
        const dy = y0 + j * pixel - cy
        let cover = 0
        let deepest = -99
        for (const height of heights) {
          const depth = nodule.field(dx, dy, height - cz)
          cover += clamp(depth / edge + 0.5, 0, 1)
          if (depth > deepest) deepest = depth
        }
        cover = (cover / heights.length) * room
        if (cover <= 0) continue
        const value = noduleHu(nodule, scene.anatomy.texture, deepest, dx, dy, z - cz)
        // Ground glass veils what lies in it; it never makes a vessel darker.
        const mixed = canvas.hu[p]! + (value - canvas.hu[p]!) * cover
        canvas.hu[p] = nodule.type === 'solid' ? mixed : Math.max(mixed, canvas.hu[p]!)
      }
  }
}

/**
 * Adds noise and writes stored-as-HU whole numbers, clipped as scanners do at -1024 and 3071. Noise is weaker in air
 * around the patient; at the shoulders it is stronger and drawn out sideways.
 *
 * @param shifts three whole numbers that choose the part of the noise tiles
 */
export function finishSlice(
  scene: Scene,
  work: Workspace,
  z: number,
  shifts: readonly [number, number, number],
  out: Int16Array,
): void {
  const { size, pixel, x0, y0, hu } = work.canvas
  const [fine, other] = scene.noise
  const mask = tileSize - 1
  const level = z / scene.anatomy.scale[2]
  const streak = 1.1 * smoothStep(195, 240, level)
  const limit = scene.radius * scene.radius
  const centerX = x0 + ((size - 1) / 2) * pixel
  const centerY = y0 + ((size - 1) / 2) * pixel
  for (let j = 0; j < size; j++) {
    const rowA = ((j + shifts[0]) & mask) * tileSize
    const rowB = ((size - j + shifts[1]) & mask) * tileSize
    const rowC = ((j + shifts[2]) & mask) * tileSize
    const dy = y0 + j * pixel - centerY
    for (let i = 0; i < size; i++) {
      const p = j * size + i
      const dx = x0 + i * pixel - centerX
      if (dx * dx + dy * dy > limit) {
        out[p] = -1000
        continue
      }
      const inside = work.inside[p]!
      let noise = 0.8 * fine[rowA + ((i + shifts[1]) & mask)]! + 0.6 * other[rowB + ((i + shifts[2]) & mask)]!
      if (streak > 0) noise += streak * inside * other[rowC + (((i >> 3) + shifts[0]) & mask)]!
      const value = Math.round(hu[p]! + scene.sigma * (0.4 + 0.6 * inside) * noise)
      out[p] = value < -1024 ? -1024 : value > 3071 ? 3071 : value
    }
  }
}
