import { join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkInteger } from '../check.js'
import { findNear } from '../config/find_near.js'
import { readHypes } from '../config/hypes.js'
import { batches } from '../dataset/batches.js'
import type { Batch } from '../dataset/batches.js'
import { readList, readLists } from '../dataset/list.js'
import { startEngine } from '../engine/start.js'
import type { EngineName } from '../engine/types.js'
import { describeFallbacks } from '../engine/onednn/engine.js'
import { profileTable, startProfile } from '../engine/profile.js'
import { NoduleError } from '../errors.js'
import { makeOutputFolder, writeFileAtomic } from '../files.js'
import { createDetector } from '../model/detector.js'
import { VERSION } from '../version.js'
import { checkpointName, copyAsLast, loadCheckpoint, restoreVariables, saveCheckpoint } from './checkpoint.js'
import { createEma } from './ema.js'
import { logLine, openLog, recordStart } from './log.js'
import type { LogEntry } from './log.js'
import { createOptimizer } from './optimizer.js'
import { learningRate } from './schedule.js'
import { findEarlier, required } from './start.js'
import { loadStart } from './start_weights.js'
import { testStep, trainStep } from './step.js'
import type { StepResult } from './step.js'

export interface TrainOptions {
  /** Hypes file; paths in it are relative to its folder. */
  hypes: string
  /** Changes of single keys, such as `solver.learning_rate=3e-4`. */
  set?: readonly string[] | undefined
  /** Lists of training frames, taken together; default data.train_idl of the hypes. */
  train?: string | readonly string[] | undefined
  /** List of test frames; default data.test_idl; none: no test accuracy. */
  test?: string | undefined
  /** The run's folder: checkpoints/ (step-000500.safetensors, ..., last.safetensors), events/, log.jsonl, hypes.json, run.jsonl. */
  output: string
  /** The step to stop at; default solver.max_iter. */
  steps?: number | undefined
  /** Go on from the newest checkpoint of the run's folder. */
  resume?: boolean | undefined
  engine?: EngineName | undefined
  /** Seed of weights, order, jitter and dropout; default solver.rnd_seed. */
  seed?: number | undefined
  /** At the end, a table of the time by kernel. */
  profile?: boolean | undefined
  /** Receives the log lines. */
  onLine?: ((line: string) => void) | undefined
  onWarning?: ((warning: string) => void) | undefined
  /** Called after each step. */
  onProgress?: ((step: number, steps: number) => void) | undefined
  /** Asked before each step; true ends the training with a checkpoint. */
  interrupted?: (() => boolean) | undefined
}

export interface TrainResult {
  /** Steps done since the start of the run, resumed ones included. */
  step: number
  /** The last checkpoint. */
  checkpoint: string
  interrupted: boolean
  /** The last log entry of this call. */
  last?: LogEntry
}

