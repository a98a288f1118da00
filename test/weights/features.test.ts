/** Whole backbones against the libraries that their weights come from: the same weights give the same features. */
import { readFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { startEngine } from '../../src/engine/index.js'
import { normalizeFrames, runBackbone } from '../../src/model/backbone.js'
import { wholeBackbone } from '../../src/model/backbones/registry.js'
import { fitBackbone, isWhole, readBackbone } from '../../src/weights/index.js'
import type { BackboneName } from '../../src/config/backbones.js'
import { formulaFile, formulaFrame } from './formula.js'

interface Recorded {
  shape: number[]
  /** The largest absolute value. */
  scale: number
  /** Values of [h, w, c], each so many-th. */
  every: number
  values: number[]
}

interface Fixture {
  height: number
  width: number
  models: Partial<Record<BackboneName, { gamma: number; top: Recorded; early: Recorded }>>
}

const fixture = (name: string): Fixture =>
  JSON.parse(readFileSync(new URL(`../fixtures/weights/${name}.json`, import.meta.url), 'utf8')) as Fixture

beforeAll(async () => {
  await startEngine()
})

describe.each([
  ['torchvision', 'modules', ['googlenet', 'resnet50', 'vgg16', 'efficientnet_lite0']],
  ['tensorflow', 'graph', ['InceptionV1', 'resnet_v1_50', 'vgg_16']],
] as const)('features of %s', (library, naming, names) => {
  it.each(names)(
    '%s, to 1e-4',
    async (name) => {
      const { height, width, models } = fixture(library)
      const expected = models[name]!
      const file = formulaFile(name, naming, expected.gamma)
      const fit = fitBackbone(file, name)
      expect(isWhole(fit)).toBe(true)
      expect(fit.leftOver).toEqual([])
      const weights = await readBackbone(file, fit)
      tf.tidy(() => {
        const graph = wholeBackbone(name)
        const tensors = new Map([...weights].map(([key, { shape, data }]) => [key, tf.tensor(data, shape)]))
        const frames = tf.tensor4d(formulaFrame(height, width), [1, height, width, 3])
        const { top, early } = runBackbone(graph, tensors, normalizeFrames(graph, frames), undefined)
        compare(top, expected.top)
        compare(early, expected.early)
      })
    },
    300_000,
  )
})

function compare(actual: tf.Tensor4D, { shape, scale, every, values }: Recorded): void {
  expect(actual.shape.slice(1)).toEqual(shape)
  const ours = actual.dataSync()
  let difference = 0
  values.forEach((value, n) => (difference = Math.max(difference, Math.abs(ours[n * every]! - value))))
  expect(difference / scale).toBeLessThan(1e-4)
  // Features that are nearly all zero would prove nothing.
  expect(values.filter((value) => value !== 0).length).toBeGreaterThan(values.length / 10)
}
