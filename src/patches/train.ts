import { dirname, join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkInteger } from '../check.js'
import { parsePatchHypes, readPatchHypes } from '../config/patch_hypes.js'
import { startEngine } from '../engine/start.js'
import type { EngineName } from '../engine/types.js'
import { describeFallbacks } from '../engine/onednn/engine.js'
import { makeOutputFolder, writeFileAtomic } from '../files.js'
import {
  checkpointName,
  copyAsLast,
  loadCheckpointOf,
  restoreVariables,
  saveCheckpoint,
} from '../training/checkpoint.js'
import { createEma } from '../training/ema.js'
import { openLogOf, recordStart } from '../training/log.js'
import { createOptimizer } from '../training/optimizer.js'
import { learningRate } from '../training/schedule.js'
import { findEarlier } from '../training/start.js'
import { VERSION } from '../version.js'
import { checkStore, createSampler } from './batches.js'
import { createPatchModel } from './model.js'
import type { PatchModel } from './model.js'
import { areaUnderCurve, patchStep, predictCubes } from './step.js'
import { joinCubes, openCubes } from './store.js'
import type { CubeStore } from './store.js'

export interface TrainPatchesOptions {
  /** Hypes file of a patch classifier. */
  hypes: string
  /** Changes of single keys, such as `solver.max_iter=1000`. */
  set?: readonly string[] | undefined
  /** Folders of cubes (`nodule mine`), taken together. */
  train: string | readonly string[]
  /** Folder of cubes of other patients; none: no test. */
  test?: string | undefined
  /** The run's folder, as that of a detector. */
  output: string
  /** The step to stop at; default solver.max_iter. */
  steps?: number | undefined
  resume?: boolean | undefined
  engine?: EngineName | undefined
  seed?: number | undefined
  onLine?: ((line: string) => void) | undefined
  onWarning?: ((warning: string) => void) | undefined
  /** Called after each step. */
  onProgress?: ((step: number, steps: number) => void) | undefined
  /** Asked before each step; true ends the training with a checkpoint. */
  interrupted?: (() => boolean) | undefined
}

/** What is logged every display_iter steps; the train values are means since the last entry. */
export interface PatchLogEntry {
  step: number
  lr: number
  loss: number
  gradientNorm: number
  /** Of all test cubes, every test_iter steps and at the end. */
  testLoss?: number
  testAuc?: number
  msPerCube: number
}

const TAGS = {
  lr: 'learning_rate',
  loss: 'train/loss',
  gradientNorm: 'train/gradient_norm',
  testLoss: 'test/loss',
  testAuc: 'test/auc',
  msPerCube: 'ms_per_cube',
}

export interface TrainPatchesResult {
  step: number
  checkpoint: string
  interrupted: boolean
  last?: PatchLogEntry
}

/**
 * Trains a classifier of cubes. The same hypes, seed, cubes and code on the same engine give the same weights, whether
 * the run is interrupted and resumed or not. Throws NoduleError: FILE, FORMAT for what is read, UNAVAILABLE for the
 * engine, NUMERIC when the loss stops being a number (the checkpoints before it stay).
 */
