import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerNativeBackend, setNativeThreads } from '../../src/engine/onednn/engine.js'
import { tensorAddonProblem } from '../../src/engine/onednn/addon.js'
import { startProfile } from '../../src/engine/profile.js'
import { SYMMETRIC, conv } from '../../src/model/backbones/types.js'
import { runBackbone } from '../../src/model/backbone.js'
import type { BatchStatistics } from '../../src/model/backbone.js'
import { INPUT } from '../../src/model/graph.js'
import type { BackboneGraph, BackboneNode, ConvNode } from '../../src/model/graph.js'
import { stretchesOf } from '../../src/model/networks.js'
import { backboneSpecs } from '../../src/model/weights.js'
import { normal } from '../engine/onednn/cases.js'

const graphOf = (early: string, nodes: BackboneNode[]): BackboneGraph => ({
  nodes,
  top: nodes.at(-1)!.name,
  early,
  channels: 3,
  epsilon: 1e-3,
  input: SYMMETRIC,
})
const centered = { padding: 'centered' } as const
const plain = { activation: 'none' } as const
const pool = (name: string, input: string, size: number, stride: number): BackboneNode => ({
  op: 'maxPool',
  name,
  input,
  size,
  stride,
  padding: 'same',
})
const add = (name: string, a: string, b: string, activation: 'relu' | 'none' = 'relu'): BackboneNode => ({
  op: 'add',
  name,
  inputs: [a, b],
  activation,
})

/** Four branches, as GoogLeNet has them. */
const inception = (name: string, input: string): BackboneNode[] => [
  conv(`${name}/0`, input, 8, 1),
  conv(`${name}/1a`, input, 6, 1),
  conv(`${name}/1b`, `${name}/1a`, 19, 3),
  conv(`${name}/2a`, input, 4, 1),
  conv(`${name}/2b`, `${name}/2a`, 5, 3),
  pool(`${name}/3a`, input, 3, 1),
  conv(`${name}/3b`, `${name}/3a`, 7, 1),
  { op: 'concat', name, inputs: [`${name}/0`, `${name}/1b`, `${name}/2b`, `${name}/3b`] },
]

const GRAPHS: Record<string, BackboneGraph> = {
  'one convolution without ReLU': graphOf('a', [conv('a', INPUT, 5, 3, 1, plain)]),
  'branches, whose input has several gradients': graphOf('early', [
    conv('stem', INPUT, 16, 7, 2),
    pool('pooled', 'stem', 3, 2),
    ...inception('early', 'pooled'),
    ...inception('late', 'early'),
    pool('smaller', 'late', 2, 2),
    ...inception('top', 'smaller'),
  ]),
  'sums: by the side, and across convolutions of stride 2': graphOf('unit1', [
    conv('stem', INPUT, 16, 7, 2, centered),
    { op: 'maxPool', name: 'pooled', input: 'stem', size: 3, stride: 2, padding: 'centered' },
    conv('side', 'pooled', 24, 1, 1, plain),
    conv('a', 'pooled', 8, 1),
    conv('b', 'a', 8, 3),
    conv('c', 'b', 24, 1, 1, plain),
    add('unit1', 'side', 'c'),
    conv('d', 'unit1', 24, 3, 2, centered),
    conv('e', 'unit1', 24, 1, 2, plain),
    add('unit2', 'd', 'e'),
    conv('f', 'unit2', 24, 1, 1, plain),
    add('unit3', 'unit2', 'f'),
    add('unit4', 'unit3', 'unit2', 'none'),
  ]),
  'joins of joins, of what others read too, and twice of the same': graphOf('all', [
    conv('a', INPUT, 5, 3),
    conv('b', 'a', 6, 3),
    pool('c', 'a', 3, 1),
    { op: 'concat', name: 'few', inputs: ['a', 'b', 'c'] },
    conv('d', 'b', 17, 1),
    add('e', 'a', 'c', 'none'),
    { op: 'concat', name: 'all', inputs: ['few', 'd', 'e', 'e', 'b'] },
  ]),
}

/** top and early, moments, and gradients of all weights. */
async function train(
  backend: string,
  graph: BackboneGraph,
): Promise<{ values: number[][]; kernels: string[] }> {
  await tf.setBackend(backend)
  const stop = startProfile()
  const values = tf.tidy(() => {
    const frames = normal<tf.Rank.R4>([2, 33, 22, 3], 'frames')
    const weights = new Map(
      backboneSpecs(graph, 33, 22).map(({ name, shape }) => [name, normal([...shape], name, 0.5)]),
    )
    const names = [...weights.keys()].filter((name) => !name.includes('/moving_'))
    const results: tf.Tensor[] = []
    const { value, grads } = tf.valueAndGrads((...inputs) => {
      const given = new Map([...weights, ...names.map((name, at) => [name, inputs[at]!] as const)])
      const statistics: BatchStatistics[] = []
      const { top, early } = runBackbone(graph, given, frames, statistics)
      results.push(tf.keep(top.clone()), tf.keep(early.clone()))
      results.push(...statistics.flatMap(({ mean, variance }) => [mean, variance]))
      expect(statistics.map(({ name }) => name)).toEqual(
        graph.nodes.filter(({ op }) => op === 'conv').map(({ name }) => name),
      )
      const of = (x: tf.Tensor, label: string): tf.Scalar => tf.sum(tf.mul(x, normal(x.shape, label)))
      return tf.add(of(top, 'top'), of(early, 'early'))
    })(names.map((name) => weights.get(name)!))
    const read = (tensor: tf.Tensor): number[] => [...(tensor.dataSync() as Float32Array)]
    const numbers = [value, ...results, ...grads].map(read)
    tf.dispose(results)
    return numbers
  })
  return { values, kernels: stop().kernels.map(({ name }) => name) }
}