/**
 * Trains a detector. The same hypes, seed, lists and code on the same engine give the same weights, whether the run is
 * interrupted and resumed or not. Throws NoduleError: FILE, FORMAT for what is read, UNAVAILABLE for the engine, NUMERIC
 * when the loss stops being a number (the checkpoints before it stay).
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const hypes = readHypes(options.hypes, options.set, options.onWarning)
  const lastStep = checkInteger('steps', options.steps ?? hypes.solver.max_iter, 0, 1e9)
  if (options.seed !== undefined) checkInteger('seed', options.seed, 0, 0xffffffff)
  const near = (path: string): string => findNear(options.hypes, path)
  const trainPaths = [options.train ?? near(required(hypes.data.train_idl, options.hypes))].flat()
  const testPath = options.test ?? (hypes.data.test_idl === '' ? undefined : near(hypes.data.test_idl))
  const trainList = readLists(trainPaths)
  const testList = testPath === undefined ? undefined : readList(testPath)
  const folder = join(options.output, 'checkpoints')

  // What goes on: an earlier run, or a new model from the seed.
  const earlier = await findEarlier(folder, hypes, options, loadCheckpoint)
  const seed = earlier?.seed ?? options.seed ?? hypes.solver.rnd_seed
  const firstStep = earlier?.step ?? 0

  await makeOutputFolder(options.output)

  const engine = await startEngine(options.engine)
  options.onLine?.(`engine: ${engine.describe()}`)
  const detector = naming(options.hypes, () => createDetector(hypes, seed))
  const optimizer = createOptimizer(hypes, detector.weights)
  if (earlier === undefined) await loadStart(detector, near, options.onWarning)
  const ema = hypes.solver.ema_decay > 0 ? createEma(detector.weights, hypes.solver.ema_decay) : undefined
  // What a checkpoint holds as the model, and what it needs to go on.
  const model = ema?.averages ?? detector.weights
  const slots = new Map([...optimizer.slots, ...(ema?.slots ?? [])])
  if (earlier !== undefined) {
    restoreVariables(model, earlier.tensors, 'model/', earlier.path)
    restoreVariables(slots, earlier.tensors, 'optimizer/', earlier.path)
    if (earlier.engine !== engine.name || earlier.codeVersion !== VERSION)
      options.onWarning?.(
        `${earlier.path} was written by nodule ${earlier.codeVersion} on the engine ${earlier.engine}: ` +
          `nodule ${VERSION} on ${engine.name} goes on, and may round differently`,
      )
  }
  await writeFileAtomic(join(options.output, 'hypes.json'), `${JSON.stringify(hypes, undefined, 2)}\n`)
  await recordStart(options.output, {
    nodule: VERSION,
    node: process.versions.node,
    engine: engine.name,
    seed,
    step: firstStep,
    train: trainPaths.length === 1 ? resolve(trainPaths[0]!) : trainPaths.map((path) => resolve(path)),
    ...(testPath === undefined ? {} : { test: resolve(testPath) }),
  })
  const log = await openLog(options.output, firstStep)
  const save = async (step: number): Promise<string> => {
    const path = join(folder, checkpointName(step))
    await saveCheckpoint(path, { hypes, step, seed, engine: engine.name, weights: model, slots })
    await copyAsLast(path)
    return path
  }

  const { display_iter: displayEvery, save_iter: saveEvery } = hypes.logging
  const warn = options.onWarning === undefined ? {} : { onWarning: options.onWarning }
  const jitter = hypes.solver.use_jitter
  const trainBatches = batches(trainList, hypes, { seed, startStep: firstStep, jitter, ...warn })
  const testBatches =
    testList === undefined
      ? undefined
      : batches(testList, hypes, { seed, startStep: Math.ceil(firstStep / displayEvery), ...warn })
  const interrupted = (): boolean => options.interrupted?.() === true
  const recent: StepResult[] = []
  let msSpent = 0
  let saved = earlier?.path
  let last: LogEntry | undefined
  let step = firstStep
  // The first step builds kernels and fills caches: it is left out of the profile.
  let stopProfile: ReturnType<typeof startProfile> | undefined
  // The means since the last entry, and the model on a test batch.
  const report = async (at: number): Promise<void> => {
    const batch = testBatches === undefined ? undefined : await nextBatch(testBatches)
    const test = (): ReturnType<typeof testStep> | undefined => batch && testStep(detector, batch)
    const tested = ema === undefined ? test() : ema.use(test)
    last = {
      step: at,
      lr: learningRate(hypes.solver, at),
      ...means(recent),
      ...(tested === undefined ? {} : { testAccuracy: tested.accuracy, testLoss: tested.loss }),
      msPerImage: msSpent / recent.length / hypes.batch_size,
    }
    await log.write(last)
    options.onLine?.(logLine(last))
    recent.length = 0
    msSpent = 0
  }
  try {
    while (step < lastStep && !interrupted()) {
      const batch = await nextBatch(trainBatches)
      const started = performance.now()
      const rate = learningRate(hypes.solver, step)
      recent.push(trainStep(detector, optimizer, batch, { step, learningRate: rate }))
      ema?.update(step)
      msSpent += performance.now() - started

      if (step % displayEvery === 0) await report(step)
      step++
      if (options.profile === true) stopProfile ??= startProfile()
      if (step % saveEvery === 0) saved = await save(step)
      options.onProgress?.(step, lastStep)
      // Signals arrive between turns of the event loop only.
      await nextTurn()
    }
    // The last step, whatever its number.
    if (recent.length > 0) await report(step - 1)
    if (stopProfile !== undefined && step > firstStep + 1)
      options.onLine?.(profileTable(stopProfile(), step - firstStep - 1))
    const slow = describeFallbacks()
    if (slow.length > 0)
      options.onWarning?.(`the native engine left kernels to JavaScript: ${slow.join(', ')}`)
    if (saved === undefined || (step > firstStep && step % saveEvery !== 0)) saved = await save(step)
  } finally {
    await Promise.all([trainBatches.return(), testBatches?.return()])
    ema?.dispose()
    optimizer.dispose()
    detector.dispose()
  }
  return { step, checkpoint: saved, interrupted: interrupted(), ...(last === undefined ? {} : { last }) }
}

/** The work's NoduleError, with the file that it is about where it names none. */
function naming<Result>(path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof NoduleError) || error.path !== undefined) throw error
    throw new NoduleError(error.code, `${path}: ${error.message}`, { cause: error })
  }
}

async function nextBatch(source: AsyncGenerator<Batch, void, undefined>): Promise<Batch> {
  const { value } = await source.next()
  if (value === undefined) throw new Error('the batches ended')
  return value
}

/** The means of the recent steps. */
function means(results: readonly StepResult[]): StepResult {
  const keys = Object.keys(results[0]!) as (keyof StepResult)[]
  const mean = (key: keyof StepResult): number =>
    results.reduce((sum, result) => sum + (result[key] ?? 0), 0) / results.length
  return Object.fromEntries(keys.map((key) => [key, mean(key)])) as unknown as StepResult
}
