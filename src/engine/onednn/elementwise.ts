/** Elementwise kernels with broadcasting. */
import type { TensorInfo } from '@tensorflow/tfjs'
import * as tf from '@tensorflow/tfjs'
import type { BinaryName, CompareName, UnaryName } from './addon.js'
import { areFloats } from './kernel.js'
import type { Call, Kernel, Kernels } from './kernel.js'

/** The most dimensions that the addon walks; adjacent ones that broadcast alike count as one. */
export const MAX_RANK = 8

/** Shared by all calls: dims and strides of the call at hand. */
export const meta = new Int32Array(3 * MAX_RANK)

/**
 * Writes the walk over the broadcast of two shapes into `meta`.
 * @returns the shape of the result and the number of merged dimensions; undefined when there are too many
 */
export function planBroadcast(
  a: readonly number[],
  b: readonly number[],
): { shape: number[]; rank: number } | undefined {
  const rank = Math.max(a.length, b.length)
  const shape: number[] = []
  const dims: number[] = []
  const kinds: number[] = []
  for (let d = 0; d < rank; d++) {
    const da = a[d - rank + a.length] ?? 1
    const db = b[d - rank + b.length] ?? 1
    // tfjs leaves it to its kernels; this throws its error.
    if (da !== db && da !== 1 && db !== 1) tf.backend_util.assertAndGetBroadcastShape([...a], [...b])
    const dim = da === 1 ? db : da
    shape.push(dim)
    if (dim === 1) continue
    // 3: in both, 2: only in a, 1: only in b
    const kind = (da === 1 ? 0 : 2) + (db === 1 ? 0 : 1)
    if (kinds.at(-1) === kind) dims[dims.length - 1]! *= dim
    else {
      dims.push(dim)
      kinds.push(kind)
    }
  }
  const merged = dims.length
  if (merged > MAX_RANK) return undefined
  let strideA = 1
  let strideB = 1
  for (let d = merged - 1; d >= 0; d--) {
    meta[d] = dims[d]!
    meta[merged + d] = kinds[d]! & 2 ? strideA : 0
    meta[2 * merged + d] = kinds[d]! & 1 ? strideB : 0
    if (kinds[d]! & 2) strideA *= dims[d]!
    if (kinds[d]! & 1) strideB *= dims[d]!
  }
  return { shape, rank: merged }
}

/** A float32 kernel of two inputs, named `first` and `second` by tfjs. */
function binary(name: BinaryName, first = 'a', second = 'b'): Kernel {
  return ({ inputs, backend }) => {
    const a = inputs[first]!
    const b = inputs[second]!
    if (!areFloats(a, b)) return undefined
    const plan = planBroadcast(a.shape, b.shape)
    if (plan === undefined) return undefined
    const { addon } = backend
    const out = backend.output(plan.shape, 'float32')
    addon.binary(addon.binaryOps[name], backend.floats(a), backend.floats(b), out.values, meta, plan.rank)
    return out.info
  }
}

function compare(name: CompareName): Kernel {
  return ({ inputs, backend }) => {
    const { a, b } = inputs as { a: TensorInfo; b: TensorInfo }
    if (!areFloats(a, b)) return undefined
    const plan = planBroadcast(a.shape, b.shape)
    if (plan === undefined) return undefined
    const { addon } = backend
    const out = backend.output(plan.shape, 'bool')
    addon.compare(addon.compareOps[name], backend.floats(a), backend.floats(b), out.values, meta, plan.rank)
    return out.info
  }
}

/** @param parameters the attributes that the kernel needs, as the addon's alpha and beta */
function unary(
  name: UnaryName,
  parameters: (attrs: Call['attrs']) => [number, number] = () => [0, 0],
): Kernel {
  return ({ inputs, attrs, backend }) => {
    const { x } = inputs as { x: TensorInfo }
    if (!areFloats(x)) return undefined
    const { addon } = backend
    const out = backend.output(x.shape, 'float32')
    addon.unary(addon.unaryOps[name], backend.floats(x), out.values, ...parameters(attrs))
    return out.info
  }
}

