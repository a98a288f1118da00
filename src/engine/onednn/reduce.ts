/** Reductions and softmax. */
import * as tf from '@tensorflow/tfjs'
import type { TensorInfo } from '@tensorflow/tfjs'
import type { ReduceName } from './addon.js'
import { areFloats, product } from './kernel.js'
import type { Call, Kernel, Kernels } from './kernel.js'
import { transposed } from './layout.js'

/** @param axisName how tfjs calls the attribute with the axes */
function reduction(name: ReduceName, axisName = 'axis'): Kernel {
  return ({ inputs, attrs, backend }) => {
    const { x } = inputs as { x: TensorInfo }
    if (!areFloats(x)) return undefined
    const rank = x.shape.length
    const axes = [...tf.util.parseAxisParam(attrs[axisName] as number[], x.shape)].sort((a, b) => a - b)
    const keepDims = attrs['keepDims'] === true
    const first = axes[0] ?? rank
    // Axes side by side are one axis; others are brought to the end first.
    const together = axes.every((axis, index) => axis === first + index)
    let source = x
    let from = first
    if (!together) {
      const kept = x.shape.map((_, d) => d).filter((d) => !axes.includes(d))
      source = transposed(backend, x, [...kept, ...axes])
      from = kept.length
    }
    const outer = product(source.shape.slice(0, from))
    const n = product(source.shape.slice(from, from + axes.length))
    const inner = product(source.shape.slice(from + axes.length))
    const shape = keepDims
      ? x.shape.map((dim, d) => (axes.includes(d) ? 1 : dim))
      : x.shape.filter((_, d) => !axes.includes(d))
    const out = backend.output(shape, 'float32')
    backend.addon.reduce(backend.addon.reduceOps[name], backend.floats(source), outer, n, inner, out.values)
    if (source !== x) backend.disposeData(source.dataId)
    return out.info
  }
}

function softmax({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { logits } = inputs as { logits: TensorInfo }
  const dim = attrs['dim'] as number
  const last = logits.shape.length - 1
  if (!areFloats(logits) || (dim !== last && dim !== -1)) return undefined
  const n = logits.shape[last] ?? 1
  const out = backend.output(logits.shape, 'float32')
  const rows = n === 0 ? 0 : product(logits.shape) / n
  backend.addon.softmax(backend.floats(logits), rows, n, out.values)
  return out.info
}

export const reduceKernels: Kernels = {
  Sum: reduction('sum'),
  Mean: reduction('mean'),
  Max: reduction('max', 'reductionIndices'),
  Min: reduction('min'),
  Prod: reduction('prod'),
  Softmax: softmax,
}
