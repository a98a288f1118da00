import * as tf from '@tensorflow/tfjs'
import { setThreadsCount } from '@tensorflow/tfjs-backend-wasm'
import type { Engine } from '../types.js'
import { registerWasmKernels } from './kernels.js'

/** tfjs's WebAssembly backend on one thread, with the kernels that training needs and it lacks. Runs everywhere. */
export const wasmEngine: Engine = {
  name: 'wasm',
  probe: () => Promise.resolve('WebAssembly' in globalThis ? undefined : 'this Node.js has no WebAssembly'),
  start: async () => {
    // Its threads need a browser's workers; in Node they bring nothing.
    setThreadsCount(1)
    registerWasmKernels()
    await tf.setBackend('wasm')
    await tf.ready()
    return { name: 'wasm', describe: () => `wasm (tfjs ${tf.version_core}, one thread; the slowest engine)` }
  },
}
