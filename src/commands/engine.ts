import type { CommandModule } from 'yargs'
import { TENSORFLOW_VERSION, installTensorflow } from '../engine/install_tensorflow.js'
import { printNote, printResult } from '../output.js'

interface EngineFlags {
  action: string
  name: string
  gpu: boolean
  tensorflow: string
  verbose: boolean
}

export const command: CommandModule<object, EngineFlags> = {
  command: 'engine <action> <name>',
  describe: 'Install an engine that npm could not install',
  builder: (yargs) =>
    yargs
      .positional('action', {
        describe: 'What to do',
        type: 'string',
        choices: ['install'],
        demandOption: true,
      })
      .positional('name', {
        describe: 'The engine',
        type: 'string',
        choices: ['tensorflow'],
        demandOption: true,
      })
      .option('gpu', { describe: 'With CUDA 12 (about 4 GB to download)', type: 'boolean', default: false })
      .option('tensorflow', {
        describe: 'TensorFlow release',
        type: 'string',
        default: TENSORFLOW_VERSION,
      })
      .option('verbose', { describe: 'Show what pip and the compiler say', type: 'boolean', default: false })
      .example(
        '$0 engine install tensorflow',
        'TensorFlow from PyPI behind tfjs-node, for --engine tensorflow',
      ),
  handler: async ({ gpu, tensorflow, verbose }) => {
    const onLine = verbose ? printNote : undefined
    const installed = await installTensorflow({ gpu, version: tensorflow, onLine })
    printResult({ installed }, `${installed}\n`)
  },
}
