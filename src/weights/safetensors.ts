import { decodeHeader, headerLength } from '../formats/safetensors.js'
import { toFloat32, unsupported } from './bytes.js'
import type { OpenFile } from './bytes.js'
import type { FileTensor, NumberType, WeightsFile } from './types.js'

const TYPES: Readonly<Record<string, NumberType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U64: 'uint64',
  U32: 'uint32',
  U16: 'uint16',
  U8: 'uint8',
  BOOL: 'bool',
}

/** A safetensors file of any types, tensor by tensor. */
export async function readSafeTensorsFile(file: OpenFile): Promise<WeightsFile> {
  const { path, size } = file
  const length = headerLength(await file.read(0, Math.min(8, size)), size, path)
  const { entries, start } = decodeHeader(await file.read(0, length), size, path)
  const tensors = new Map<string, FileTensor>()
  for (const { name, dtype, shape, first, end } of entries) {
    const type = TYPES[dtype] ?? 'other'
    const read = async (): Promise<Float32Array> => {
      if (type === 'other') throw unsupported(path, name, dtype)
      return toFloat32(await file.read(start + first, end - first), type)
    }
    tensors.set(name, { name, shape, type, read })
  }
  return { path, format: 'safetensors', tensors, close: () => file.close() }
}
