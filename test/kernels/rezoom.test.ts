import { describe, expect, it } from 'vitest'
import {
  rezoomForward,
  rezoomForwardSync,
  rezoomGradient,
  rezoomGradientSync,
} from '../../src/kernels/index.js'
import type { RezoomInput } from '../../src/kernels/index.js'
import { rezoomCases, rezoomInput } from '../../benchmarks/cases/kernels.js'
import { expectClose } from './close.js'
import { devices } from './devices.js'

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, v, i) => sum + v * (b[i] as number), 0)

describe('the reference', () => {
  it('samples pixel centers and clamps at the edges', () => {
    const input: RezoomInput = {
      features: Float32Array.of(0, 1, 2, 3, 4, 5),
      shape: [1, 2, 3, 1],
      // The center of pixel (0, 1); a corner outside; half way between (0, 0) and (1, 1).
      boxes: Float32Array.of(12, 4, 8, 8, -50, 90, 1, 1, 8, 8, 2, 2),
      offsetsX: [0],
      offsetsY: [0],
      stride: 8,
    }
    expect([...rezoomForwardSync(input, { device: 'reference' })]).toEqual([1, 3, 2])
  })

  it('orders samples with y outside and x inside', () => {
    const input: RezoomInput = {
      features: Float32Array.of(0, 1, 10, 11),
      shape: [1, 2, 2, 1],
      boxes: Float32Array.of(2, 2, 2, 2),
      offsetsX: [-0.5, 0.5],
      offsetsY: [-0.5, 0.5],
      stride: 2,
    }
    expect([...rezoomForwardSync(input, { device: 'reference' })]).toEqual([0, 1, 10, 11])
  })

  it.each(['NHWC', 'NCHW'] as const)('its gradient is the numerical gradient (%s)', (layout) => {
    const { input, gradient } = rezoomInput({
      name: '',
      shape: [2, 5, 6, 3],
      boxes: 4,
      offsetsX: [-0.25, 0.3],
      offsetsY: [0, 0.2, 0.4],
      stride: 8,
      layout,
      kind: 'inside',
    })
    const exact = rezoomGradientSync(input, gradient, { device: 'reference' })
    const loss = (changed: Partial<RezoomInput>): number =>
      dot(rezoomForwardSync({ ...input, ...changed }, { device: 'reference' }), gradient)
    // The map from features is linear; the map from boxes is smooth between pixel centers: a small step.
    const check = (key: 'features' | 'boxes', step: number, tolerance: number): void => {
      for (let i = 0; i < input[key].length; i++) {
        const up = input[key].slice()
        const down = input[key].slice()
        up[i] = (up[i] as number) + step
        down[i] = (down[i] as number) - step
        const slope =
          (loss({ [key]: up }) - loss({ [key]: down })) / ((up[i] as number) - (down[i] as number))
        expect(Math.abs(slope - (exact[key][i] as number)), `${key}[${i}]`).toBeLessThan(tolerance)
      }
    }
    check('features', 0.5, 1e-5)
    check('boxes', 2 ** -8, 1e-3)
  })
})

for (const { device, skip, title } of devices)
  describe.skipIf(skip)(title, () => {
    it.each(rezoomCases.map((c) => ({ ...c, label: `${c.name} ${c.layout}` })))('$label', async (c) => {
      const { input, gradient } = rezoomInput(c)
      const forward = rezoomForwardSync(input, { device: 'reference' })
      expectClose(rezoomForwardSync(input, { device }), forward)
      expectClose(await rezoomForward(input, { device }), forward)
      const expected = rezoomGradientSync(input, gradient, { device: 'reference' })
      for (const actual of [
        rezoomGradientSync(input, gradient, { device }),
        await rezoomGradient(input, gradient, { device }),
      ]) {
        expectClose(actual.features, expected.features)
        expectClose(actual.boxes, expected.boxes)
      }
    })
  })
