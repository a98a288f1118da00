/** The kernels that ../fused.ts names: several tfjs operations in one pass over the memory. */
import type { TensorInfo } from '@tensorflow/tfjs'
import { isDecayed } from '../fused_training.js'
import type { OptimizerName } from './addon.js'
import { product } from './kernel.js'
import type { Call, Kernels } from './kernel.js'

/** With `into` [..., more channels] y is written there, to the channels from `start` on. */
function batchNorm({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { x, gamma, beta, into } = inputs as Record<'x' | 'gamma' | 'beta', TensorInfo> & {
    into?: TensorInfo
  }
  const channels = gamma.shape[0]!
  const y =
    into === undefined
      ? backend.output(x.shape, 'float32')
      : { info: backend.alias(into), values: backend.floats(into) }
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
    (attrs['start'] as number | undefined) ?? 0,
    y.info.shape.at(-1)!,
  )
  return [y.info, mean.info, variance.info]
}

/** dy may have more channels: those from `start` on are meant. With `onto`, which may be dy itself, dx is written there. */
function batchNormGrad({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { x, dy, gamma, beta, mean, variance, onto } = inputs as Record<
    'x' | 'dy' | 'gamma' | 'beta' | 'mean' | 'variance',
    TensorInfo
  > & { onto?: TensorInfo }
  const channels = gamma.shape[0]!
  const dx =
    onto === undefined
      ? backend.output(x.shape, 'float32')
      : { info: backend.alias(onto), values: backend.floats(onto) }
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
    (attrs['start'] as number | undefined) ?? 0,
    dy.shape.at(-1)!,
  )
  return [dx.info, dGamma.info, dBeta.info]
}

/** Of all inputs together. */
function squaredNorms({ inputs, backend }: Call): TensorInfo {
  const { info, values } = backend.output([], 'float32')
  values[0] = backend.addon.sumOfSquares(Object.values(inputs).map((input) => backend.floats(input)))
  return info
}

function rowsOf({ shape }: TensorInfo): { rows: number; classes: number } {
  const classes = shape.at(-1)!
  return { rows: product(shape) / classes, classes }
}

function softmaxCrossEntropy({ inputs, backend }: Call): TensorInfo[] {
  const { logits, labels } = inputs as Record<'logits' | 'labels', TensorInfo>
  const { rows, classes } = rowsOf(logits)
  const loss = backend.output([rows], 'float32')
  const softmax = backend.output(logits.shape, 'float32')
  const [x, y] = [backend.floats(logits), backend.floats(labels)]
  backend.addon.softmaxCrossEntropy(x, y, rows, classes, loss.values, softmax.values)
  return [loss.info, softmax.info]
}

function softmaxCrossEntropyGrad({ inputs, backend }: Call): TensorInfo {
  const { dy, softmax, labels } = inputs as Record<'dy' | 'softmax' | 'labels', TensorInfo>
  const { rows, classes } = rowsOf(softmax)
  const out = backend.output(softmax.shape, 'float32')
  const [p, y, d] = [softmax, labels, dy].map((info) => backend.floats(info)) as [F, F, F]
  backend.addon.softmaxCrossEntropyGradient(p, y, d, rows, classes, out.values)
  return out.info
}

function dropout({ inputs, attrs, backend }: Call): TensorInfo {
  const { states, limit, scale } = attrs as { states: number[]; limit: number; scale: number }
  const x = backend.floats(inputs['x']!)
  const out = backend.output(inputs['x']!.shape, 'float32')
  const length = x.length / states.length
  for (const [part, state] of states.entries()) {
    const of = (all: F): F => all.subarray(part * length, (part + 1) * length)
    backend.addon.dropout(of(x), of(out.values), state, limit, scale)
  }
  return out.info
}

/** Lists of `count` inputs each, in the order in which they were given. */
function listsOf(inputs: Call['inputs'], count: number): TensorInfo[][] {
  const all = Object.values(inputs)
  return Array.from({ length: count === 0 ? 0 : all.length / count }, (_, list) =>
    all.slice(list * count, (list + 1) * count),
  )
}

function moveAverages({ inputs, attrs, backend }: Call): TensorInfo[] {
  const [averages = [], values = []] = listsOf(inputs, attrs['count'] as number)
  const moved = backend.takeOver(averages)
  const towards = values.map((value) => backend.floats(value))
  backend.addon.moveAverages(attrs['momentum'] as number, moved.values, towards)
  return moved.copies
}

