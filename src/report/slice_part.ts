import type { FrameList } from '../dataset/list.js'
import { evaluatePairs, pairImages, sliceDetails } from '../evaluation/index.js'
import type { SliceDetails, SliceEvaluation, SliceOptions } from '../evaluation/index.js'
import { describeError } from '../errors.js'
import { framePicture } from './pictures.js'
import type { EdgeBox } from '../geometry/box.js'
import type { PageImage } from './page.js'
import type { Picture } from './pictures.js'
import { count } from '../words.js'
import { greatest } from '../lists.js'

export interface SlicePart {
  evaluation: SliceEvaluation & SliceDetails
  images: PageImage[]
  warnings: string[]
}

/**
 * The slice-level part of a report: figures of two lists, and the pictures of at most `maxPictures` images; those
 * with true boxes first, then those with the most confident detections. Pictures are appended to `pictures`.
 */
export async function slicePart(
  truth: FrameList,
  predictions: FrameList,
  pictures: Picture[],
  options: SliceOptions & { maxPictures: number; bootstraps?: number | undefined; seed?: number | undefined },
): Promise<SlicePart> {
  const pairs = pairImages(truth.entries, predictions.entries, {
    ...options,
    truthDir: truth.dir,
    predictionsDir: predictions.dir,
    truthName: truth.path,
    predictionsName: predictions.path,
  })
  const figures = evaluatePairs(pairs.images, options, pairs.warnings)
  const evaluation = { ...figures, ...sliceDetails(truth, pairs.images, figures, options) }
  const best = (at: number): number =>
    greatest(
      pairs.images[at]!.detections.map((box) => box.score),
      -1,
    )
  const order = [...pairs.images.keys()].sort(
    (a, b) =>
      Number(pairs.images[b]!.truth.length > 0) - Number(pairs.images[a]!.truth.length > 0) ||
      best(b) - best(a) ||
      a - b,
  )
  const shown = new Set(
    order.slice(0, options.maxPictures).filter((at) => best(at) >= 0 || pairs.images[at]!.truth.length > 0),
  )
  const warnings = [...truth.warnings, ...predictions.warnings, ...pairs.warnings]
  const unreadable: string[] = []
  const images: PageImage[] = []
  for (const [at, image] of pairs.images.entries()) {
    const edges = (box: EdgeBox): [number, number, number, number] => [
      brief(box.x1),
      brief(box.y1),
      brief(box.x2),
      brief(box.y2),
    ]
    const source = truth.entries[image.index]!.nodule
    const page: PageImage = {
      name:
        source === undefined ? image.image.split(/[\\/]/).at(-1)! : `${source.patientId}, slice ${source.k}`,
      truth: image.truth.map(edges),
      detections: image.detections.map((box) => [...edges(box), box.score]),
      ...(image.excluded === undefined ? {} : { excluded: image.excluded.map(edges) }),
    }
    if (shown.has(at)) {
      const entry = truth.entries[image.index]!
      try {
        const picture = await framePicture(truth, entry)
        page.picture = pictures.length
        pictures.push(picture)
      } catch (error) {
        unreadable.push(describeError(error))
      }
    }
    images.push(page)
  }
  if (unreadable.length > 0)
    warnings.push(`${count(unreadable.length, 'picture')} cannot be shown, first: ${unreadable[0]!}`)
  const candidates = pairs.images.filter((image) => image.truth.length + image.detections.length > 0).length
  if (candidates > shown.size)
    warnings.push(
      `the page shows ${shown.size} of ${count(candidates, 'slice')} with boxes; the figures count all`,
    )
  return { evaluation, images, warnings }
}

/** Enough digits that the page counts as the evaluation does, without float32's tail. */
function brief(value: number): number {
  return Number(value.toPrecision(12))
}
