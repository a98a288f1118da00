/** NoduleSlots and its gradient: see slotLayer of ../slots.ts. */
import type { TensorInfo } from '@tensorflow/tfjs'
import type { Call, Kernels } from './kernel.js'

/** m rows; u numbers of a state, w of what a slot has seen, n of the result. */
interface Sizes {
  slots: number
  m: number
  u: number
  w: number
  n: number
}

function read({ inputs, attrs, backend }: Call): Sizes & { seen: Float32Array; states: F[]; weights: F[] } {
  const slots = attrs['slots'] as number
  const list = (first: number): F[] =>
    Array.from({ length: slots }, (_, k) => backend.floats(inputs[first + k]!))
  const [m, , w] = inputs[0]!.shape as [number, number, number]
  const [u, n] = [inputs[1]!.shape[1]!, inputs[1 + slots]!.shape[1]!]
  const [states, weights] = [list(1), list(1 + slots)]
  return { slots, m, u, w, n, seen: backend.floats(inputs[0]!), states, weights }
}

function slotLayer(call: Call): TensorInfo {
  const { slots, m, u, w, n, seen, states, weights } = read(call)
  const { addon } = call.backend
  const out = call.backend.output([slots, m, n], 'float32')
  const y = out.values
  for (let k = 0; k < slots; k++) {
    const [state, weight, at] = [states[k]!, weights[k]!, k * m * n]
    addon.matMul(false, false, m, n, u, state, 0, weight, 0, y, at, false)
    addon.matMul(false, false, m, n, w, seen, k * w, weight, u * n, y, at, true, slots * w)
  }
  return out.info
}

/** Gradients in the order of the inputs. */
function slotLayerGrad(call: Call): TensorInfo[] {
  const { slots, m, u, w, n, seen, states, weights } = read(call)
  const { inputs, backend } = call
  const { addon } = backend
  const dy = backend.floats(inputs['dy']!)
  const dSeen = backend.output([m, slots, w], 'float32')
  const dStates = states.map(() => backend.output([m, u], 'float32'))
  const dWeights = weights.map(() => backend.output([u + w, n], 'float32'))
  for (let k = 0; k < slots; k++) {
    const [state, weight, at] = [states[k]!, weights[k]!, k * m * n]
    const [dState, dWeight] = [dStates[k]!.values, dWeights[k]!.values]
    addon.matMul(false, true, m, u, n, dy, at, weight, 0, dState, 0, false)
    addon.matMul(false, true, m, w, n, dy, at, weight, u * n, dSeen.values, k * w, false, n, slots * w)
    addon.matMul(true, false, u, n, m, state, 0, dy, at, dWeight, 0, false)
    addon.matMul(true, false, w, n, m, seen, k * w, dy, at, dWeight, u * n, false, slots * w)
  }
  return [dSeen, ...dStates, ...dWeights].map(({ info }) => info)
}

type F = Float32Array

export const slotKernels: Kernels = { NoduleSlots: slotLayer, NoduleSlotsGrad: slotLayerGrad }
