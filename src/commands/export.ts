import type { CommandModule } from 'yargs'
import { ENGINE_NAMES } from '../engine/start.js'
import type { EngineName } from '../engine/types.js'
import { NoduleError } from '../errors.js'
import { DETECTION_KEYS, exportOnnx, exportPatches } from '../onnx/index.js'
import { printResult } from '../terminal/output.js'
import { checkpointKind } from '../checkpoints/checkpoint.js'
import { count } from '../words.js'
import { checkNoInput } from '../files.js'

interface Flags {
  checkpoint: string
  output: string
  frames: string | undefined
  frame: string | undefined
  set: string[]
  engine: EngineName
  fold: boolean
  quantize: boolean
  cubes: string[] | undefined
  with: string[] | undefined
}

const FRAME = /^(\d{1,4})x(\d{1,4})$/i

function frameSize(text: string): { width: number; height: number } {
  const [, width, height] = FRAME.exec(text)!
  return { width: Number(width), height: Number(height) }
}

export const command: CommandModule<object, Flags> = {
  command: 'export <checkpoint>',
  describe: 'Export a checkpoint to ONNX and verify it',
  builder: (yargs) =>
    yargs
      .positional('checkpoint', {
        type: 'string',
        demandOption: true,
        describe: 'Checkpoint (.safetensors) of nodule train',
      })
      .option('output', { type: 'string', alias: 'o', demandOption: true, describe: 'ONNX file to write' })
      .option('frames', {
        type: 'string',
        describe: 'TensorBox list: verify on some of its frames too, not only on synthetic ones',
      })
      .option('frame', {
        type: 'string',
        describe: 'Another frame than it was trained on, WIDTHxHEIGHT pixels: multiples of region_size',
      })
      .option('set', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: `Changes a key of the hypes that detection reads and no loss does: ${DETECTION_KEYS.join(', ')}`,
      })
      .option('engine', {
        choices: ENGINE_NAMES,
        default: 'auto' as const,
        describe: 'Training engine that computes the reference of the verification',
      })
      .option('quantize', {
        type: 'boolean',
        default: false,
        describe:
          'Compute convolutions in int8, with ranges from --frames (training frames), those of a second stage from --cubes',
      })
      .option('cubes', {
        type: 'string',
        array: true,
        describe: 'Second stage: folders of cubes (nodule mine) that it was trained on, for --quantize',
      })
      .option('fold', {
        type: 'boolean',
        default: true,
        describe: 'Multiply batch norm into the convolutions',
      })
      .option('with', {
        type: 'string',
        array: true,
        describe: 'Second stage: further checkpoints of the same cube; the model gives the mean of all',
      })
      .example(
        '$0 export runs/tiny/checkpoints/last.safetensors -o model.onnx',
        'the model that detect takes',
      )
      .check(
        ({ frame }) =>
          frame === undefined || FRAME.test(frame) || `--frame: WIDTHxHEIGHT, such as 256x320, not ${frame}`,
      )
      .example(
        '$0 export last.safetensors -o model.onnx --frame 320x256',
        'trained on crops, runs in larger tiles',
      )
      .example('$0 export runs/second/checkpoints/last.safetensors -o second.onnx', 'a second stage')
      .example('$0 export a.safetensors --with b.safetensors -o second.onnx', 'the mean of two second stages')
      .example('$0 export last.safetensors -o second_int8.onnx --quantize --cubes cubes', 'the same in int8')
      .example(
        '$0 export last.safetensors -o model.onnx --frames dataset/test.json',
        'verified on real frames',
      ),
  handler: async (flags) => {
    await checkNoInput(flags.output, [
      flags.checkpoint,
      flags.frames,
      ...(flags.with ?? []),
      ...(flags.cubes ?? []),
    ])
    if ((await checkpointKind(flags.checkpoint)) === 'patches') return secondStage(flags)
    const given = (['with', 'cubes'] as const).find((name) => flags[name] !== undefined)
    if (given !== undefined)
      throw new NoduleError('INVALID_PARAMETER', `--${given} is for second stages; this is a detector`, {
        path: flags.checkpoint,
      })
    const result = await exportOnnx(flags.checkpoint, flags.output, {
      foldBatchNorm: flags.fold,
      engine: flags.engine,
      quantize: flags.quantize,
      changes: flags.set,
      ...(flags.frame === undefined ? {} : { frame: frameSize(flags.frame) }),
      ...(flags.frames === undefined ? {} : { frames: flags.frames }),
    })
    printResult(result, () => summary(result))
  },
}

