/** Finds and loads nodule_tensor.node, the tensor kernels of the native engine. */
import { NoduleError } from '../../errors.js'
import { defaultThreads } from '../../kernels/addon.js'
import { BUILD_COMMAND, loadAddon } from '../../kernels/find_addon.js'
import type { Found } from '../../kernels/find_addon.js'

export type Data = Float32Array | Int32Array | Uint8Array
type Opcodes<N extends string> = Readonly<Record<N, number>>

export type BinaryName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'maximum'
  | 'minimum'
  | 'squaredDifference'
  | 'pow'
  | 'mod'
  | 'atan2'
  | 'prelu'
  | 'eluGrad'
  | 'addRelu'
  | 'reluGrad'
export type CompareName = 'equal' | 'notEqual' | 'greater' | 'greaterEqual' | 'less' | 'lessEqual'
export type OptimizerName = 'SGD' | 'momentum' | 'RMS' | 'Adam'
export type ReduceName = 'sum' | 'mean' | 'max' | 'min' | 'prod'
export type UnaryName =
  | (
      | 'abs'
      | 'neg'
      | 'exp'
      | 'expm1'
      | 'log'
      | 'log1p'
      | 'sqrt'
      | 'rsqrt'
      | 'square'
      | 'reciprocal'
      | 'sigmoid'
    )
  | (
      | 'tanh'
      | 'relu'
      | 'relu6'
      | 'leakyRelu'
      | 'elu'
      | 'selu'
      | 'softplus'
      | 'step'
      | 'sign'
      | 'floor'
      | 'ceil'
    )
  | ('round' | 'clip' | 'sin' | 'cos' | 'erf' | 'affine')

type F = Float32Array

/** What native/tensor/binding_*.cpp export; the comments there give the meaning of the arguments. */
export interface TensorAddon {
  readonly isa: string
  readonly onednn: string
  readonly hasBfloat16: boolean
  readonly binaryOps: Opcodes<BinaryName>
  readonly compareOps: Opcodes<CompareName>
  readonly unaryOps: Opcodes<UnaryName>
  readonly reduceOps: Opcodes<ReduceName>
  readonly optimizers: Opcodes<OptimizerName>
  threads: (count?: number, once?: boolean) => number
  bfloat16: (on?: boolean) => boolean
  describePrimitives: () => string
  address: (array: Uint8Array) => number

  binary: (op: number, a: F, b: F, out: F, meta: Int32Array, rank: number) => void
  compare: (op: number, a: F, b: F, out: Uint8Array, meta: Int32Array, rank: number) => void
  unary: (op: number, x: F, out: F, alpha: number, beta: number) => void
  select: (condition: Uint8Array, a: F, b: F, out: F) => void
  addAll: (inputs: F[], out: F) => void
  reduce: (op: number, x: F, outer: number, n: number, inner: number, out: F) => void
  copyStrided: (from: Data, start: number, to: Data, toStart: number, meta: Int32Array, rank: number) => void
  gather: (
    x: Data,
    indices: Int32Array,
    batch: number,
    outer: number,
    n: number,
    count: number,
    inner: number,
    out: Data,
  ) => void
  segmentSum: (x: F, segments: Int32Array, n: number, inner: number, segmentCount: number, out: F) => void

  convForward: (meta: Int32Array, x: F, filter: F, y: F) => void
  convBackwardData: (meta: Int32Array, dy: F, filter: F, dx: F) => void
  convBackwardFilter: (meta: Int32Array, x: F, dy: F, dFilter: F) => void
  depthwiseForward: (meta: Int32Array, x: F, filter: F, y: F) => void
  depthwiseBackwardData: (meta: Int32Array, dy: F, filter: F, dx: F) => void
  depthwiseBackwardFilter: (meta: Int32Array, x: F, dy: F, dFilter: F) => void
  matMul: (
    transposeA: boolean,
    transposeB: boolean,
    m: number,
    n: number,
    k: number,
    a: F,
    aStart: number,
    b: F,
    bStart: number,
    c: F,
    cStart: number,
    accumulate: boolean,
    pitchA?: number,
    pitchC?: number,
  ) => void
  maxPool: (meta: Int32Array, x: F, y: F, places?: Uint8Array) => void
  averagePool: (meta: Int32Array, x: F, y: F) => void
  maxPoolGradient: (meta: Int32Array, places: Uint8Array, dy: F, dx: F) => void
  averagePoolGradient: (meta: Int32Array, dy: F, dx: F) => void
  batchNormTraining: (
    rows: number,
    channels: number,
    epsilon: number,
    relu: boolean,
    ...buffers: [
      x: F,
      gamma: F | null,
      beta: F | null,
      y: F,
      mean: F,
      variance: F,
      start: number,
      pitch: number,
    ]
  ) => void
  batchNormInference: (
    rows: number,
    channels: number,
    epsilon: number,
    relu: boolean,
    ...buffers: [x: F, gamma: F | null, beta: F | null, mean: F, variance: F, y: F]
  ) => void
  batchNormGradient: (
    rows: number,
    channels: number,
    epsilon: number,
    relu: boolean,
    ...rest: [
      ...buffers: [x: F, dy: F, gamma: F, beta: F, mean: F, variance: F, dx: F, dGamma: F, dBeta: F],
      start: number,
      pitch: number,
    ]
  ) => void

