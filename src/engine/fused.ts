/**
 * Operations of a training step that an engine may have as one kernel of its own. Each is written here with plain
 * tfjs operations, which serve the engines that lack the kernel and are what its parity test compares with.
 *
 * An engine registers a kernel under a name of FUSED_KERNELS for its backend name:
 *
 * | kernel | inputs | attributes | outputs |
 * | --- | --- | --- | --- |
 * | NoduleNetwork | x, and filter, gamma, beta of each convolution by number | network, ofInput: see network.ts | y, what the gradients need, means and variances |
 * | NoduleNetworkGrad | dy, and what NoduleNetwork had and made | | dx with ofInput, dfilter, dgamma, dbeta of each convolution |
 * | NoduleBatchNorm | x [..., c], gamma [c], beta [c] | epsilon, relu | y [..., c], mean [c], variance [c] (biased) |
 * | NoduleBatchNormGrad | dy, x, y [..., c], gamma, beta, mean, variance [c] | epsilon, relu | dx [..., c], dgamma, dbeta [c] |
 * | NoduleAddRelu | a, b of one shape | | max(a + b, 0) |
 * | NoduleReluGrad | dy, y | | dy where y > 0, else 0 |
 * | NoduleSquaredNorm | x | | sum of squares [] |
 * | NoduleSquaredNorms | any number of tensors | | sum of all their squares [] |
 * | NoduleMoveWeights | gradients, weights, first and second slots: `count` each | see fused_training.ts | weights, slots; or none |
 * | NoduleRmsProp | weight, meanSquare, gradient | learningRate, decay, epsilon, scale | weight, meanSquare |
 * | NoduleAdam | weight, mean, meanSquare, gradient | learningRate, beta1, beta2, epsilon, scale | weight, mean, meanSquare |
 * | NoduleSoftmaxCrossEntropy | logits, labels [..., c] | | loss [r rows], softmax [..., c] |
 * | NoduleSoftmaxCrossEntropyGrad | dy [r], softmax, labels [..., c] | | dlogits |
 * | NoduleDropout | x | states, limit, scale: see dropElements | y |
 * | NoduleMoveAverages | averages, values: `count` each | momentum | averages; or none |
 * | NoduleLstm | x [r, w] or [steps, r, w], kernel [w + u, 4u], bias [4u] | steps | hidden, cells [steps, r, u], gates [steps, r, 4u] |
 * | NoduleSlots | states [r, m, u], seen [m, r, w], r weights [u + w, n], by number: see slots.ts | | y [r, m, n] |
 * | NoduleSlotsGrad | dy, and what NoduleSlots had | | gradients of all inputs, in their order |
 * | NoduleSlotHeads | states [r, m, u], r weights [u, n], by number: see slots.ts | scale | y [m, r, n] |
 * | NoduleSlotHeadsGrad | dy, and what NoduleSlotHeads had | scale | gradients of all inputs, in their order |
 * | NoduleLstmGrad | dy, x, kernel, bias, hidden, cells, gates | | dx, dkernel, dbias |
 *
 * All float32. `scale` multiplies the gradient first (global-norm clipping). Outputs are new tensors, with one
 * exception: an optimizer or average may write into all tf.Variables that it was given, and then returns nothing.
 */
import * as tf from '@tensorflow/tfjs'

export const FUSED_KERNELS = [
  'NoduleNetwork',
  'NoduleNetworkGrad',
  'NoduleBatchNorm',
  'NoduleBatchNormGrad',
  'NoduleAddRelu',
  'NoduleReluGrad',
  'NoduleSquaredNorm',
  'NoduleSquaredNorms',
  'NoduleMoveWeights',
  'NoduleRmsProp',
  'NoduleAdam',
  'NoduleSoftmaxCrossEntropy',
  'NoduleSoftmaxCrossEntropyGrad',
  'NoduleDropout',
  'NoduleMoveAverages',
  'NoduleLstm',
  'NoduleLstmGrad',
  'NoduleSlots',
  'NoduleSlotsGrad',
  'NoduleSlotHeads',
  'NoduleSlotHeadsGrad',
] as const
type FusedKernel = (typeof FUSED_KERNELS)[number]

