import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { startEngine } from '../engine/start.js'
import { describeFallbacks } from '../engine/onednn/engine.js'
import { usePrecision } from '../engine/precision.js'
import { profileTable, startProfile } from '../engine/profile.js'
import { NoduleError } from '../errors.js'
import { makeOutputFolder, writeFileAtomic } from '../files.js'
import { VERSION } from '../version.js'
import {
  checkpointName,
  copyAsLast,
  removeUnfinished,
  repairLast,
  restoreVariables,
  saveCheckpoint,
} from '../checkpoints/checkpoint.js'
import type { ModelKind, Variables } from '../checkpoints/checkpoint.js'
import { countLook, keptScore, pruneCheckpoints } from './best.js'
import { createEma } from './ema.js'
import { freeze } from './freeze.js'
import type { Observe, StepPlace } from './gradient_step.js'
import { openLog, recordStart } from './log.js'
import type { Tags } from './log.js'
import { Means } from './means.js'
import { createOptimizer } from './optimizer.js'
import type { Optimizer } from './optimizer.js'
import { writeSafeTensors } from '../formats/safetensors.js'
import type { SafeTensors } from '../formats/safetensors.js'
import { learningRate } from './schedule.js'
import type { Run, RunHypes } from './start.js'
import { withoutFolders } from '../config/without_folders.js'
import { describeHypes, histogram } from './summaries.js'
import type { SummaryValue } from './summaries.js'

/** What every entry of log.jsonl begins with. */
export interface EntryHead {
  step: number
  lr: number
}

/** When the loop looks at the test. */
export interface LookPlace {
  step: number
  /** The run is over. */
  last: boolean
  /** Somebody wants histograms. */
  observe: Observe | undefined
}

/** What a look at the test saw: numbers for the log ({} where there is nothing to look at), and more for the events. */
export interface Seen<Look> {
  look: Look
  more?: readonly SummaryValue[]
}

/**
 * What the loop trains: it asks for the data of a step, has the step done, and looks at the test now and then. The rest
 * (start or resume, averages, log, events, checkpoints, interruption) is the loop's.
 *
 * @typeParam Result numbers of one step; the log holds their means
 * @typeParam Look numbers of a look at the test
 * @typeParam Entry what is logged
 */
export interface Learner<Batch, Result extends object, Look extends object, Entry extends EntryHead> {
  readonly kind: ModelKind
  /** What is trained, batch-norm averages included. */
  readonly weights: Variables
  /** Takes the weights that the hypes start from; not asked of a run that goes on. */
  loadStart: () => Promise<void>
  /** The data number n of the run, from 0; asked for in order. */
  batch: (n: number) => Batch | Promise<Batch>
  /** Throws NoduleError (NUMERIC) where loss or gradients are not finite; the weights are then unchanged. */
  step: (batches: readonly Batch[], optimizer: Optimizer, place: StepPlace) => Result
  /** A batch as a file holds it, when the loss is not finite. */
  batchTensors: (batch: Batch) => SafeTensors
  /** The model, as it would be saved, on test data. */
  look: (place: LookPlace) => Seen<Look> | Promise<Seen<Look>>
  /** Steps that are logged because of what `look` does, whatever display_iter says. */
  isDue?: (step: number) => boolean
  /** How good the model was in a look at the whole test, higher is better. */
  score: (look: Look) => number | undefined
  entry: (head: EntryHead, means: Result, look: Look, msPerItem: number) => Entry
  readonly tags: Tags<Entry>
  /** What the event files of a new run begin with, beside the hypes. */
  graph?: () => Uint8Array
  line: (entry: Entry) => string
  dispose: () => void
}

export interface TrainResult<Entry> {
  /** Steps done since the start of the run, resumed ones included. */
  step: number
  /** The last checkpoint. */
  checkpoint: string
  interrupted: boolean
  /** The last log entry of this call. */
  last?: Entry
}

/**
 * Trains: from the run's seed, or from where it was. The same hypes, seed, data and code on the same engine give the
 * same weights, log and events, whether the run was killed, interrupted and resumed or not.
 *
 * @param build makes the learner, once the engine runs
 */
export async function runLoop<
  H extends RunHypes,
  Batch,
  Result extends object,
  Look extends object,
  Entry extends EntryHead,