const problem = tensorAddonProblem()

describe.skipIf(problem !== undefined)(`backbones as networks on the native engine ${problem ?? ''}`, () => {
  beforeAll(() => {
    registerNativeBackend()
    setNativeThreads(2)
  })
  afterAll(() => tf.setBackend('cpu'))

  test.each(Object.keys(GRAPHS))('%s: as layer by layer', async (name) => {
    const expected = await train('cpu', GRAPHS[name]!)
    expect(expected.kernels).not.toContain('NoduleNetwork')
    await tf.setBackend('native')
    const before = [tf.memory().numTensors, tf.backend().numDataIds()]
    const actual = await train('native', GRAPHS[name]!)
    expect(actual.kernels).toContain('NoduleNetworkGrad')
    expect([tf.memory().numTensors, tf.backend().numDataIds()]).toEqual(before)
    actual.values.forEach((values, index) => {
      const wanted = expected.values[index]!
      const scale = wanted.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-20)
      const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0)
      expect(values).toHaveLength(wanted.length)
      expect(worst / scale, `output ${index}`).toBeLessThanOrEqual(2e-4)
    })
  })

  test('what runs without gradients leaves nothing behind', async () => {
    await tf.setBackend('native')
    const before = [tf.memory().numTensors, tf.backend().numDataIds()]
    const graph = GRAPHS['one convolution without ReLU']!
    tf.tidy(() => {
      const weights = new Map(
        backboneSpecs(graph, 9, 9).map(({ name, shape }) => [name, normal([...shape], name)]),
      )
      const statistics: BatchStatistics[] = []
      runBackbone(graph, weights, normal<tf.Rank.R4>([1, 9, 9, 3]), statistics)
      expect(tf.backend().numDataIds()).toBeGreaterThan(before[1]!)
      tf.dispose(statistics.flatMap(({ mean, variance }) => [mean, variance]))
    })
    expect([tf.memory().numTensors, tf.backend().numDataIds()]).toEqual(before)
  })

  test('weights that are made within what is differentiated are there for the gradient', async () => {
    const graph = GRAPHS['one convolution without ReLU']!
    const slope = async (backend: string): Promise<number> => {
      await tf.setBackend(backend)
      return tf.tidy(() => {
        const frames = normal<tf.Rank.R4>([1, 9, 9, 3], 'frames')
        const weighing = normal([1, 9, 9, 5], 'top')
        const gradient = tf.grad((factor) => {
          const weights = new Map(
            backboneSpecs(graph, 9, 9).map(({ name, shape }) => [
              name,
              tf.mul(normal([...shape], name), factor),
            ]),
          )
          const statistics: BatchStatistics[] = []
          const { top } = runBackbone(graph, weights, frames, statistics)
          tf.dispose(statistics.flatMap(({ mean, variance }) => [mean, variance]))
          return tf.sum(tf.mul(top, weighing))
        })(tf.scalar(2))
        return gradient.dataSync()[0]!
      })
    }
    const expected = await slope('cpu')
    expect(Math.abs(expected)).toBeGreaterThan(0.1)
    expect(await slope('native')).toBeCloseTo(expected, 3)
  })

  test('a layer that is not trained keeps to its averages', async () => {
    await tf.setBackend('native')
    const graph = graphOf('b', [conv('a', INPUT, 5, 3), conv('b', 'a', 5, 3)])
    const weights = new Map(
      backboneSpecs(graph, 9, 9).map(({ name, shape }) => [
        name,
        tf.variable(tf.ones([...shape]), !name.startsWith('a/')),
      ]),
    )
    const statistics: BatchStatistics[] = []
    runBackbone(graph, weights, tf.ones([1, 9, 9, 3]), statistics)
    expect(statistics.map(({ name }) => name)).toEqual(['b'])
    tf.dispose([...weights.values(), ...statistics.flatMap(({ mean, variance }) => [mean, variance])])
  })
})

describe('stretches of a backbone', () => {
  test('up to the early features and behind', () => {
    const graph = GRAPHS['branches, whose input has several gradients']!
    const ends = stretchesOf(graph)!.map(({ from, to, convolutions }) => [from, to, convolutions.length])
    expect(ends).toEqual([
      [INPUT, 'early', 7],
      ['early', 'top', 12],
    ])
  })

  const chain = (more: Partial<ConvNode>): BackboneNode[] => [
    conv('a', INPUT, 3, 3, 1, more),
    conv('b', 'a', 3, 3),
  ]
  test.each([
    ['a way past the early features', graphOf('b', [...chain({}), add('top', 'a', 'b')])],
    ['a node that leads nowhere', graphOf('b', [conv('left', INPUT, 3, 3), ...chain({})])],
    ['biases', graphOf('b', chain({ batchNorm: false, bias: true }))],
    ['ReLU6', graphOf('b', chain({ activation: 'relu6' }))],
    ['depthwise', graphOf('b', chain({ depthwise: true }))],
  ])('none with %s', (_, graph) => {
    expect(stretchesOf(graph)).toBeUndefined()
  })
})
