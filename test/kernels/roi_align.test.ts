import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  rezoomForwardSync,
  roiAlignForward,
  roiAlignForwardSync,
  roiAlignGradient,
  roiAlignGradientSync,
} from '../../src/kernels/index.js'
import { roiAlignCases, roiAlignInput } from '../../benchmarks/cases/kernels.js'
import { expectClose } from './close.js'
import { devices } from './devices.js'

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, v, i) => sum + v * (b[i] as number), 0)

interface Oracle {
  shape: [n: number, c: number, h: number, w: number]
  stride: number
  images: number[]
  boxes: number[]
  features: number[]
  cases: {
    bins: [number, number]
    samplingRatio: number
    aligned: boolean
    output: number[]
    gradient: number[]
  }[]
}

/** What torchvision computes; made by the script beside it. */
const oracle = JSON.parse(
  readFileSync(new URL('../fixtures/kernels/roi_align.json', import.meta.url), 'utf8'),
) as Oracle

describe('the reference', () => {
  it.each(oracle.cases)('is torchvision: bins $bins, ratio $samplingRatio, aligned $aligned', (c) => {
    const [n, channels, height, width] = oracle.shape
    const input = {
      features: Float32Array.from(oracle.features),
      shape: [n, height, width, channels] as const,
      boxes: Float32Array.from(oracle.boxes),
      images: Int32Array.from(oracle.images),
      stride: oracle.stride,
      layout: 'NCHW' as const,
      bins: c.bins,
      samplingRatio: c.samplingRatio,
      aligned: c.aligned,
    }
    const count = c.output.length
    const weights = Float32Array.from({ length: count }, (_, i) => -1 + (2 * i) / (count - 1))
    expectClose(roiAlignForwardSync(input, { device: 'reference' }), Float32Array.from(c.output))
    expectClose(roiAlignGradientSync(input, weights, { device: 'reference' }), Float32Array.from(c.gradient))
  })

  it('with 2x2 bins of one sample is rezoom at offsets of a quarter, inside the image', () => {
    const random = roiAlignInput(roiAlignCases.at(-2)!).input
    const boxes = Float32Array.of(40, 48, 72, 96, 100, 100, 108, 132)
    const centered = Float32Array.of(56, 72, 32, 48, 104, 116, 8, 32)
    const expected = rezoomForwardSync(
      { ...random, boxes: centered, offsetsX: [-0.25, 0.25], offsetsY: [-0.25, 0.25] },
      { device: 'reference' },
    )
    const images = new Int32Array(2)
    expectClose(roiAlignForwardSync({ ...random, boxes, images }, { device: 'reference' }), expected)
  })

  it('its gradient is that of a linear map', () => {
    for (const c of roiAlignCases.filter(({ bench }) => bench !== true)) {
      const { input, gradient } = roiAlignInput(c)
      const forward = roiAlignForwardSync(input, { device: 'reference' })
      const back = roiAlignGradientSync(input, gradient, { device: 'reference' })
      expect(dot(back, input.features)).toBeCloseTo(dot(forward, gradient), 3)
    }
  })
})

for (const { device, skip, title } of devices)
  describe.skipIf(skip)(title, () => {
    it.each(roiAlignCases.map((c) => ({ ...c, label: `${c.name} ${c.layout}` })))('$label', async (c) => {
      const { input, gradient } = roiAlignInput(c)
      const forward = roiAlignForwardSync(input, { device: 'reference' })
      expectClose(roiAlignForwardSync(input, { device }), forward)
      expectClose(await roiAlignForward(input, { device }), forward)
      const back = roiAlignGradientSync(input, gradient, { device: 'reference' })
      expectClose(roiAlignGradientSync(input, gradient, { device }), back)
      expectClose(await roiAlignGradient(input, gradient, { device }), back)
    })
  })

describe('roiAlign refuses', () => {
  const { input } = roiAlignInput(roiAlignCases[2]!)
  it.each([
    ['NaN in a box', { boxes: new Float32Array(36).fill(NaN) }, /for boxes\[0\]/],
    ['an image that is not there', { images: new Int32Array(9).fill(2) }, /for images\[0\]/],
    ['no bins', { bins: [0, 2] }, /for bins\[0\]/],
    [
      'bins without end',
      { samplingRatio: 0, boxes: Float32Array.of(0, 0, 1e6, 1), images: new Int32Array(1) },
      /255/,
    ],
  ])('%s', (_, change, message) => {
    expect(() => roiAlignForwardSync({ ...input, ...change } as typeof input)).toThrow(
      expect.objectContaining({
        code: 'INVALID_PARAMETER',
        message: expect.stringMatching(message) as string,
      }),
    )
  })
})
