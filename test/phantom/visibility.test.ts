import { describe, expect, it } from 'vitest'
import { createRandom } from '../../src/random.js'
import { makeAnatomy } from '../../src/phantom/anatomy.js'
import { capsuleField, ellipsoidField, normalize } from '../../src/phantom/fields.js'
import { noiseOfMeans } from '../../src/phantom/finish.js'
import { deviationOfMeans, noiseTile } from '../../src/phantom/noise.js'
import { placeNodules, type NoduleShape, type NoduleType } from '../../src/phantom/nodules.js'
import { boundsOf, type PixelMask } from '../../src/phantom/outline.js'
import { drawPathology, patchFade, patchField } from '../../src/phantom/pathology.js'
import { drawReaders, readScan } from '../../src/phantom/readers.js'
import { scanners } from '../../src/phantom/scanner.js'
import { makeWorkspace, type Scene } from '../../src/phantom/scene.js'
import { paintSlice } from '../../src/phantom/slice.js'
import { growTrees } from '../../src/phantom/tree.js'
import {
  commonEye,
  eyePixels,
  neededContrast,
  NoduleSights,
  type NoduleView,
} from '../../src/phantom/visibility.js'

const anatomy = makeAnatomy(createRandom(4), false)
const trees = growTrees(anatomy, createRandom(5), 200)
const zRange = [0, anatomy.top] as const

function nodules(
  seed: number,
  count: number,
  diameter: readonly [number, number],
  hard = false,
): NoduleShape[] {
  return placeNodules(anatomy, trees, createRandom(seed), { count, diameter, zRange, hard })
}

const [someNodule] = nodules(1, 1, [8, 8])

/** A view of a disk in a window of 31 x 31 pixels around its middle, its edge fading over two pixels. */
function disk(
  type: NoduleType,
  o: { radius: number; peak?: number; bulk: number; coreRadius?: number; core?: number },
): NoduleView {
  const side = 31
  const nodule = { ...someNodule!, type }
  const plane = (): Float32Array => new Float32Array(side * side)
  const view = { nodule, x: 40, y: 60, width: side, height: side, edge: 2 }
  const [cover, core, gain, bulk] = [plane(), plane(), plane(), plane()]
  for (let j = 0; j < side; j++)
    for (let i = 0; i < side; i++) {
      const at = j * side + i
      const away = Math.hypot(i - 15, j - 15)
      const share = (radius: number): number => Math.min(1, Math.max(0, (radius - away) / 2 + 0.5))
      cover[at] = (o.peak ?? 1) * share(o.radius)
      core[at] = (o.peak ?? 1) * share(o.coreRadius ?? -9)
      bulk[at] = o.bulk * cover[at]
      gain[at] = bulk[at] + (o.core ?? 0) * core[at]
    }
  return { ...view, cover, core, gain, bulk }
}

/** Sides of what the common eye outlines of slices shown one after the other, all of one nodule; 0: nothing. */
function sides(views: NoduleView[], needed: number, eye = commonEye): number[] {
  const sights = new NoduleSights()
  const nodule = views[0]!.nodule
  for (const [k, view] of views.entries()) sights.add(k, [{ ...view, nodule }], needed)
  const seen = sights.seen(nodule, eye)
  return views.map((_, k) => {
    const mask = seen.find((one) => one.k === k)?.mask
    if (mask === undefined) return 0
    const { x1, x2, y1, y2 } = boundsOf(mask)
    expect(y2 - y1).toBe(x2 - x1)
    return x2 - x1
  })
}

describe('what is seen of a nodule', () => {
  it('is all of it where its contrast is needed, at nearly half of which the border lies', () => {
    expect(sides([disk('solid', { radius: 6.2, bulk: 860 })], 90)).toEqual([13])
    expect(sides([disk('ground-glass', { radius: 6.2, bulk: 200 })], 90)).toEqual([13])
  })

  it('is nothing of glass below it', () => {
    expect(sides([disk('ground-glass', { radius: 6.2, bulk: 80 })], 90)).toEqual([0])
    const noisy = neededContrast(60)
    expect(sides([disk('ground-glass', { radius: 6.2, bulk: 200 })], noisy)).toEqual([0])
    expect(
      sides([disk('ground-glass', { radius: 6.2, bulk: 200 })], noisy, { ...commonEye, needs: 0.4 }),
    ).toEqual([13])
  })

  it('is the core of a part-solid nodule in glass that is not seen', () => {
    const parts = { radius: 8.2, coreRadius: 4.2, core: 700 }
    expect(sides([disk('part-solid', { ...parts, bulk: 60 })], 90)).toEqual([9])
    expect(sides([disk('part-solid', { ...parts, bulk: 180 })], 90)).toEqual([17])
    expect(sides([disk('part-solid', { ...parts, core: 20, bulk: 60 })], 90)).toEqual([0])
  })

  it('ends where faint glass ceases to be seen', () => {
    expect(sides([disk('ground-glass', { radius: 6.2, bulk: 100 })], 90)).toEqual([11])
  })

  it('leaves out slices that it hardly reaches into', () => {
    const views = [0.4, 0.6, 1, 0.3].map((peak) => disk('solid', { radius: 6.2, peak, bulk: 860 }))
    expect(sides(views, 90)).toEqual([0, 13, 13, 0])
    expect(sides(views, 90, { ...commonEye, end: 0.35 })).toEqual([13, 13, 13, 0])
    expect(sides(views, 90, { ...commonEye, end: 0.65 })).toEqual([0, 0, 13, 0])
    // An eye that draws it larger.
    const one = [disk('solid', { radius: 6.8, bulk: 860 })]
    expect(sides(one, 90)).toEqual([13])
    expect(sides(one, 90, { ...commonEye, grow: 0.5 })).toEqual([15])
  })

  it('needs the contrast that noise leaves, averaged over 2 mm', () => {
    expect([0.35, 0.7, 1, 2.8].map(eyePixels)).toEqual([5, 3, 3, 1])
    expect(neededContrast(10)).toBe(90)
    expect(neededContrast(30)).toBe(120)
    const tile = noiseTile(createRandom(1), 0.6)
    expect(deviationOfMeans(tile, 1, 1)).toBeCloseTo(1, 1)
    expect(deviationOfMeans(tile, 3, 3)).toBeLessThan(0.6)
    const scene = { ...makeScene([]), sigma: 40 }
    const noise = noiseOfMeans(scene, 3)
    expect(noise(100)).toBeLessThan(30)
    // At the shoulders it is stronger.
    expect(noise(240)).toBeGreaterThan(1.1 * noise(100))
  })
})

