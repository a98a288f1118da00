import { isAbsolute, resolve } from 'node:path'
import { NoduleError } from '../../errors.js'
import { checkNumber, invalidParameter } from '../../check.js'
import type { NoduleMeasures } from '../../dataset/index.js'
import { rectIndex } from '../../dataset/list.js'
import type { EdgeBox, ScoredBox } from '../../geometry/box.js'
import { dropOverlapping } from '../../inference/stitch.js'
import { agree, count } from '../../words.js'

/** What slice-level evaluation reads of a TensorBox list entry. */
export interface EvaluatedEntry {
  image_path: string
  rects: readonly (EdgeBox & { score?: number | undefined })[]
  /** In lists that nodule wrote: findings that do not meet the criteria of a true box, and what each rect measures. */
  nodule?:
    | { excluded?: readonly EdgeBox[] | undefined; measures?: readonly NoduleMeasures[] | undefined }
    | undefined
}

/** The true boxes and the detections of one image, image pixels. */
export interface ImagePair {
  /** The image's path as the truth list writes it. */
  image: string
  /** Index of the image in the truth list. */
  index: number
  truth: EdgeBox[]
  /** What the nodule of each true box measures, where the list says it. */
  measures?: (NoduleMeasures | undefined)[]
  detections: ScoredBox[]
  /** Findings that count neither way: a detection on one that is no hit is no false positive either. */
  excluded?: EdgeBox[]
}

export interface PairOptions {
  /** Detections below this score are dropped before anything is counted. */
  minScore?: number | undefined
  /**
   * Of detections on one image that share at least this part of the smaller one, only the most confident counts, as
   * `nodule detect` stitches; for lists of raw boxes. Default: all count, as they are listed.
   */
  tau?: number | undefined
  /**
   * What to do when the two lists do not name the same images. 'error': refuse. 'miss': an image without
   * predictions counts as one on which nothing was found. 'skip': such an image and its true boxes are left out,
   * as TensorBox does. Predictions on images that the truth does not name can be judged by neither and are left
   * out, with a warning.
   */
  mismatch?: 'error' | 'miss' | 'skip' | undefined
  /**
   * Take the findings that do not meet the criteria (too few readers, too small), which lists of nodule name, out of
   * the count. Off by default: TensorBox counts detections on them as false positives.
   */
  ignoreExcluded?: boolean | undefined
  /** Folder that relative paths of the truth list start from. */
  truthDir?: string | undefined
  /** Folder that relative paths of the prediction list start from. */
  predictionsDir?: string | undefined
  /** Names of the lists, for messages. */
  truthName?: string | undefined
  predictionsName?: string | undefined
}

export interface Pairs {
  images: ImagePair[]
  /** What was left out or looks wrong, one line each with counts. */
  warnings: string[]
}

/**
 * Brings a truth list and a prediction list together by image. Paths match when they name the same file, or, as in
 * TensorBox, when one is the tail of the other in whole path segments; a tail that fits two images is an error.
 * Boxes turned inside out are turned back and boxes without an area dropped, as TensorBox does, with a warning.
 *
 * Throws NoduleError (FORMAT) for an empty truth list, an image listed twice, a missing or non-finite score,
 * non-finite coordinates, and for image sets that differ unless `mismatch` allows it.
 */
