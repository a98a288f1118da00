import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rezoomForwardSync } from '../../src/kernels/index.js'
import { rezoom } from '../../src/onnx/rezoom.js'
import { createRandom } from '../../src/random.js'
import * as ort from 'onnxruntime-node'
import { GraphBuilder, OPSET } from '../../src/onnx/builder.js'
import { encodeModel } from '../../src/onnx/proto.js'

interface Case {
  n: number
  height: number
  width: number
  channels: number
  boxes: number[]
  stride: number
  offsetsX: number[]
  offsetsY: number[]
  /** The map's size is known only as the graph runs. */
  anySize: boolean
}

async function difference(c: Case): Promise<number> {
  const random = createRandom(c.boxes.length)
  const { n, height, width, channels, offsetsX, offsetsY, stride } = c
  const nhwc = Float32Array.from({ length: n * height * width * channels }, () => random.normal())
  const nchw = new Float32Array(nhwc.length)
  const plane = height * width
  nhwc.forEach((value, index) => {
    const channel = index % channels
    const pixel = Math.floor(index / channels) % plane
    nchw[(Math.floor(index / channels / plane) * channels + channel) * plane + pixel] = value
  })
  const boxes = Float32Array.from(c.boxes)
  const count = boxes.length / 4 / n
  const graph = new GraphBuilder()
  graph.input('x', 'float', ['N', channels, height, width])
  graph.input('boxes', 'float', ['N', count, 4])
  const map = { name: 'x', channels, height, width }
  const samples = offsetsX.length * offsetsY.length
  const side = (pixels: number) => (c.anySize ? graph.scalar(pixels) : pixels)
  const frame = { width: side(width * stride), height: side(height * stride) }
  rezoom(graph, map, 'boxes', { x: offsetsX, y: offsetsY, stride }, frame, 'y')
  graph.output('y', 'float', ['N', count, samples * channels])
  const session = await ort.InferenceSession.create(
    encodeModel({
      ir_version: 8,
      producer_name: 'test',
      producer_version: '',
      opset_import: [{ domain: '', version: OPSET }],
      graph: graph.graph('test'),
      metadata_props: [],
    }),
    { intraOpNumThreads: 1 },
  )
  const results = await session.run({
    x: new ort.Tensor('float32', nchw, [n, channels, height, width]),
    boxes: new ort.Tensor('float32', boxes, [n, count, 4]),
  })
  const actual = results['y']!.data as Float32Array
  await session.release()
  const expected = rezoomForwardSync(
    { features: nhwc, shape: [n, height, width, channels], boxes, offsetsX, offsetsY, stride },
    { device: 'reference' },
  )
  expect(actual.length).toBe(expected.length)
  return Math.max(...expected.map((value, index) => Math.abs(value - actual[index]!)))
}

test('the graph samples where src/kernels samples, clamped positions included', async () => {
  const number = fc.float({ min: -60, max: 160, noNaN: true })
  const fractions = fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        n: fc.integer({ min: 1, max: 2 }),
        height: fc.integer({ min: 1, max: 6 }),
        width: fc.integer({ min: 1, max: 6 }),
        channels: fc.integer({ min: 1, max: 5 }),
        stride: fc.constantFrom(4, 8, 16),
        offsetsX: fractions,
        offsetsY: fractions,
        anySize: fc.boolean(),
      }),
      fc.array(number, { minLength: 24, maxLength: 24 }),
      async (shape, boxes) => {
        expect(await difference({ ...shape, boxes })).toBeLessThan(2e-5)
      },
    ),
    { numRuns: 40 },
  )
})
