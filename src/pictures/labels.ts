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

/** Rows of labels that an important label may be away from its box, where all is taken beside it. */
const ROWS = 4

/**
 * Where the labels of boxes go, on a picture of width x height pixels: above its box, below it or beside it, where no label
 * of an earlier box and no important box lies. A box without such a place has none, since labels on top of each other say
 * nothing; important ones go some rows up or down then, and above their box if all of that is taken too.
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
    const places = placesOf(box, width, height)
    const free = places.find((place) => taken.every(({ at, of }) => of === index || !meet(at, place)))
    const place = free ?? (box.important ? places[0] : undefined)
    if (place === undefined) continue
    taken.push({ at: place, of: -1 })
    labels.push({ box: index, text: box.text, left: place.x1 + GAP, top: place.y1 + GAP })
  }
  return labels
}

/** The places of a label on the picture, the best first; inside of a box that is as high as the picture. */
function placesOf(box: LabeledBox, width: number, height: number): EdgeBox[] {
  const wide = labelWidth(box.text)
  const within = (left: number): number => Math.min(Math.max(left, 2), width - wide - 2)
  const left = within(box.x1 - 2)
  const [above, below] = [box.y1 - LABEL_HEIGHT - 4, box.y2 + 5]
  const level = Math.round((box.y1 + box.y2 - LABEL_HEIGHT) / 2)
  const beside = [box.x2 + 5, box.x1 - wide - 5].filter((x) => within(x) === x)
  const places = [
    { left, top: above },
    { left, top: below },
    ...beside.map((x) => ({ left: x, top: level })),
    ...(box.important ? rowsAway(above, below).map((top) => ({ left, top })) : []),
  ].filter(({ top }) => top >= 2 && top + LABEL_HEIGHT <= height - 2)
  return (places.length > 0 ? places : [{ left, top: 2 }]).map(({ left: x, top: y }) => ({
    ...{ x1: x - GAP, y1: y - GAP, x2: x + wide + GAP, y2: y + LABEL_HEIGHT + GAP },
  }))
}

/** Tops of labels in rows above and below, the nearest first. */
function rowsAway(above: number, below: number): number[] {
  const row = LABEL_HEIGHT + 2 * GAP
  return Array.from({ length: ROWS }, (_, n) => [above - (n + 1) * row, below + (n + 1) * row]).flat()
}

function meet(a: EdgeBox, b: EdgeBox): boolean {
  return a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2
}