export function pairImages(
  truth: readonly EvaluatedEntry[],
  predictions: readonly EvaluatedEntry[],
  options: PairOptions = {},
): Pairs {
  const { minScore, mismatch = 'error', truthName = 'truth', predictionsName = 'predictions' } = options
  if (!['error', 'miss', 'skip'].includes(mismatch))
    throw invalidParameter('mismatch', '"error", "miss" or "skip"', mismatch)
  if (minScore !== undefined && !Number.isFinite(minScore))
    throw invalidParameter('minScore', 'finite number', minScore)
  const tau = options.tau === undefined ? undefined : checkNumber('tau', options.tau, 0, 1)
  if (truth.length === 0) throw new NoduleError('FORMAT', 'the list names no image', { path: truthName })

  const warnings: string[] = []
  const truthPaths = truth.map((entry) => fullPath(entry.image_path, options.truthDir))
  const predictionPaths = predictions.map((entry) => fullPath(entry.image_path, options.predictionsDir))
  refuseDuplicates(truth, truthPaths, truthName)
  refuseDuplicates(predictions, predictionPaths, predictionsName)

  const { predictionOf, unknown } = matchPaths(truth, truthPaths, predictions, predictionPaths, {
    truthName,
    predictionsName,
  })
  const missing = truth.filter((_, index) => predictionOf[index]! < 0)
  if (mismatch === 'error') {
    if (missing.length > 0) {
      throw new NoduleError('FORMAT', 'the lists do not name the same images', {
        path: predictionsName,
        expected: `an entry for each of the ${count(truth.length, 'image')} of ${truthName}`,
        actual: `none for ${missing.length} of them, first ${JSON.stringify(missing[0]!.image_path)}`,
      })
    }
    if (unknown.length > 0) {
      const first = JSON.stringify(predictions[unknown[0]!]!.image_path)
      throw new NoduleError('FORMAT', 'the lists do not name the same images', {
        path: predictionsName,
        expected: `only images of ${truthName}`,
        actual: `${unknown.length} that it does not name, first ${first}`,
      })
    }
  }
  if (missing.length > 0) {
    const boxes = missing.reduce((sum, entry) => sum + entry.rects.length, 0)
    warnings.push(
      `${missing.length} of ${count(truth.length, 'image')} ${agree(missing.length, 'has', 'have')} no predictions; ` +
        (mismatch === 'miss'
          ? `${agree(missing.length, 'its', 'their')} ${count(boxes, 'true box')} ${agree(boxes, 'counts', 'count')} as missed`
          : `${agree(missing.length, 'it and its', 'they and their')} ${count(boxes, 'true box')} are left out`),
    )
  }
  if (unknown.length > 0) {
    const boxes = unknown.reduce((sum, index) => sum + predictions[index]!.rects.length, 0)
    warnings.push(
      `${count(unknown.length, 'image')} of ${predictionsName} ${agree(unknown.length, 'is', 'are')} not in ${truthName}; their ${count(boxes, 'box')} are left out`,
    )
  }

  const dropped = { truth: 0, predictions: 0, low: 0, stitched: 0 }
  const images: ImagePair[] = []
  for (const [index, entry] of truth.entries()) {
    const at = predictionOf[index]!
    if (at < 0 && mismatch === 'skip') continue
    const boxes = entry.rects.map((rect, r) =>
      checkBox(rect, truthName, `/${index}/rects/${rectIndex(entry.rects, r)}`),
    )
    const withArea = [...boxes.keys()].filter((r) => hasArea(boxes[r]!))
    const kept = withArea.map((r) => boxes[r]!)
    dropped.truth += boxes.length - kept.length
    const measures = readMeasures(entry, truthName, `/${index}/nodule/measures`)
    let detections: ScoredBox[] = []
    const predicted = at < 0 ? [] : predictions[at]!.rects
    for (const [r, rect] of predicted.entries()) {
      const place = `/${at}/rects/${rectIndex(predicted, r)}`
      const box = checkBox(rect, predictionsName, place)
      if (rect.score === undefined || !Number.isFinite(rect.score)) {
        throw new NoduleError('FORMAT', 'wrong score', {
          path: predictionsName,
          place: `${place}/score`,
          expected: 'finite number',
          actual: rect.score === undefined ? 'none' : String(rect.score),
        })
      }
      if (minScore !== undefined && rect.score < minScore) dropped.low++
      else if (!hasArea(box)) dropped.predictions++
      else detections.push({ ...box, score: rect.score })
    }
    if (tau !== undefined) {
      const all = detections.length
      detections = dropOverlapping(detections, tau)
      dropped.stitched += all - detections.length
    }
    const excluded = options.ignoreExcluded === true ? entry.nodule?.excluded : undefined
    images.push({
      image: entry.image_path,
      index,
      truth: kept,
      ...(measures === undefined ? {} : { measures: withArea.map((r) => measures[r]) }),
      detections,
      ...(excluded === undefined || excluded.length === 0
        ? {}
        : { excluded: excluded.map((box, i) => checkBox(box, truthName, `/${index}/nodule/excluded/${i}`)) }),
    })
  }
  if (dropped.truth > 0)
    warnings.push(
      `${count(dropped.truth, 'true box')} without an area ${agree(dropped.truth, 'is', 'are')} left out`,
    )
  if (dropped.predictions > 0)
    warnings.push(`${dropped.predictions} predicted boxes without an area are left out`)
  if (dropped.low > 0)
    warnings.push(`${dropped.low} predicted boxes score below ${minScore} and are left out`)
  if (dropped.stitched > 0) {
    warnings.push(
      `${dropped.stitched} predicted boxes share ${tau} of the smaller area or more with a more confident one and are left out`,
    )
  }
  if (images.every((image) => image.truth.length === 0)) {
    const none = truth.every((entry) => entry.rects.length === 0)
      ? 'holds no true box'
      : 'has no true box left'
    warnings.push(`${truthName} ${none}: recall and AP are undefined`)
  }
  if (images.every((image) => image.detections.length === 0))
    warnings.push(`${predictionsName} holds no detection`)
  return { images, warnings }
}

function hasArea(box: EdgeBox): boolean {
  return box.x2 > box.x1 && box.y2 > box.y1
}

