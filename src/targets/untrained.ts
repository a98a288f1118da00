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
  for (const image of images) {
    if (image.rects.length === 0) continue
    counted.boxes += image.rects.length
    /** Of the boxes of this image that some view shows: in how many cells they had a place, and in how many none. */
    const found = new Map<EdgeBox, { held: number; crowded: number }>()
    const boxes = inCanvas(image, hypes)
    const small = boxes.filter(({ x1, y1, x2, y2 }) => Math.max(x2 - x1, y2 - y1) < hypes.biggest_box_px)
    counted.big += boxes.length - small.length
    for (const view of viewsOf(image, small, hypes)) {
      for (const { box } of view) if (!found.has(box)) found.set(box, { held: 0, crowded: 0 })
      const shown = view.map((one) => one.shown)
      for (const near of boxesOfCells(shown, hypes).values())
        for (const [slot, { index }] of near.entries())
          found.get(view[index]!.box)![slot < hypes.rnn_len ? 'held' : 'crowded']++
    }
    for (const { held, crowded } of found.values()) {
      if (held > 0) continue
      if (crowded > 0) counted.crowded++
      else counted.far++
    }
  }
  return counted
}

/** The boxes of an image in pixels of the frame, or with data.mm_per_pixel of the canvas, which is the image. */
function inCanvas({ width, height, rects }: BoxedImage, hypes: Hypes): EdgeBox[] {
  const isTiled = hypes.data.mm_per_pixel > 0
  const [x, y] = isTiled ? [1, 1] : [hypes.image_width / width, hypes.image_height / height]
  return rects.map(({ x1, y1, x2, y2 }) => ({ x1: x1 * x, y1: y1 * y, x2: x2 * x, y2: y2 * y }))
}

/** The frames that show an image, each with the boxes of the canvas that it shows. */
function viewsOf(
  image: BoxedImage,
  boxes: readonly EdgeBox[],
  hypes: Hypes,
): { box: EdgeBox; shown: EdgeBox }[][] {
  const { image_width: width, image_height: height, data } = hypes
  if (data.mm_per_pixel === 0) return [boxes.map((box) => ({ box, shown: box }))]
  // More cannot be shared, and training does not ask for it.
  const most = (Math.min(width, height) - 1) * data.mm_per_pixel
  const tiled = { ...hypes, data: { ...data, tile_overlap_mm: Math.min(data.tile_overlap_mm, most) } }
  return tilesOf(imageCanvas(image), tiled).map(({ area }) => {
    const center = { centerX: (area.x1 + area.x2) / 2, centerY: (area.y1 + area.y2) / 2 }
    const crop = { ...AS_IT_IS, ...center }
    return boxes.flatMap((box) => {
      const [shown] = cropBoxes([box], crop, width, height).boxes
      return shown === undefined ? [] : [{ box, shown }]
    })
  })
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
