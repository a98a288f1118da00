import * as ort from 'onnxruntime-node'
import { modelMetadata } from './metadata.js'
import { DATA_TYPE, encodeModel } from './proto.js'
import type { OnnxModel } from './proto.js'
import { quantizeModel, quantizedTensors } from './quantize.js'
import type { Range } from './quantize.js'

/** How far the quantized model is from the float one. */
export interface QuantizationResult {
  model: OnnxModel
  /** Frames that the ranges come from. */
  calibrationFrames: number
  /** Mean and largest absolute difference over all slots of the other frames. */
  confidences: { mean: number; max: number }
  /** The same in frame pixels, over slots whose confidence is at least 0.1 in either model. */
  boxes: { mean: number; max: number }
  comparedFrames: number
}

/** Slots below count only for the confidences: where nothing is, the box does not matter. */
const VISIBLE = 0.1

/**
 * Quantizes a float model (see `quantizeModel`): the ranges come from every second frame, the comparison with the float
 * model from the others.
 * @param frames gray levels [channels, height, width] each, of the size that the model's hypes say, at least 2, such as training has seen
 */
export async function quantizeWithFrames(
  model: OnnxModel,
  frames: readonly Uint8Array[],
): Promise<QuantizationResult> {
  const calibration = frames.filter((_, index) => index % 2 === 0)
  const others = frames.filter((_, index) => index % 2 === 1)
  const ranges = await calibrate(model, quantizedTensors(model), calibration)
  const quantized = quantizeModel(model, ranges)
  const differences = await compareModels(model, quantized, others)
  return {
    model: quantized,
    calibrationFrames: calibration.length,
    ...differences,
    comparedFrames: others.length,
  }
}

/** Runs a float model over frames and records what the tensors reach. */
async function calibrate(
  model: OnnxModel,
  tensors: readonly string[],
  frames: readonly Uint8Array[],
): Promise<Map<string, Range>> {
  const output = tensors.map((name) => {
    // Rank 4, sizes unknown.
    const dim = ['N', 'C', 'H', 'W'].map((axis) => ({ dim_param: `${name}/${axis}` }))
    return { name, type: { tensor_type: { elem_type: DATA_TYPE.float, shape: { dim } } } }
  })
  const ranges = new Map<string, Range>(tensors.map((name) => [name, { min: Infinity, max: -Infinity }]))
  await withSession({ ...model, graph: { ...model.graph, output } }, async (run) => {
    for (const frame of frames) {
      const results = await run(frame)
      for (const [name, range] of ranges) {
        for (const value of results[name]!.data as Float32Array) {
          if (value < range.min) range.min = value
          if (value > range.max) range.max = value
        }
      }
    }
  })
  return ranges
}

async function compareModels(
  float: OnnxModel,
  quantized: OnnxModel,
  frames: readonly Uint8Array[],
): Promise<Pick<QuantizationResult, 'boxes' | 'confidences'>> {
  const boxes = { sum: 0, count: 0, max: 0 }
  const confidences = { sum: 0, count: 0, max: 0 }
  const count = (part: typeof boxes, a: number, b: number): void => {
    const difference = Math.abs(a - b)
    part.sum += difference
    part.count++
    part.max = Math.max(part.max, difference)
  }
  await withSession(float, async (runFloat) =>
    withSession(quantized, async (runQuantized) => {
      for (const frame of frames) {
        const [a, b] = [await runFloat(frame), await runQuantized(frame)]
        const data = (results: ort.InferenceSession.ReturnType, name: string): Float32Array =>
          results[name]!.data as Float32Array
        const [boxesA, boxesB] = [data(a, 'boxes'), data(b, 'boxes')]
        const [scoresA, scoresB] = [data(a, 'confidences'), data(b, 'confidences')]
        scoresA.forEach((score, slot) => {
          count(confidences, score, scoresB[slot]!)
          if (Math.max(score, scoresB[slot]!) < VISIBLE) return
          for (let n = 4 * slot; n < 4 * slot + 4; n++) count(boxes, boxesA[n]!, boxesB[n]!)
        })
      }
    }),
  )
  const result = ({ sum, count: n, max }: typeof boxes): { mean: number; max: number } => ({
    mean: n > 0 ? sum / n : 0,
    max,
  })
  return { boxes: result(boxes), confidences: result(confidences) }
}

async function withSession(
  model: OnnxModel,
  work: (run: (frame: Uint8Array) => Promise<ort.InferenceSession.ReturnType>) => Promise<void>,
): Promise<void> {
  const { hypes } = modelMetadata(model, 'the model to be quantized')
  const size = [1, hypes.data.channels, hypes.image_height, hypes.image_width]
  const session = await ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 })
  try {
    await work((frame) => session.run({ frames: new ort.Tensor('uint8', frame, size) }))
  } finally {
    await session.release()
  }
}
