import { checkObject, checkText } from '../check.js'
import { findNear } from '../config/find_near.js'
import { readHypes } from '../config/hypes.js'
import type { Hypes } from '../config/hypes.js'
import { tellWithoutEffect, withoutEffect } from '../config/without_effect.js'
import { openBatches, truncated } from '../dataset/batches.js'
import type { Batch, BatchSource } from '../dataset/batches.js'
import { skipMissing } from '../dataset/check_images.js'
import { readList, readLists } from '../dataset/list.js'
import type { FrameList } from '../dataset/list.js'
import { defaultWorkers } from '../dataset/run_ahead.js'
import { NoduleError } from '../errors.js'
import type { EdgeBox } from '../geometry/box.js'
import { frameOf } from '../inference/raw_frame.js'
import { createDetector } from '../model/detector.js'
import { drawBatches } from '../pictures/index.js'
import { loadCheckpoint } from '../checkpoints/checkpoint.js'
import { graphDef } from './graph_def.js'
import { DETECTOR_TAGS, logLine } from './log.js'
import type { LogEntry } from './log.js'
import { runLoop } from './loop.js'
import type { Learner, TrainResult as LoopResult } from './loop.js'
import type { HostTensor, SafeTensors } from '../formats/safetensors.js'
import { withOwnStart } from './own_start.js'
import { tellSharedFrames } from './shared_data.js'
import { openRun, required } from './start.js'
import { loadStart } from './start_weights.js'
import type { RunOptions } from './start.js'
import { testStep, trainStep } from './step.js'
import type { StepResult, TestResult } from './step.js'
import { prCurve } from './summaries.js'
import type { SummaryValue } from './summaries.js'
import { drawTest } from './test_pictures.js'
import { checkValidated, validate } from './validate.js'
import { append } from '../lists.js'
import { tellUntrained } from '../targets/untrained.js'

export interface TrainOptions extends RunOptions {
  /** Lists of training frames, taken together; default data.train_idl of the hypes. */
  train?: string | readonly string[] | undefined
  /** List of test frames; default data.test_idl; none: no test accuracy. */
  test?: string | undefined
  /**
   * Leaves out images that are not there, with a warning that names them; default: as the run did where it goes on, else
   * they are an error.
   */
  skipMissing?: boolean | undefined
}

export type TrainResult = LoopResult<LogEntry>

type Look = Partial<Pick<LogEntry, Extract<keyof LogEntry, `test${string}`>>>

/**
 * Trains a detector. The same hypes, seed, lists and code on the same engine give the same weights, whether the run is
 * interrupted and resumed or not. Throws NoduleError: FILE, FORMAT for what is read, UNAVAILABLE for the engine, NUMERIC
 * when the loss stops being a number (the checkpoints before it stay).
 */
