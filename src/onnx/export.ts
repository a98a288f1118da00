import { readFile } from 'node:fs/promises'
import { readFrame, readList } from '../dataset/index.js'
import type { Hypes } from '../config/hypes.js'
import { startEngine } from '../engine/index.js'
import type { EngineName } from '../engine/index.js'
import { fileError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { loadCheckpoint } from '../training/checkpoint.js'
import { buildModel } from './detector.js'
import { sha256 } from './metadata.js'
import { encodeModel } from './proto.js'
import { verifyExport } from './verify.js'
import type { Verification } from './verify.js'

export interface ExportOptions {
  /** Multiply batch norm into the convolutions; default true. */
  foldBatchNorm?: boolean
  /** The engine that computes the reference of the verification; default auto. */
  engine?: EngineName
  /** A TensorBox list: its first frames take part in the verification. */
  frames?: string
}

export interface ExportResult {
  path: string
  bytes: number
  sha256: string
  nodes: number
  step: number
  verification: Verification
}

/** Frames of the list that are compared. */
const LIST_FRAMES = 4

/**
 * Exports a checkpoint to ONNX. The model is compared with the checkpoint (see `verifyExport`) before it is written:
 * a file that does not compute the same never appears.
 * @throws NoduleError FILE, FORMAT (checkpoint, list), NUMERIC (verification)
 */
export async function exportOnnx(
  checkpointPath: string,
  outPath: string,
  o: ExportOptions = {},
): Promise<ExportResult> {
  const checkpoint = await loadCheckpoint(checkpointPath)
  const { hypes, step, seed, codeVersion } = checkpoint
  const tensors = new Map(
    [...checkpoint.tensors].flatMap(([name, tensor]) =>
      name.startsWith('model/') ? [[name.slice('model/'.length), tensor]] : [],
    ),
  )
  const metadata = {
    hypes,
    step,
    seed,
    codeVersion,
    checkpointSha256: sha256(await readBytes(checkpointPath)),
    precision: 'float32' as const,
  }
  const model = buildModel(tensors, metadata, o)
  const bytes = encodeModel(model)
  await startEngine(o.engine ?? 'auto')
  const frames = o.frames === undefined ? [] : await listFrames(o.frames, hypes)
  const verification = await verifyExport(bytes, hypes, checkpoint.tensors, checkpointPath, frames)
  await writeFileAtomic(outPath, bytes)
  return {
    path: outPath,
    bytes: bytes.length,
    sha256: sha256(bytes),
    nodes: model.graph.node.length,
    step,
    verification,
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw fileError(path, 'read', error)
  }
}

/** The first frames of a list, [height, width, 3] each. */
async function listFrames(path: string, hypes: Hypes): Promise<Uint8Array[]> {
  const list = readList(path)
  const frames: Uint8Array[] = []
  for (const entry of list.entries.slice(0, LIST_FRAMES))
    frames.push((await readFrame(list, entry, hypes)).data)
  return frames
}
