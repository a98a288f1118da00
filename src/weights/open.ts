import { access } from 'node:fs/promises'
import { NoduleError } from '../errors.js'
import { openFile } from './bytes.js'
import type { OpenFile } from './bytes.js'
import { readOnnxWeights } from './onnx.js'
import { isLegacyPyTorch, readLegacyPyTorch, readPyTorch } from './pytorch.js'
import { readSafeTensorsFile } from './safetensors.js'
import { TABLE_MAGIC } from './sstable.js'
import { readTensorFlowV1 } from './tensorflow_v1.js'
import { readTensorFlowV2 } from './tensorflow_v2.js'
import type { WeightsFile } from './types.js'

const KNOWN =
  'a TensorFlow checkpoint (V1, or the .index of V2), safetensors, a PyTorch state dict (.pth, .pt), an ONNX model'

/** Formats that people have weights in and that are not read, with what to do. */
const FOREIGN: readonly { start: string; name: string; advice: string }[] = [
  { start: '1f8b', name: 'a gzip archive', advice: 'the file inside: unpack it' },
  {
    start: '894844460d0a1a0a',
    name: 'a Keras HDF5 file',
    advice: 'a TensorFlow checkpoint (model.save_weights)',
  },
]

/**
 * Opens a file of weights by its content. The prefix of a TensorFlow checkpoint of several files names it as well. Only
 * names, shapes and types are read; the caller reads tensors and closes the file.
 * Throws NoduleError (FILE, FORMAT, UNSUPPORTED).
 */
export async function openWeights(path: string): Promise<WeightsFile> {
  const prefix = await checkpointPrefix(path)
  if (prefix !== undefined) return readTensorFlowV2(prefix)
  const file = await openFile(path, 'file of weights')
  let result: WeightsFile | undefined
  try {
    result = await readKnown(file)
    return result
  } finally {
    // An ONNX model is read whole, a failed file not at all.
    if (result === undefined || result.format === 'ONNX model') await file.close()
  }
}

/** The path without .index or .data-..., where it names a checkpoint of several files. */
async function checkpointPrefix(path: string): Promise<string | undefined> {
  const part = /^(.*)\.(?:index|data-\d+-of-\d+|meta)$/s.exec(path)
  const prefix = part?.[1] ?? path
  if ((await exists(path)) && part === null) return undefined
  return (await exists(`${prefix}.index`)) ? prefix : undefined
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

async function readKnown(file: OpenFile): Promise<WeightsFile> {
  const start = await file.read(0, Math.min(16, file.size))
  const end = await file.read(Math.max(0, file.size - 8), Math.min(8, file.size))
  if (end.equals(TABLE_MAGIC)) return readTensorFlowV1(file)
  if (start.subarray(0, 4).toString('latin1') === 'PK\x03\x04') return readPyTorch(file)
  if (isLegacyPyTorch(start)) return readLegacyPyTorch(file)
  if (start[8] === 0x7b) return readSafeTensorsFile(file)
  for (const { start: magic, name, advice } of FOREIGN)
    if (start.toString('hex').startsWith(magic))
      throw new NoduleError('UNSUPPORTED', 'file of weights', {
        path: file.path,
        expected: advice,
        actual: name,
      })
  // ModelProto begins with ir_version (field 1, a varint) wherever it was written by a serializer.
  if (start[0] === 8) return readOnnxWeights(file.path)
  throw new NoduleError('FORMAT', 'not a file of weights', {
    path: file.path,
    expected: KNOWN,
    actual: file.size === 0 ? 'an empty file' : `bytes ${start.toString('hex')}`,
  })
}