const tiles = [noiseTile(createRandom(9), 0.9), noiseTile(createRandom(10), 1.4)] as const

function makeScene(shapes: readonly NoduleShape[]): Scene {
  return {
    anatomy,
    trees,
    nodules: shapes,
    pathology: { emphysema: 0, patches: [], scars: [], plaques: [] },
    scanner: scanners[0]!,
    thickness: 1,
    noise: tiles,
    sigma: 20,
    radius: 200,
  }
}

describe('readers', () => {
  const grid = { x0: -180, y0: -170, pixel: 0.7, size: 512 }

  /** What is seen of nodules on the slices through their middles; k counts the nodules. */
  function look(shapes: readonly NoduleShape[]): NoduleSights {
    const work = makeWorkspace(grid.size, grid.pixel, grid.x0, grid.y0, 1.1)
    const scene = makeScene(shapes)
    const sights = new NoduleSights()
    for (const [k, shape] of shapes.entries())
      sights.add(k, paintSlice(scene, work, shape.center[2]), neededContrast(10))
    return sights
  }

  it('outline a bright solid nodule at its border, to about a pixel', () => {
    const shapes = nodules(3, 24, [8, 14]).filter(
      ({ type, attachment, spiculated }) => type === 'solid' && attachment === 'none' && !spiculated,
    )
    expect(shapes.length).toBeGreaterThan(2)
    const sights = look(shapes)
    const farthest = (shape: NoduleShape, mask: PixelMask): number => {
      let worst = 0
      for (let j = 0; j < mask.height; j++)
        for (let i = 0; i < mask.width; i++) {
          const x = grid.x0 + (mask.x + i) * grid.pixel - shape.center[0]
          const y = grid.y0 + (mask.y + j) * grid.pixel - shape.center[1]
          const depth = shape.field(x, y, 0) / grid.pixel
          worst = Math.max(worst, mask.pixels[j * mask.width + i] === 1 ? -depth : depth)
        }
      return worst
    }
    for (const [k, shape] of shapes.entries()) {
      const { mask } = sights.seen(shape, commonEye).find((one) => one.k === k)!
      expect(farthest(shape, mask), shape.id).toBeLessThan(0.5)
      const readers = drawReaders(createRandom(k), [shape], [], [], grid.pixel)
      for (const { eye } of readers.flatMap((reader) => reader.hands)) {
        const drawn = sights.seen(shape, eye).find((one) => one.k === k)!
        expect(farthest(shape, drawn.mask), shape.id).toBeLessThan(1.6)
      }
    }
  })

  it('write down nothing of a nodule that cannot be seen, but two at least one that can', () => {
    const [shape] = nodules(3, 1, [8, 9])
    const glass = (hu: number): NoduleShape => ({
      ...shape!,
      type: 'ground-glass',
      spicules: [],
      hu,
      margin: 1,
    })
    for (const [hu, least, most] of [
      [-850, 0, 0],
      [-600, 2, 4],
    ] as const) {
      const one = glass(hu)
      const sights = look([one])
      for (let seed = 0; seed < 20; seed++) {
        const readers = drawReaders(createRandom(seed), [one], [], [], grid.pixel)
        readScan(readers, sights, { ...grid, z0: one.center[2], spacing: 1, slices: 1 })
        const count = readers.filter((reader) => reader.marks.length > 0).length
        expect(count).toBeGreaterThanOrEqual(least)
        expect(count).toBeLessThanOrEqual(most)
      }
    }
  })
})

describe('findings', () => {
  it('keep clear of nodules', () => {
    const random = createRandom(2)
    let patches = 0
    let others = 0
    for (let seed = 0; seed < 60; seed++) {
      const shapes = nodules(seed, 8, [4, 20], true)
      const found = drawPathology(anatomy, createRandom(1000 + seed), true, zRange, shapes)
      patches += found.patches.length
      others += found.scars.length + found.plaques.length
      for (const { center, reach, id } of shapes) {
        const points = Array.from({ length: 60 }, () => {
          const way = normalize([random.normal(), random.normal(), random.normal()])
          const far = reach * Math.cbrt(random.uniform())
          return [center[0] + way[0] * far, center[1] + way[1] * far, center[2] + way[2] * far] as const
        })
        const deepest = points.flatMap((at) => [
          ...found.patches.map((patch) => patchField(anatomy, patch, ...at) + patchFade),
          ...found.scars.map((scar) => capsuleField(scar, ...at)),
          ...found.plaques.map((plaque) => ellipsoidField(plaque, ...at)),
        ])
        expect(Math.max(-1, ...deepest), `seed ${seed}, ${id}`).toBeLessThan(0)
      }
    }
    expect(patches).toBeGreaterThan(20)
    expect(others).toBeGreaterThan(100)
  })
})
