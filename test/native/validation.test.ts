import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { chooseDevice, findAddon } from '../../src/native/addon.js'
import {
  addonStatus,
  huConvertSync,
  hungarianMatchSync,
  linearSumAssignment,
  rezoomForwardSync,
  rezoomGradientSync,
  setThreads,
} from '../../src/native/index.js'

const refused = (message: string | RegExp): unknown =>
  expect.objectContaining({
    name: 'NoduleError',
    code: 'INVALID_PARAMETER',
    message: expect.stringMatching(message) as string,
  })

/** A view whose buffer has been transferred away. */
function detached<T extends Int16Array | Float32Array | Int32Array | Float64Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] })
  return array
}

const hu = { slices: [new Int16Array(4), new Int16Array(4)], slope: [1, 1], intercept: [0, 0] }

describe('huConvert refuses', () => {
  it.each([
    [
      'other types',
      { slices: [new Int16Array(4), new Uint16Array(4)] },
      /Expected Int16Array for slices\[1\] but received Uint16Array/,
    ],
    ['float slices', { slices: [new Float32Array(4)] }, /for slices\[0\]/],
    ['other lengths', { slices: [new Int16Array(4), new Int16Array(5)] }, /length 4 for slices\[1\]/],
    ['no array', { slices: new Int16Array(4) }, /array of typed arrays for slices/],
    ['a detached slice', { slices: [detached(new Int16Array(4))] }, /not detached for slices\[0\]/],
    ['too few slopes', { slope: [1] }, /2 numbers for slope/],
    ['a NaN slope', { slope: [1, NaN] }, /finite number \(float32\) for slope\[1\]/],
    ['an intercept beyond float32', { intercept: [1e39, 0] }, /for intercept\[0\]/],
    ['a short out', { out: new Int16Array(7) }, /length 8 for out/],
    ['an out of the other type', { out: new Float64Array(8) }, /Int16Array of length 8|Int16Array for out/],
    ['clamp turned round', { clamp: [5, 4] }, /for clamp\[1\]/],
    ['clamp outside int16', { clamp: [-40000, 0] }, /for clamp\[0\]/],
    ['padding turned round', { padding: { low: 3, high: 2 } }, /for padding.high/],
  ])('%s', (_, change, message) => {
    expect(() => huConvertSync({ ...hu, ...change } as typeof hu)).toThrow(refused(message))
  })

  it('an out that overlaps a slice', () => {
    const buffer = new ArrayBuffer(64)
    const slices = [new Int16Array(buffer, 0, 4), new Int16Array(buffer, 8, 4)]
    expect(() => huConvertSync({ ...hu, slices, out: new Int16Array(buffer, 14, 8) })).toThrow(
      refused(/shares no bytes/),
    )
    expect(huConvertSync({ ...hu, slices, out: new Int16Array(buffer, 16, 8) }).length).toBe(8)
  })

  it('an unknown output or device', () => {
    expect(() => huConvertSync(hu, { output: 'float64' as 'int16' })).toThrow(refused(/for output/))
    expect(() => huConvertSync(hu, { device: 'gpu' as 'cpu' })).toThrow(
      refused(/for device but received "gpu"/),
    )
  })
})

const rezoom = {
  features: new Float32Array(2 * 3 * 4 * 5),
  shape: [2, 3, 4, 5] as const,
  boxes: new Float32Array(2 * 6 * 4),
  offsetsX: [0, 1],
  offsetsY: [0],
  stride: 8,
}

describe('rezoom refuses', () => {
  it.each([
    ['a wrong shape', { shape: [2, 3, 4] }, /four sizes/],
    ['no pixels', { shape: [2, 0, 4, 5] }, /for shape\[1\]/],
    ['features of another length', { features: new Float32Array(7) }, /length 120 for features/],
    ['half a box', { boxes: new Float32Array(7) }, /for boxes/],
    ['no offsets', { offsetsX: [] }, /1 to 64 numbers for offsetsX/],
    ['an infinite offset', { offsetsY: [Infinity] }, /for offsetsY\[0\]/],
    ['stride 0', { stride: 0 }, /for stride/],
    ['another layout', { layout: 'HWC' }, /for layout/],
    ['too many elements', { shape: [1 << 20, 1 << 10, 1 << 10, 1] }, /2\^31/],
  ])('%s', (_, change, message) => {
    const input = { ...rezoom, ...change } as unknown as typeof rezoom
    expect(() => rezoomForwardSync(input)).toThrow(refused(message))
    expect(() => rezoomGradientSync(input, new Float32Array(120))).toThrow(refused(message))
  })

  it('a gradient of another length', () => {
    expect(() => rezoomGradientSync(rezoom, new Float32Array(3))).toThrow(refused(/length 120 for gradient/))
  })
})

