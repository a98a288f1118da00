import { resolve } from 'node:path'
import type { Argv, CommandModule } from 'yargs'
import { noEffect } from '../check.js'
import { isPatchHypes } from '../config/patch_hypes.js'
import { ENGINE_NAMES } from '../engine/start.js'
import { lockFolder } from '../lock.js'
import { longWork } from '../terminal/long_work.js'
import { printLine, printNote, printResult } from '../terminal/output.js'
import { withOwnStart } from '../training/own_start.js'
import { drawTraining, train } from '../training/train.js'
import type { TrainOptions } from '../training/train.js'
import { trainPatches } from '../training/train_patches.js'

const builder = (yargs: Argv): Argv =>
  yargs
    .positional('hypes', { type: 'string', describe: 'Hypes file: the model and how it is trained' })
    .option('train', {
      type: 'string',
      array: true,
      describe:
        'JSON lists of training frames, taken together [data.train_idl of the hypes]; with the hypes of a second stage folders of cubes (nodule mine)',
    })
    .option('test', {
      type: 'string',
      describe: 'JSON list of test frames [data.test_idl of the hypes], or a folder of cubes',
    })
    .option('set', {
      type: 'string',
      array: true,
      describe: 'Changes a key of the hypes, such as solver.learning_rate=3e-4',
    })
    .option('output', {
      alias: 'o',
      type: 'string',
      describe: "The run's folder: checkpoints, log, TensorBoard events",
    })
    .option('steps', { type: 'number', describe: 'Step to stop at [solver.max_iter of the hypes]' })
    .option('resume', {
      type: 'boolean',
      default: false,
      describe:
        "Go on from the newest checkpoint in the run's folder; by its own hypes and data where none are named",
    })
    .option('engine', {
      choices: ENGINE_NAMES,
      default: 'auto' as const,
      describe: 'What computes: auto takes the fastest that is installed',
    })
    .option('profile', {
      type: 'boolean',
      default: false,
      describe: 'At the end, print the time by kernel, the share of JavaScript and the bytes allocated',
    })
    .option('sheet', {
      type: 'string',
      describe:
        'Draw the first frames as the hypes vary them, with their boxes, into this PNG, and train nothing',
    })
    .option('skip-missing', {
      type: 'boolean',
      describe: 'Leave out images of the lists that are not there [with --resume as the run did, else no]',
    })
    .option('workers', {
      type: 'number',
      describe: 'Threads that read and vary frames ahead of the steps; 0: none [those that the steps leave]',
    })
    .option('seed', {
      type: 'number',
      describe: 'Seed of weights, order, jitter and dropout [solver.rnd_seed of the hypes]',
    })
    // TensorBox's own names of these, for its scripts.
    .option('max_iter', { type: 'number', hidden: true })
    .option('logdir', { type: 'string', hidden: true })
    .option('weights', { type: 'string', hidden: true })
    .option('gpu', { type: 'string', hidden: true })
    .check(({ hypes, output, logdir, sheet, resume }) =>
      (output ?? logdir) !== undefined
        ? hypes !== undefined ||
          resume ||
          'Name a hypes file: nodule train HYPES -o FOLDER; or a run to go on with: nodule train -o FOLDER --resume.'
        : (hypes !== undefined && sheet !== undefined) ||
          'Name a hypes file and the folder of the run: nodule train HYPES -o FOLDER.',
    )
    .example(
      '$0 train hypes/tiny.json --train dataset/train.json --test dataset/val.json -o runs/tiny',
      'Train a small model',
    )
    .example(
      '$0 train -o runs/tiny --resume --steps 8000',
      'Train it further, by the hypes and the data that it was started with',
    )
    .example(
      '$0 train hypes/lung_second.json --train cubes/train --test cubes/val -o runs/second',
      'Train the second stage on the cubes of nodule mine',
    )

/** What TensorBox's scripts say. */
interface TensorBoxFlags {
  max_iter?: number
  logdir?: string
  /** A checkpoint to start from; relative to the working directory, as there. */
  weights?: string
  gpu?: string
  sheet?: string
}

function inOurFlags(flags: TrainOptions & TensorBoxFlags): TrainOptions {
  const { max_iter: maxIter, logdir, weights, gpu, ...options } = flags
  if (gpu !== undefined)
    printNote('warning: --gpu has no effect: --engine tensorflow uses a GPU where there is one')
  const start = weights === undefined ? [] : [`solver.weights=${JSON.stringify(resolve(weights))}`]
  return {
    ...options,
    output: options.output ?? logdir,
    steps: options.steps ?? maxIter,
    set: [...(options.set ?? []), ...start],
  }
}

/** What was said of a training that --sheet leaves undone. */
function idleWithSheet(flags: TrainOptions & TensorBoxFlags): string[] {
  const { output, logdir, steps, max_iter: maxIter, test, resume, engine, profile } = flags
  // By these the hypes and the data of an earlier run are found.
  const isFound = flags.hypes === undefined
  const given = {
    '--output': !isFound && (output ?? logdir) !== undefined,
    '--resume': !isFound && resume === true,
    '--steps': (steps ?? maxIter) !== undefined,
    '--test': test !== undefined,
    '--engine': engine !== undefined && engine !== 'auto',
    '--profile': profile === true,
  }
  return Object.entries(given).flatMap(([flag, isGiven]) => (isGiven ? [flag] : []))
}

export const command: CommandModule<object, TrainOptions & TensorBoxFlags> = {
  command: 'train [hypes]',
  describe: 'Train a detector from a hypes file',
  builder: builder as (yargs: Argv) => Argv<TrainOptions & TensorBoxFlags>,
  handler: async (flags) => {
    const options = await withOwnStart(inOurFlags(flags))
    const isSecond = isPatchHypes(options.hypes)
    if (isSecond && options.skipMissing === true)
      throw noEffect('skipMissing', 'lists of frames', 'the hypes of a second stage, which learns from cubes')
    if (flags.sheet !== undefined) {
      const onWarning = (warning: string): void => printNote(`warning: ${warning}`)
      const idle = idleWithSheet(flags)
      if (idle.length > 0) onWarning(`--sheet draws and trains nothing: without effect: ${idle.join(', ')}`)
      await drawTraining({ ...options, onWarning }, flags.sheet)
      printResult({ sheet: flags.sheet }, `${flags.sheet}\n`)
      return
    }
    // Given back when the process ends.
    await lockFolder(options.output, 'training')
    const result = await longWork(
      'train',
      async ({ signal, onProgress, onWarning }) => {
        const tools = { ...options, signal, onProgress, onWarning, onLine: printLine }
        return isSecond ? trainPatches(tools) : train(tools)
      },
      { notice: 'finishing the step and saving; press Ctrl-C again to stop at once', cut: '' },
    )
    const { step, checkpoint } = result
    printResult(result, `${result.interrupted ? 'interrupted at' : 'done:'} step ${step}: ${checkpoint}\n`)
  },
}
