import type { EdgeBox } from '../geometry/box.js'
import { LABEL_HEIGHT, labelWidth } from './raster.js'

/** A box on a picture that has a label. */
export interface LabeledBox extends EdgeBox {
  text: string
  /** Labeled in any case, before the others, and not covered by their labels. */
  important: boolean
}

/** A label and the place of its upper left corner on the picture, pixels. */
export interface Label {
  /** Index of the box. */
  box: number
  text: string
  left: number
  top: number
}

/** Free pixels around a label, for its black edge. */
const GAP = 1

/**
 * Where the labels of boxes go, on a picture of width x height pixels: above its box or below it, where no label of an
 * earlier box and no important box lies. A box without such a place has none, since labels on top of each other say
 * nothing; important ones then take the place above.
 *
 * @param boxes in pixels of the picture, the strongest first
 * @returns the labels, the important ones first
 */
export function placeLabels(boxes: readonly LabeledBox[], width: number, height: number): Label[] {
  const all = boxes.map((box, index) => ({ box, index }))
  const important = all.filter(({ box }) => box.important)
  const taken: { at: EdgeBox; of: number }[] = important.map(({ box, index }) => ({ at: box, of: index }))
  const labels: Label[] = []
  for (const { box, index } of [...important, ...all.filter(({ box }) => !box.important)]) {
    const wide = labelWidth(box.text)
    const left = Math.min(Math.max(box.x1 - 2, 2), width - wide - 2)
    const places = [box.y1 - LABEL_HEIGHT - 4, box.y2 + 5]
      .filter((top) => top >= 2 && top + LABEL_HEIGHT <= height - 2)
      .map((top) => ({ x1: left - GAP, y1: top - GAP, x2: left + wide + GAP, y2: top + LABEL_HEIGHT + GAP }))
    // A box as high as the picture: inside of it.
    if (places.length === 0)
      places.push({ x1: left - GAP, y1: 1, x2: left + wide + GAP, y2: 3 + LABEL_HEIGHT })
    const free = places.find((place) => taken.every(({ at, of }) => of === index || !meet(at, place)))
    const place = free ?? (box.important ? places[0] : undefined)
    if (place === undefined) continue
    taken.push({ at: place, of: -1 })
    labels.push({ box: index, text: box.text, left, top: place.y1 + GAP })
  }
  return labels
}

function meet(a: EdgeBox, b: EdgeBox): boolean {
  return a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2
}
