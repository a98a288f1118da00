import { forEachInside, type CoarseField } from './canvas.js'
import { clamp, ellipsoidField, smoothStep } from './fields.js'
import { coreShare, noduleHu } from './nodules.js'
import { acini, patchFade } from './pathology.js'
import { blend, meanCover, subSlices, type Scene, type Workspace } from './scene.js'
import type { NoduleView } from './visibility.js'
import { greatest } from '../lists.js'

/** Parenchyma (denser where gravity presses it), emphysema, fissures, consolidation, then the vessels. */
export function paintLungs(scene: Scene, work: Workspace, z: number): void {
  const { canvas, lung, fields } = work
  const { parenchyma } = scene.anatomy
  const { anatomy, trees, thickness, pathology } = scene
  const { size, pixel, y0, edge, hu } = canvas
  let any = false
  const depthOf = anatomy.section(z).cavityDepth
  forEachInside(size, fields.lung, -6, (index, value, row) => {
    lung[index] = value
    any = true
    if (value <= -edge / 2) return
    const y = (y0 + row * pixel) / depthOf
    const color = parenchyma.hu + parenchyma.gradient * y + 10 * smoothStep(60, 0, z)
    hu[index] = hu[index]! + (color - hu[index]!) * Math.min(1, value / edge + 0.5)
  })
  if (!any) return
  forEachInside(size, fields.texture, -90, (index, grain) => {
    if (lung[index]! > 1) hu[index]! += 14 * grain
  })
  if (pathology.emphysema > 0)
    forEachInside(size, fields.emphysema, 0, (index, share) => {
      if (lung[index]! > 2) hu[index]! += (-975 - hu[index]!) * 0.85 * Math.min(1, share)
    })
  paintFissure(work, fields.oblique, thickness, 0.6)
  paintFissure(work, fields.horizontal, thickness, 0.97)
  if (pathology.patches.length > 0) {
    const { hu: dense } = pathology.patches[0]!
    forEachInside(size, fields.patch, -patchFade, (index, depth, row, column) => {
      const room = clamp(lung[index]! / edge + 0.5, 0, 1)
      // Air is left in some of its acini.
      const grain = acini(anatomy, canvas.x0 + column * pixel, y0 + row * pixel, z, 5)
      const share = clamp((depth + patchFade) / 15, 0, 1) * clamp(0.9 + 0.3 * grain, 0.4, 1)
      hu[index]! += (dense - hu[index]!) * share * room
    })
  }
  const { share, low, high } = meanCover(work, trees.vessels, subSlices(thickness, z))
  const blood = Math.max(35, anatomy.blood * 0.85)
  for (let p = low; p < high; p++)
    if (share[p]! > 0 && lung[p]! > -edge) hu[p] = Math.max(hu[p]!, hu[p]! + (blood - hu[p]!) * share[p]!)
}

/** A fissure is half a millimeter of tissue: a faint line, or a veil where it lies flat in a thick slice. */
function paintFissure(work: Workspace, field: CoarseField, thickness: number, steep: number): void {
  const { canvas, lung } = work
  const width = Math.sqrt((0.5 * canvas.edge) ** 2 + (0.3 * thickness * steep) ** 2)
  const height = Math.min(330, (0.42 * 870) / (width * Math.sqrt(2 * Math.PI)))
  const reach = 3 * width
  forEachInside(canvas.size, field, -reach, (index, distance) => {
    if (distance > reach || lung[index]! < 1) return
    canvas.hu[index]! += height * Math.exp(-0.5 * (distance / width) ** 2)
  })
}

/** Scars and thickenings of the pleura. */
export function paintFindings(scene: Scene, work: Workspace, z: number): void {
  const { canvas, lung } = work
  const { pathology, thickness } = scene
  const { size, pixel, x0, y0, edge, hu } = canvas
  if (pathology.scars.length > 0) {
    const { share, low, high } = meanCover(work, pathology.scars, subSlices(thickness, z))
    for (let p = low; p < high; p++)
      if (share[p]! > 0 && lung[p]! > 0) hu[p] = Math.max(hu[p]!, hu[p]! + (10 - hu[p]!) * share[p]!)
  }
  for (const plaque of pathology.plaques) {
    const reach = greatest(plaque.radii) + edge
    const [cx, cy, cz] = plaque.center
    if (Math.abs(z - cz) > reach) continue
    for (
      let j = Math.max(0, Math.floor((cy - reach - y0) / pixel));
      j < Math.min(size, (cy + reach - y0) / pixel);
      j++
    )
      for (
        let i = Math.max(0, Math.floor((cx - reach - x0) / pixel));
        i < Math.min(size, (cx + reach - x0) / pixel);
        i++
      ) {
        const p = j * size + i
        if (lung[p]! < -1) continue
        const depth = ellipsoidField(plaque, x0 + i * pixel, y0 + j * pixel, z)
        const cover = clamp(depth / edge + 0.5, 0, 1)
        if (cover > 0) hu[p]! += (45 - hu[p]!) * cover
      }
  }
}