/** What each rect of an entry measures; undefined where the list does not say it. */
function readMeasures(
  { rects, nodule }: EvaluatedEntry,
  path: string,
  place: string,
): (NoduleMeasures | undefined)[] | undefined {
  // The list is a file, whatever the type says.
  const list: unknown = nodule?.measures
  if (list === undefined) return undefined
  if (!Array.isArray(list) || list.length !== rects.length) {
    throw new NoduleError('FORMAT', 'wrong measures', {
      path,
      place,
      expected: `one for each of the ${rects.length} rects`,
      actual: Array.isArray(list) ? String(list.length) : typeof list,
    })
  }
  return list.map((item: (Partial<NoduleMeasures> & { diameterMm?: number }) | null, r) => {
    for (const name of ['axialDiameterMm', 'diameterMm', 'texture'] as const) {
      const value = item?.[name]
      if (value !== undefined && !Number.isFinite(value)) {
        throw new NoduleError('FORMAT', 'wrong measures', {
          path,
          place: `${place}/${rectIndex(rects, r)}/${name}`,
          expected: 'finite number',
          actual: String(value),
        })
      }
    }
    const axialDiameterMm = item?.axialDiameterMm ?? item?.diameterMm
    return axialDiameterMm === undefined ? undefined : ({ ...item, axialDiameterMm } as NoduleMeasures)
  })
}

function checkBox(rect: EdgeBox, path: string, place: string): EdgeBox {
  for (const name of ['x1', 'y1', 'x2', 'y2'] as const) {
    if (!Number.isFinite(rect[name])) {
      throw new NoduleError('FORMAT', 'wrong coordinate', {
        path,
        place: `${place}/${name}`,
        expected: 'finite number',
        actual: String(rect[name]),
      })
    }
  }
  return {
    x1: Math.min(rect.x1, rect.x2),
    y1: Math.min(rect.y1, rect.y2),
    x2: Math.max(rect.x1, rect.x2),
    y2: Math.max(rect.y1, rect.y2),
  }
}

function fullPath(path: string, dir: string | undefined): string {
  const forward = path.replaceAll('\\', '/')
  return dir === undefined || isAbsolute(forward) ? forward : resolve(dir, forward)
}

function refuseDuplicates(entries: readonly EvaluatedEntry[], paths: readonly string[], path: string): void {
  const seen = new Map<string, number>()
  const twice: number[] = []
  for (const [index, full] of paths.entries()) {
    if (seen.has(full)) twice.push(index)
    else seen.set(full, index)
  }
  if (twice.length === 0) return
  throw new NoduleError('FORMAT', 'image listed twice', {
    path,
    place: `/${twice[0]!}/image_path`,
    expected: 'each image once',
    actual: `${twice.length} repeated, first ${JSON.stringify(entries[twice[0]!]!.image_path)}`,
  })
}

/** For each truth entry the prediction entry of the same image or -1, and the predictions of unknown images. */
function matchPaths(
  truth: readonly EvaluatedEntry[],
  truthPaths: readonly string[],
  predictions: readonly EvaluatedEntry[],
  predictionPaths: readonly string[],
  names: { truthName: string; predictionsName: string },
): { predictionOf: Int32Array; unknown: number[] } {
  const predictionOf = new Int32Array(truth.length).fill(-1)
  const byPath = new Map(truthPaths.map((path, index) => [path, index]))
  const byName = new Map<string, number[]>()
  for (const [index, entry] of truth.entries()) {
    const name = segments(entry.image_path).at(-1) ?? ''
    const list = byName.get(name)
    if (list === undefined) byName.set(name, [index])
    else list.push(index)
  }
  const unknown: number[] = []
  for (const [index, entry] of predictions.entries()) {
    let at = byPath.get(predictionPaths[index]!)
    if (at === undefined) {
      const own = segments(entry.image_path)
      const fitting = (byName.get(own.at(-1) ?? '') ?? []).filter((candidate) =>
        isTail(own, segments(truth[candidate]!.image_path)),
      )
      if (fitting.length > 1) {
        throw new NoduleError('FORMAT', 'ambiguous image', {
          path: names.predictionsName,
          place: `/${index}/image_path`,
          expected: `a path that fits one image of ${names.truthName}`,
          actual: `${JSON.stringify(entry.image_path)}, which fits ${fitting.length}`,
        })
      }
      at = fitting[0]
    }
    if (at === undefined) unknown.push(index)
    else if (predictionOf[at]! >= 0) {
      throw new NoduleError('FORMAT', 'image listed twice', {
        path: names.predictionsName,
        place: `/${index}/image_path`,
        expected: 'each image once',
        actual: `${JSON.stringify(entry.image_path)}, the same as entry ${predictionOf[at]!}`,
      })
    } else predictionOf[at] = index
  }
  return { predictionOf, unknown }
}

/** The parts of a path that name something: without '.', and without leading '..'. */
function segments(path: string): string[] {
  return path
    .replaceAll('\\', '/')
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..')
}

function isTail(a: readonly string[], b: readonly string[]): boolean {
  const length = Math.min(a.length, b.length)
  for (let i = 1; i <= length; i++) if (a[a.length - i] !== b[b.length - i]) return false
  return length > 0
}