/** Tensors as a kernel's inputs that have numbers for names. */
export function numbered(tensors: readonly tf.Tensor[]): Record<string, tf.Tensor> {
  return Object.fromEntries(tensors.entries())
}

/** Runs the engine's kernel; undefined where the engine has none. */
export function run(
  name: FusedKernel,
  inputs: Record<string, tf.Tensor>,
  attributes: Record<string, number | boolean | string | number[]>,
): tf.Tensor[] | undefined {
  if (tf.getKernel(name, tf.getBackend()) == null) return undefined
  const outputs = tf.engine().runKernel(name, inputs, attributes)
  return Array.isArray(outputs) ? outputs : [outputs as tf.Tensor]
}

/**
 * Saves what an operation needs for its gradient. Variables are there then too: to save a clone of each would cost more
 * than some operations.
 * @returns what gives all of them back from what was saved
 */
export function saveFor(
  save: tf.GradSaveFunc,
  tensors: readonly tf.Tensor[],
): (saved: readonly tf.Tensor[]) => tf.Tensor[] {
  const stays = tensors.map((tensor) => tensor instanceof tf.Variable)
  save(tensors.filter((_, at) => !stays[at]))
  return (saved) => {
    let at = 0
    return tensors.map((tensor, index) => (stays[index] === true ? tensor : saved[at++]!))
  }
}

/** What the native engine's backend has for its tensors (onednn/backend.ts). */
interface NativeMemory {
  floats: (x: tf.Tensor) => Float32Array
  output: (shape: number[], dtype: 'float32') => { info: tf.TensorInfo; values: Float32Array }
}

/**
 * The elements of a float32 tensor, without a copy where the engine allows it. Not to be written, and good only as long as
 * the tensor lives.
 */
export function peek(x: tf.Tensor): Float32Array {
  if (tf.getBackend() !== 'native') return x.dataSync() as Float32Array
  return (tf.backend() as unknown as NativeMemory).floats(x)
}

/**
 * New float32 tensors whose elements, which hold anything before, `write` writes. They lie in the engine's own memory
 * where it allows that: arrays of each step's own would have to be cleared first and collected later.
 */
export function writeTensors(
  shapes: readonly number[][],
  write: (...elements: Float32Array[]) => void,
): tf.Tensor[] {
  if (tf.getBackend() !== 'native') {
    const elements = shapes.map((shape) => new Float32Array(tf.util.sizeFromShape(shape)))
    write(...elements)
    return elements.map((values, at) => tf.tensor(values, shapes[at], 'float32'))
  }
  const backend = tf.backend() as unknown as NativeMemory
  const outputs = shapes.map((shape) => backend.output(shape, 'float32'))
  const tensors = outputs.map(({ info }) => tf.engine().makeTensorFromTensorInfo(info))
  write(...outputs.map(({ values }) => values))
  return tensors
}

/** The axes of a batch norm: all but the channels. */
const allButLast = (rank: number): number[] => Array.from({ length: rank - 1 }, (_, axis) => axis)

/**
 * Batch norm with the statistics of the batch, then optionally ReLU: y = relu(gamma * (x - mean) / sqrt(var + eps) + beta).
 * Differentiable in x, gamma and beta.
 * @param x [..., c]
 * @returns y [..., c]; mean and variance [c], biased, kept: the caller disposes of them
 */
export function batchNormRelu(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  epsilon: number,
  relu: boolean,
): { y: tf.Tensor; mean: tf.Tensor; variance: tf.Tensor } {
  let mean: tf.Tensor | undefined
  let variance: tf.Tensor | undefined
  const op = tf.customGrad((...args) => {
    const [input, scale, offset] = args as [tf.Tensor, tf.Tensor, tf.Tensor]
    const save = args[3] as unknown as tf.GradSaveFunc
    const [y, m, v] = batchNormForward(input, scale, offset, epsilon, relu)
    mean = tf.keep(m)
    variance = tf.keep(v)
    save([input, y, scale, offset, m, v])
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => batchNormBackward(dy, saved, epsilon, relu),
    }
  })
  const y = op(x, gamma, beta)
  return { y, mean: mean!, variance: variance! }
}