export async function train(given: TrainOptions): Promise<TrainResult> {
  checkText('output', checkObject('options', given).output)
  const options = await withOwnStart(given)
  checkText('hypes', options.hypes)
  const hypes = readHypes(options.hypes, options.set, options.onWarning)
  tellWithoutEffect(options.hypes, withoutEffect(hypes), options.onWarning)
  const near = (path: string): string => findNear(options.hypes, path)
  const trainPaths = [options.train ?? near(required(hypes.data.train_idl, options.hypes))].flat()
  const testPath = options.test ?? (hypes.data.test_idl === '' ? undefined : near(hypes.data.test_idl))
  const isSkipped = options.skipMissing === true
  const data = { train: trainPaths, test: testPath, ...(isSkipped ? { skipMissing: true } : {}) }
  const run = await openRun(options, hypes, data, loadCheckpoint)
  const present = (list: FrameList): FrameList => (isSkipped ? skipMissing(list) : list)
  const trainList = present(readLists(trainPaths))
  // Here, since whole looks at it read it too.
  const testList = testPath === undefined ? undefined : truncated(present(readList(testPath)), hypes)
  if (testList !== undefined) tellSharedFrames(truncated(trainList, hypes), testList, options.onWarning)
  const { validate_iter: validateEvery } = hypes.logging
  if (testList !== undefined && validateEvery > 0) checkValidated(testList, hypes, options.hypes)
  if (testList === undefined && validateEvery > 0)
    options.onWarning?.(`${options.hypes}: logging.validate_iter has no effect without a test list`)
  const isJudged = validateEvery > 0 && testList?.entries.some(({ rects }) => rects.length > 0) === true
  if (hypes.solver.early_stopping > 0 && !isJudged)
    options.onWarning?.(
      `${options.hypes}: solver.early_stopping has no effect without looks at the whole test (a test list with boxes, ` +
        'and logging.validate_iter)',
    )

  const { seed } = run
  const workers = options.workers ?? defaultWorkers()
  const warn = options.onWarning === undefined ? {} : { onWarning: options.onWarning }
  const sources: BatchSource[] = []
  const open = async (list: FrameList, jitter: boolean, workers: number): ReturnType<typeof openBatches> => {
    const source = await openBatches(list, hypes, { seed, jitter, workers, ...warn })
    sources.push(source)
    return source
  }
  try {
    const trainBatches = await open(trainList, hypes.solver.use_jitter, workers)
    tellUntrained(trainList.path, trainBatches.images, hypes, options.onWarning)
    const testBatches = testList === undefined ? undefined : await open(testList, false, 0)
    const isValidated = (step: number): boolean =>
      testList !== undefined && validateEvery > 0 && step > 0 && step % validateEvery === 0
    const build = (): Learner<Batch, StepResult, Look, LogEntry> => {
      const detector = naming(options.hypes, () => createDetector(hypes, seed, { draw: false }))
      return {
        kind: 'detector',
        weights: detector.weights,
        loadStart: async () => detector.draw(await loadStart(detector, near, options.onWarning)),
        batch: trainBatches.batch,
        step: (examples, optimizer, place) => trainStep(detector, optimizer, examples, place),
        batchTensors: (batch) => batchTensors(batch, hypes),
        look: async ({ step, last, observe }) => {
          if (testBatches === undefined || testList === undefined) return { look: {} }
          const more: SummaryValue[] = []
          const batch = await testBatches.batch(Math.ceil(step / hypes.logging.display_iter))
          const tested = testStep(detector, batch, observe)
          const frame = batch.frames.subarray(0, batch.frames.length / batch.paths.length)
          const raw = frameOf(tested.raw, 0, batch.paths.length)
          append(more, await drawTest(options.output, step, frame, raw, batch.boxes[0]!, hypes))
          const look = testNumbers(tested)
          if (!isValidated(step) && !(last && hypes.logging.validate_iter > 0)) return { look, more }
          const { ap, recall, evaluation } = await validate(detector, testList)
          more.push(prCurve('test/pr_curve', evaluation.curve, evaluation.truthBoxes))
          return { look: { ...look, ...(ap === null ? {} : { testAp: ap }), testRecall: recall }, more }
        },
        isDue: isValidated,
        score: ({ testAp }) => testAp,
        graph: () => graphDef(detector),
        entry: (head, means, look, msPerImage) => ({ ...head, ...means, ...look, msPerImage }),
        tags: DETECTOR_TAGS,
        line: logLine,
        dispose: () => detector.dispose(),
      }
    }
    return await runLoop(run, build)
  } finally {
    await Promise.all(sources.map(async (source) => source.close()))
  }
}

function testNumbers({ accuracy, loss, confidence, box, rezoomConfidence, delta }: TestResult): Look {
  return {
    testAccuracy: accuracy,
    testLoss: loss,
    testConfidence: confidence,
    testBox: box,
    ...(rezoomConfidence === undefined ? {} : { testRezoomConfidence: rezoomConfidence }),
    ...(delta === undefined ? {} : { testDelta: delta }),
  }
}

/** Frames [n, height, width, channels]; boxes and excluded places as rows of frame, x1, y1, x2, y2. */
function batchTensors(batch: Batch, hypes: Hypes): SafeTensors {
  const rows = (boxes: readonly (readonly EdgeBox[])[]): HostTensor => {
    const values = boxes.flatMap((ofFrame, n) => ofFrame.map(({ x1, y1, x2, y2 }) => [n, x1, y1, x2, y2]))
    return { shape: [values.length, 5], data: Float32Array.from(values.flat()) }
  }
  const { image_height: height, image_width: width } = hypes
  const shape = [batch.paths.length, height, width, hypes.data.channels]
  return {
    metadata: { paths: JSON.stringify(batch.paths) },
    tensors: new Map([
      ['frames', { shape, data: batch.frames }],
      ['boxes', rows(batch.boxes)],
      ['excluded', rows(batch.excluded)],
    ]),
  }
}

/** Draws the frames that training would begin with, as the hypes vary them; see `drawBatches`. */
export async function drawTraining(
  options: { hypes: string } & Pick<
    TrainOptions,
    'set' | 'train' | 'seed' | 'skipMissing' | 'workers' | 'onWarning'
  >,
  output: string,
): Promise<void> {
  const hypes = readHypes(options.hypes, options.set, options.onWarning)
  tellWithoutEffect(options.hypes, withoutEffect(hypes), options.onWarning)
  const near = (path: string): string => findNear(options.hypes, path)
  const list = readLists([options.train ?? near(required(hypes.data.train_idl, options.hypes))].flat())
  await drawBatches(options.skipMissing === true ? skipMissing(list) : list, hypes, output, {
    seed: options.seed,
    workers: options.workers,
    onWarning: options.onWarning,
  })
}

/** The work's NoduleError, with the file that it is about where it names none. */
function naming<Result>(path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof NoduleError) || error.path !== undefined) throw error
    throw error.with({ path, cause: error })
  }
}
