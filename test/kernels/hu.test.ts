import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { huConvert, huConvertSync } from '../../src/kernels/index.js'
import { huCases, huInput } from '../../benchmarks/cases/kernels.js'
import { devices } from './devices.js'

/** The bits, so that 0 and -0 and NaN are told apart. */
function bits(array: Int16Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

function expectSameBits(actual: Int16Array | Float32Array, expected: Int16Array | Float32Array): void {
  expect(actual.constructor).toBe(expected.constructor)
  expect(Buffer.compare(bits(actual), bits(expected))).toBe(0)
}

describe('the reference', () => {
  it('rescales, rounds half away from zero, masks and clamps', () => {
    const batch = {
      slices: [Int16Array.of(0, 1, -1, 3, -3, -2000, 32767)],
      slope: [0.5],
      intercept: [0],
      padding: { low: -2000, high: -2000 },
      clamp: [-1000, 1000] as const,
    }
    expect([...huConvertSync(batch, { device: 'reference' })]).toEqual([0, 1, -1, 2, -2, -1000, 1000])
    expect([...huConvertSync(batch, { device: 'reference', output: 'float32' })]).toEqual([
      0, 0.5, -0.5, 1.5, -1.5, -1000, 1000,
    ])
  })
})

for (const { device, skip, title } of devices)
  describe.skipIf(skip)(title, () => {
    for (const output of ['int16', 'float32'] as const)
      it.each(huCases.map((c) => ({ ...c, label: `${c.name} -> ${output}` })))('$label', async (c) => {
        // The whole scan takes the reference 0.2 s: a part of it is compared.
        const batch = huInput(c.bench === true ? { ...c, slices: 3 } : c)
        const expected = huConvertSync(batch, { output, device: 'reference' })
        expectSameBits(huConvertSync(batch, { output, device }), expected)
        expectSameBits(await huConvert(batch, { output, device }), expected)
      })

    it('any slope and intercept', () => {
      fc.assert(
        fc.property(
          fc.float({ noNaN: true, noDefaultInfinity: true }),
          fc.float({ noNaN: true, noDefaultInfinity: true }),
          fc.array(fc.integer({ min: -32768, max: 32767 }), { maxLength: 40 }),
          fc.constantFrom('int16' as const, 'float32' as const),
          (slope, intercept, stored, output) => {
            const batch = { slices: [Int16Array.from(stored)], slope: [slope], intercept: [intercept] }
            expectSameBits(
              huConvertSync(batch, { output, device }),
              huConvertSync(batch, { output, device: 'reference' }),
            )
          },
        ),
        { numRuns: 300, seed: 1 },
      )
    })

    it('writes into the given buffer, also at an odd place of a larger one', () => {
      const batch = {
        slices: [Int16Array.of(1, 2, 3), Int16Array.of(4, 5, 6)],
        slope: [1, 2],
        intercept: [0, 1],
      }
      const out = new Int16Array(new ArrayBuffer(100), 6, 6)
      expect(huConvertSync({ ...batch, out }, { device })).toBe(out)
      expect([...out]).toEqual([1, 2, 3, 9, 11, 13])
      expect(new Int16Array(out.buffer, 0, 3)).toEqual(new Int16Array(3))
    })
  })
