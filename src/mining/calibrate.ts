import { checkNumber, checkObject, checkText, checkTexts, invalidParameter } from '../check.js'
import { NoduleError } from '../errors.js'
import { checkCanWrite, writeFileAtomic } from '../files.js'
import { combinedConfidence, logit, openPatchSession, sizeTerm } from '../inference/index.js'
import type { SessionOptions } from '../inference/index.js'
import { modelMetadata } from '../onnx/metadata.js'
import { sha256 } from '../hash.js'
import { patchMetadata, patchProps } from '../onnx/patch_metadata.js'
import type { Calibration } from '../onnx/patch_metadata.js'
import { decodeModel, encodeModel } from '../onnx/proto.js'
import { readRegular } from '../read_files.js'
import { areaUnderCurve, innerCube, joinCubes, openCubesFor } from '../patches/index.js'
import type { CubeStore } from '../patches/index.js'
import { fitLogistic } from './logistic.js'

export interface CalibrateOptions {
  /** Second stage (nodule export). */
  second: string
  /** Folders of cubes with marks of patients that it was not trained on. */
  cubes: readonly string[]
  /** Default: the second stage itself. */
  output?: string | undefined
  /** First stage that it will be used with; default: the one whose marks the cubes hold. */
  model?: string | undefined
  /**
   * Weight of the mark's size, given and not fitted: marks of a few scans say little of large ones, which are rare.
   */
  size?: number | undefined
  session?: SessionOptions | undefined
}

export interface CalibrateResult {
  path: string
  calibration: Calibration
  /** Areas under the ROC curve of the marks: by each stage alone, and by both. */
  auc: { first: number; second: number; both: number }
  /** Marks by their combined confidence: how many, the mean confidence, the share of nodules. */
  bins: { from: number; to: number; marks: number; confidence: number; nodules: number }[]
}

/** Fewer marks of a kind say too little. */
const LEAST_MARKS = 5
/** Combined confidences between two of these share a line of the table. */
const EDGES = [0, 0.05, 0.2, 0.5, 0.8, 1]

/**
 * Fits how the confidences of both stages become one, on the first stage's marks (`Calibration`), and writes it into the
 * second stage. Throws NoduleError: FILE, FORMAT for what is read (too few marks, cubes of other hypes, no marks).
 */
export async function calibrate(o: CalibrateOptions): Promise<CalibrateResult> {
  checkText('second', checkObject('options', o).second)
  checkTexts('cubes', o.cubes)
  if (o.size !== undefined) checkNumber('size', o.size, -10, 10)
  // Better known before the work.
  await checkCanWrite(o.output ?? o.second)
  let stores: CubeStore[] = []
  const session = await openPatchSession(o.second, o.session)
  try {
    stores = await openCubesFor(session.metadata.hypes, o.cubes)
    const store = joinCubes(stores)
    const first = await firstStage(stores, o.model)
    const marks = store.cubes.flatMap(({ record }, index) =>
      record.reason === 'mark' && record.score !== undefined && record.labels.nodule !== undefined
        ? [
            {
              index,
              score: record.score,
              // Marks that were mined by an older version have no diameter of their own where they hit.
              diameter: record.boxDiameterMm ?? record.axialDiameterMm ?? 8,
              positive: record.labels.nodule >= 0.5,
            },
          ]
        : [],
    )
    const nodules = marks.filter(({ positive }) => positive).length
    if (nodules < LEAST_MARKS || marks.length - nodules < LEAST_MARKS)
      throw new NoduleError('FORMAT', 'too few marks to fit the second stage to the first', {
        path: store.folder,
        expected: `at least ${LEAST_MARKS} marks that hit and ${LEAST_MARKS} that do not`,
        actual: `${nodules} and ${marks.length - nodules}`,
      })
    const examples: { features: [number, number, number]; positive: boolean }[] = []
    for (const { index, score, diameter, positive } of marks) {
      const [second] = await session.run(innerCube(store.read(index), session.spec))
      examples.push({ features: [logit(score), second!, sizeTerm(diameter)], positive })
    }
    const calibration: Calibration = {
      ...fit(examples, o.size),
      ...first,
      ...{ nodules, others: marks.length - nodules },
    }
    const positive = examples.map((example) => example.positive)
    const both = marks.map(({ score, diameter }, n) =>
      combinedConfidence(calibration, score, examples[n]!.features[1], diameter),
    )
    const path = o.output ?? o.second
    await writeCalibrated(o.second, path, calibration)
    return {
      path,
      calibration,
      auc: {
        first: areaUnderCurve(
          marks.map(({ score }) => score),
          positive,
        ),
        second: areaUnderCurve(
          examples.map(({ features }) => features[1]),
          positive,
        ),
        both: areaUnderCurve(both, positive),
      },
      bins: EDGES.slice(1).map((to, n) => {
        const from = EDGES[n]!
        const own = both.flatMap((p, index) => (p >= from && (p < to || to === 1) ? [index] : []))
        const mean = (value: (index: number) => number): number =>
          own.reduce((sum, index) => sum + value(index), 0) / Math.max(1, own.length)
        return {
          ...{ from, to, marks: own.length },
          confidence: mean((index) => both[index]!),
          nodules: mean((index) => (positive[index] === true ? 1 : 0)),
        }
      }),
    }
  } finally {
    for (const store of stores) store.close()
    await session.release()
  }
}