export async function trainPatches(options: TrainPatchesOptions): Promise<TrainPatchesResult> {
  const hypes = readPatchHypes(options.hypes, options.set)
  const lastStep = checkInteger('steps', options.steps ?? hypes.solver.max_iter, 0, 1e9)
  if (options.seed !== undefined) checkInteger('seed', options.seed, 0, 0xffffffff)
  const folder = join(options.output, 'checkpoints')
  const earlier = await findEarlier(folder, hypes, options, async (path) =>
    loadCheckpointOf(path, 'patches', parsePatchHypes),
  )
  const seed = earlier?.seed ?? options.seed ?? hypes.solver.rnd_seed
  const firstStep = earlier?.step ?? 0
  const stores: CubeStore[] = []
  const trainPaths = [options.train].flat()
  const open = async (paths: readonly string[]): Promise<CubeStore> => {
    const opened: CubeStore[] = []
    for (const path of paths) {
      const store = await openCubes(path)
      stores.push(store)
      checkStore(store, hypes)
      opened.push(store)
    }
    return joinCubes(opened)
  }
  const interrupted = (): boolean => options.interrupted?.() === true
  const disposables: { dispose: () => void }[] = []
  try {
    const sampler = createSampler(await open(trainPaths), hypes, seed)
    const testStore = options.test === undefined ? undefined : await open([options.test])
    await makeOutputFolder(options.output)
    const engine = await startEngine(options.engine)
    options.onLine?.(`engine: ${engine.describe()}`)
    options.onLine?.(`cubes: ${sampler.nodules} nodules, ${sampler.others} others`)
    const model = createPatchModel(hypes, seed)
    const optimizer = createOptimizer(hypes, model.weights)
    const { ema_decay: decay, weights: start } = hypes.solver
    // Before the averages begin at the weights.
    if (earlier === undefined && start !== '') {
      const path = resolve(dirname(options.hypes), start)
      const { tensors } = await loadCheckpointOf(path, 'patches', parsePatchHypes)
      restoreVariables(model.weights, tensors, 'model/', path)
    }
    const ema = decay > 0 ? createEma(model.weights, decay) : undefined
    disposables.push(model, optimizer, ...(ema === undefined ? [] : [ema]))
    // What a checkpoint holds as the model, and what it needs to go on.
    const averages = ema?.averages ?? model.weights
    const slots = new Map([...optimizer.slots, ...(ema?.slots ?? [])])
    if (earlier !== undefined) {
      restoreVariables(averages, earlier.tensors, 'model/', earlier.path)
      restoreVariables(slots, earlier.tensors, 'optimizer/', earlier.path)
    }
    await writeFileAtomic(join(options.output, 'hypes.json'), `${JSON.stringify(hypes, undefined, 2)}\n`)
    await recordStart(options.output, {
      nodule: VERSION,
      node: process.versions.node,
      engine: engine.name,
      seed,
      step: firstStep,
      train: trainPaths.length === 1 ? resolve(trainPaths[0]!) : trainPaths.map((path) => resolve(path)),
      ...(options.test === undefined ? {} : { test: resolve(options.test) }),
    })
    const log = await openLogOf<PatchLogEntry>(options.output, firstStep, TAGS)
    const save = async (at: number): Promise<string> => {
      const path = join(folder, checkpointName(at))
      await saveCheckpoint(path, {
        kind: 'patches',
        hypes,
        step: at,
        seed,
        engine: engine.name,
        weights: averages,
        slots,
      })
      await copyAsLast(path)
      return path
    }
    const { display_iter: displayEvery, save_iter: saveEvery, test_iter: testEvery } = hypes.logging
    let recent: { loss: number; gradientNorm: number; ms: number }[] = []
    let saved = earlier?.path
    let last: PatchLogEntry | undefined
    let step = firstStep
    const report = async (at: number, end: boolean): Promise<void> => {
      const mean = (value: (result: (typeof recent)[number]) => number): number =>
        recent.reduce((sum, result) => sum + value(result), 0) / recent.length
      const tested =
        testStore !== undefined && (end || at % testEvery === 0)
          ? (ema ?? { use: <R>(work: () => R): R => work() }).use(() => testPatches(model, testStore))
          : {}
      last = {
        step: at,
        lr: learningRate(hypes.solver, at),
        loss: mean(({ loss }) => loss),
        gradientNorm: mean(({ gradientNorm }) => gradientNorm),
        ...tested,
        msPerCube: mean(({ ms }) => ms) / hypes.batch_size,
      }
      await log.write(last)
      options.onLine?.(patchLogLine(last))
      recent = []
    }
    while (step < lastStep && !interrupted()) {
      const started = performance.now()
      const rate = learningRate(hypes.solver, step)
      const result = patchStep(model, optimizer, sampler.batch(step), { step, learningRate: rate })
      ema?.update(step)
      recent.push({ ...result, ms: performance.now() - started })
      if (step % displayEvery === 0) await report(step, false)
      step++
      if (step % saveEvery === 0) saved = await save(step)
      options.onProgress?.(step, lastStep)
      // Signals arrive between turns of the event loop only.
      await nextTurn()
    }
    if (recent.length > 0) await report(step - 1, true)
    const slow = describeFallbacks()
    if (slow.length > 0)
      options.onWarning?.(`the native engine left kernels to JavaScript: ${slow.join(', ')}`)
    if (saved === undefined || (step > firstStep && step % saveEvery !== 0)) saved = await save(step)
    return { step, checkpoint: saved, interrupted: interrupted(), ...(last === undefined ? {} : { last }) }
  } finally {
    for (const item of disposables) item.dispose()
    for (const store of stores) store.close()
  }
}

/** Loss (per cube, as it is, without smoothing) and area under the ROC curve for nodules against everything else. */
function testPatches(model: PatchModel, store: CubeStore): { testLoss?: number; testAuc?: number } {
  const labelled = store.cubes.flatMap(({ record }, index) =>
    record.labels.nodule === undefined ? [] : [{ index, positive: record.labels.nodule >= 0.5 }],
  )
  const width = model.hypes.targets.length
  const at = model.hypes.targets.indexOf('nodule')
  const outputs = predictCubes(
    model,
    store,
    labelled.map(({ index }) => index),
  )
  const logits = labelled.map((_, n) => outputs[n * width + at]!)
  const losses = labelled.map(({ positive }, n) => softplus(positive ? -logits[n]! : logits[n]!))
  const auc = areaUnderCurve(
    logits,
    labelled.map(({ positive }) => positive),
  )
  return {
    ...(losses.length === 0 ? {} : { testLoss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length }),
    ...(Number.isNaN(auc) ? {} : { testAuc: auc }),
  }
}

/** log(1 + exp(x)) */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
}

function patchLogLine(entry: PatchLogEntry): string {
  const { testAuc, testLoss } = entry
  return [
    `Step: ${entry.step}`,
    `lr: ${entry.lr.toFixed(6)}`,
    `Train Loss: ${entry.loss.toFixed(4)}`,
    ...(testLoss === undefined ? [] : [`Test Loss: ${testLoss.toFixed(4)}`]),
    ...(testAuc === undefined ? [] : [`Test AUC: ${testAuc.toFixed(4)}`]),
    `Time/cube (ms): ${entry.msPerCube.toFixed(2)}`,
  ].join(', ')
}
