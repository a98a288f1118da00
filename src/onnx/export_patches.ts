import * as tf from '@tensorflow/tfjs'
import * as ort from 'onnxruntime-node'
import { checkObject, checkText } from '../check.js'
import { parsePatchHypes } from '../config/patch_hypes.js'
import type { PatchHypes } from '../config/patch_hypes.js'
import { startEngine } from '../engine/start.js'
import type { EngineName } from '../engine/types.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import {
  createPatchModel,
  cubePlanes,
  cubeSpec,
  cubeTensor,
  innerCube,
  joinCubes,
  openCubesFor,
  patchGraph,
  patchWeightSpecs,
} from '../patches/index.js'
import { readRegular } from '../read_files.js'
import { checkModel, loadCheckpointOf, modelTensors, restoreVariables } from '../checkpoints/checkpoint.js'
import type { Checkpoint } from '../checkpoints/checkpoint.js'
import { sha256 } from '../hash.js'
import type { PatchOrigin } from './patch_metadata.js'
import { buildPatchModel } from './patches.js'
import { quantizeWithCubes } from './calibrate.js'
import type { PatchQuantization } from './calibrate.js'
import { toPlanes } from './planes.js'
import { encodeModel } from './proto.js'
import { EXPORT_TOLERANCE, runVerified, syntheticFrames } from './verify.js'

export interface ExportPatchesOptions {
  /** Multiply batch norm into the convolutions; default true. */
  foldBatchNorm?: boolean
  /** The engine that computes the reference of the verification; default auto. */
  engine?: EngineName
  /** Further checkpoints, of the same cube and targets: the model gives the mean of all outputs. */
  others?: readonly string[]
  /** Let the convolutions compute in integers, with ranges from these folders of cubes (`nodule mine`), such as have trained it. */
  quantize?: readonly string[]
}

export interface ExportPatchesResult {
  path: string
  bytes: number
  sha256: string
  nodes: number
  step: number
  /** Checkpoints whose outputs are averaged. */
  networks: number
  /** Largest difference of the outputs from tfjs, their largest absolute value, the cubes compared, the backend. */
  verification: { difference: number; scale: number; cubes: number; engine: string }
  /** With `quantize`: how far the written model is from the one that was verified. */
  quantization?: Omit<PatchQuantization, 'model'>
}

/** Cubes that quantization uses. */
const QUANTIZATION_CUBES = 512

/**
 * Exports a checkpoint of a classifier of cubes to ONNX, or several as one; compared with tfjs before it is written.
 * @throws NoduleError FILE, FORMAT (checkpoint, or one of another cube; cubes of another grid), NUMERIC (verification)
 */
export async function exportPatches(
  checkpointPath: string,
  outPath: string,
  o: ExportPatchesOptions = {},
): Promise<ExportPatchesResult> {
  checkText('outPath', outPath)
  checkObject('options', o)
  const members: Member[] = []
  for (const path of [checkpointPath, ...(o.others ?? [])]) members.push(await readMember(path, members[0]))
  const [first, ...others] = members.map(({ origin }) => origin) as [PatchOrigin, ...PatchOrigin[]]
  const metadata = {
    ...(others.length === 0 ? first : { ...first, others }),
    precision: 'float32' as const,
  }
  const networks = members.map(({ origin: { hypes }, checkpoint }) => ({
    hypes,
    tensors: modelTensors(checkpoint),
  }))
  const cubes = o.quantize === undefined ? undefined : await trainingCubes(o.quantize, first.hypes)
  let model = buildPatchModel(networks, metadata, o)
  let bytes = encodeModel(model)
  await startEngine(o.engine ?? 'auto')
  const verification = await verifyPatches(bytes, members)
  let quantization: ExportPatchesResult['quantization']
  if (cubes !== undefined) {
    const spec = cubeSpec(first.hypes)
    const shape = [cubePlanes(spec), spec.fine.size, spec.fine.size] as const
    const { model: quantized, ...differences } = await quantizeWithCubes(model, cubes, shape)
    model = quantized
    bytes = encodeModel(model)
    quantization = differences
  }
  await writeFileAtomic(outPath, bytes)
  return {
    path: outPath,
    ...{ bytes: bytes.length, sha256: sha256(bytes), nodes: model.graph.node.length },
    ...{ step: first.step, networks: members.length, verification },
    ...(quantization === undefined ? {} : { quantization }),
  }
}