type Constants = Pick<Calibration, 'first' | 'second' | 'size' | 'offset'>

function fit(
  examples: readonly { features: [number, number, number]; positive: boolean }[],
  size: number | undefined,
): Constants {
  if (size === undefined) {
    const [a, b, c, d] = fitLogistic(examples) as [number, number, number, number]
    return { first: a, second: b, size: c, offset: d }
  }
  const given = examples.map(({ features: [score, second, term], positive }) => ({
    ...{ features: [score, second], positive, given: size * term },
  }))
  const [a, b, d] = fitLogistic(given) as [number, number, number]
  return { first: a, second: b, size, offset: d }
}

/**
 * Writes the mean of other second stages' constants into a second stage: of twins that each learnt without the patients
 * whose marks they were fitted on, where the second stage itself has learnt from all. Throws NoduleError: FILE, FORMAT.
 *
 * @param model first stage that it will be used with; default: the one that the twins were fitted to
 */
export async function calibrateLike(
  second: string,
  twins: readonly string[],
  output = second,
  model?: string,
): Promise<Calibration> {
  checkText('second', second)
  checkTexts('twins', twins)
  const all: Calibration[] = []
  for (const path of twins) {
    const bytes = await readRegular(path, { action: 'read second stage' })
    const { calibration } = patchMetadata(decodeModel(bytes, path), path)
    const [first] = all
    if (calibration === undefined || (first !== undefined && calibration.model !== first.model))
      throw new NoduleError('FORMAT', 'a second stage whose constants cannot be taken', {
        path,
        place: 'metadata_props/calibration',
        expected: first === undefined ? 'one' : `fitted to the first stage ${first.model.slice(0, 16)}...`,
        actual: calibration === undefined ? 'none' : `${calibration.model.slice(0, 16)}...`,
      })
    all.push(calibration)
  }
  const [some] = all
  if (some === undefined) throw invalidParameter('twins', 'at least one second stage', twins)
  const mean = (key: 'first' | 'second' | 'size' | 'offset'): number =>
    all.reduce((sum, one) => sum + one[key], 0) / all.length
  const sum = (key: 'nodules' | 'others'): number => all.reduce((total, one) => total + one[key], 0)
  const calibration = {
    ...some,
    ...(model === undefined ? {} : await readFirstStage(model)),
    ...{ first: mean('first'), second: mean('second'), size: mean('size'), offset: mean('offset') },
    ...{ nodules: sum('nodules'), others: sum('others') },
  }
  await writeCalibrated(second, output, calibration)
  return calibration
}

/** The first stage that the marks are of, or the one that is given in its place. */
async function firstStage(
  stores: readonly CubeStore[],
  given: string | undefined,
): Promise<Pick<Calibration, 'model' | 'checkpoint'>> {
  if (given !== undefined) return readFirstStage(given)
  const [{ model, checkpoint }] = stores.map(({ header }) => header) as [CubeStore['header']]
  const other = stores.find(({ header }) => header.model !== model)
  if (model === undefined || other !== undefined)
    throw new NoduleError('FORMAT', model === undefined ? 'the cubes hold no marks' : 'marks of two models', {
      path: (other ?? stores[0])!.folder,
      expected: model === undefined ? 'cubes that `nodule mine` made with a model' : `marks of ${model}`,
      actual: String(other?.header.model),
    })
  return { model, ...(checkpoint === undefined ? {} : { checkpoint }) }
}

async function readFirstStage(path: string): Promise<Pick<Calibration, 'model' | 'checkpoint'>> {
  const bytes = await readRegular(path, { action: 'read model' })
  const { checkpointSha256 } = modelMetadata(decodeModel(bytes, path), path)
  return { model: sha256(bytes), checkpoint: checkpointSha256 }
}

async function writeCalibrated(from: string, to: string, calibration: Calibration): Promise<void> {
  const model = decodeModel(await readRegular(from, { action: 'read model' }), from)
  const metadata = patchMetadata(model, from)
  await writeFileAtomic(
    to,
    encodeModel({ ...model, metadata_props: patchProps({ ...metadata, calibration }) }),
  )
}
