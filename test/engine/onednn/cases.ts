/** What the native engine's kernels are compared over with tfjs's cpu kernels; each case also runs the gradients. */
import * as tf from '@tensorflow/tfjs'
import { createRandom } from '../../../src/random.js'

export interface Case {
  name: string
  /** Makes its own inputs, the same on every backend. */
  run: () => tf.Tensor[]
  /** Largest error relative to the largest expected value; default 1e-5. */
  tolerance?: number
}

/** Normal numbers, the same for the same shape and label. */
export function normal<R extends tf.Rank = tf.Rank>(shape: number[], label = 'x', scale = 1): tf.Tensor<R> {
  const random = createRandom(1).fork(label)
  const size = shape.reduce((a, b) => a * b, 1)
  return tf.tensor(
    Float32Array.from({ length: size }, () => random.normal() * scale),
    shape as tf.ShapeMap[R],
  )
}

/** The result of `op` on the inputs, and the gradients of a weighted sum of it. */
export function withGradients(op: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[]): tf.Tensor[] {
  const y = op(...inputs)
  const dy = normal(y.shape, 'dy')
  return [y, ...tf.grads((...x) => op(...x))(inputs, dy)]
}

const positive = (shape: number[], label = 'p'): tf.Tensor => tf.add(tf.abs(normal(shape, label)), 0.1)

const SHAPES: [number[], number[]][] = [
  [[], []],
  [[0], [0]],
  [[1], [7]],
  [[5], []],
  [[], [5]],
  [
    [33, 17],
    [33, 17],
  ],
  [[4, 5, 6], [6]],
  [[6], [4, 5, 6]],
  [
    [4, 5, 6],
    [5, 1],
  ],
  [
    [4, 1, 6, 1],
    [1, 5, 1, 7],
  ],
  [
    [2, 1, 3, 1, 2],
    [2, 4, 1, 5, 2],
  ],
  // Past the size from which threads share the work, and not a multiple of a vector.
  [[70001], [70001]],
  [[300, 129], [129]],
  [
    [300, 129],
    [300, 1],
  ],
]

const BINARY: [string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, 'any' | 'positive'][] = [
  ['add', tf.add, 'any'],
  ['sub', tf.sub, 'any'],
  ['mul', tf.mul, 'any'],
  ['div', tf.div, 'positive'],
  ['maximum', tf.maximum, 'any'],
  ['minimum', tf.minimum, 'any'],
  ['squaredDifference', tf.squaredDifference, 'any'],
]

const WITHOUT_BROADCAST = new Set(['maximum', 'minimum', 'squaredDifference'])

const COMPARISONS: [string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor][] = [
  ['equal', tf.equal],
  ['notEqual', tf.notEqual],
  ['greater', tf.greater],
  ['greaterEqual', tf.greaterEqual],
  ['less', tf.less],
  ['lessEqual', tf.lessEqual],
]

const UNARY: [string, (x: tf.Tensor) => tf.Tensor, 'any' | 'positive'][] = [
  ['abs', tf.abs, 'any'],
  ['neg', tf.neg, 'any'],
  ['exp', tf.exp, 'any'],
  ['expm1', tf.expm1, 'any'],
  ['log', tf.log, 'positive'],
  ['log1p', tf.log1p, 'positive'],
  ['sqrt', tf.sqrt, 'positive'],
  ['rsqrt', tf.rsqrt, 'positive'],
  ['square', tf.square, 'any'],
  ['reciprocal', tf.reciprocal, 'positive'],
  ['sigmoid', tf.sigmoid, 'any'],
  ['tanh', tf.tanh, 'any'],
  ['relu', tf.relu, 'any'],
  ['relu6', (x) => tf.relu6(tf.mul(x, 5)), 'any'],
  ['leakyRelu', (x) => tf.leakyRelu(x, 0.3), 'any'],
  ['elu', tf.elu, 'any'],
  ['selu', tf.selu, 'any'],
  ['softplus', tf.softplus, 'any'],
  ['step with alpha', (x) => tf.mul(tf.step(x, 0.25), x), 'any'],
  ['sign', tf.sign, 'any'],
  ['floor', (x) => tf.floor(tf.mul(x, 10)), 'any'],
  ['ceil', (x) => tf.ceil(tf.mul(x, 10)), 'any'],
  ['round', (x) => tf.round(tf.mul(x, 10)), 'any'],
  ['sin', tf.sin, 'any'],
  ['cos', tf.cos, 'any'],
  ['erf', tf.erf, 'any'],
  ['clip', (x) => tf.clipByValue(x, -0.5, 0.75), 'any'],
  ['prelu', (x) => tf.prelu(x, tf.scalar(0.2)), 'any'],
]

const shapeName = (shape: number[]): string => `[${shape.join(',')}]`

/** Numbers at the edges of float32 and of the piecewise functions. */
const EDGES = [0, -0, 1, -1, 6, 0.5, 1.5, 2.5, -2.5, 0.625, 88.7, -88, -104, 1e-40, 1e38, -1e38]
const EDGES_ALL = [...EDGES, Infinity, -Infinity, NaN]