function batchNormForward(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  epsilon: number,
  relu: boolean,
): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const fused = run('NoduleBatchNorm', { x, gamma, beta }, { epsilon, relu })
  if (fused !== undefined) return fused as [tf.Tensor, tf.Tensor, tf.Tensor]
  const axes = allButLast(x.rank)
  const mean = tf.mean(x, axes)
  const centered = tf.sub(x, mean)
  const variance = tf.mean(tf.square(centered), axes)
  const normal = tf.mul(centered, tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon))))
  const y = tf.add(normal, beta)
  return [relu ? tf.relu(y) : y, mean, variance]
}

function batchNormBackward(dy: tf.Tensor, saved: tf.Tensor[], epsilon: number, relu: boolean): tf.Tensor[] {
  const [x, y, gamma, beta, mean, variance] = saved as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ]
  const fused = run('NoduleBatchNormGrad', { dy, x, y, gamma, beta, mean, variance }, { epsilon, relu })
  if (fused !== undefined) return fused
  return tf.tidy(() => {
    const axes = allButLast(x.rank)
    const masked = relu ? tf.mul(dy, tf.step(y)) : dy
    const deviation = tf.rsqrt(tf.add(variance, epsilon))
    const normal = tf.mul(tf.sub(x, mean), deviation)
    const dbeta = tf.sum(masked, axes)
    const dgamma = tf.sum(tf.mul(masked, normal), axes)
    const count = x.size / gamma.size
    const centered = tf.sub(masked, tf.add(tf.div(dbeta, count), tf.mul(normal, tf.div(dgamma, count))))
    return [tf.mul(centered, tf.mul(gamma, deviation)), dgamma, dbeta]
  })
}

/** relu(a + b), of one shape. Differentiable. */
export function addRelu<T extends tf.Tensor>(a: T, b: T): T {
  if (tf.getKernel('NoduleAddRelu', tf.getBackend()) == null) return tf.relu(tf.add(a, b))
  const op = tf.customGrad((...args) => {
    const save = args[2] as unknown as tf.GradSaveFunc
    const y = run('NoduleAddRelu', { a: args[0] as tf.Tensor, b: args[1] as tf.Tensor }, {})![0]!
    save([y])
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const gradient = run('NoduleReluGrad', { dy, y: saved[0]! }, {})![0]!
        return [gradient, tf.clone(gradient)]
      },
    }
  })
  return op(a, b) as T
}

/**
 * Cross entropy of the rows, each times its weight, together: -sum of weights[r] * labels[r, k] * log softmax(logits[r])[k].
 * Differentiable in the logits.
 * @param logits [..., classes]
 * @param labels like the logits, probabilities
 * @param weights of the rows
 */
export function softmaxCrossEntropy(logits: tf.Tensor, labels: tf.Tensor, weights: Float32Array): tf.Scalar {
  if (tf.getKernel('NoduleSoftmaxCrossEntropy', tf.getBackend()) == null) {
    const rows = tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), labels), -1))
    return tf.sum(tf.mul(rows, tf.tensor(weights, rows.shape)))
  }
  const op = tf.customGrad((...args) => {
    const save = args[1] as unknown as tf.GradSaveFunc
    const fused = run('NoduleSoftmaxCrossEntropy', { logits: args[0] as tf.Tensor, labels }, {})
    const [loss, softmax] = fused as [tf.Tensor, tf.Tensor]
    save([softmax, labels])
    return {
      value: tf.scalar(peek(loss).reduce((sum, value, row) => sum + value * weights[row]!, 0)),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const scale = peek(dy)[0]!
        const inputs = { dy: tf.tensor1d(weights.map((weight) => weight * scale)), softmax: saved[0]! }
        return run('NoduleSoftmaxCrossEntropyGrad', { ...inputs, labels: saved[1]! }, {})!
      },
    }
  })
  return op(logits) as tf.Scalar
}

interface DropOptions {
  /** One for each of as many equal parts of the elements. */
  states: number[]
  limit: number
  scale: number
}

/**
 * Keeps the elements of x whose random bits reach `limit`, scaled, and drops the others. Differentiable.
 * The bits of a part's element i are MurmurHash3's finalizer of state + (i + 1) * 0x9e3779b9 (32 bit): a counter, so every
 * engine has the same mask without storing it.
 */
