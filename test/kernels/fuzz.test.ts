import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { findAddon } from '../../src/kernels/addon.js'
import { detached } from './detached.js'

/**
 * The bindings check again what JavaScript checked: whatever is passed to them directly, they throw an Error or do
 * their work, and never crash or write outside a buffer (run it on a sanitizer build with NODULE_ADDON).
 */
describe.skipIf(findAddon() === undefined)('the bindings under fuzz', () => {
  const array = fc
    .tuple(
      fc.constantFrom(
        Int16Array,
        Uint16Array,
        Uint8Array,
        Float32Array,
        Float64Array,
        Int32Array,
        BigInt64Array,
      ),
      fc.integer({ min: 0, max: 70 }),
    )
    .map(([Type, length]) => new Type(length) as unknown)
  const number = fc.oneof(
    fc.integer({ min: -2, max: 70 }),
    fc.constantFrom(0, 1, 2, 3, 2 ** 20, 2 ** 31, 2 ** 53, -1, NaN, Infinity, 0.5, -0),
  )
  const gone = fc
    .constantFrom('f', 'i')
    .map((kind) => detached(kind === 'f' ? new Float32Array(8) : new Int16Array(8)))
  const anything = fc.oneof(
    { weight: 4, arbitrary: number },
    { weight: 5, arbitrary: array },
    gone,
    fc.array(array, { maxLength: 4 }),
    fc.constantFrom('cpu', 'cuda', '', null, undefined, true, false, {}),
  )
  // Objects with the right keys and mostly possible values, a few of them wrong.
  const objectOf = (good: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> =>
    fc.record(
      Object.fromEntries(
        Object.entries(good).map(([key, value]) => [
          key,
          fc.oneof({ weight: 40, arbitrary: value }, { weight: 1, arbitrary: anything }),
        ]),
      ),
    )
  const floats = (length: number): fc.Arbitrary<unknown> =>
    fc
      .array(
        fc.oneof(
          { weight: 99, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
          fc.constantFrom(NaN, Infinity),
        ),
        {
          minLength: length,
          maxLength: length,
        },
      )
      .map((values) => Float32Array.from(values))
  const device = fc.constant('cpu')
  // Two outputs of up to two taps; mostly inside `inputs`.
  const taps = (inputs: number): fc.Arbitrary<object> =>
    objectOf({
      first: fc
        .tuple(fc.constantFrom(-1, 0, 1, 0, 1), fc.constantFrom(1, 2, inputs - 1, inputs))
        .map((a) => Int32Array.from(a)),
      count: fc.constantFrom([1, 1], [2, 1], [1, 2], [0, 3]).map((a) => Int32Array.from(a)),
      weights: fc.constant(0).map(() => new Float64Array(4).fill(0.5)),
      width: fc.constant(2),
    })
  // Mostly these values, now and then one that is wrong.
  const integers = (values: readonly number[]): fc.Arbitrary<unknown> =>
    fc
      .tuple(
        fc.integer({ min: 0, max: 8 * values.length }),
        fc.constantFrom(-1, 0, 129, 2 ** 31 - 1, -(2 ** 31)),
      )
      .map(([at, wrong]) => Int32Array.from(values, (value, n) => (n === at ? wrong : value)))
  const bits = (length: number): fc.Arbitrary<unknown> =>
    fc.uint8Array({ minLength: length, maxLength: length, max: 1 })
  // Right and left lung on a coarse grid of four blocks.
  const lungs = fc.tuple(bits(4), bits(4))
  const inputs: Record<string, fc.Arbitrary<object>> = {
    hu: objectOf({
      slices: fc
        .array(fc.constant(0), { minLength: 2, maxLength: 2 })
        .map((a) => a.map(() => new Uint16Array(9))),
      slope: floats(2),
      intercept: floats(2),
      paddingLow: number,
      paddingHigh: number,
      clampLow: number,
      clampHigh: number,
      output: fc.constantFrom(0, 1).map((kind) => (kind === 0 ? new Int16Array(18) : new Float32Array(18))),
      device,
    }),
    frames: objectOf({
      slices: fc
        .array(fc.constant(0), { minLength: 2, maxLength: 2 })
        .map((a) => a.map(() => new Int16Array(12).fill(7))),
      slope: floats(2),
      intercept: floats(2),
      paddingLow: fc.constant(1),
      paddingHigh: fc.constant(0),
      clampLow: fc.constant(-32768),
      clampHigh: fc.constant(32767),
      rows: fc.constant(3),
      columns: fc.constant(4),
      x: taps(4),
      y: taps(3),
      sources: fc
        .array(fc.integer({ min: 0, max: 1 }), { minLength: 3, maxLength: 3 })
        .map((a) => Int32Array.from(a)),
      channels: fc.constantFrom(1, 3),
      nchw: fc.boolean(),
      outside: fc.constant(-1000),
      windowLow: fc.constantFrom(-1000, 30),
      windowScale: fc.constantFrom(0, 0.1, 1e6),
      factor: fc.constant(1),
      offset: fc.constant(-1),
      output: fc.constantFrom(0, 1).map((kind) => (kind === 0 ? new Uint8Array(12) : new Float32Array(12))),
      device,
    }),
    rezoom: objectOf({
      n: fc.constant(1),
      height: fc.constant(3),
      width: fc.constant(2),
      channels: fc.constant(2),
      boxesPerImage: fc.constant(2),
      nhwc: fc.boolean(),
      stride: fc.constantFrom(8, 1e-3),
      offsetsX: floats(2),
      offsetsY: floats(1),
      features: floats(12),
      boxes: floats(8),
      output: floats(8),
      gradient: floats(8),
      gradientFeatures: floats(12),
      gradientBoxes: floats(8),
      device,
    }),
    roiAlign: objectOf({
      n: fc.constant(2),
      height: fc.constant(3),
      width: fc.constant(2),
      channels: fc.constant(2),
      binsX: fc.constantFrom(1, 1, 1, 2),
      binsY: fc.constant(1),
      samplingRatio: fc.constantFrom(0, 1, 2),
      scale: fc.constantFrom(0.125, 1),
      aligned: fc.boolean(),
      nhwc: fc.boolean(),
      features: floats(24),
      boxes: fc
        .array(
          fc.oneof({ weight: 30, arbitrary: fc.float({ noNaN: true, min: -99, max: 99 }) }, fc.float()),
          {
            minLength: 8,
            maxLength: 8,
          },
        )
        .map((a) => Float32Array.from(a)),
      images: fc.constantFrom([0, 1], [1, 1], [0, 2]).map((a) => Int32Array.from(a)),
      output: floats(4),
      gradient: floats(4),
      gradientFeatures: floats(24),
      device,
    }),
    match: objectOf({
      cells: fc.constant(2),
      p: fc.constant(2),
      t: fc.constant(1),
      minIou: fc.constantFrom(0, 0.5, 1),
      predictions: floats(16),
      truths: floats(8),
      counts: fc
        .array(fc.constantFrom(0, 1, 1, 1, 0, 2, -1), { minLength: 2, maxLength: 2 })
        .map((a) => Int32Array.from(a)),
      assignment: fc.constant(0).map(() => new Int32Array(4)),
      cost: fc.constant(0).map(() => new Float64Array(2)),
      device,
    }),
    assign: objectOf({
      rows: fc.constant(3),
      columns: fc.constant(2),
      cost: fc
        .array(
          fc.oneof(
            { weight: 20, arbitrary: fc.double({ noNaN: true, min: -1e100, max: 1e100 }) },
            fc.constant(NaN),
          ),
          {
            minLength: 6,
            maxLength: 6,
          },
        )
        .map((a) => Float64Array.from(a)),
      rowToColumn: fc.constant(0).map(() => new Int32Array(3)),
    }),
    shrink: objectOf({
      data: fc.constant(0).map(() => new Int16Array(24).fill(-700)),
      shape: integers([2, 3, 4]),
      factors: integers([2, 2, 3]),
      output: fc.constant(0).map(() => new Int16Array(4)),
    }),
    dilate: objectOf({
      mask: bits(24),
      shape: integers([2, 3, 4]),
      reach: integers([0, 0, 1, 1, -1, 0, -1, 2, 0]),
      invert: fc.boolean(),
      output: bits(24),
    }),
    parts: objectOf({
      data: fc.oneof(
        bits(24),
        fc.constant(0).map(() => new Int16Array(24).fill(-700)),
      ),
      shape: integers([2, 3, 4]),
      below: fc.constantFrom(undefined, 0, 1, -600),
      planar: fc.boolean(),
    }),
    refine: objectOf({
      data: fc.constant(0).map(() => new Int16Array(24).fill(-700)),
      shape: integers([2, 3, 4]),
      factors: integers([2, 2, 3]),
      closed: lungs,
      air: lungs,
      trachea: integers([3, 3, 23, 0]),
      surfaceHu: fc.constant(-400),
      mask: bits(24),
      sides: fc.constantFrom(24, 24, 0).map((length) => new Uint8Array(length)),
      counts: fc.constant(0).map(() => new Float64Array(2)),
      box: integers([0, 0, 0, 0, 0, 0]),
    }),
  }
  const matchArguments = [
    ...['predictions', 'truths', 'counts', 'assignment', 'cost'],
    ...['p', 't', 'minIou', 'device'],
  ]
  const kernels = {
    hu: ['huSync', 'hu'],
    frames: ['framesSync', 'frames'],
    rezoom: ['rezoomForwardSync', 'rezoomForward', 'rezoomGradientSync', 'rezoomGradient'],
    roiAlign: ['roiAlignForwardSync', 'roiAlignForward', 'roiAlignGradientSync', 'roiAlignGradient'],
    match: ['hungarianMatchSync', 'hungarianMatch'],
    assign: ['linearSumAssignment'],
    shrink: ['shrinkSync'],
    dilate: ['dilateSync'],
    parts: ['findParts'],
    refine: ['refineSync'],
  }
  for (const [kind, names] of Object.entries(kernels))
    it.each(names)('%s', async (name) => {
      const kernel = (findAddon() as unknown as Record<string, (...input: unknown[]) => unknown>)[name]
      // Matching takes its arguments by position.
      const call = (input: unknown): unknown =>
        kind === 'match' && typeof input === 'object' && input !== null
          ? kernel?.(...matchArguments.map((key) => (input as Record<string, unknown>)[key]))
          : kernel?.(input)
      let worked = 0
      await fc.assert(
        fc.asyncProperty(
          fc.oneof({ weight: 30, arbitrary: inputs[kind] as fc.Arbitrary<unknown> }, anything),
          async (input) => {
            try {
              await call(input)
              worked++
            } catch (error) {
              expect(error).toBeInstanceOf(Error)
              expect(error).not.toBeInstanceOf(NoduleError)
            }
          },
        ),
        { numRuns: 600, seed: 4 },
      )
      expect(worked).toBeGreaterThan(0)
    })
})
