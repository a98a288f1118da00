/** The kernels that ../fused.ts names: several tfjs operations in one pass over the memory. */
import type { TensorInfo } from '@tensorflow/tfjs'
import { product } from './kernel.js'
import type { Call, Kernels } from './kernel.js'

function batchNorm({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { x, gamma, beta } = inputs as Record<'x' | 'gamma' | 'beta', TensorInfo>
  const channels = gamma.shape[0]!
  const y = backend.output(x.shape, 'float32')
  const mean = backend.output([channels], 'float32')
  const variance = backend.output([channels], 'float32')
  backend.addon.batchNormTraining(
    product(x.shape) / channels,
    channels,
    attrs['epsilon'] as number,
    attrs['relu'] === true,
    backend.floats(x),
    backend.floats(gamma),
    backend.floats(beta),
    y.values,
    mean.values,
    variance.values,
  )
  return [y.info, mean.info, variance.info]
}

function batchNormGrad({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { x, dy, gamma, beta, mean, variance } = inputs as Record<
    'x' | 'dy' | 'gamma' | 'beta' | 'mean' | 'variance',
    TensorInfo
  >
  const channels = gamma.shape[0]!
  const dx = backend.output(x.shape, 'float32')
  const dGamma = backend.output([channels], 'float32')
  const dBeta = backend.output([channels], 'float32')
  backend.addon.batchNormGradient(
    product(x.shape) / channels,
    channels,
    attrs['epsilon'] as number,
    attrs['relu'] === true,
    backend.floats(x),
    backend.floats(dy),
    backend.floats(gamma),
    backend.floats(beta),
    backend.floats(mean),
    backend.floats(variance),
    dx.values,
    dGamma.values,
    dBeta.values,
  )
  return [dx.info, dGamma.info, dBeta.info]
}

function squaredNorm({ inputs, backend }: Call): TensorInfo {
  const { info, values } = backend.output([], 'float32')
  values[0] = backend.addon.sumOfSquares(backend.floats(inputs['x']!))
  return info
}

function rmsProp({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { weight, meanSquare, gradient } = inputs as Record<'weight' | 'meanSquare' | 'gradient', TensorInfo>
  const { learningRate, decay, epsilon, scale } = attrs as Record<string, number>
  const [newWeight, newMeanSquare] = [0, 1].map(() => backend.output(weight.shape, 'float32')) as [Out, Out]
  const [w, s, g] = [weight, meanSquare, gradient].map((info) => backend.floats(info)) as [F, F, F]
  backend.addon.rmsProp(
    ...([learningRate!, decay!, 0, epsilon!, scale!, w, s, g] as const),
    newWeight.values,
    newMeanSquare.values,
  )
  return [newWeight.info, newMeanSquare.info]
}

type F = Float32Array
type Out = { info: TensorInfo; values: F }

function adam({ inputs, attrs, backend }: Call): TensorInfo[] {
  const names = ['weight', 'mean', 'meanSquare', 'gradient'] as const
  const shape = inputs['weight']!.shape
  const [w, m, v, g] = names.map((name) => backend.floats(inputs[name]!)) as [F, F, F, F]
  const outputs = [0, 1, 2].map(() => backend.output(shape, 'float32')) as [Out, Out, Out]
  const { learningRate, beta1, beta2, epsilon, scale } = attrs as Record<string, number>
  const [newW, newM, newV] = outputs.map((out) => out.values) as [F, F, F]
  backend.addon.adam(learningRate!, beta1!, beta2!, epsilon!, scale!, w, m, v, g, newW, newM, newV)
  return outputs.map((out) => out.info)
}

export const fusedKernels: Kernels = {
  NoduleBatchNorm: batchNorm,
  NoduleBatchNormGrad: batchNormGrad,
  NoduleSquaredNorm: squaredNorm,
  NoduleRmsProp: rmsProp,
  NoduleAdam: adam,
}