export function dropElements<T extends tf.Tensor>(x: T, o: DropOptions): T {
  if (tf.getKernel('NoduleDropout', tf.getBackend()) == null)
    return tf.mul(x, tf.tensor(dropoutMask(x.size, o), x.shape, 'float32'))
  const apply = (tensor: tf.Tensor): tf.Tensor => run('NoduleDropout', { x: tensor }, { ...o })![0]!
  return tf.customGrad((tensor) => ({ value: apply(tensor as tf.Tensor), gradFunc: apply }))(x) as T
}

function dropoutMask(size: number, { states, limit, scale }: DropOptions): Float32Array {
  const mask = new Float32Array(size)
  const length = size / states.length
  for (const [part, first] of states.entries()) {
    let state = first
    for (let i = 0; i < length; i++) {
      state = (state + 0x9e3779b9) | 0
      let bits = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
      bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
      if ((bits ^ (bits >>> 16)) >>> 0 >= limit) mask[part * length + i] = scale
    }
  }
  return mask
}

/**
 * A layer of LSTM cells from a zero state: c = c * sigmoid(f) + sigmoid(i) * tanh(j), h = tanh(c) * sigmoid(o), with
 * [i, j, f, o] = [x, h] * kernel + bias. Differentiable in all inputs.
 * @param x [rows, width], the same at every step, or [steps, rows, width]
 * @param kernel [width + units, 4 * units]
 * @param bias [4 * units]
 * @returns h of all steps, [steps, rows, units]
 */
export function lstmLayer(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, steps: number): tf.Tensor3D {
  if (tf.getKernel('NoduleLstm', tf.getBackend()) == null) return lstmSteps(x, kernel, bias, steps)
  const op = tf.customGrad((...args) => {
    const [input, weight, offset] = args as [tf.Tensor, tf.Tensor, tf.Tensor]
    const save = args[3] as unknown as tf.GradSaveFunc
    const fused = run('NoduleLstm', { x: input, kernel: weight, bias: offset }, { steps })
    const [hidden, cells, gates] = fused as [tf.Tensor, tf.Tensor, tf.Tensor]
    const restore = saveFor(save, [input, weight, offset, hidden, cells, gates])
    return {
      value: hidden,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const all = restore(saved)
        const names = ['x', 'kernel', 'bias', 'hidden', 'cells', 'gates']
        const inputs = Object.fromEntries(names.map((name, index) => [name, all[index]!]))
        return run('NoduleLstmGrad', { dy, ...inputs }, {})!
      },
    }
  })
  return op(x, kernel, bias) as tf.Tensor3D
}

/** The parts of x along an axis. tf.unstack of one part has no gradient. */
export function unstack(x: tf.Tensor, axis = 0): tf.Tensor[] {
  return x.shape[axis] === 1 ? [tf.squeeze(x, [axis])] : tf.unstack(x, axis)
}

function lstmSteps(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, steps: number): tf.Tensor3D {
  const width = x.shape.at(-1)!
  const units = bias.size / 4
  const fromInput = tf.slice(kernel, [0, 0], [width, 4 * units])
  const fromState = tf.slice(kernel, [width, 0], [units, 4 * units])
  const same = x.rank === 2 ? tf.matMul(x, fromInput) : undefined
  const inputs = same === undefined ? unstack(x) : []
  let cell: tf.Tensor | undefined
  let hidden: tf.Tensor | undefined
  return tf.stack(
    Array.from({ length: steps }, (_, step) => {
      let gates = same ?? tf.matMul(inputs[step]!, fromInput)
      if (hidden !== undefined) gates = tf.add(gates, tf.matMul(hidden, fromState))
      const [i, j, f, o] = tf.split(tf.add(gates, bias), 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
      const written = tf.mul(tf.sigmoid(i), tf.tanh(j))
      cell = cell === undefined ? written : tf.add(tf.mul(cell, tf.sigmoid(f)), written)
      hidden = tf.mul(tf.tanh(cell), tf.sigmoid(o))
      return hidden
    }),
  ) as tf.Tensor3D
}
