import { checkInteger, checkObject, checkText, checkTexts } from '../check.js'
import { append } from '../lists.js'
import { findNear } from '../config/find_near.js'
import { parsePatchHypes, readPatchHypes } from '../config/patch_hypes.js'
import type { PatchHypes } from '../config/patch_hypes.js'
import { tellWithoutEffect, withoutEffectOnPatches } from '../config/without_effect.js'
import { defaultWorkers } from '../dataset/run_ahead.js'
import { NoduleError } from '../errors.js'
import { loadCheckpointOf } from '../checkpoints/checkpoint.js'
import type { Checkpoint } from '../checkpoints/checkpoint.js'
import { runLoop } from './loop.js'
import type { EntryHead, Learner, TrainResult } from './loop.js'
import type { SafeTensors } from '../formats/safetensors.js'
import { restoreModel } from './other_hypes.js'
import { withOwnStart } from './own_start.js'
import { tellSharedCubes } from './shared_data.js'
import { openRun } from './start.js'
import type { RunOptions } from './start.js'
import { createSampler, openCubesFor } from '../patches/batches.js'
import type { PatchBatch } from '../patches/batches.js'
import { cubePlanes, cubeSpec } from '../patches/cube.js'
import { sampleAhead } from '../patches/sample_ahead.js'
import { createPatchModel } from '../patches/model.js'
import type { PatchModel } from '../patches/model.js'
import { areaUnderCurve, predictCubes } from '../patches/predict.js'
import { patchStep } from './patch_step.js'
import type { PatchResult } from './patch_step.js'
import { joinCubes } from '../patches/store.js'
import type { CubeStore } from '../patches/store.js'

export interface TrainPatchesOptions extends RunOptions {
  /** Folders of cubes (`nodule mine`), taken together; only a run that goes on has its own. */
  train?: string | readonly string[] | undefined
  /** Folder of cubes of other patients; none: no test. */
  test?: string | undefined
}

/** What is logged every display_iter steps; the train values are means since the last entry. */
export interface PatchLogEntry extends EntryHead {
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

export type TrainPatchesResult = TrainResult<PatchLogEntry>

type Look = Pick<PatchLogEntry, 'testLoss' | 'testAuc'>

/**
 * Trains a classifier of cubes. The same hypes, seed, cubes and code on the same engine give the same weights, whether
 * the run is interrupted and resumed or not. Throws NoduleError: FILE, FORMAT for what is read, UNAVAILABLE for the
 * engine, NUMERIC when the loss stops being a number (the checkpoints before it stay).
 */
export async function trainPatches(given: TrainPatchesOptions): Promise<TrainPatchesResult> {
  checkText('output', checkObject('options', given).output)
  const options = await withOwnStart(given)
  checkText('hypes', options.hypes)
  if (options.train !== undefined) checkTexts('train', [options.train].flat())
  const hypes = readPatchHypes(options.hypes, options.set)
  tellWithoutEffect(options.hypes, withoutEffectOnPatches(hypes), options.onWarning)
  if (options.train === undefined)
    throw new NoduleError('FORMAT', 'no cubes to train on', {
      path: options.hypes,
      expected: 'a folder of cubes',
      remedies: [{ do: 'name one for this run', parameter: 'train' }],
    })
  const trainPaths = [options.train].flat()
  const load = async (path: string): Promise<Checkpoint<PatchHypes>> =>
    loadCheckpointOf(path, 'patches', parsePatchHypes)
  const run = await openRun(options, hypes, { train: trainPaths, test: options.test }, load)
  if (hypes.solver.early_stopping > 0 && options.test === undefined)
    options.onWarning?.(`${options.hypes}: solver.early_stopping has no effect without a test`)
  const workers = checkInteger('workers', options.workers ?? defaultWorkers(), 0, 64)
  const stores: CubeStore[] = []
  const open = async (paths: readonly string[]): Promise<CubeStore> => {
    const opened = await openCubesFor(hypes, paths)
    append(stores, opened)
    return joinCubes(opened)
  }
  let ahead: ReturnType<typeof sampleAhead> | undefined
  try {
    const trainStore = await open(trainPaths)
    const sampler = createSampler(trainStore, hypes, run.seed)
    const source = { folders: trainPaths, hypes, seed: run.seed }
    ahead = sampleAhead(sampler, source, workers)
    const { batch } = ahead
    const testStore = options.test === undefined ? undefined : await open([options.test])
    if (testStore !== undefined) tellSharedCubes(trainStore, testStore, options.onWarning)
    if (hypes.solver.early_stopping > 0 && testStore !== undefined && !hasBothKinds(testStore))
      options.onWarning?.(
        `${options.hypes}: solver.early_stopping has no effect with a test of nodules alone, or without any`,
      )
    const isTested = (step: number): boolean =>
      testStore !== undefined && step % hypes.logging.test_iter === 0
    const build = (): Learner<PatchBatch, PatchResult, Look, PatchLogEntry> => {
      options.onLine?.(`cubes: ${sampler.nodules} nodules, ${sampler.others} others`)
      const model = createPatchModel(hypes, run.seed)
      return {
        kind: 'patches',
        weights: model.weights,
        loadStart: async () => {
          if (hypes.solver.weights === '') return
          const path = findNear(options.hypes, hypes.solver.weights)
          restoreModel({ weights: model.weights, hypes }, await load(path), path, options.onWarning)
        },
        batch,
        step: (batches, optimizer, place) => patchStep(model, optimizer, batches, place),
        batchTensors: (batch) => batchTensors(batch, hypes),
        look: ({ step, last }) => ({
          look: testStore !== undefined && (last || isTested(step)) ? testPatches(model, testStore) : {},
        }),
        isDue: isTested,
        score: ({ testAuc }) => testAuc,
        entry: (head, means, look, msPerCube) => ({ ...head, ...means, ...look, msPerCube }),
        tags: TAGS,
        line: patchLogLine,
        dispose: () => model.dispose(),
      }
    }
    return await runLoop(run, build)
  } finally {
    await ahead?.close()
    for (const store of stores) store.close()
  }
}

function batchTensors({ cubes, labels }: PatchBatch, hypes: PatchHypes): SafeTensors {
  const n = hypes.batch_size
  const { size } = hypes.cube
  return {
    metadata: {},
    tensors: new Map([
      ['cubes', { shape: [n, size, size, cubePlanes(cubeSpec(hypes))], data: cubes }],
      // What a cube has no label for is 0 here.
      ['labels', { shape: [n, hypes.targets.length], data: labels.map((label) => label || 0) }],
    ]),
  }
}

/** Loss (per cube, as it is, without smoothing) and area under the ROC curve for nodules against everything else. */
function testPatches(model: PatchModel, store: CubeStore): Look {
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

/** Without both there is no area under a curve, by which looks are compared. */
function hasBothKinds({ cubes }: CubeStore): boolean {
  const kinds = cubes.flatMap(({ record: { labels } }) =>
    labels.nodule === undefined ? [] : [labels.nodule >= 0.5],
  )
  return new Set(kinds).size === 2
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