>(
  run: Run<H>,
  build: () => Learner<Batch, Result, Look, Entry> | Promise<Learner<Batch, Result, Look, Entry>>,
): Promise<TrainResult<Entry>> {
  const { options, hypes, earlier, seed, firstStep, lastStep } = run
  const folder = join(options.output, 'checkpoints')
  await makeOutputFolder(options.output)
  await removeUnfinished(folder)
  const engine = await startEngine(options.engine)

  const disposables: { dispose: () => void }[] = []
  const keep = <T extends { dispose: () => void }>(item: T): T => {
    disposables.push(item)
    return item
  }
  try {
    keep({ dispose: usePrecision(hypes.solver.precision, options.hypes, 'solver.precision') })
    options.onLine?.(`engine: ${engine.describe()}`)
    const learner = keep(await build())
    freeze(learner.weights, hypes.solver.freeze, options.hypes)
    const optimizer = keep(createOptimizer(hypes, learner.weights))
    if (earlier === undefined) await learner.loadStart()
    // After the start: the averages begin at the weights.
    const decay = hypes.solver.ema_decay
    const ema = decay > 0 ? keep(createEma(learner.weights, decay)) : undefined
    // What a checkpoint holds as the model, and what it needs to go on.
    const model = ema?.averages ?? learner.weights
    const slots = new Map([...optimizer.slots, ...(ema?.slots ?? [])])
    if (earlier !== undefined) {
      restoreVariables(model, earlier.tensors, 'model/', earlier.path)
      restoreVariables(slots, earlier.tensors, 'optimizer/', earlier.path)
      await repairLast(earlier.path)
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
      ...run.data,
    })

    const means = new Means<Result>(earlier?.progress?.means)
    // Entries from here on are of steps that this call does; an entry that closed an interrupted call is none of the run.
    let logged = earlier?.progress?.logged ?? firstStep
    // The test's before the training's.
    const compared = Object.values<string>(learner.tags)
      .filter((tag) => /\/(?:ap|auc|loss)$/.test(tag))
      .sort((a, b) => a.localeCompare(b))
    const head = {
      values: describeHypes(withoutFolders(hypes), compared),
      graph: learner.graph?.(),
      before: firstStep - 1,
    }
    const log = await openLog<Entry>(options.output, logged, learner.tags, head)
    let best = earlier?.progress?.best
    // An earlier call may have looked once more after its last checkpoint, which does not know of it.
    const bestPath = join(folder, 'best.safetensors')
    let kept = earlier === undefined ? -Infinity : await keptScore(bestPath, learner.kind, options.onWarning)
    const save = async (path: string, at: number): Promise<string> => {
      const progress = { logged, means: means.state, best }
      const state = { hypes, step: at, seed, engine: engine.name, weights: model, slots, progress }
      await saveCheckpoint(path, { kind: learner.kind, ...state })
      return path
    }
    let savedStep = firstStep
    const saveStep = async (at: number): Promise<string> => {
      const path = await save(join(folder, checkpointName(at)), at)
      savedStep = at
      await copyAsLast(path)
      await pruneCheckpoints(folder, hypes.logging.keep_checkpoints, at)
      return path
    }
    if (earlier !== undefined) await pruneCheckpoints(folder, hypes.logging.keep_checkpoints, firstStep)
    let last: Entry | undefined
    // The means since the last entry, and the model on test data.
    const report = async (at: number, over: boolean, histograms?: SummaryValue[]): Promise<Look> => {
      const observe = histograms === undefined ? undefined : observeInto(histograms)
      if (observe !== undefined)
        for (const [name, weight] of learner.weights) observe(`weights/${name}`, weight.dataSync())
      const see = async (): Promise<Seen<Look>> => learner.look({ step: at, last: over, observe })
      const { look, more = [] } = await tellingStep(`step ${at}, the test`, () =>
        ema === undefined ? see() : ema.use(see),
      )
      const place = { step: at, lr: learningRate(hypes.solver, at) }
      last = learner.entry(place, means.values(), look, means.ms / means.count / imagesOfStep)
      await log.write(last, [...more, ...(histograms ?? [])])
      options.onLine?.(learner.line(last))
      return look
    }
    const judge = async (looked: Look, stepsDone: number): Promise<void> => {
      const score = learner.score(looked)
      if (score === undefined) return
      const judged = countLook(best, score, stepsDone)
      best = judged.best
      if (!judged.improved || score <= kept) return
      await save(bestPath, stepsDone)
      kept = score
    }

    const { display_iter: displayEvery, save_iter: saveEvery, histogram_iter: histogramEvery } = hypes.logging
    const hasHistograms = (at: number): boolean => histogramEvery > 0 && at % histogramEvery === 0
    const isLogged = (at: number): boolean =>
      at % displayEvery === 0 || hasHistograms(at) || learner.isDue?.(at) === true
    const logStep = async (at: number, histograms?: SummaryValue[]): Promise<void> => {
      const looked = await report(at, false, histograms)
      means.clear()
      logged = at + 1
      await judge(looked, at + 1)
    }
    /** Data that cannot be read, of a step or of a look, or a thread that breaks cost no step that was done before. */
    const rescuing = async <T>(stepsDone: number, work: () => Promise<T>): Promise<T> => {
      try {
        return await work()
      } catch (error) {
        const isNumeric = error instanceof NoduleError && error.code === 'NUMERIC'
        if (!isNumeric && stepsDone > savedStep) {
          // Where this fails too, as on a full disk, the first error tells more.
          const path = await saveStep(stepsDone).catch(() => undefined)
          if (path !== undefined) options.onWarning?.(`saved before it ends: ${path}`)
        }
        throw error
      }
    }
    const { accumulate, early_stopping: patience } = hypes.solver
    const imagesOfStep = hypes.batch_size * accumulate
    // Of the step that the checkpoint ends with: those that cannot be made of the weights and the test.
    const carried = (): SummaryValue[] | undefined =>
      firstStep > 0 && hasHistograms(firstStep - 1)
        ? log.histograms.filter(({ tag }) => !/^(?:weights|test)\//.test(tag))
        : undefined
    // A call that ended there had its last entry instead, after its checkpoint.
    if (firstStep < lastStep && means.count > 0 && isLogged(firstStep - 1))
      await logStep(firstStep - 1, carried())
    const isStale = (): boolean => patience > 0 && best !== undefined && best.stale >= patience
    let saved = earlier?.path
    let step = firstStep
    let msWaited = 0
    const begun = performance.now()
    // The first step builds kernels and fills caches: it is left out of the profile.
    let stopProfile: ReturnType<typeof startProfile> | undefined
    let histograms = carried()
    while (step < lastStep && options.signal?.aborted !== true && !isStale()) {
      const asked = performance.now()
      const batches: Batch[] = []
      for (let n = 0; n < accumulate; n++)
        batches.push(await rescuing(step, async () => learner.batch(step * accumulate + n)))
      const started = performance.now()
      msWaited += started - asked
      histograms = hasHistograms(step) ? [] : undefined
      const observe = histograms === undefined ? undefined : observeInto(histograms)
      const rate = learningRate(hypes.solver, step)
      const place = { step, learningRate: rate, observe, reduce: options.reduceGradients }
      const result = await orBatches(options.output, step, batches, learner, () =>
        learner.step(batches, optimizer, place),
      )
      ema?.update(step)
      means.add(result, performance.now() - started)

      // The last step has its entry after the loop.
      if (step + 1 < lastStep && isLogged(step))
        await rescuing(step + 1, async () => logStep(step, histograms))
      step++
      if (options.profile === true) stopProfile ??= startProfile()
      if (step % saveEvery === 0) saved = await saveStep(step)
      options.onProgress?.(step, lastStep)
      // Signals arrive between turns of the event loop only.
      await nextTurn()
    }
    const interrupted = options.signal?.aborted === true
    const stepped = step > firstStep
    if (isStale())
      options.onLine?.(
        `no better look at the test since step ${best!.step}: the run ends (solver.early_stopping)`,
      )
    if (saved === undefined || (stepped && step % saveEvery !== 0)) saved = await saveStep(step)
    // The last step, whatever its number. After the checkpoint: a run that goes on does not know of this entry.
    if (means.count > 0) await judge(await report(step - 1, !interrupted, histograms), step)
    if (stopProfile !== undefined && step > firstStep + 1) {
      for (const row of profileTable(stopProfile(), step - firstStep - 1).split('\n')) options.onLine?.(row)
      const share = (msWaited / (performance.now() - begun)) * 100
      options.onLine?.(`waited for data: ${msWaited.toFixed(0)} ms, ${share.toFixed(1)} % of the time`)
    }
    const slow = describeFallbacks()
    if (slow.length > 0)
      options.onWarning?.(`the native engine left kernels to JavaScript: ${slow.join(', ')}`)
    return { step, checkpoint: saved, interrupted, ...(last === undefined ? {} : { last }) }
  } finally {
    for (const item of disposables) item.dispose()
  }
}

function observeInto(histograms: SummaryValue[]): Observe {
  return (tag, values) => histograms.push(histogram(tag, values))
}

/** The step's result; where its numbers are not finite, the batches are saved and the error says where. */
async function orBatches<Batch, Result>(
  folder: string,
  step: number,
  batches: readonly Batch[],
  { batchTensors }: { batchTensors: (batch: Batch) => SafeTensors },
  work: () => Result,
): Promise<Result> {
  try {
    return await tellingStep(`step ${step}`, work)
  } catch (error) {
    if (!(error instanceof NoduleError) || error.code !== 'NUMERIC') throw error
    const paths = batches.map((_, n) =>
      join(folder, `batch-${String(step).padStart(6, '0')}-${n}.safetensors`),
    )
    for (const [n, batch] of batches.entries()) await writeSafeTensors(paths[n]!, batchTensors(batch))
    throw new NoduleError(error.code, `${error.message}; what it saw: ${paths.join(', ')}`, { cause: error })
  }
}

/** The work's result; numbers that are not finite are told with their place, where the error has none. */
async function tellingStep<Result>(place: string, work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof NoduleError) || error.code !== 'NUMERIC' || error.place !== undefined) throw error
    throw error.with({ place, cause: error })
  }
}