function cast({ inputs, attrs, backend }: Call): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo }
  const dtype = attrs['dtype'] as string
  const from = backend.elements(x)
  if (from === undefined || (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool')) return undefined
  if (x.dtype === dtype) return backend.alias(x)
  const { info, values } = backend.output(x.shape, dtype)
  if (dtype === 'bool') for (let i = 0; i < from.length; i++) values[i] = from[i] === 0 ? 0 : 1
  // Assigning to an Int32Array cuts the fraction off and turns NaN into 0, as tfjs does it.
  else values.set(from)
  return info
}

function select({ inputs, backend }: Call): TensorInfo | undefined {
  const { condition, t, e } = inputs as { condition: TensorInfo; t: TensorInfo; e: TensorInfo }
  if (condition.dtype !== 'bool' || !areFloats(t, e)) return undefined
  if (!tf.util.arraysEqual(condition.shape, t.shape) || !tf.util.arraysEqual(t.shape, e.shape))
    return undefined
  const out = backend.output(t.shape, 'float32')
  backend.addon.select(
    backend.elements(condition) as Uint8Array,
    backend.floats(t),
    backend.floats(e),
    out.values,
  )
  return out.info
}

function addN({ inputs, backend }: Call): TensorInfo | undefined {
  const list = inputs as unknown as TensorInfo[]
  const [first] = list
  if (first === undefined || !areFloats(...list)) return undefined
  const out = backend.output(first.shape, 'float32')
  backend.addon.addAll(
    list.map((info) => backend.floats(info)),
    out.values,
  )
  return out.info
}

function logical(of: (a: number, b: number) => boolean): Kernel {
  return ({ inputs, backend }) => {
    const { a, b } = inputs as { a: TensorInfo; b: TensorInfo }
    if (a.dtype !== 'bool' || b.dtype !== 'bool' || !tf.util.arraysEqual(a.shape, b.shape)) return undefined
    const left = backend.elements(a)!
    const right = backend.elements(b)!
    const { info, values } = backend.output(a.shape, 'bool')
    for (let i = 0; i < values.length; i++) values[i] = of(left[i]!, right[i]!) ? 1 : 0
    return info
  }
}

function logicalNot({ inputs, backend }: Call): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo }
  if (x.dtype !== 'bool') return undefined
  const from = backend.elements(x)!
  const { info, values } = backend.output(x.shape, 'bool')
  for (let i = 0; i < values.length; i++) values[i] = from[i] === 0 ? 1 : 0
  return info
}

/** A tensor of one value. */
function filled(shape: number[], dtype: string, value: number, call: Call): TensorInfo | undefined {
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') return undefined
  const { info, values } = call.backend.output(shape, dtype)
  values.fill(value)
  return info
}

function fill(call: Call): TensorInfo | undefined {
  const { shape, value, dtype } = call.attrs as { shape: number[]; value: number | string; dtype?: string }
  if (typeof value !== 'number') return undefined
  return filled(shape, dtype ?? 'float32', value, call)
}

const like =
  (value: number): Kernel =>
  (call) =>
    filled(call.inputs['x']!.shape, call.inputs['x']!.dtype, value, call)

const number = (attrs: Call['attrs'], name: string): number => attrs[name] as number

export const elementwiseKernels: Kernels = {
  Add: binary('add'),
  Sub: binary('sub'),
  Multiply: binary('mul'),
  RealDiv: binary('div'),
  Maximum: binary('maximum'),
  Minimum: binary('minimum'),
  SquaredDifference: binary('squaredDifference'),
  Pow: binary('pow'),
  Mod: binary('mod'),
  Atan2: binary('atan2'),
  Prelu: binary('prelu', 'x', 'alpha'),
  EluGrad: binary('eluGrad', 'dy', 'y'),
  NoduleAddRelu: binary('addRelu'),
  NoduleReluGrad: binary('reluGrad', 'dy', 'y'),
  Equal: compare('equal'),
  NotEqual: compare('notEqual'),
  Greater: compare('greater'),
  GreaterEqual: compare('greaterEqual'),
  Less: compare('less'),
  LessEqual: compare('lessEqual'),
  LogicalAnd: logical((a, b) => a !== 0 && b !== 0),
  LogicalOr: logical((a, b) => a !== 0 || b !== 0),
  LogicalNot: logicalNot,
  Abs: unary('abs'),
  Neg: unary('neg'),
  Exp: unary('exp'),
  Expm1: unary('expm1'),
  Log: unary('log'),
  Log1p: unary('log1p'),
  Sqrt: unary('sqrt'),
  Rsqrt: unary('rsqrt'),
  Square: unary('square'),
  Reciprocal: unary('reciprocal'),
  Sigmoid: unary('sigmoid'),
  Tanh: unary('tanh'),
  Relu: unary('relu'),
  Relu6: unary('relu6'),
  LeakyRelu: unary('leakyRelu', (attrs) => [number(attrs, 'alpha'), 0]),
  Elu: unary('elu'),
  Selu: unary('selu'),
  Softplus: unary('softplus'),
  // `alpha` is the result for x <= 0: the gradients of Relu6 and others pass one that is not 0.
  Step: unary('step', (attrs) => [number(attrs, 'alpha'), 0]),
  Sign: unary('sign'),
  Floor: unary('floor'),
  Ceil: unary('ceil'),
  Round: unary('round'),
  Sin: unary('sin'),
  Cos: unary('cos'),
  Erf: unary('erf'),
  ClipByValue: unary('clip', (attrs) => [number(attrs, 'clipValueMin'), number(attrs, 'clipValueMax')]),
  Cast: cast,
  Select: select,
  AddN: addN,
  Fill: fill,
  ZerosLike: like(0),
  OnesLike: like(1),
}