/** Cubes spread evenly over folders of them, as the network sees them. Throws NoduleError (FILE, FORMAT). */
async function trainingCubes(folders: readonly string[], hypes: PatchHypes): Promise<Uint8Array[]> {
  const store = joinCubes(await openCubesFor(hypes, folders))
  try {
    const { length } = store.cubes
    if (length < 2)
      throw new NoduleError('FORMAT', 'too few cubes to quantize by', {
        path: store.folder,
        expected: 'at least 2',
        actual: String(length),
      })
    const count = Math.min(length, QUANTIZATION_CUBES)
    return Array.from({ length: count }, (_, n) =>
      innerCube(store.read(Math.floor((n * length) / count)), cubeSpec(hypes)),
    )
  } finally {
    store.close()
  }
}

interface Member {
  path: string
  checkpoint: Checkpoint<PatchHypes>
  origin: PatchOrigin
}

/** @param first the checkpoint that it must be like: what it is given and what it says */
async function readMember(path: string, first: Member | undefined): Promise<Member> {
  const checkpoint = await loadCheckpointOf(path, 'patches', parsePatchHypes)
  const { hypes, step, seed, codeVersion } = checkpoint
  checkModel(patchWeightSpecs(hypes, patchGraph(hypes)), checkpoint.tensors, path)
  const seen = (from: PatchHypes): string => JSON.stringify({ cube: from.cube, targets: from.targets })
  if (first !== undefined && seen(hypes) !== seen(first.origin.hypes))
    throw new NoduleError('FORMAT', 'a second stage of another cube or other targets than the first', {
      path,
      place: 'hypes',
      expected: `${seen(first.origin.hypes)}, as ${first.path}`,
      actual: seen(hypes),
    })
  const checkpointSha256 = sha256(await readRegular(path, { action: 'read' }))
  return { path, checkpoint, origin: { hypes, step, seed, codeVersion, checkpointSha256 } }
}

/** Noise, a smooth pattern and an even gray, in onnxruntime and in tfjs, as one batch and one by one. */
async function verifyPatches(
  bytes: Uint8Array,
  members: readonly Member[],
): Promise<ExportPatchesResult['verification']> {
  const { path, origin } = members[0]!
  const { hypes } = origin
  const { size } = hypes.cube
  const planes = cubePlanes(cubeSpec(hypes))
  const pixels = size * size * planes
  const cubes = [...syntheticFrames(size, size, planes), new Uint8Array(pixels).fill(90)]
  const n = cubes.length
  const joined = new Float32Array(n * pixels)
  cubes.forEach((cube, index) => joined.set(cube, index * pixels))
  const expected = new Float32Array(n * hypes.targets.length)
  for (const member of members)
    forward(member, joined).forEach((value, at) => (expected[at]! += value / members.length))
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 })
  try {
    const batch = new Uint8Array(n * pixels)
    cubes.forEach((cube, index) => batch.set(toPlanes(cube, planes), index * pixels))
    const run = async (from: number, count: number): Promise<Float32Array> => {
      const part = batch.subarray(from * pixels, (from + count) * pixels)
      const cubes = new ort.Tensor('uint8', part, [count, planes, size, size])
      const { outputs } = await runVerified(session, { cubes }, path)
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
    await session.release()
  }
}

/** What tfjs computes. @param cubes gray levels [n, size, size, planes] */
function forward({ path, origin: { hypes }, checkpoint }: Member, cubes: Float32Array): Float32Array {
  const model = createPatchModel(hypes, 0)
  try {
    restoreVariables(model.weights, checkpoint.tensors, 'model/', path)
    return tf.tidy(
      () => model.forward(cubeTensor(model, cubes), { training: false }).outputs.dataSync() as Float32Array,
    )
  } finally {
    model.dispose()
  }
}
