import type { NoduleShape } from './nodules.js'
import { largestPart, type PixelMask } from './outline.js'
import { clamp } from './fields.js'
import { greatest } from '../lists.js'

/** What a nodule adds to one slice before the noise, in a window of pixels at column x and row y, [height, width]. */
export interface NoduleView {
  nodule: NoduleShape
  x: number
  y: number
  width: number
  height: number
  /** Share of a pixel's volume, through the slice's thickness and the scanner's blur, that the nodule fills. */
  cover: Float32Array
  /** The same of its solid core alone; 0 but for part-solid ones. */
  core: Float32Array
  /** HU with the nodule minus HU without it, where it makes the pixel brighter; else 0. */
  gain: Float32Array
  /** That without core and lime: what the glass of a part-solid nodule adds. */
  bulk: Float32Array
  /** Width in mm over which the nodule's margin fades. */
  edge: number
}

/** What a part of a nodule shows on one slice, where it has half of its peak or more. */
interface Contrast {
  /** Most, and mean, HU that it adds to a pixel. */
  peak: number
  mean: number
  /** HU that it adds where it fills a pixel. */
  full: number
}

/** The nodule as a whole, and the solid core of a part-solid one. */
type Part = 'whole' | 'core'
const planes = { whole: 'cover', core: 'core' } as const

interface Sight {
  k: number
  view: NoduleView
  whole: Contrast
  core: Contrast
  /** HU that a common eye needs. */
  needed: number
}

/** How one pair of eyes looks and draws. */
export interface Eye {
  /** Times the contrast that a common eye needs. */
  needs: number
  /** Least contrast, of the greatest on any slice, that it takes for a slice of the nodule and not for its blur. */
  end: number
  /** How much farther out (mm) it draws the border than at the common level, and where (pixels). */
  grow: number
  dx: number
  dy: number
}

/**
 * The eye of the truth: in the middle of the readers. Where it ends a nodule and draws its border is what four readers of
 * LIDC-IDRI do on the median (benchmarks/quality/readers.ts).
 */
export const commonEye: Eye = { needs: 1, end: 0.45, grow: 0, dx: 0, dy: 0 }
/** Share of the slice's greatest contrast at which a common eye draws the border. */
const borderLevel = 0.43

/** Least contrast in HU that is seen without noise: 6 % of a lung window 1500 HU wide, among the lung's own texture. */
const leastContrast = 90
/** Least contrast, in deviations of the noise that is left when an eye averages over a few pixels (Rose: 3 to 5). */
const leastRatio = 4
/** Side of the area that an eye averages over, mm. */
const eyeMm = 2

/** Side of the area that an eye averages over in whole pixels, an odd number. */
export function eyePixels(pixel: number): number {
  return 1 + 2 * Math.round((eyeMm / pixel - 1) / 2)
}

/** The contrast in HU that a common eye needs; `noise`: the deviation of the means over its area. */
export function neededContrast(noise: number): number {
  return Math.max(leastContrast, leastRatio * noise)
}

/** What the slices of a scan show of its nodules; filled slice by slice. */
export class NoduleSights {
  readonly #sights = new Map<NoduleShape, Sight[]>()

  /**
   * Takes what the nodules add to slice k.
   *
   * @param needed HU, see neededContrast
   */
  add(k: number, views: readonly NoduleView[], needed: number): void {
    for (const view of views) {
      const whole = contrastOf(view, 'whole')
      if (whole === undefined) continue
      const core = contrastOf(view, 'core') ?? { peak: 0, mean: 0, full: 0 }
      const sights = this.#sights.get(view.nodule) ?? []
      this.#sights.set(view.nodule, [...sights, { k, view, whole, core, needed }])
    }
  }

  /**
   * What an eye outlines of a nodule, slice by slice: all of it where its bulk (the glass around a core) has the needed
   * contrast, else the core where that has it, else nothing. Borders lie at nearly half of the part's contrast on the
   * slice, or where a faint part ceases to be seen. A slice that the part hardly reaches into, compared with its best
   * one, is left out.
   */
  seen(nodule: NoduleShape, eye: Eye): { k: number; mask: PixelMask }[] {
    const sights = this.#sights.get(nodule) ?? []
    const least = (part: Part): number => eye.end * greatest(sights.map((sight) => sight[part].peak))
    const ends = { whole: least('whole'), core: least('core') }
    return sights.flatMap((sight) => {
      const { k, view, needed } = sight
      const part = (['whole', 'core'] as const).find(
        (one) => sight[one].mean >= needed * eye.needs && sight[one].peak >= ends[one],
      )
      const mask = part && outlineOf(view, part, eye, (needed * eye.needs) / sight[part].full)
      return mask === undefined ? [] : [{ k, mask }]
    })
  }
}

/** Measures what a slice shows of a part; undefined where it shows nothing. */
function contrastOf(view: NoduleView, part: Part): Contrast | undefined {
  const mask = outlineOf(view, part, commonEye, 0, 0.5)
  if (mask === undefined) return undefined
  const shares = view[planes[part]]
  const added = part === 'whole' ? view.bulk : view.gain
  let [sum, filled, count, peak] = [0, 0, 0, 0]
  for (let j = 0; j < view.height; j++)
    for (let i = 0; i < view.width; i++) {
      if (mask.pixels[(view.y + j - mask.y) * mask.width + view.x + i - mask.x] !== 1) continue
      const at = j * view.width + i
      sum += added[at]!
      filled += shares[at]!
      peak = Math.max(peak, added[at]!)
      count++
    }
  return { peak, mean: sum / count, full: sum / filled }
}

/**
 * The largest part of the nodule, or of its core, above the border's share of its peak on the slice, as an eye moves and
 * grows it.
 *
 * @param shown share of a pixel from which on the part is seen
 */
function outlineOf(
  view: NoduleView,
  part: Part,
  eye: Eye,
  shown: number,
  border = borderLevel,
): PixelMask | undefined {
  const { width, height } = view
  const values = view[planes[part]]
  const peak = greatest(values, 0)
  if (peak <= 0) return undefined
  const level = peak * clamp(Math.max(border, shown / peak) - eye.grow / view.edge, 0.25, 0.8)
  const at = (i: number, j: number): number =>
    i < 0 || j < 0 || i >= width || j >= height ? 0 : values[j * width + i]!
  // Room for what the eye moves beyond the window.
  const rim = 1 + Math.ceil(Math.max(Math.abs(eye.dx), Math.abs(eye.dy)))
  const wide = width + 2 * rim
  const pixels = new Uint8Array(wide * (height + 2 * rim))
  for (let j = -rim; j < height + rim; j++)
    for (let i = -rim; i < width + rim; i++) {
      const x = Math.floor(i - eye.dx)
      const y = Math.floor(j - eye.dy)
      const tx = i - eye.dx - x
      const ty = j - eye.dy - y
      const above = at(x, y) * (1 - tx) + at(x + 1, y) * tx
      const below = at(x, y + 1) * (1 - tx) + at(x + 1, y + 1) * tx
      if (above * (1 - ty) + below * ty >= level) pixels[(j + rim) * wide + i + rim] = 1
    }
  return largestPart({ x: view.x - rim, y: view.y - rim, width: wide, height: height + 2 * rim, pixels })
}
