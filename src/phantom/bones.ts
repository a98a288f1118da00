import type { Anatomy, Section } from './anatomy.js'
import { forEachInside, paintShape, type Canvas, type CoarseField } from './canvas.js'
import { clamp, smoothStep } from './fields.js'

/** Distance of the ribs, and of the vertebrae, along z at scale 1, mm. */
const pitch = 24.5

/** Bone has a dense shell around spongy bone. */
function boneHu(shell: number, dense: number, spongy: number): (depth: number) => number {
  return (depth) =>
    depth < shell ? dense : spongy + (dense - spongy) * clamp(1 - (depth - shell) / 1.2, 0, 1)
}

/** Spine, ribs, sternum, collar bones, shoulder blades and heads of the upper arms. */
export function paintBones(canvas: Canvas, anatomy: Anatomy, section: Section, cavity: CoarseField): void {
  paintRibs(canvas, anatomy, section, cavity)
  paintSpine(canvas, anatomy, section)
  paintFront(canvas, anatomy, section)
  paintShoulders(canvas, anatomy, section)
}

/** Distance along z from the middle of the nearest vertebra, in [-pitch/2, pitch/2]. */
function vertebraPhase(anatomy: Anatomy, z: number): number {
  const step = pitch * anatomy.scale[2]
  const t = z / step
  return (t - Math.round(t)) * step
}

/**
 * Ribs run around the rib cage and down to the front: at the angle phi from the spine a rib lies `drop(phi)` below its
 * vertebra. The nearest rib at a place of the wall follows from that, so that no rib is drawn one by one.
 */
function paintRibs(canvas: Canvas, anatomy: Anatomy, section: Section, cavity: CoarseField): void {
  const [sx, , sz] = anatomy.scale
  const { z, cavityY } = section
  const half = 6.4 * sz
  const { edge } = canvas
  forEachInside(canvas.size, cavity, -13, (index, value, row, column) => {
    if (value > 0.5) return
    const x = canvas.x0 + column * canvas.pixel
    const y = canvas.y0 + row * canvas.pixel
    const phi = Math.atan2(Math.abs(x) / sx, y - cavityY) / Math.PI
    if (phi < 0.12) return
    const drop = (112 * smoothStep(0.02, 0.88, phi) - 30 * smoothStep(0.82, 1, phi)) * sz
    const step = pitch * sz
    const t = (z + drop - 3) / step
    // Twelve pairs; the lowest two are short.
    const number = Math.round(t)
    if (number > 10 || number < -1 || (number < 1 && phi > 0.5 + 0.1 * number)) return
    const along = (t - number) * step
    const thick = phi > 0.82 ? 4.2 : 3.4
    const radial = value + 5.6
    const k = Math.hypot(along / half, radial / thick)
    const depth = (1 - k) * thick
    const cover = clamp(depth / edge + 0.5, 0, 1)
    if (cover <= 0) return
    // The front ends are cartilage.
    const hu = phi > 0.84 ? 105 : depth < 1.2 ? 760 : 270
    canvas.hu[index] = canvas.hu[index]! + (hu - canvas.hu[index]!) * cover
  })
}

function paintSpine(canvas: Canvas, anatomy: Anatomy, section: Section): void {
  const [sx, sy, sz] = anatomy.scale
  const { z, spineY } = section
  const phase = vertebraPhase(anatomy, z) / sz
  const size = (1.12 - 0.28 * smoothStep(0, 240, z / sz)) * sx
  const disc = Math.abs(phase) > 9.6
  const waist = 1 - 0.09 * Math.cos((phase / 9.6) * (Math.PI / 2))
  const a = 20 * size * waist
  const b = 15.5 * size * waist
  const backY = spineY + 12 * sy
  const canalY = spineY + 20 * sy
  const box = { x1: -60 * sx, x2: 60 * sx, y1: spineY - 25 * sy, y2: spineY + 75 * sy }
  // Transverse processes and laminae stand at the upper half of a vertebra; joints of the ribs beside them.
  const arch = smoothStep(-11, -7, phase) * (1 - smoothStep(6, 10, phase))
  if (arch > 0.05) {
    const wing = boneHu(1.1, 620, 230)
    const dips = (34 - 6 * Math.abs(phase - 2)) * sx
    if (dips > 12)
      paintShape(
        canvas,
        box,
        (x, y) => {
          const t = clamp((Math.abs(x) - 10 * sx) / dips, 0, 1)
          return (
            5.2 * arch - 1.2 * t - Math.hypot(Math.abs(x) - (10 * sx + t * dips), y - (canalY + 2 + 9 * t))
          )
        },
        wing,
      )
    paintShape(
      canvas,
      box,
      (x, y) => {
        const ring =
          2.6 * arch + 0.4 - Math.abs(Math.hypot(x / 1.2, (y - canalY) * (y > canalY ? 0.92 : 1)) - 10.6 * sx)
        return Math.min(ring, y - spineY - 8)
      },
      boneHu(1, 700, 350),
    )
  }
  // The spinous process slopes down: it is seen over most of the height, further back the lower it is.
  const lower = smoothStep(11, -9, phase)
  const from = canalY + 10 * sy
  const tip = from + (5 + 13 * lower) * sy
  paintShape(
    canvas,
    box,
    (x, y) => {
      const t = clamp((y - from) / (tip - from), 0, 1)
      return (2.2 + 1.2 * t) * (0.65 + 0.35 * lower) - Math.hypot(x, y - (from + t * (tip - from)))
    },
    boneHu(1, 600, 280),
  )
  paintShape(
    canvas,
    box,
    (x, y) => {
      const k = Math.hypot(x / a, (y - spineY) / b)
      return Math.min((1 - k) * b, backY - y)
    },
    disc ? 85 : Math.abs(phase) > 7.8 ? 520 : boneHu(1.1, 480, 165),
  )
  paintShape(canvas, box, (x, y) => 8 * sx - Math.hypot(x / 1.15, y - canalY), 28)
}

