import type { CommandModule } from 'yargs'
import { noEffect } from '../check.js'
import { installNative } from '../engine/onednn/install.js'
import { TENSORFLOW_VERSION, installTensorflow } from '../engine/tensorflow/install.js'
import { printNote, printResult } from '../terminal/output.js'

interface EngineFlags {
  action: string
  name: string
  gpu: boolean
  tensorflow: string | undefined
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
        choices: ['native', 'tensorflow'],
        demandOption: true,
      })
      .option('gpu', {
        describe: 'With CUDA: TensorFlow of CUDA 12 (about 4 GB to download); native kernels for all GPUs',
        type: 'boolean',
        default: false,
      })
      .option('tensorflow', {
        describe: `With tensorflow: its release [${TENSORFLOW_VERSION}]`,
        type: 'string',
      })
      .option('verbose', { describe: 'Show what pip and the compiler say', type: 'boolean', default: false })
      .example('$0 engine install native', 'Build the C++ kernels and the engine on oneDNN from source')
      .example(
        '$0 engine install tensorflow',
        'TensorFlow from PyPI behind tfjs-node, for --engine tensorflow; npm install tfjs-node-gpu first',
      ),
  handler: async ({ name, gpu, tensorflow, verbose }) => {
    if (name === 'native' && tensorflow !== undefined)
      throw noEffect('tensorflow', 'the engine tensorflow', name)
    const onLine = verbose ? printNote : undefined
    const installed = await (name === 'native'
      ? installNative({ gpu, onLine })
      : installTensorflow({ gpu, version: tensorflow ?? TENSORFLOW_VERSION, onLine }))
    printResult({ installed }, `${installed}\n`)
  },
}
