/** The native engine: a tfjs backend by oneDNN and our own kernels. See native/README.md. */
import * as tf from '@tensorflow/tfjs'
import { checkInteger } from '../../check.js'
import type { Engine } from '../types.js'
import { TENSOR_SOLUTIONS, requireTensorAddon, tensorAddonProblem } from './addon.js'
import { NativeBackend } from './backend.js'
import { convolutionKernels } from './convolutions.js'
import { elementwiseKernels } from './elementwise.js'
import { fusedKernels } from './fused.js'
import { BACKEND, kernelFallbacks, registerKernels } from './kernel.js'
import { layerKernels } from './layers.js'
import { layoutKernels } from './layout.js'
import { networkKernels } from './network.js'
import { reduceKernels } from './reduce.js'
import { slotKernels } from './slots.js'

/** Registers the backend 'native' with its kernels, once per process. Throws NoduleError (UNAVAILABLE). */
export function registerNativeBackend(): void {
  if (tf.findBackendFactory(BACKEND) != null) return
  const addon = requireTensorAddon()
  if (process.env['NODULE_BFLOAT16'] === '1') addon.bfloat16(true)
  registerKernels({
    ...elementwiseKernels,
    ...reduceKernels,
    ...layoutKernels,
    ...layerKernels,
    ...convolutionKernels,
    ...fusedKernels,
    ...networkKernels,
    ...slotKernels,
  })
  tf.registerBackend(BACKEND, () => new NativeBackend(addon), 4)
}

/** Threads of all tensor kernels from now on. */
export function setNativeThreads(count: number): void {
  requireTensorAddon().threads(checkInteger('threads', count, 1, 1024))
}

/** The kernels that tfjs's JavaScript did since the start, the slowest first: "Cumsum 12 calls 3.1 ms". */
export function describeFallbacks(): string[] {
  return kernelFallbacks().map(({ name, calls, ms }) => `${name} ${calls} calls ${ms.toFixed(1)} ms`)
}

/** What computes: "oneDNN 2.6.3, avx512, 2 threads". Throws NoduleError (UNAVAILABLE) where the addon is missing. */
export function describeNativeEngine(): string {
  const addon = requireTensorAddon()
  const bfloat16 = addon.bfloat16() ? ', bfloat16 inside' : ''
  return `oneDNN ${addon.onednn}, ${addon.isa}, ${addon.threads()} threads${bfloat16}`
}

export const nativeEngine: Engine = {
  name: 'native',
  probe: () => {
    const problem = tensorAddonProblem()
    return Promise.resolve(
      problem === undefined ? undefined : `${problem}; possible solutions: ${TENSOR_SOLUTIONS.join('; ')}`,
    )
  },
  start: async () => {
    registerNativeBackend()
    await tf.setBackend(BACKEND)
    await tf.ready()
    return { name: 'native', describe: () => `native (${describeNativeEngine()}, tfjs ${tf.version_core})` }
  },
}