function moveWeights({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { count, learningRate, decay, decay2, epsilon, scale, keep } = attrs as Record<string, number>
  const [gradients = [], ...variables] = listsOf(inputs, count!)
  const moved = backend.takeOver(variables.flat())
  const [weights = [], first = [], second = []] = variables.map((_, list) =>
    moved.values.slice(list * count!, (list + 1) * count!),
  )
  backend.addon.moveWeights(
    ...([backend.addon.optimizers[attrs['kind'] as OptimizerName], learningRate!, decay!, decay2!] as const),
    ...([
      epsilon!,
      scale!,
      Float32Array.from(weights, (_, i) => (isDecayed(variables[0]![i]!) ? keep! : 1)),
    ] as const),
    ...([weights, gradients.map((gradient) => backend.floats(gradient)), first, second] as const),
  )
  return moved.copies
}

/** x [rows, width], the same at every step, or [steps, rows, width]; see lstmLayer of ../fused.ts. */
function lstm({ inputs, attrs, backend }: Call): TensorInfo[] {
  const { x, kernel, bias } = inputs as Record<'x' | 'kernel' | 'bias', TensorInfo>
  const steps = attrs['steps'] as number
  const [rows, width] = x.shape.slice(-2) as [number, number]
  const units = bias.shape[0]! / 4
  const hidden = backend.output([steps, rows, units], 'float32')
  const cells = backend.output([steps, rows, units], 'float32')
  const gates = backend.output([steps, rows, 4 * units], 'float32')
  const [xs, w, b] = [x, kernel, bias].map((info) => backend.floats(info)) as [F, F, F]
  const { addon } = backend
  const inputSteps = x.shape.length === 3 ? steps : 1
  const one = rows * 4 * units
  addon.matMul(false, false, inputSteps * rows, 4 * units, width, xs, 0, w, 0, gates.values, 0, false)
  if (inputSteps === 1) for (let t = 1; t < steps; t++) gates.values.copyWithin(t * one, 0, one)
  for (let t = 0; t < steps; t++) {
    const before = (t - 1) * rows * units
    if (t > 0)
      addon.matMul(
        ...([false, false, rows, 4 * units, units, hidden.values, before] as const),
        ...([w, width * 4 * units, gates.values, t * one, true] as const),
      )
    addon.lstmCell(rows, units, t, gates.values, b, cells.values, hidden.values)
  }
  return [hidden.info, cells.info, gates.info]
}

/** Gradients of x, kernel and bias, back through the steps. The products over all steps are one each. */
function lstmGrad({ inputs, backend }: Call): TensorInfo[] {
  const { dy, x, kernel, bias, hidden, cells, gates } = inputs as Record<
    'dy' | 'x' | 'kernel' | 'bias' | 'hidden' | 'cells' | 'gates',
    TensorInfo
  >
  const [steps, rows, units] = hidden.shape as [number, number, number]
  const width = x.shape.at(-1)!
  const { addon } = backend
  const dx = backend.output(x.shape, 'float32')
  const dKernel = backend.output(kernel.shape, 'float32')
  const dBias = backend.output(bias.shape, 'float32')
  const dGates = backend.output([steps, rows, 4 * units], 'float32')
  const dHidden = backend.output([rows, units], 'float32')
  const dCell = backend.output([rows, units], 'float32')
  const [w, b, xs, h, c, g] = [kernel, bias, x, hidden, cells, gates].map((info) => backend.floats(info)) as [
    F,
    F,
    F,
    F,
    F,
    F,
  ]
  const outer = backend.floats(dy)
  const one = rows * 4 * units
  const state = width * 4 * units
  const dg = dGates.values
  dCell.values.fill(0)
  for (let t = steps - 1; t >= 0; t--) {
    dHidden.values.set(outer.subarray(t * rows * units, (t + 1) * rows * units))
    if (t < steps - 1)
      addon.matMul(
        ...([false, true, rows, units, 4 * units, dg, (t + 1) * one] as const),
        ...([w, state, dHidden.values, 0, true] as const),
      )
    addon.lstmCellGradient(rows, units, t, g, b, c, dHidden.values, dg, dCell.values)
  }
  const later = (steps - 1) * rows
  addon.matMul(true, false, units, 4 * units, later, h, 0, dg, one, dKernel.values, state, false)
  addon.reduce(addon.reduceOps.sum, dg, 1, steps * rows, 4 * units, dBias.values)
  let inputGates = dg
  if (x.shape.length === 2 && steps > 1) {
    // The same input at every step: the gradients of its gates add up.
    const total = backend.output([rows, 4 * units], 'float32')
    addon.reduce(addon.reduceOps.sum, dg, 1, steps, one, total.values)
    inputGates = total.values
    backend.disposeData(total.info.dataId)
  }
  const inputRows = product(x.shape) / width
  addon.matMul(true, false, width, 4 * units, inputRows, xs, 0, inputGates, 0, dKernel.values, 0, false)
  addon.matMul(false, true, inputRows, width, 4 * units, inputGates, 0, w, 0, dx.values, 0, false)
  for (const { info } of [dGates, dHidden, dCell]) backend.disposeData(info.dataId)
  return [dx.info, dKernel.info, dBias.info]
}

type F = Float32Array

export const fusedKernels: Kernels = {
  NoduleBatchNorm: batchNorm,
  NoduleBatchNormGrad: batchNormGrad,
  NoduleSquaredNorms: squaredNorms,
  NoduleMoveWeights: moveWeights,
  NoduleSoftmaxCrossEntropy: softmaxCrossEntropy,
  NoduleSoftmaxCrossEntropyGrad: softmaxCrossEntropyGrad,
  NoduleDropout: dropout,
  NoduleMoveAverages: moveAverages,
  NoduleLstm: lstm,
  NoduleLstmGrad: lstmGrad,
}
