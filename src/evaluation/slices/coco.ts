import { iou } from '../../geometry/box.js'
import { isOnExcluded } from './match.js'
import type { EdgeBox, ScoredBox } from '../../geometry/box.js'
import type { ImagePair } from './pairs.js'

export interface CocoAp {
  /** Mean AP over the thresholds .50, .55, ... .95: COCO's AP. */
  from50to95: number | null
  /** Mean AP over .10, .15, ... .50, which suits small boxes. */
  from10to50: number | null
  byIou: { iou: number; ap: number | null }[]
}

/** NumPy's linspace, rounded as it rounds: pycocotools' 35th recall is 0.35000000000000003, its IoU of 0.9 a bit less. */
const linspace = (start: number, stop: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) =>
    i === count - 1 ? stop : start + i * ((stop - start) / (count - 1)),
  )
/** At which the precision is read. */
const RECALLS = linspace(0, 1, 101)
/** COCO's thresholds, and those below. */
const IOUS = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, ...linspace(0.5, 0.95, 10)]
/** Detections per image that count. */
const MAX_DETECTIONS = 100

/**
 * COCO's average precision: per image the detections take, from the most confident down, the free true box of the
 * highest IoU at or above the threshold; the precision, made monotone, is read at 101 recalls. Null without true
 * boxes. Source: pycocotools' COCOeval (area "all", 100 detections per image).
 */
export function cocoAveragePrecision(images: readonly ImagePair[]): CocoAp {
  const prepared = images.map(({ truth, detections, excluded }) => {
    const sorted = [...detections].sort((a, b) => b.score - a.score).slice(0, MAX_DETECTIONS)
    return { truth, excluded, sorted, overlaps: sorted.map((box) => truth.map((other) => iou(box, other))) }
  })
  const truths = images.reduce((sum, image) => sum + image.truth.length, 0)
  const byIou = IOUS.map((minIou) => ({
    iou: Number(minIou.toFixed(2)),
    ap: truths === 0 ? null : averageAt(prepared, minIou, truths),
  }))
  const mean = (low: number, high: number): number | null => {
    const part = byIou.filter((item) => item.iou >= low - 1e-9 && item.iou <= high + 1e-9)
    return truths === 0 ? null : part.reduce((sum, item) => sum + item.ap!, 0) / part.length
  }
  return { from50to95: mean(0.5, 0.95), from10to50: mean(0.1, 0.5), byIou }
}

interface Prepared {
  truth: readonly EdgeBox[]
  excluded: readonly EdgeBox[] | undefined
  sorted: readonly ScoredBox[]
  /** [detection][true box] */
  overlaps: readonly (readonly number[])[]
}

function averageAt(images: readonly Prepared[], minIou: number, truths: number): number {
  const all = images.flatMap(({ truth, excluded, sorted, overlaps }) => {
    const taken = truth.map(() => false)
    return sorted.flatMap((box, d) => {
      let best = -1
      let least = Math.min(minIou, 1 - 1e-10)
      for (const [t, overlap] of overlaps[d]!.entries()) {
        if (taken[t] === true || overlap < least) continue
        least = overlap
        best = t
      }
      if (best >= 0) taken[best] = true
      if (best < 0 && isOnExcluded(box, excluded, minIou)) return []
      return [{ score: box.score, hit: best >= 0 }]
    })
  })
  all.sort((a, b) => b.score - a.score)
  const recall: number[] = []
  const precision: number[] = []
  let tp = 0
  for (const [index, { hit }] of all.entries()) {
    if (hit) tp++
    recall.push(tp / truths)
    precision.push(tp / (index + 1 + Number.EPSILON))
  }
  for (let i = precision.length - 1; i > 0; i--)
    if (precision[i]! > precision[i - 1]!) precision[i - 1] = precision[i]!
  let sum = 0
  let at = 0
  for (const least of RECALLS) {
    while (at < recall.length && recall[at]! < least) at++
    if (at < recall.length) sum += precision[at]!
  }
  return sum / RECALLS.length
}