export const elementwiseCases: Case[] = [
  ...BINARY.flatMap(([name, op, domain]) =>
    SHAPES.map(([a, b]): Case => {
      const second = domain === 'positive' ? positive : normal
      const inputs = (): tf.Tensor[] => [normal(a, 'a'), second(b, 'b')]
      return {
        name: `${name} ${shapeName(a)} ${shapeName(b)}`,
        // tfjs has no gradient for empty tensors, and some of its gradients forget the broadcast.
        run: () =>
          a.includes(0) || (a.join() !== b.join() && WITHOUT_BROADCAST.has(name))
            ? [op(...(inputs() as [tf.Tensor, tf.Tensor]))]
            : withGradients(op as (...x: tf.Tensor[]) => tf.Tensor, inputs()),
        tolerance: 2e-5,
      }
    }),
  ),
  ...[tf.pow, tf.mod, tf.atan2].map((op, index): Case => ({
    name: `${['pow', 'mod', 'atan2'][index]}`,
    run: () => [op(positive([40, 3], 'a'), positive([3], 'b'))],
  })),
  ...UNARY.flatMap(([name, op, domain]) =>
    [[], [3, 5], [20011]].map((shape): Case => ({
      name: `${name} ${shapeName(shape)}`,
      run: () =>
        withGradients(op as (...x: tf.Tensor[]) => tf.Tensor, [
          domain === 'positive' ? positive(shape) : normal(shape, name, 2),
        ]),
      tolerance: 2e-5,
    })),
  ),
  ...UNARY.filter(
    ([name]) => !['sin', 'cos', 'erf', 'softplus', 'log', 'sqrt', 'rsqrt', 'log1p'].includes(name),
  ).map(([name, op]): Case => ({ name: `${name} at the edges`, run: () => [op(tf.tensor1d(EDGES_ALL))] })),
  ...COMPARISONS.flatMap(([name, op]) =>
    SHAPES.map(([a, b]): Case => ({
      name: `${name} ${shapeName(a)} ${shapeName(b)}`,
      run: () => [op(tf.round(normal(a, 'a')), tf.round(normal(b, 'b')))],
    })),
  ),
  {
    name: 'logical',
    run: () => {
      const [a, b] = [tf.greater(normal([50], 'a'), 0), tf.greater(normal([50], 'b'), 0)]
      return [tf.logicalAnd(a, b), tf.logicalOr(a, b), tf.logicalNot(a)]
    },
  },
  {
    name: 'cast between float32, int32 and bool, and computing with the result',
    run: () => {
      const x = tf.tensor1d([-2.7, -1, 0, 0.4, 3.9])
      const bool = tf.cast(x, 'bool')
      const int = tf.cast(x, 'int32')
      return [
        bool,
        int,
        tf.cast(bool, 'int32'),
        tf.add(tf.cast(bool, 'float32'), 1.5),
        tf.mul(tf.cast(int, 'float32'), 0.5),
      ]
    },
  },
  {
    name: 'where',
    run: () => {
      const condition = tf.greater(normal([6, 50], 'c'), 0)
      const op = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.where(condition, a, b)
      return withGradients(op as (...x: tf.Tensor[]) => tf.Tensor, [
        normal([6, 50], 'a'),
        normal([6, 50], 'b'),
      ])
    },
  },
  ...[1, 2, 5].map((count): Case => ({
    name: `addN of ${count}`,
    run: () => {
      const inputs = Array.from({ length: count }, (_, i) => normal([70, 333], `a${i}`))
      return withGradients((...x) => tf.addN(x), inputs)
    },
  })),
  {
    name: 'fill, zerosLike, onesLike',
    run: () => [
      tf.fill(SHAPES[10]![0], 2.5),
      tf.zerosLike(normal([5])),
      tf.onesLike(normal([5])),
      tf.fill(SHAPES[6]![0], 7, 'int32'),
    ],
  },
]

const axesOf = (rank: number): number[][] => {
  const sets: number[][] = []
  for (let bits = 1; bits < 1 << rank; bits++)
    sets.push(Array.from({ length: rank }, (_, d) => d).filter((d) => bits & (1 << d)))
  return sets
}

export const reduceCases: Case[] = [
  ...[[], [7], [1, 9], [4, 3, 5], [2, 3, 4, 5]].flatMap((shape) =>
    (shape.length === 0 ? [[]] : axesOf(shape.length)).map((axes): Case => ({
      name: `sum, mean, max, min, prod of ${shapeName(shape)} over ${shapeName(axes)}`,
      run: () => {
        const x = normal(shape)
        return [
          ...withGradients((t) => tf.sum(t!, axes), [x]),
          ...withGradients((t) => tf.mean(t!, axes, true), [x]),
          ...withGradients((t) => tf.max(t!, axes), [x]),
          ...withGradients((t) => tf.min(t!, axes, true), [x]),
          tf.prod(x, axes),
        ]
      },
    })),
  ),
  {
    name: 'long sums: rows, columns, everything',
    run: () => {
      const x = normal([3, 40000])
      const y = normal([9000, 13])
      return [tf.sum(x), tf.sum(x, 1), tf.mean(x, 0), tf.sum(y, 0), tf.sum(y, 1), tf.max(x, 1), tf.min(y, 0)]
    },
    tolerance: 1e-5,
  },
  ...[[4], [33, 2], [5, 7, 130]].map((shape): Case => ({
    name: `softmax and logSoftmax ${shapeName(shape)}`,
    run: () => [
      ...withGradients((x) => tf.softmax(x!), [normal(shape, 'x', 2)]),
      ...withGradients((x) => tf.logSoftmax(x!), [normal(shape, 'x', 2)]),
    ],
    tolerance: 2e-5,
  })),
]
