import { describe, expect, it } from 'vitest'
import { renderPlane } from '../../src/dataset/frames.js'
import { triangleTaps } from '../../src/dataset/resample.js'
import { huConvertSync, renderFrames, renderFramesSync } from '../../src/kernels/index.js'
import { framesCases, framesInput } from '../../benchmarks/cases/kernels.js'
import { devices } from './devices.js'

/** At most one gray level, and that in few places: where a sum lies on the edge between two levels. */
function expectClose(
  actual: Uint8Array | Float32Array,
  expected: Uint8Array | Float32Array,
  level: number,
): void {
  expect(actual.constructor).toBe(expected.constructor)
  expect(actual.length).toBe(expected.length)
  let different = 0
  for (let i = 0; i < expected.length; i++) {
    const value = expected[i] as number
    const difference = Math.abs((actual[i] as number) - value)
    if (difference > level * 1e-4) different++
    if (!(difference <= level * 1.0001)) expect.fail(`element ${i}: ${actual[i]}, not ${value}`)
  }
  expect(different).toBeLessThanOrEqual(Math.ceil(expected.length * 2e-3))
}

describe('the reference', () => {
  it('is renderPlane of the data set', () => {
    const c = framesCases.find(({ name }) => name === 'shrunk')
    if (c === undefined) throw new Error('no such case')
    const input = framesInput(c)
    const planes = renderFramesSync(input, { device: 'reference' })
    const { slices, slope = [], intercept = [], padding } = input
    const hu = huConvertSync({ slices, slope, intercept, padding }, { device: 'reference' })
    const mapping = {
      originX: c.origin[0],
      originY: c.origin[1],
      scale: c.scale,
      frameWidth: c.width,
      frameHeight: c.height,
    }
    const volume = { data: hu, shape: [c.slices, c.rows, c.columns] as [number, number, number] }
    const pixels = c.width * c.height
    for (let k = 0; k < c.slices; k++)
      expect(renderPlane(volume, k, mapping, input.window)).toEqual(
        planes.slice(k * pixels, (k + 1) * pixels),
      )
  })

  it('puts neighbors into channels, in both layouts', () => {
    // Three slices of one pixel each, HU -1000, 0 and 1000 as they are.
    const taps = { first: Int32Array.of(0), count: Int32Array.of(1), weights: Float64Array.of(1), width: 1 }
    const input = {
      slices: [-1000, 0, 1000].map((hu) => Int16Array.of(hu)),
      rows: 1,
      columns: 1,
      x: { ...taps, first: Int32Array.of(0, -1), count: Int32Array.of(1, 0), weights: Float64Array.of(1, 0) },
      y: taps,
      window: { low: -1000, high: 1000 },
      outside: 1000,
      sources: [0, 1, 2],
    }
    for (const device of ['reference', 'auto'] as const) {
      expect([...renderFramesSync(input, { device })]).toEqual([0, 255, 128, 255, 255, 255])
      expect([...renderFramesSync({ ...input, layout: 'NHWC' }, { device })]).toEqual([
        0, 128, 255, 255, 255, 255,
      ])
      expect([...renderFramesSync(input, { device, output: 'float32' })].slice(0, 2)).toEqual([-1, 1])
    }
  })
})

for (const { device, skip, title } of devices)
  describe.skipIf(skip)(title, () => {
    it.each(framesCases)('$name', async (c) => {
      const input = framesInput(c.bench === true ? { ...c, slices: 4 } : c)
      const options = c.output === undefined ? {} : { output: c.output }
      const expected = renderFramesSync(input, { ...options, device: 'reference' })
      const level = c.output === 'float32' ? 1 / 127.5 : 1
      const actual = renderFramesSync(input, { ...options, device })
      expectClose(actual, expected, level)
      const later = await renderFrames(input, { ...options, device })
      expect(Buffer.compare(Buffer.from(later.buffer), Buffer.from(actual.buffer))).toBe(0)
    })
  })

describe('a large output', () => {
  // Above 16 MiB the CPU writes past its caches, by whole cache lines of wherever the output begins.
  const c = framesCases.find(({ bench }) => bench === true) as (typeof framesCases)[number]
  const input = framesInput({ ...c, slices: 2 })
  it.each([
    ['uint8', c.width, 0],
    ['uint8', c.width, 17],
    ['uint8', 345, 1],
    ['float32', c.width, 3],
  ] as const)('%s, %i wide, from element %i on', (output, width, offset) => {
    const narrow = { ...input, x: triangleTaps(c.columns, width, c.scale, c.origin[0]) }
    const one = renderFramesSync({ ...narrow, sources: [0, 1], channels: 1 }, { output })
    const size = width * c.height
    const places = Math.ceil((2 ** 24 + 1) / size / 3) * 3
    const sources = Int32Array.from({ length: places }, (_, i) => (i * i) % 2)
    const Output = output === 'uint8' ? Uint8Array : Float32Array
    const all = new Output(offset + places * size + 1).fill(7)
    renderFramesSync({ ...narrow, sources, out: all.subarray(offset, offset + places * size) })
    expect(all.slice(0, offset).every((value) => value === 7)).toBe(true)
    expect(all.at(-1)).toBe(7)
    const bytes = (part: Uint8Array | Float32Array): Buffer =>
      Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    for (const [i, source] of sources.entries()) {
      const place = all.subarray(offset + i * size, offset + (i + 1) * size)
      const plane = one.subarray(source * size, (source + 1) * size)
      expect(bytes(place).equals(bytes(plane)), `place ${i}`).toBe(true)
    }
  })
})

describe('renderFrames refuses', () => {
  const c = framesCases.find(({ name }) => name === 'neighbors')
  const input = framesInput(c as (typeof framesCases)[number])
  it.each([
    ['slices of another size', { rows: 32 }, /pixels for slices\[0\]/],
    ['a source that is no slice', { sources: [0, 1, 5] }, /for sources\[2\]/],
    ['half a frame', { sources: [0, 1] }, /multiple of 3/],
    ['a window without width', { window: { low: 5, high: 5 } }, /above 5 for window.high/],
    [
      'taps outside the image',
      { x: { ...input.x, first: input.x.first.map((v) => v + 40) } },
      /for x\.(first|count)/,
    ],
    ['taps that fall', { y: { ...input.y, first: input.y.first.toReversed() } }, /for y\.first/],
    ['a short out', { out: new Uint8Array(3) }, /for out/],
  ])('%s', (_, change, message) => {
    expect(() => renderFramesSync({ ...input, ...change })).toThrow(
      expect.objectContaining({
        code: 'INVALID_PARAMETER',
        message: expect.stringMatching(message) as string,
      }),
    )
  })
})
