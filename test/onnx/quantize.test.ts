import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseHypes } from '../../src/config/hypes.js'
import type { Hypes } from '../../src/config/hypes.js'
import { quantizeWithFrames } from '../../src/onnx/calibrate.js'
import { modelMetadata } from '../../src/onnx/metadata.js'
import { decodeModel, encodeModel } from '../../src/onnx/proto.js'
import { createRandom } from '../../src/random.js'
import { smallHypes, smallModel } from '../inference/small_model.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-quantize-'))
})
afterAll(async () => rm(folder, { recursive: true }))

/** Smooth frames of different contrast, [3, height, width]. */
function frames(hypes: Hypes, count: number): Uint8Array[] {
  const random = createRandom(6)
  const { image_width: width, image_height: height } = hypes
  return Array.from({ length: count }, () => {
    const [phase, contrast, period] = [
      6 * random.uniform(),
      40 + 60 * random.uniform(),
      4 + 10 * random.uniform(),
    ]
    return Uint8Array.from({ length: 3 * height * width }, (_, index) => {
      const [x, y] = [index % width, Math.floor(index / width) % height]
      return 128 + contrast * Math.sin(x / period + phase) * Math.cos(y / period) + 10 * random.normal()
    })
  })
}

describe('quantizeWithFrames', () => {
  test.each([
    ['tiny', {}],
    ['InceptionV1', { rezoom_conf_scale: 5 }],
    ['tiny', { deconv: true }],
    ['efficientnet_lite0', { rezoom_conf_scale: 5 }],
    // Frames of any size.
    ['tiny', { data: { mm_per_pixel: 0.7 } }],
  ])('%s %o: convolutions run in integers and the results stay close', async (slim_basename, changes) => {
    const hypes = parseHypes({ ...smallHypes, slim_basename, ...changes })
    const float = smallModel(hypes)
    const result = await quantizeWithFrames(float, frames(hypes, 12))
    expect(result).toMatchObject({ calibrationFrames: 6, comparedFrames: 6 })
    // Of random weights; a trained model's features are larger against their noise.
    expect(result.confidences.mean).toBeLessThan(0.02)
    expect(result.confidences.max).toBeLessThan(0.2)
    expect(result.boxes.mean).toBeLessThan(1)

    const bytes = encodeModel(result.model)
    expect(bytes.length).toBeLessThan(0.7 * encodeModel(float).length)
    expect(modelMetadata(decodeModel(bytes, 'x'), 'x').precision).toBe('int8')
    const optimized = join(folder, 'optimized.onnx')
    const session = await ort.InferenceSession.create(bytes, {
      optimizedModelFilePath: optimized,
      graphOptimizationLevel: 'extended',
      logSeverityLevel: 4,
    })
    await session.release()
    const ops = decodeModel(await readFile(optimized), optimized).graph.node.map((node) => node.op_type)
    const count = (op: string): number => ops.filter((name) => name === op).length
    expect(count('Conv') + count('FusedConv')).toBe(0)
    expect(count('QLinearConv')).toBe(float.graph.node.filter((node) => node.op_type === 'Conv').length)
    // Nothing goes to float and back between the convolutions.
    expect(count('QuantizeLinear')).toBeLessThanOrEqual(2)
  })

  test.each([1e-4, 1e-7, 1e-30])(
    'channels whose weights are %s of the others keep their bias',
    async (share) => {
      const hypes = parseHypes({ ...smallHypes, slim_basename: 'tiny' })
      const float = smallModel(hypes)
      const constants = new Map(float.graph.initializer.map((tensor) => [tensor.name!, tensor]))
      let channels = 0
      for (const { op_type: op, input } of float.graph.node) {
        const [weights, bias] = [constants.get(input[1] ?? ''), constants.get(input[2] ?? '')]
        if (op !== 'Conv' || weights === undefined || bias === undefined) continue
        const values = [weights, bias].map(
          (tensor) => new Float32Array(new Uint8Array(tensor.raw_data).buffer),
        ) as [Float32Array, Float32Array]
        const size = values[0].length / values[1].length
        for (let o = 0; o < values[1].length; o += 4) {
          values[0].subarray(o * size, (o + 1) * size).forEach((value, n, part) => (part[n] = value * share))
          values[1][o] = 0.5
          channels++
        }
        weights.raw_data = new Uint8Array(values[0].buffer)
        bias.raw_data = new Uint8Array(values[1].buffer)
      }
      expect(channels).toBeGreaterThan(8)
      const { confidences } = await quantizeWithFrames(float, frames(hypes, 12))
      expect(confidences.mean).toBeLessThan(0.02)
      expect(confidences.max).toBeLessThan(0.2)
    },
  )

  test('a range that is missing or no number is an error', async () => {
    const { quantizeModel } = await import('../../src/onnx/quantize.js')
    expect(() => quantizeModel(smallModel(), new Map())).toThrow('input/normal: no range for a tensor')
  })
})
