/** The products of ../slots.ts and their gradients. m rows; u numbers of a state, w of what a slot has seen, n of a result. */
import type { TensorInfo } from '@tensorflow/tfjs'
import type { Call, Kernels } from './kernel.js'

type F = Float32Array

/** Inputs with numbers for names, from `first` on. */
function listFrom({ inputs, backend }: Call, first: number, count: number): F[] {
  return Array.from({ length: count }, (_, k) => backend.floats(inputs[first + k]!))
}

interface Layer {
  slots: number
  m: number
  u: number
  w: number
  n: number
  states: F
  seen: F
  weights: F[]
}

function readLayer(call: Call): Layer {
  const { inputs, backend } = call
  const [slots, m, u] = inputs[0]!.shape as [number, number, number]
  const [w, n] = [inputs[1]!.shape[2]!, inputs[2]!.shape[1]!]
  const [states, seen] = [backend.floats(inputs[0]!), backend.floats(inputs[1]!)]
  return { slots, m, u, w, n, states, seen, weights: listFrom(call, 2, slots) }
}

function slotLayer(call: Call): TensorInfo {
  const { slots, m, u, w, n, states, seen, weights } = readLayer(call)
  const { addon } = call.backend
  const out = call.backend.output([slots, m, n], 'float32')
  for (let k = 0; k < slots; k++) {
    const [weight, at] = [weights[k]!, k * m * n]
    addon.matMul(false, false, m, n, u, states, k * m * u, weight, 0, out.values, at, false)
    addon.matMul(false, false, m, n, w, seen, k * w, weight, u * n, out.values, at, true, slots * w)
  }
  return out.info
}

/** Gradients in the order of the inputs. */
function slotLayerGrad(call: Call): TensorInfo[] {
  const { slots, m, u, w, n, states, seen, weights } = readLayer(call)
  const { inputs, backend } = call
  const { addon } = backend
  const dy = backend.floats(inputs['dy']!)
  const dStates = backend.output([slots, m, u], 'float32')
  const dSeen = backend.output([m, slots, w], 'float32')
  const dWeights = weights.map(() => backend.output([u + w, n], 'float32'))
  for (let k = 0; k < slots; k++) {
    const [weight, dWeight, at, state] = [weights[k]!, dWeights[k]!.values, k * m * n, k * m * u]
    addon.matMul(false, true, m, u, n, dy, at, weight, 0, dStates.values, state, false)
    addon.matMul(false, true, m, w, n, dy, at, weight, u * n, dSeen.values, k * w, false, n, slots * w)
    addon.matMul(true, false, u, n, m, states, state, dy, at, dWeight, 0, false)
    addon.matMul(true, false, w, n, m, seen, k * w, dy, at, dWeight, u * n, false, slots * w)
  }
  return [dStates, dSeen, ...dWeights].map(({ info }) => info)
}

function slotHeads(call: Call): TensorInfo {
  const { inputs, attrs, backend } = call
  const [slots, m, u] = inputs[0]!.shape as [number, number, number]
  const n = inputs[1]!.shape[1]!
  const states = backend.floats(inputs[0]!)
  const out = backend.output([m, slots, n], 'float32')
  for (const [k, weight] of listFrom(call, 1, slots).entries())
    backend.addon.matMul(
      ...([false, false, m, n, u, states, k * m * u, weight, 0] as const),
      ...([out.values, k * n, false, u, slots * n] as const),
    )
  scale(call, out.values, attrs['scale'] as number)
  return out.info
}

/** Gradients in the order of the inputs. */
function slotHeadsGrad(call: Call): TensorInfo[] {
  const { inputs, attrs, backend } = call
  const { addon } = backend
  const [slots, m, u] = inputs[0]!.shape as [number, number, number]
  const n = inputs[1]!.shape[1]!
  const states = backend.floats(inputs[0]!)
  const dStates = backend.output([slots, m, u], 'float32')
  // Scaled, and slot by slot.
  const dy = backend.output([slots, m, n], 'float32')
  const together = backend.floats(inputs['dy']!)
  for (let k = 0, at = 0; k < slots; k++)
    for (let row = 0; row < m; row++)
      for (let i = 0; i < n; i++) dy.values[at++] = together[(row * slots + k) * n + i]!
  scale(call, dy.values, attrs['scale'] as number)
  const dWeights = listFrom(call, 1, slots).map((weight, k) => {
    const dWeight = backend.output([u, n], 'float32')
    addon.matMul(false, true, m, u, n, dy.values, k * m * n, weight, 0, dStates.values, k * m * u, false)
    addon.matMul(true, false, u, n, m, states, k * m * u, dy.values, k * m * n, dWeight.values, 0, false)
    return dWeight
  })
  backend.disposeData(dy.info.dataId)
  return [dStates, ...dWeights].map(({ info }) => info)
}

/** In place. */
function scale({ backend: { addon } }: Call, values: F, factor: number): void {
  if (factor !== 1) addon.unary(addon.unaryOps.affine, values, values, factor, 0)
}

export const slotKernels: Kernels = {
  NoduleSlots: slotLayer,
  NoduleSlotsGrad: slotLayerGrad,
  NoduleSlotHeads: slotHeads,
  NoduleSlotHeadsGrad: slotHeadsGrad,
}
