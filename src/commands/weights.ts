import type { CommandModule } from 'yargs'
import { averageCheckpoints } from '../checkpoints/average.js'
import { stripCheckpoint } from '../checkpoints/strip.js'
import { BACKBONE_NAMES } from '../config/backbones.js'
import type { BackboneName } from '../config/backbones.js'
import { printResult } from '../terminal/output.js'
import { convertWeights, describeWeights, namesOf } from '../weights/index.js'
import type { Converted, Description } from '../weights/index.js'
import { count } from '../words.js'
import { greatest } from '../lists.js'

interface Flags {
  file: string
}

interface ConvertFlags extends Flags {
  output: string
  backbone: BackboneName | undefined
}

const OUTPUT = {
  type: 'string',
  alias: 'o',
  demandOption: true,
  describe: 'File to write (.safetensors)',
} as const
const CHECKPOINT = { type: 'string', demandOption: true, describe: 'Checkpoint of nodule train' } as const

const convert: CommandModule<object, ConvertFlags> = {
  command: 'convert <file>',
  describe: 'Write a file of weights as safetensors',
  builder: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'File of weights' })
      .option('output', OUTPUT)
      .option('backbone', {
        choices: BACKBONE_NAMES,
        describe: "Only this backbone's variables, by the names and in the layout of this package",
      })
      .example(
        '$0 weights convert inception_v1.ckpt -o inception.safetensors',
        'every tensor under its own name',
      )
      .example('$0 weights convert resnet50.pth -o r50.safetensors --backbone resnet50', ''),
  handler: async ({ file, output, backbone }) => {
    const result = await convertWeights(file, output, backbone)
    printResult(result, () => converted(result))
  },
}

const average: CommandModule<object, Flags & { others: string[]; output: string }> = {
  command: 'average <file> <others..>',
  describe: 'Write the mean of several checkpoints of one network',
  builder: (yargs) =>
    yargs
      .positional('file', CHECKPOINT)
      .positional('others', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'One or more others of the same network',
      })
      .option('output', OUTPUT)
      .example(
        '$0 weights average a/checkpoints/last.safetensors b/checkpoints/last.safetensors -o mean.safetensors',
        'to train on from, by solver.weights, some hundred steps',
      ),
  handler: async ({ file, others, output }) => {
    const files = [file, ...others]
    const result = await averageCheckpoints(files, output)
    printResult(
      result,
      () => `${result.path}: ${count(result.tensors, 'tensor')}, means of ${files.length} checkpoints\n`,
    )
  },
}

const strip: CommandModule<object, Flags & { output: string }> = {
  command: 'strip <file>',
  describe: "Write a checkpoint without the optimizer's state, to pass on",
  builder: (yargs) =>
    yargs
      .positional('file', CHECKPOINT)
      .option('output', OUTPUT)
      .example(
        '$0 weights strip runs/lung/checkpoints/last.safetensors -o lung.safetensors',
        'a third of the size; for nodule export, and to train on from by solver.weights',
      ),
  handler: async ({ file, output }) => {
    const result = await stripCheckpoint(file, output)
    printResult(
      result,
      () =>
        `${result.path}: ${count(result.tensors, 'tensor')}, ${result.bytes} bytes, sha256 ${result.sha256}\n`,
    )
  },
}

export const command: CommandModule<object, Flags> = {
  command: 'weights <file>',
  describe: 'Show what is in a file of weights and which backbone it fits',
  builder: (yargs) =>
    yargs
      .command(convert)
      .command(average)
      .command(strip)
      .positional('file', {
        type: 'string',
        demandOption: true,
        describe: 'TensorFlow checkpoint (V1; prefix or .index of V2), .pth, .pt, .onnx, .safetensors',
      })
      .example(
        '$0 weights inception_v1.ckpt',
        'names, shapes, types; the backbones, what would be left over',
      ),
  handler: async ({ file }) => {
    const description = await describeWeights(file)
    printResult(description, () => described(description))
  },
}

function described({ path, format, tensors, fits }: Description): string {
  const width = greatest(
    tensors.map(({ name }) => name.length),
    0,
  )
  const lines = tensors.map(
    ({ name, shape, type }) => `  ${name.padEnd(width)}  ${type.padEnd(8)}  [${shape.join(', ')}]`,
  )
  return [`${path}: ${format}, ${count(tensors.length, 'tensor')}`, ...lines, ...fits.map(fitLine), ''].join(
    '\n',
  )
}

function fitLine({
  backbone,
  channels,
  whole,
  found,
  missing,
  otherShape,
  constant,
  leftOver,
}: Description['fits'][number]): string {
  const some = (names: readonly string[]): string =>
    names.length === 0
      ? '0'
      : `${names.length} (${names.slice(0, 3).join(', ')}${names.length > 3 ? ', ...' : ''})`
  if (!whole)
    return `does not fit ${backbone}: ${found} variables found, missing ${some(missing)}, of another shape ${some(otherShape)}`
  const scales = constant === 0 ? '' : `, ${constant} scales of batch norms left at 1`
  const other = channels === 3 ? '' : ` with data.channels=${channels}`
  return `fits ${backbone}${other}: ${count(found, 'variable')}${scales}; left over ${some(leftOver)}`
}

function converted({ path, tensors, skipped }: Converted): string {
  const rest = skipped.length === 0 ? '' : `; left out: ${namesOf(skipped)}`
  return `${path}: ${count(tensors, 'tensor')}${rest}\n`
}
