import { basename, dirname } from 'node:path'
import { checkNumber } from '../../check.js'
import { readList } from '../../dataset/list.js'
import type { FrameList } from '../../dataset/list.js'
import { VERSION } from '../../version.js'
import { byBoxSize, byMeasures } from '../breakdown.js'
import type { GroupRow, SizeRow } from '../breakdown.js'
import { cocoAveragePrecision } from './coco.js'
import type { CocoAp } from './coco.js'
import { averagePrecisionInterval, compareAveragePrecision } from '../compare.js'
import type { ComparisonOptions, Difference, SampledInterval } from '../compare.js'
import { readPredictions } from './from_scans.js'
import { pairImages } from './pairs.js'
import type { ImagePair } from './pairs.js'
import { chooseDraw } from './patients.js'
import type { Draw } from './patients.js'
import { evaluatePairs, tensorBoxCurve } from './slices.js'
import type { SliceEvaluation, SliceOptions } from './slices.js'

export interface SliceRun extends SliceEvaluation {
  name: string
  coco: CocoAp
  /** Of `ap`; null with `bootstraps` 0, and where less than two of what is drawn have true boxes. */
  apInterval: SampledInterval | null
  /** What the bootstrap draws; null with `bootstraps` 0. */
  draw: Draw | null
  /** At the threshold of the best F1, or with every detection where there is none. */
  bySize: SizeRow[]
  /** The same by the nodule's texture and axial diameter, where the list of true boxes says them. */
  byType: GroupRow[]
  byAxialDiameter: GroupRow[]
  /** The files and the code that the figures come from. */
  source: { truth: string; predictions: string; codeVersion: string }
}

export interface SliceComparison {
  first: string
  second: string
  ap: Difference
}

export interface SliceRuns {
  runs: SliceRun[]
  comparisons: SliceComparison[]
}

/** What a slice-level evaluation says beyond the curve. */
export type SliceDetails = Pick<
  SliceRun,
  'coco' | 'apInterval' | 'draw' | 'bySize' | 'byType' | 'byAxialDiameter'
>

/** How the figures of slices are compared and their intervals found. */
export interface SliceBootstrap extends ComparisonOptions {
  /** What to draw; default: patients where every image tells its own, else images. */
  by?: Draw['by'] | undefined
}

/** What `evaluatePairs` leaves out: COCO's AP, the interval of the AP and the figures by size and type. */
export function sliceDetails(
  truth: FrameList,
  images: readonly ImagePair[],
  evaluation: SliceEvaluation,
  options: SliceBootstrap = {},
): SliceDetails {
  const threshold = evaluation.bestF1?.threshold ?? -Infinity
  const { draw, groupOf } = chooseDraw(truth, images, options.by)
  return {
    coco: cocoAveragePrecision(images),
    ...(options.bootstraps === 0
      ? { apInterval: null, draw: null }
      : {
          apInterval: averagePrecisionInterval(images, { ...options, iou: evaluation.iou, groupOf }),
          draw,
        }),
    bySize: byBoxSize(images, threshold, evaluation.iou),
    ...byMeasures(images, threshold, evaluation.iou),
  }
}

/**
 * Evaluates one or more TensorBox lists of predictions, or folders of `nodule detect`, against a list of true boxes and
 * compares each pair by a bootstrap that draws patients or images (`by`). Throws NoduleError (FILE, FORMAT).
 */
export async function evaluateListFiles(
  truthPath: string,
  predictionPaths: readonly string[],
  options: SliceOptions & SliceBootstrap & { names?: readonly string[] | undefined } = {},
): Promise<SliceRuns> {
  const truth = readList(truthPath)
  const names = options.names ?? distinctNames(predictionPaths)
  const pairs: (readonly ImagePair[])[] = []
  const runs: SliceRun[] = []
  for (const [index, path] of predictionPaths.entries()) {
    const predictions = await readPredictions(path, truth)
    const { images, warnings } = pairImages(truth.entries, predictions.entries, {
      ...options,
      truthDir: truth.dir,
      predictionsDir: predictions.dir,
      truthName: truthPath,
      predictionsName: path,
    })
    pairs.push(images)
    const evaluation = evaluatePairs(images, options, [
      ...truth.warnings,
      ...predictions.warnings,
      ...warnings,
    ])
    runs.push({
      name: names[index]!,
      ...evaluation,
      ...sliceDetails(truth, images, evaluation, options),
      source: { truth: truthPath, predictions: path, codeVersion: VERSION },
    })
  }
  const comparable = runs[0]!.truthBoxes > 0
  const comparisons = runs.flatMap((first, i) =>
    runs.slice(comparable ? i + 1 : runs.length).map((second, j): SliceComparison => {
      const [a, b] = inCommon(pairs[i]!, pairs[i + 1 + j]!)
      return {
        first: first.name,
        second: second.name,
        ap: compareAveragePrecision(a, b, {
          ...options,
          // A comparison has no other figure than the samples'.
          bootstraps: options.bootstraps === 0 ? undefined : options.bootstraps,
          groupOf: chooseDraw(truth, a, options.by).groupOf,
        }),
      }
    }),
  )
  return { runs, comparisons }
}

/**
 * The text file that TensorBox's doRPC.py writes for two lists, in Python 3's notation: precision, recall, score and
 * false positives per image, a point a line. Throws NoduleError (FILE, FORMAT).
 */
export async function tensorBoxText(
  truthPath: string,
  predictionPath: string,
  options: SliceOptions = {},
): Promise<string> {
  const truth = readList(truthPath)
  const predictions = await readPredictions(predictionPath, truth)
  const { images } = pairImages(truth.entries, predictions.entries, {
    ...options,
    truthDir: truth.dir,
    predictionsDir: predictions.dir,
    truthName: truthPath,
    predictionsName: predictionPath,
  })
  const minIou = checkNumber('iou', options.iou ?? 0.5, 1e-6, 1)
  return tensorBoxCurve(images, minIou)
    .map(
      (point) => [point.precision, point.recall, point.score, point.fppi].map(pythonFloat).join(' ') + '\n',
    )
    .join('')
}

/** A number as Python 3 prints it. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e16))
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  return Number.isInteger(value) ? value.toFixed(1) : String(value)
}

/** The images that both runs have: with `mismatch` "skip" they may differ. */
function inCommon(
  first: readonly ImagePair[],
  second: readonly ImagePair[],
): [readonly ImagePair[], readonly ImagePair[]] {
  const a = new Set(first.map((image) => image.index))
  const b = new Set(second.map((image) => image.index))
  return [first.filter((image) => b.has(image.index)), second.filter((image) => a.has(image.index))]
}

/** File names; with their folder where they would be the same, and numbered where that is the same too. */
export function distinctNames(paths: readonly string[]): string[] {
  const unique = (names: readonly string[]): boolean => new Set(names).size === names.length
  const short = paths.map((path) => basename(path))
  if (unique(short)) return short
  const long = paths.map((path) => `${basename(dirname(path))}/${basename(path)}`)
  return unique(long) ? long : short.map((name, index) => `${name} (${index + 1})`)
}
