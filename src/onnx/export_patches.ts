import * as tf from '@tensorflow/tfjs'
import * as ort from 'onnxruntime-node'
import { parsePatchHypes } from '../config/patch_hypes.js'
import type { PatchHypes } from '../config/patch_hypes.js'
import { startEngine } from '../engine/start.js'
import type { EngineName } from '../engine/types.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { cubePlanes, cubeSpec, createPatchModel } from '../patches/index.js'
import { readRegular } from '../read_files.js'
import { loadCheckpointOf, restoreVariables } from '../checkpoints/checkpoint.js'
import { sha256 } from '../hash.js'
import { buildPatchModel } from './patches.js'
import { toPlanes } from './planes.js'
import { encodeModel } from './proto.js'
import { EXPORT_TOLERANCE, syntheticFrames } from './verify.js'

export interface ExportPatchesOptions {
  /** Multiply batch norm into the convolutions; default true. */
  foldBatchNorm?: boolean
  /** The engine that computes the reference of the verification; default auto. */
  engine?: EngineName
}

export interface ExportPatchesResult {
  path: string
  bytes: number
  sha256: string
  nodes: number
  step: number
  /** Largest difference of the outputs from tfjs, their largest absolute value, the cubes compared, the backend. */
  verification: { difference: number; scale: number; cubes: number; engine: string }
}

/**
 * Exports a checkpoint of a classifier of cubes to ONNX; compared with tfjs before it is written.
 * @throws NoduleError FILE, FORMAT (checkpoint), NUMERIC (verification)
 */
export async function exportPatches(
  checkpointPath: string,
  outPath: string,
  o: ExportPatchesOptions = {},
): Promise<ExportPatchesResult> {
  const checkpoint = await loadCheckpointOf(checkpointPath, 'patches', parsePatchHypes)
  const { hypes, step, seed, codeVersion } = checkpoint
  const tensors = new Map(
    [...checkpoint.tensors].flatMap(([name, tensor]) =>
      name.startsWith('model/') ? [[name.slice('model/'.length), tensor]] : [],
    ),
  )
  const file = await readRegular(checkpointPath, { action: 'read' })
  const metadata = { hypes, step, seed, codeVersion, checkpointSha256: sha256(file) }
  const model = buildPatchModel(tensors, metadata, o)
  const bytes = encodeModel(model)
  await startEngine(o.engine ?? 'auto')
  const verification = await verifyPatches(bytes, hypes, checkpoint.tensors, checkpointPath)
  await writeFileAtomic(outPath, bytes)
  const nodes = model.graph.node.length
  return { path: outPath, bytes: bytes.length, sha256: sha256(bytes), nodes, step, verification }
}

/** Noise, a smooth pattern and an even gray, in onnxruntime and in tfjs, as one batch and one by one. */
async function verifyPatches(
  bytes: Uint8Array,
  hypes: PatchHypes,
  tensors: Parameters<typeof restoreVariables>[1],
  path: string,
): Promise<ExportPatchesResult['verification']> {
  const { size } = hypes.cube
  const planes = cubePlanes(cubeSpec(hypes))
  const pixels = size * size * planes
  const cubes = [...syntheticFrames(size, size, planes), new Uint8Array(pixels).fill(90)]
  const n = cubes.length
  const model = createPatchModel(hypes, 0)
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 })
  try {
    restoreVariables(model.weights, tensors, 'model/', path)
    const expected = tf.tidy(() => {
      const joined = new Float32Array(n * pixels)
      cubes.forEach((cube, index) => joined.set(cube, index * pixels))
      const input = tf.tensor4d(joined, [n, size, size, planes])
      return model.forward(input, { training: false }).outputs.dataSync() as Float32Array
    })
    const batch = new Uint8Array(n * pixels)
    cubes.forEach((cube, index) => batch.set(toPlanes(cube, planes), index * pixels))
    const run = async (from: number, count: number): Promise<Float32Array> => {
      const part = batch.subarray(from * pixels, (from + count) * pixels)
      const { outputs } = await session.run({
        cubes: new ort.Tensor('uint8', part, [count, planes, size, size]),
      })
      return outputs!.data as Float32Array
    }
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
    let difference = 0
    const width = hypes.targets.length
    for (const [from, count] of [[0, n], ...cubes.map((_, index) => [index, 1])] as [number, number][]) {
      const actual = await run(from, count)
      for (let at = 0; at < count * width; at++) {
        const apart = Math.abs(actual[at]! - expected[from * width + at]!)
        difference = Math.max(difference, Number.isNaN(apart) ? Infinity : apart)
      }
    }
    const engine = tf.getBackend()
    if (!(difference <= EXPORT_TOLERANCE * scale))
      throw new NoduleError('NUMERIC', 'the exported model computes other outputs than the checkpoint', {
        path,
        expected: `difference up to ${(EXPORT_TOLERANCE * scale).toExponential(1)} (tfjs backend ${engine})`,
        actual: String(difference),
      })
    return { difference, scale, cubes: n, engine }
  } finally {
    model.dispose()
    await session.release()
  }
}