/** A classifier of cubes; the options that are about frames are not for it. */
async function secondStage(flags: Flags): Promise<void> {
  const given = (['frame', 'frames', 'set'] as const).find((name) => {
    const value = flags[name]
    return Array.isArray(value) ? value.length > 0 : value !== undefined
  })
  if (given !== undefined)
    throw new NoduleError('INVALID_PARAMETER', `--${given} is for detectors; this is a second stage`, {
      path: flags.checkpoint,
    })
  if (flags.quantize !== (flags.cubes !== undefined))
    throw new NoduleError('INVALID_PARAMETER', '--quantize and --cubes of a second stage go together', {
      path: flags.checkpoint,
    })
  const result = await exportPatches(flags.checkpoint, flags.output, {
    foldBatchNorm: flags.fold,
    engine: flags.engine,
    ...(flags.cubes === undefined ? {} : { quantize: flags.cubes }),
    ...(flags.with === undefined ? {} : { others: flags.with }),
  })
  const { difference, scale, cubes, engine } = result.verification
  const q = result.quantization
  printResult(
    result,
    `${result.path}: second stage${result.networks > 1 ? ` of ${count(result.networks, 'network')}` : ''}, ${(result.bytes / 1e6).toFixed(1)} MB, ${count(result.nodes, 'node')}, ` +
      `step ${result.step}, sha256 ${result.sha256.slice(0, 16)}...\n` +
      `verified on ${count(cubes, 'cube')} against tfjs (${engine}): largest difference ` +
      `${difference.toExponential(1)} (of ${scale.toPrecision(2)}); nodule calibrate fits it to a first stage\n` +
      (q === undefined
        ? ''
        : `int8 with ranges from ${count(q.calibrationCubes, 'cube')}; against float32 on ${count(q.comparedCubes, 'other cube')}: ` +
          `outputs differ by ${q.outputs.mean.toPrecision(2)} on average, ${q.outputs.max.toPrecision(2)} at most\n`),
  )
}

function summary(result: Awaited<ReturnType<typeof exportOnnx>>): string {
  const { boxes, confidences, frames, engine } = result.verification
  const verified =
    `${result.path}: ${(result.bytes / 1e6).toFixed(1)} MB, ${count(result.nodes, 'node')}, step ${result.step}, ` +
    `sha256 ${result.sha256.slice(0, 16)}...\n` +
    `verified on ${count(frames, 'frame')} against tfjs (${engine}): largest difference of boxes ` +
    `${boxes.difference.toExponential(1)} px (of ${boxes.scale.toPrecision(2)}), ` +
    `of confidences ${confidences.difference.toExponential(1)}\n`
  if (result.quantization === undefined) return verified
  const { boxes: b, confidences: c, calibrationFrames, comparedFrames } = result.quantization
  return (
    `${verified}int8 with ranges from ${count(calibrationFrames, 'frame')}; against float32 on ` +
    `${count(comparedFrames, 'other frame')}: confidences ` +
    `differ by ${c.mean.toPrecision(2)} on average, ${c.max.toPrecision(2)} at most; boxes of confidence >= 0.1 by ` +
    `${b.mean.toPrecision(2)} px on average, ${b.max.toPrecision(2)} px at most\n`
  )
}