  lstmCell: (
    rows: number,
    units: number,
    step: number,
    ...buffers: [gates: F, bias: F, cells: F, hidden: F]
  ) => void
  lstmCellGradient: (
    rows: number,
    units: number,
    step: number,
    ...buffers: [gates: F, bias: F, cells: F, dHidden: F, dGates: F, dCell: F]
  ) => void
  softmax: (logits: F, rows: number, n: number, out: F) => void
  softmaxCrossEntropy: (logits: F, labels: F, rows: number, n: number, loss: F, softmax: F) => void
  softmaxCrossEntropyGradient: (softmax: F, labels: F, dLoss: F, rows: number, n: number, dLogits: F) => void
  dropout: (x: F, out: F, state: number, limit: number, scale: number) => void
  sumOfSquares: (arrays: readonly F[]) => number
  moveWeights: (
    kind: number,
    ...rest: [
      learningRate: number,
      decay: number,
      decay2: number,
      epsilon: number,
      scale: number,
      keep: F,
      weights: readonly F[],
      gradients: readonly F[],
      firstSlots: readonly F[],
      secondSlots: readonly F[],
    ]
  ) => void
  moveAverages: (momentum: number, averages: readonly F[], values: readonly F[]) => void
}

/**
 * How long an OpenMP thread spins before it sleeps (about 20 microseconds). The default, milliseconds, makes a step ten
 * times slower as soon as another process wants the same cores: a thread spins while the one that it waits for cannot run.
 */
const SPIN_COUNT = '3000'

let loaded: Found<TensorAddon> | undefined

/** Loads once, with defaultThreads() (which may throw). NODULE_TENSOR_ADDON names another build; 'none': without. */
function load(): Found<TensorAddon> {
  if (loaded !== undefined) return loaded
  const threads = defaultThreads()
  const spin = process.env['GOMP_SPINCOUNT']
  if (spin === undefined && process.env['OMP_WAIT_POLICY'] === undefined)
    process.env['GOMP_SPINCOUNT'] = SPIN_COUNT
  loaded = loadAddon<TensorAddon>('nodule_tensor.node', process.env['NODULE_TENSOR_ADDON'])
  loaded.addon?.threads(threads, true)
  // OpenMP has read it; children of this process must not inherit it.
  if (spin === undefined) delete process.env['GOMP_SPINCOUNT']
  return loaded
}

/** What a person can do when the tensor kernels are missing. */
export const TENSOR_SOLUTIONS = [
  `install oneDNN (Debian and Ubuntu: apt-get install libdnnl-dev ocl-icd-opencl-dev), then: ${BUILD_COMMAND}`,
  'oneDNN elsewhere: set CMAKE_PREFIX_PATH or dnnl_DIR to it before building',
  'at run time libdnnl must be found: apt-get install libdnnl2, or set LD_LIBRARY_PATH',
]

/** Why the tensor kernels cannot be used here, or undefined when they can. */
export function tensorAddonProblem(): string | undefined {
  return load().problem
}

/** Throws NoduleError (UNAVAILABLE) with what can be done. */
export function requireTensorAddon(): TensorAddon {
  const { addon, problem } = load()
  if (addon !== undefined) return addon
  throw new NoduleError('UNAVAILABLE', `the native engine cannot be used: ${problem ?? 'unknown'}`, {
    remedies: TENSOR_SOLUTIONS,
  })
}
