import type { Hypes } from '../config/hypes.js'
import { cropBoxes } from '../dataset/crops.js'
import { imageCanvas, tilesOf } from '../dataset/index.js'
import type { EdgeBox } from '../geometry/box.js'
import { agree, count } from '../words.js'
import { boxesOfCells } from './cells.js'

/** An image with its true boxes, image pixels. */
interface BoxedImage {
  width: number
  height: number
  rects: readonly EdgeBox[]
}

/** Boxes that are in the targets of no cell, by the reason. */
export interface Untrained {
  /** All boxes, trained ones too. */
  boxes: number
  /** As wide or high as biggest_box_px, or more. */
  big: number
  /** The center is beyond focus_size of every cell that they touch. */
  far: number
  /** The cells near them hold rnn_len boxes that are nearer. */
  crowded: number
}

/**
 * Counts the boxes that train nothing where frames are shown as they are: whole ones, or with data.mm_per_pixel the tiles
 * in which detection sees them. (Jitter and crops may move some into a cell, and others out.) Reads no pixels.
 */
export function countUntrained(images: Iterable<BoxedImage>, hypes: Hypes): Untrained {
  const counted: Untrained = { boxes: 0, big: 0, far: 0, crowded: 0 }
  const areasOf = tilesBySize(hypes)
  for (const image of images) {
    if (image.rects.length === 0) continue
    counted.boxes += image.rects.length
    const boxes = inCanvas(image, hypes)
    const small = boxes.filter(({ x1, y1, x2, y2 }) => Math.max(x2 - x1, y2 - y1) < hypes.biggest_box_px)
    counted.big += boxes.length - small.length
    /** What became of the boxes that some view shows. */
    const found = new Map<EdgeBox, 'held' | 'crowded' | 'far'>()
    for (const area of areasOf(image)) {
      const view = area === undefined ? small.map((box) => ({ box, shown: box })) : shownIn(area, small)
      if (view.every(({ box }) => found.get(box) === 'held')) continue
      for (const { box } of view) if (!found.has(box)) found.set(box, 'far')
      const shown = view.map((one) => one.shown)
      for (const near of boxesOfCells(shown, hypes).values())
        for (const [slot, { index }] of near.entries()) {
          const { box } = view[index]!
          if (slot < hypes.rnn_len) found.set(box, 'held')
          else if (found.get(box) === 'far') found.set(box, 'crowded')
        }
    }
    for (const fate of found.values()) if (fate !== 'held') counted[fate]++
  }
  return counted
}

/** The boxes of an image in pixels of the frame, or with data.mm_per_pixel of the canvas, which is the image. */
function inCanvas({ width, height, rects }: BoxedImage, hypes: Hypes): EdgeBox[] {
  const isTiled = hypes.data.mm_per_pixel > 0
  const [x, y] = isTiled ? [1, 1] : [hypes.image_width / width, hypes.image_height / height]
  return rects.map(({ x1, y1, x2, y2 }) => ({ x1: x1 * x, y1: y1 * y, x2: x2 * x, y2: y2 * y }))
}

/** Where the tiles of an image lie, or one undefined: the whole of it. */
function tilesBySize(hypes: Hypes): (image: BoxedImage) => readonly (EdgeBox | undefined)[] {
  const { image_width: width, image_height: height, data } = hypes
  if (data.mm_per_pixel === 0) return () => [undefined]
  // More cannot be shared, and training does not ask for it.
  const most = (Math.min(width, height) - 1) * data.mm_per_pixel
  const tiled = { ...hypes, data: { ...data, tile_overlap_mm: Math.min(data.tile_overlap_mm, most) } }
  const known = new Map<string, EdgeBox[]>()
  return (image) => {
    const size = `${image.width} ${image.height}`
    const areas = known.get(size) ?? tilesOf(imageCanvas(image), tiled).map(({ area }) => area)
    known.set(size, areas)
    return areas
  }
}

/** The boxes of a canvas that a tile shows, as a crop of that place has them. */
function shownIn(area: EdgeBox, boxes: readonly EdgeBox[]): { box: EdgeBox; shown: EdgeBox }[] {
  const shown: { box: EdgeBox; shown: EdgeBox }[] = []
  for (const box of boxes) {
    // Most lie elsewhere.
    const x = (box.x1 + box.x2) / 2
    const y = (box.y1 + box.y2) / 2
    if (x < area.x1 || x >= area.x2 || y < area.y1 || y >= area.y2) continue
    const crop = { ...AS_IT_IS, centerX: (area.x1 + area.x2) / 2, centerY: (area.y1 + area.y2) / 2 }
    const [seen] = cropBoxes([box], crop, area.x2 - area.x1, area.y2 - area.y1).boxes
    if (seen !== undefined) shown.push({ box, shown: seen })
  }
  return shown
}

const AS_IT_IS = {
  ...{ angle: 0, scale: 1, contrast: 1, shift: 0, noise: 0 },
  ...{ mirrorX: false, mirrorY: false, mirrorZ: false },
}

/** Tells of the boxes of a list that train nothing, in one line. */
export function tellUntrained(
  path: string,
  images: Iterable<BoxedImage>,
  hypes: Hypes,
  onWarning: ((warning: string) => void) | undefined,
): void {
  if (onWarning === undefined) return
  const { boxes, big, far, crowded } = countUntrained(images, hypes)
  const lost = big + far + crowded
  if (lost === 0) return
  const reasons: [number, string][] = [
    [crowded, `beyond rnn_len (${hypes.rnn_len}) in ${agree(crowded, 'its cell', 'their cells')}`],
    [far, `beyond focus_size (${hypes.focus_size}) of every cell`],
    [big, `of biggest_box_px (${hypes.biggest_box_px}) or more`],
  ]
  const told = reasons.flatMap(([number, what]) => (number === 0 ? [] : [`${number} ${what}`]))
  onWarning(
    `${path}: ${lost} of ${count(boxes, 'box')} ${agree(lost, 'trains', 'train')} nothing where frames are shown as they are: ${told.join(', ')}`,
  )
}