/**
 * Walls and lumen of the airways: trachea and wide bronchi wherever they run, narrow ones in the lungs only, since a
 * branch of the tree may cross the heart or the chest wall on its way.
 */
export function paintAirways(scene: Scene, work: Workspace, z: number): void {
  const { anatomy, trees, thickness } = scene
  const { canvas, lung } = work
  const { hu } = canvas
  const heights = subSlices(thickness, z)
  const main = [...anatomy.airways, ...trees.airways.filter((c) => c.ra > 2.8)]
  blend(hu, meanCover(work, anatomy.airways, heights, 1.6), 20)
  // Thin walls: a share of soft tissue only, where partial volume has its way.
  const tubes = trees.airways.filter((c) => c.ra > 1)
  const walls = meanCover(work, tubes, heights, 0.75)
  for (let p = walls.low; p < walls.high; p++)
    if (walls.share[p]! > 0 && lung[p]! > 0) hu[p] = Math.max(hu[p]!, -860 + 620 * walls.share[p]!)
  const lumen = meanCover(work, tubes, heights, -0.1)
  for (let p = lumen.low; p < lumen.high; p++)
    if (lumen.share[p]! > 0 && lung[p]! > 0) hu[p]! += (-960 - hu[p]!) * lumen.share[p]!
  blend(hu, meanCover(work, main, heights), -990)
}

/** Paints the nodules, and tells what each adds to the slice. */
export function paintNodules(scene: Scene, work: Workspace, z: number): NoduleView[] {
  const { canvas, lung } = work
  const { size, pixel, x0, y0, hu } = canvas
  const heights = subSlices(scene.thickness, z)
  const views: NoduleView[] = []
  for (const nodule of scene.nodules) {
    const [cx, cy, cz] = nodule.center
    const tall = nodule.reach * (nodule.spiculated ? 2.4 : 1) + scene.thickness
    if (Math.abs(z - cz) > tall) continue
    const edge = canvas.edge + nodule.margin
    const reach = nodule.reach + edge
    const i1 = Math.max(0, Math.floor((cx - reach - x0) / pixel))
    const i2 = Math.min(size - 1, Math.ceil((cx + reach - x0) / pixel))
    const j1 = Math.max(0, Math.floor((cy - reach - y0) / pixel))
    const j2 = Math.min(size - 1, Math.ceil((cy + reach - y0) / pixel))
    const [width, height] = [Math.max(0, i2 - i1 + 1), Math.max(0, j2 - j1 + 1)]
    const before = new Float32Array(width * height)
    for (let j = 0; j < height; j++)
      before.set(hu.subarray((j1 + j) * size + i1, (j1 + j) * size + i2 + 1), j * width)
    if (nodule.spicules.length > 0) {
      const { share, low, high } = meanCover(work, nodule.spicules, heights)
      for (let p = low; p < high; p++)
        if (share[p]! > 0 && lung[p]! > 0) hu[p]! += (0 - hu[p]!) * 0.9 * share[p]!
    }
    const covers = new Float32Array(width * height)
    const core = new Float32Array(width * height)
    const bulk = new Float32Array(width * height)
    const gain = new Float32Array(width * height)
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
        const mixed = hu[p]! + (value - hu[p]!) * cover
        hu[p] = nodule.type === 'solid' ? mixed : Math.max(mixed, hu[p]!)
        // In the chest wall it does not show.
        if (nodule.attachment === 'pleura' && lung[p]! < 0) continue
        const at = (j - j1) * width + i - i1
        covers[at] = cover
        core[at] = cover * coreShare(nodule, deepest)
        bulk[at] = Math.max(0, nodule.hu - before[at]!) * cover
        gain[at] = Math.max(0, hu[p]! - before[at]!)
      }
    views.push({ nodule, x: i1, y: j1, width, height, edge, cover: covers, core, bulk, gain })
  }
  return views
}