function paintFront(canvas: Canvas, anatomy: Anatomy, section: Section): void {
  const [sx, sy, sz] = anatomy.scale
  const level = section.z / sz
  const front = section.cavityY - section.cavityDepth
  if (level > 92 && level < 213) {
    const manubrium = smoothStep(168, 196, level)
    const wide = (15 + 12 * manubrium - 5 * (1 - smoothStep(92, 112, level))) * sx
    const deep = 5.4
    const y0 = front - 8.5
    paintShape(
      canvas,
      { x1: -wide - 3, x2: wide + 3, y1: y0 - 10, y2: y0 + 10 },
      (x, y) => {
        const k = (Math.abs(x / wide) ** 3 + Math.abs((y - y0 - 0.004 * x * x) / deep) ** 3) ** (1 / 3)
        return (1 - k) * deep
      },
      boneHu(0.9, 520, 140),
    )
  }
  // The collar bones rise from the manubrium outwards and back.
  if (level > 203 && level < 240) {
    for (const side of [-1, 1]) {
      const t = clamp((level - 203) / 34, 0, 1)
      const x0 = side * (26 + 92 * t) * sx
      const y0 = front - 9 + (-4 + 42 * t * t) * sy
      paintShape(
        canvas,
        { x1: x0 - 34, x2: x0 + 34, y1: y0 - 22, y2: y0 + 22 },
        (x, y) => {
          const along = clamp(((x - x0) * side * 0.9 + (y - y0) * 0.42) / 20, -1, 1)
          return 6 - Math.hypot(x - x0 - along * 18 * side, y - y0 - along * 8.5)
        },
        boneHu(1.8, 850, 240),
      )
    }
  }
}

function paintShoulders(canvas: Canvas, anatomy: Anatomy, section: Section): void {
  const [sx, sy, sz] = anatomy.scale
  const level = section.z / sz
  for (const side of [-1, 1]) {
    if (level > 118 && level < 232) {
      // A thin blade, slanting outwards to the front; its foot is narrow and its upper edge carries the spine.
      const open = smoothStep(118, 150, level)
      const xa = side * (122 - 44 * open) * sx
      const ya = section.cavityY + (66 + 22 * open) * sy
      const xb = side * (134 + 14 * smoothStep(150, 220, level)) * sx
      const yb = section.cavityY + (52 - 34 * smoothStep(130, 215, level)) * sy
      const thick = 2.1 + 3 * smoothStep(205, 225, level)
      const shape = (x: number, y: number): number => {
        const px = x - xa
        const py = y - ya
        const wx = xb - xa
        const wy = yb - ya
        const t = clamp((px * wx + py * wy) / (wx * wx + wy * wy), 0, 1)
        const bow = 5 * Math.sin(Math.PI * t)
        const girth = thick + 2.6 * smoothStep(0.78, 1, t) + 1.2 * smoothStep(0.12, 0, t)
        return girth - Math.hypot(px - t * wx, py - t * wy - bow)
      }
      paintShape(
        canvas,
        {
          x1: Math.min(xa, xb) - 12,
          x2: Math.max(xa, xb) + 12,
          y1: Math.min(ya, yb) - 14,
          y2: Math.max(ya, yb) + 14,
        },
        shape,
        boneHu(1.3, 720, 260),
      )
    }
    if (level > 206 && level < 262) {
      const r = 23 * Math.sqrt(Math.max(0, 1 - ((level - 234) / 28) ** 2)) * sx
      const x0 = side * 158 * sx
      const y0 = section.cavityY - 4 * sy
      paintShape(
        canvas,
        { x1: x0 - 26, x2: x0 + 26, y1: y0 - 26, y2: y0 + 26 },
        (x, y) => r - Math.hypot(x - x0, y - y0),
        boneHu(1.8, 780, 210),
      )
    }
  }
}

/** The table: two thin curved shells with foam between them and the patient's back. */
export function paintTable(canvas: Canvas, anatomy: Anatomy, section: Section): void {
  // The patient lies at the same height all along: where the chest is deepest.
  const back = 128 * anatomy.scale[1] + 0.7 * (anatomy.fat - 8)
  const box = { x1: -225, x2: 225, y1: back - 45, y2: back + 60 }
  const sag = (x: number): number => back + 4 - x * x * 0.00085
  paintShape(canvas, box, (x, y) => Math.min(5 - Math.abs(y - sag(x) - 4), 205 - Math.abs(x)), -955)
  paintShape(canvas, box, (x, y) => Math.min(0.7 - Math.abs(y - sag(x) - 10), 205 - Math.abs(x)), -250)
  const deck = (x: number): number => back + 34 - x * x * 0.00055
  paintShape(
    canvas,
    box,
    (x, y) => Math.min(1.5 - Math.abs(y - deck(x)), 212 - Math.abs(x)),
    section.z > -1e9 ? 60 : 0,
  )
}