const match = {
  predictions: new Float32Array(2 * 3 * 4),
  truths: new Float32Array(2 * 2 * 4),
  counts: Int32Array.of(1, 2),
  p: 3,
  t: 2,
  minIou: 0.25,
}

describe('hungarianMatch refuses', () => {
  it.each([
    ['65 predictions', { p: 65 }, /between 0 and 64 for p/],
    ['65 truths', { t: 65 }, /for t/],
    ['predictions of another length', { predictions: new Float32Array(23) }, /length 24 for predictions/],
    ['truths of another length', { truths: new Float32Array(17) }, /length 16 for truths/],
    ['a count above t', { counts: Int32Array.of(1, 3) }, /counts\[1\]/],
    ['a negative count', { counts: Int32Array.of(-1, 2) }, /counts\[0\]/],
    ['float counts', { counts: Float32Array.of(1, 2) }, /Int32Array for counts/],
    ['an IoU above 1', { minIou: 1.5 }, /for minIou/],
    ['detached truths', { truths: detached(new Float32Array(16)) }, /not detached for truths/],
  ])('%s', (_, change, message) => {
    for (const device of ['auto', 'reference'] as const)
      expect(() => hungarianMatchSync({ ...match, ...change } as typeof match, { device })).toThrow(
        refused(message),
      )
  })
})

describe('linearSumAssignment refuses', () => {
  it('another length, NaN, infinity, the CUDA device', () => {
    for (const device of ['auto', 'reference'] as const) {
      expect(() => linearSumAssignment(new Float64Array(5), 2, 3, { device })).toThrow(refused(/length 6/))
      expect(() => linearSumAssignment(Float64Array.of(1, NaN), 1, 2, { device })).toThrow(
        refused(/cost\[1\]/),
      )
      for (const bad of [-Infinity, 1e101])
        expect(() => linearSumAssignment(Float64Array.of(bad, 2), 2, 1, { device })).toThrow(
          refused(/cost\[0\]/),
        )
    }
    expect(() => linearSumAssignment(new Float64Array(1), 1, 1, { device: 'cuda' as 'cpu' })).toThrow(
      refused(/no CUDA version/),
    )
  })
})

describe('the addon', () => {
  const status = addonStatus()

  it('says what it is or why it is missing', () => {
    if (status.available) {
      expect(status.path).toMatch(/nodule\.node$/)
      expect(status.isa).toMatch(/^(x86-64(-v[234])?|arm64|generic)$/)
    } else {
      expect(status.problem).not.toBe('')
      expect(status.solutions?.length).toBeGreaterThan(0)
      expect(chooseDevice()).toBe('reference')
    }
  })

  it.skipIf(!status.available)('changes the number of threads', () => {
    setThreads(3)
    expect(addonStatus().threads).toBe(3)
    setThreads(status.threads)
    expect(() => setThreads(0)).toThrow(refused(/for threads/))
    expect(() => setThreads(1.5)).toThrow(refused(/for threads/))
  })

  it.skipIf(status.cudaUsable)('refuses the CUDA device where there is none', () => {
    const error = expect.objectContaining({ code: 'UNAVAILABLE' }) as unknown
    expect(() => chooseDevice('cuda')).toThrow(error)
  })
})

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
          fc.oneof({ weight: 12, arbitrary: value }, { weight: 1, arbitrary: anything }),
        ]),
      ),
      { requiredKeys: [] },
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
  }
  const kernels = {
    hu: ['huSync', 'hu'],
    rezoom: ['rezoomForwardSync', 'rezoomForward', 'rezoomGradientSync', 'rezoomGradient'],
    match: ['hungarianMatchSync', 'hungarianMatch'],
    assign: ['linearSumAssignment'],
  }
  for (const [kind, names] of Object.entries(kernels))
    it.each(names)('%s', async (name) => {
      const call = (findAddon() as unknown as Record<string, (input: unknown) => unknown>)[name]
      let worked = 0
      await fc.assert(
        fc.asyncProperty(
          fc.oneof({ weight: 30, arbitrary: inputs[kind] as fc.Arbitrary<unknown> }, anything),
          async (input) => {
            try {
              await call?.(input)
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
