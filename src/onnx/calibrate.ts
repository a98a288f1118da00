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
  const { hypes } = modelMetadata(model, 'the model to be quantized')
  const size = [1, hypes.data.channels, hypes.image_height, hypes.image_width]
  const { quantized, calibration, others } = await quantize(model, frames, size)
  const differences = await compareModels(model, quantized, others, size)
  return {
    model: quantized,
    calibrationFrames: calibration.length,
    ...differences,
    comparedFrames: others.length,
  }
}

/** How far a quantized second stage is from the float one. */
export interface PatchQuantization {
  model: OnnxModel
  /** Cubes that the ranges come from, and others that were compared. */
  calibrationCubes: number
  comparedCubes: number
  /** Mean and largest absolute difference of the outputs of those. */
  outputs: { mean: number; max: number }
}

/**
 * The same for a classifier of cubes.
 * @param cubes gray levels [planes, size, size] each, at least 2, such as training has seen
 * @param shape [planes, size, size]
 */
export async function quantizeWithCubes(
  model: OnnxModel,
  cubes: readonly Uint8Array[],
  shape: readonly [number, number, number],
): Promise<PatchQuantization> {
  const size = [1, ...shape]
  const { quantized, calibration, others } = await quantize(model, cubes, size)
  const outputs = meanAndMax()
  await withSession(model, size, async (runFloat) =>
    withSession(quantized, size, async (runQuantized) => {
      for (const cube of others) {
        const [a, b] = [await runFloat(cube), await runQuantized(cube)]
        const [expected, actual] = [a, b].map(({ outputs: values }) => values!.data as Float32Array)
        expected!.forEach((value, n) => outputs.add(value - actual![n]!))
      }
    }),
  )
  return {
    model: quantized,
    calibrationCubes: calibration.length,
    comparedCubes: others.length,
    outputs: outputs.result(),
  }
}

/** Quantizes by every second input; the others are to be compared. */
async function quantize(
  model: OnnxModel,
  inputs: readonly Uint8Array[],
  size: readonly number[],
): Promise<{ quantized: OnnxModel; calibration: Uint8Array[]; others: Uint8Array[] }> {
  const calibration = inputs.filter((_, index) => index % 2 === 0)
  const others = inputs.filter((_, index) => index % 2 === 1)
  const ranges = await rangesOf(model, quantizedTensors(model), calibration, size)
  return { quantized: quantizeModel(model, ranges), calibration, others }
}

/** Runs a float model over inputs and records what the tensors reach. */
async function rangesOf(
  model: OnnxModel,
  tensors: readonly string[],
  inputs: readonly Uint8Array[],
  size: readonly number[],
): Promise<Map<string, Range>> {
  const output = tensors.map((name) => {
    // Rank 4, sizes unknown.
    const dim = ['N', 'C', 'H', 'W'].map((axis) => ({ dim_param: `${name}/${axis}` }))
    return { name, type: { tensor_type: { elem_type: DATA_TYPE.float, shape: { dim } } } }
  })
  const ranges = new Map<string, Range>(tensors.map((name) => [name, { min: Infinity, max: -Infinity }]))
  await withSession({ ...model, graph: { ...model.graph, output } }, size, async (run) => {
    for (const input of inputs) {
      const results = await run(input)
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

/** Mean and largest of absolute values; 0 of none. */
function meanAndMax(): { add: (value: number) => void; result: () => { mean: number; max: number } } {
  let [sum, count, max] = [0, 0, 0]
  return {
    add: (value) => {
      sum += Math.abs(value)
      count++
      max = Math.max(max, Math.abs(value))
    },
    result: () => ({ mean: count > 0 ? sum / count : 0, max }),
  }
}

async function compareModels(
  float: OnnxModel,
  quantized: OnnxModel,
  frames: readonly Uint8Array[],
  size: readonly number[],
): Promise<Pick<QuantizationResult, 'boxes' | 'confidences'>> {
  const [boxes, confidences] = [meanAndMax(), meanAndMax()]
  await withSession(float, size, async (runFloat) =>
    withSession(quantized, size, async (runQuantized) => {
      for (const frame of frames) {
        const [a, b] = [await runFloat(frame), await runQuantized(frame)]
        const data = (results: ort.InferenceSession.ReturnType, name: string): Float32Array =>
          results[name]!.data as Float32Array
        const [boxesA, boxesB] = [data(a, 'boxes'), data(b, 'boxes')]
        const [scoresA, scoresB] = [data(a, 'confidences'), data(b, 'confidences')]
        scoresA.forEach((score, slot) => {
          confidences.add(score - scoresB[slot]!)
          if (Math.max(score, scoresB[slot]!) < VISIBLE) return
          for (let n = 4 * slot; n < 4 * slot + 4; n++) boxes.add(boxesA[n]! - boxesB[n]!)
        })
      }
    }),
  )
  return { boxes: boxes.result(), confidences: confidences.result() }
}

async function withSession(
  model: OnnxModel,
  size: readonly number[],
  work: (run: (input: Uint8Array) => Promise<ort.InferenceSession.ReturnType>) => Promise<void>,
): Promise<void> {
  const [input] = model.graph.input
  const session = await ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 })
  try {
    await work((values) => session.run({ [input!.name]: new ort.Tensor('uint8', values, [...size]) }))
  } finally {
    await session.release()
  }
}
