/** The kernels of fused.ts for the wasm backend: single loops over the wasm heap. */
import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs'
import type { Call, WasmBackend } from './support.js'
import { view, wasmKernel } from './support.js'

/** The elements of the named inputs. Take it after the outputs are made. */
function views<N extends string>(
  backend: WasmBackend,
  inputs: Record<string, TensorInfo>,
  names: readonly N[],
): Record<N, Float32Array> {
  return Object.fromEntries(names.map((name) => [name, view(backend, inputs[name]!)])) as Record<
    N,
    Float32Array
  >
}

function batchNorm({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { x, gamma } = inputs as { x: TensorInfo; gamma: TensorInfo }
  const outputs = [x.shape, gamma.shape, gamma.shape].map((shape) => backend.makeOutput(shape, 'float32'))
  const [y, mean, variance] = outputs.map((info) => view(backend, info)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ]
  const v = views(backend, inputs, ['x', 'gamma', 'beta'])
  const channels = v.gamma.length
  const count = v.x.length / channels
  const epsilon = attrs['epsilon'] as number
  const low = attrs['relu'] === true ? 0 : -Infinity
  const sums = new Float64Array(channels)
  for (let i = 0; i < v.x.length;) for (let c = 0; c < channels; c++, i++) sums[c]! += v.x[i]!
  for (let c = 0; c < channels; c++) mean[c] = sums[c]! / count
  sums.fill(0)
  for (let i = 0; i < v.x.length;)
    for (let c = 0; c < channels; c++, i++) {
      const d = v.x[i]! - mean[c]!
      sums[c]! += d * d
    }
  const scale = new Float32Array(channels)
  for (let c = 0; c < channels; c++) {
    variance[c] = sums[c]! / count
    scale[c] = v.gamma[c]! / Math.sqrt(variance[c]! + epsilon)
  }
  for (let i = 0; i < v.x.length;)
    for (let c = 0; c < channels; c++, i++) {
      const value = (v.x[i]! - mean[c]!) * scale[c]! + v.beta[c]!
      // Not Math.max: a NaN must stay one.
      y[i] = value < low ? low : value
    }
  return outputs
}

function batchNormGradient({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { x, gamma } = inputs as { x: TensorInfo; gamma: TensorInfo }
  const outputs = [x.shape, gamma.shape, gamma.shape].map((shape) => backend.makeOutput(shape, 'float32'))
  const [dx, dgamma, dbeta] = outputs.map((info) => view(backend, info)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ]
  const v = views(backend, inputs, ['dy', 'x', 'y', 'gamma', 'mean', 'variance'])
  const channels = v.gamma.length
  const count = v.x.length / channels
  const relu = attrs['relu'] === true
  const epsilon = attrs['epsilon'] as number
  const sumDy = new Float64Array(channels)
  const sumDyX = new Float64Array(channels)
  for (let i = 0; i < v.x.length;)
    for (let c = 0; c < channels; c++, i++) {
      if (relu && !(v.y[i]! > 0)) continue
      sumDy[c]! += v.dy[i]!
      sumDyX[c]! += v.dy[i]! * (v.x[i]! - v.mean[c]!)
    }
  // dx = scale * (dy - a - (x - mean) * b)
  const scale = new Float32Array(channels)
  const a = new Float32Array(channels)
  const b = new Float32Array(channels)
  for (let c = 0; c < channels; c++) {
    const deviation = 1 / Math.sqrt(v.variance[c]! + epsilon)
    scale[c] = v.gamma[c]! * deviation
    dgamma[c] = sumDyX[c]! * deviation
    dbeta[c] = sumDy[c]!
    a[c] = sumDy[c]! / count
    b[c] = (sumDyX[c]! * deviation * deviation) / count
  }
  for (let i = 0; i < v.x.length;)
    for (let c = 0; c < channels; c++, i++) {
      const dy = relu && !(v.y[i]! > 0) ? 0 : v.dy[i]!
      dx[i] = scale[c]! * (dy - a[c]! - (v.x[i]! - v.mean[c]!) * b[c]!)
    }
  return outputs
}

function squaredNorm({ inputs, backend }: Call): TensorInfo {
  const out = backend.makeOutput([], 'float32')
  const { x } = views(backend, inputs, ['x'])
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!
  view(backend, out)[0] = sum
  return out
}

function rmsProp({ inputs, attrs, backend }: Call): TensorInfo[] {
  const outputs = [1, 2].map(() => backend.makeOutput(inputs['weight']!.shape, 'float32'))
  const [weight, meanSquare] = outputs.map((info) => view(backend, info)) as [Float32Array, Float32Array]
  const v = views(backend, inputs, ['weight', 'meanSquare', 'gradient'])
  const [rate, decay, epsilon, scale] = ['learningRate', 'decay', 'epsilon', 'scale'].map(
    (name) => attrs[name],
  ) as [number, number, number, number]
  for (let i = 0; i < weight.length; i++) {
    const g = v.gradient[i]! * scale
    const s = decay * v.meanSquare[i]! + (1 - decay) * g * g
    meanSquare[i] = s
    weight[i] = v.weight[i]! - (rate * g) / Math.sqrt(s + epsilon)
  }
  return outputs
}

function adam({ inputs, attrs, backend }: Call): TensorInfo[] {
  const outputs = [1, 2, 3].map(() => backend.makeOutput(inputs['weight']!.shape, 'float32'))
  const [weight, mean, square] = outputs.map((info) => view(backend, info)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ]
  const v = views(backend, inputs, ['weight', 'mean', 'meanSquare', 'gradient'])
  const [rate, beta1, beta2, epsilon, scale] = ['learningRate', 'beta1', 'beta2', 'epsilon', 'scale'].map(
    (name) => attrs[name],
  ) as [number, number, number, number, number]
  for (let i = 0; i < weight.length; i++) {
    const g = v.gradient[i]! * scale
    const m = beta1 * v.mean[i]! + (1 - beta1) * g
    const s = beta2 * v.meanSquare[i]! + (1 - beta2) * g * g
    mean[i] = m
    square[i] = s
    weight[i] = v.weight[i]! - (rate * m) / (Math.sqrt(s) + epsilon)
  }
  return outputs
}

export const fusedWasmKernels: KernelConfig[] = [
  wasmKernel('NoduleBatchNorm', batchNorm),
  wasmKernel('NoduleBatchNormGrad', batchNormGradient),
  wasmKernel('NoduleSquaredNorm', squaredNorm),
  wasmKernel('NoduleRmsProp', rmsProp),
  wasmKernel('NoduleAdam', adam),
]
