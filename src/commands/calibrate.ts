import type { CommandModule } from 'yargs'
import { checkNoInput } from '../files.js'
import { calibrate, calibrateLike } from '../mining/index.js'
import type { CalibrateResult } from '../mining/index.js'
import { printResult } from '../terminal/output.js'
import { count } from '../words.js'

interface Flags {
  second: string
  cubes: string[] | undefined
  like: string[] | undefined
  model: string | undefined
  output: string | undefined
  size: number | undefined
}

/** Flags that are not called as the parameters that they set. */
export const flagOf = { twins: 'like' }

export const command: CommandModule<object, Flags> = {
  command: 'calibrate <second>',
  describe: 'Fit a second stage to the first one: what both say together',
  builder: (yargs) =>
    yargs
      .positional('second', {
        type: 'string',
        demandOption: true,
        describe: 'Second stage (nodule export)',
      })
      .option('cubes', {
        type: 'string',
        array: true,
        describe: 'Cubes of nodule mine with --model, of patients that neither stage was trained on',
      })
      .option('like', {
        type: 'string',
        array: true,
        describe:
          'In place of cubes: second stages that learnt without the patients they were calibrated on; the mean of their constants is taken',
      })
      .conflicts('cubes', 'like')
      .check(({ cubes, like }) => cubes !== undefined || like !== undefined || 'Name --cubes or --like.')
      .option('model', {
        type: 'string',
        alias: 'm',
        describe: 'First stage that it will be used with [default: that of the cubes, or of --like]',
      })
      .option('size', {
        type: 'number',
        describe: "Weight of the mark's size, given and not fitted (--cubes)",
      })
      .conflicts('like', 'size')
      .option('output', { type: 'string', alias: 'o', describe: 'File to write [default: the second stage]' })
      .example('$0 calibrate model_second.onnx --cubes cubes/val', 'then detect with model.onnx takes it'),
  handler: async (flags) => {
    if (flags.output !== undefined)
      await checkNoInput(flags.output, [flags.model, ...(flags.like ?? []), ...(flags.cubes ?? [])])
    if (flags.like !== undefined) {
      const path = flags.output ?? flags.second
      const calibration = await calibrateLike(flags.second, flags.like, path, flags.model)
      return printResult({ path, calibration }, () => `${path}: ${formula(calibration)}\n`)
    }
    const result = await calibrate({ ...flags, cubes: flags.cubes! })
    printResult(result, () => summary(result))
  },
}

function formula({ first, second, size, offset, nodules, others }: CalibrateResult['calibration']): string {
  return (
    `confidence = sigmoid(${first.toFixed(3)} * logit(first) + ${second.toFixed(3)} * second + ` +
    `${size.toFixed(3)} * ln(diameter / 8 mm) ${offset < 0 ? '-' : '+'} ${Math.abs(offset).toFixed(3)}), ` +
    `from ${count(nodules, 'mark')} that hit and ${others} that do not`
  )
}

function summary({ path, calibration, auc, bins }: CalibrateResult): string {
  const table = bins
    .filter(({ marks }) => marks > 0)
    .map(
      ({ from, to, marks, confidence, nodules: share }) =>
        `  ${from} to ${to}: ${count(marks, 'mark')}, ${(100 * confidence).toFixed(1)} % expected, ` +
        `${(100 * share).toFixed(1)} % nodules\n`,
    )
  return (
    `${path}: ${formula(calibration)}\n` +
    `area under the ROC curve: first ${auc.first.toFixed(4)}, second ${auc.second.toFixed(4)}, both ${auc.both.toFixed(4)}\n` +
    table.join('')
  )
}
