import { paintBones, paintTable } from './bones.js'
import { forEachInside, paintField } from './canvas.js'
import { clamp, smoothMin } from './fields.js'
import { paintAirways, paintFindings, paintLungs, paintNodules } from './lung_parts.js'
import { muscleField, paintGas, sectionOrgans } from './organs.js'
import { emphysemaAt, horizontalFissure, obliqueFissure, patchField } from './pathology.js'
import { blend, meanCover, type Scene, type Workspace } from './scene.js'
import type { NoduleView } from './visibility.js'

const fatHu = -102
const muscleHu = 56

/**
 * Paints the slice at height z: HU into `work.canvas.hu`, the lungs' field into `work.lung`; noise comes later.
 *
 * @returns what the nodules add to it
 */
export function paintSlice(scene: Scene, work: Workspace, z: number): NoduleView[] {
  const { canvas } = work
  const { anatomy, pathology } = scene
  const { blood } = anatomy
  const section = anatomy.section(z)
  canvas.hu.fill(-1000)
  work.lung.fill(-99)
  work.inside.fill(0)
  const { body, muscle, cavity, abdomen, lung, heart, vessels, bowel, texture } = work.fields
  const { emphysema, oblique, horizontal, patch } = work.fields
  const others = Object.values(work.fields).filter((field) => field !== body)
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
      for (const field of others) field.values[n] = -99
      if (b < -8) continue
      const grain = anatomy.texture(x / 5, y / 5, z / 7)
      texture.values[n] = grain
      const c = section.cavity(x, y)
      cavity.values[n] = c
      muscle.values[n] = muscleField(section, anatomy, x, y, c, b, grain)
      if (c < -10) continue
      const a = section.abdomen(x, y)
      abdomen.values[n] = Math.min(c - 2, a)
      const depth = section.lung(x, y, c, a)
      lung.values[n] = depth
      heart.values[n] = smoothMin(organs.heart(x, y), -a - 1, 3)
      vessels.values[n] = organs.blood(x, y)
      bowel.values[n] = a > -4 ? organs.solid(x, y, Math.min(c - 5, a - 3)) : -99
      if (depth < -4) continue
      oblique.values[n] = obliqueFissure(anatomy, x, y, z)
      if (x < 0 && oblique.values[n]! < 3) horizontal.values[n] = horizontalFissure(anatomy, x, y, z)
      if (pathology.emphysema > 0) emphysema.values[n] = emphysemaAt(anatomy, pathology.emphysema, x, y, z)
      for (const one of pathology.patches)
        patch.values[n] = Math.max(patch.values[n]!, patchField(anatomy, one, x, y, z))
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
  paintLungs(scene, work, z)
  paintAirways(scene, work, z)
  paintFindings(scene, work, z)
  return paintNodules(scene, work, z)
}
