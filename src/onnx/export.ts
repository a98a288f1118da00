import { cutTile, hypesWindow, imageCanvas, readFrame, readList, tilesOf } from '../dataset/index.js'
import { changeHypes } from '../config/hypes.js'
import type { Hypes } from '../config/hypes.js'
import { startEngine } from '../engine/start.js'
import type { EngineName } from '../engine/types.js'
import { checkObject, checkText, invalidParameter } from '../check.js'
import { writeFileAtomic } from '../files.js'
import { checkModel, loadCheckpoint, modelTensors } from '../checkpoints/checkpoint.js'
import { buildBackbone } from '../model/backbones/registry.js'
import { weightSpecs } from '../model/weights.js'
import { quantizeWithFrames } from './calibrate.js'
import type { QuantizationResult } from './calibrate.js'
import { buildModel } from './detector.js'
import { withFrame } from './frame_size.js'
import { sha256 } from '../hash.js'
import { toPlanes } from './planes.js'
import { encodeModel } from './proto.js'
import { verifyExport } from './verify.js'
import type { Verification } from './verify.js'
import { readRegular } from '../read_files.js'

export interface ExportOptions {
  /** Multiply batch norm into the convolutions; default true. */
  foldBatchNorm?: boolean
  /** The engine that computes the reference of the verification; default auto. */
  engine?: EngineName
  /** A TensorBox list: some of its frames take part in the verification. */
  frames?: string
  /**
   * Let the convolutions compute in integers (about twice as fast on the CPU); `frames` must be a list of training
   * frames then, which the ranges are taken from.
   */
  quantize?: boolean
  /**
   * Another frame than the model was trained on, pixels: the weights do not depend on it. Models with data.mm_per_pixel
   * are trained on small crops; they take frames of any size, and the images of lists in tiles of this one.
   */
  frame?: { width: number; height: number }
  /** Changes of DETECTION_KEYS, `key=value`. */
  changes?: readonly string[]
}

/** Keys of the hypes that detection reads and no loss does, so that a model can be exported with others than it was trained with. */
export const DETECTION_KEYS = [
  'box_margin_px',
  'data.slice_step_mm',
  'data.tile_overlap_mm',
  'data.min_lung_share',
  'data.lung_margin_mm',
] as const

export interface ExportResult {
  path: string
  bytes: number
  sha256: string
  nodes: number
  step: number
  verification: Verification
  /** With `quantize`: how far the written model is from the one that was verified. */
  quantization?: Omit<QuantizationResult, 'model'>
}

/** Frames of the list that are compared with tfjs, and that quantization uses. */
const VERIFIED_FRAMES = 4
const QUANTIZATION_FRAMES = 64

/**
 * Exports a checkpoint to ONNX. The model is compared with the checkpoint (see `verifyExport`) before it is written:
 * a file that does not compute the same never appears.
 * @throws NoduleError INVALID_PARAMETER (options), FILE, FORMAT (checkpoint, list), UNAVAILABLE (engine), NUMERIC
 *   (verification)
 */
export async function exportOnnx(
  checkpointPath: string,
  outPath: string,
  o: ExportOptions = {},
): Promise<ExportResult> {
  checkText('outPath', outPath)
  checkObject('options', o)
  if (o.quantize === true && o.frames === undefined)
    throw invalidParameter('frames', 'list of training frames, which quantize needs', o.frames)
  const checkpoint = await loadCheckpoint(checkpointPath)
  const { step, seed, codeVersion } = checkpoint
  const framed = o.frame === undefined ? checkpoint.hypes : withFrame(checkpoint.hypes, o.frame)
  const hypes = changeHypes(framed, o.changes ?? [], DETECTION_KEYS)
  checkModel(weightSpecs(hypes, buildBackbone(hypes)), checkpoint.tensors, checkpointPath)
  const tensors = modelTensors(checkpoint)
  const metadata = {
    hypes,
    step,
    seed,
    codeVersion,
    checkpointSha256: sha256(await readBytes(checkpointPath)),
    precision: 'float32' as const,
  }
  let model = buildModel(tensors, metadata, o)
  let bytes = encodeModel(model)
  await startEngine(o.engine ?? 'auto')
  const count = o.quantize === true ? QUANTIZATION_FRAMES : VERIFIED_FRAMES
  const frames = o.frames === undefined ? [] : await listFrames(o.frames, hypes, count)
  const verified = frames.slice(0, VERIFIED_FRAMES)
  const verification = await verifyExport(bytes, hypes, checkpoint.tensors, checkpointPath, verified)
  let quantization: ExportResult['quantization']
  if (o.quantize === true) {
    if (frames.length < 2)
      throw invalidParameter(
        'frames',
        'list of at least 2 training frames (quantization needs them)',
        o.frames,
      )
    const { model: quantized, ...differences } = await quantizeWithFrames(
      model,
      frames.map((frame) => toPlanes(frame, hypes.data.channels)),
    )
    model = quantized
    bytes = encodeModel(model)
    quantization = differences
  }
  await writeFileAtomic(outPath, bytes)
  return {
    path: outPath,
    bytes: bytes.length,
    sha256: sha256(bytes),
    nodes: model.graph.node.length,
    step,
    verification,
    ...(quantization === undefined ? {} : { quantization }),
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  return readRegular(path)
}

/** Frames spread evenly over a list, at most `count`; [height, width, channels] each. Of tiled images one tile each. */
async function listFrames(path: string, hypes: Hypes, count: number): Promise<Uint8Array[]> {
  const list = readList(path)
  const step = Math.max(1, list.entries.length / count)
  const frames: Uint8Array[] = []
  for (let at = 0; at < list.entries.length && frames.length < count; at += step) {
    const image = await readFrame(list, list.entries[Math.floor(at)]!, hypes)
    const tiles = tilesOf(imageCanvas(image), hypes)
    const tile = tiles[frames.length % tiles.length]!
    frames.push(cutTile(image, tile, hypes.data.channels, hypesWindow(hypes)))
  }
  return frames
}
