/** The initializers of an ONNX model. Source: onnx/onnx.proto of github.com/onnx/onnx. */
import { NoduleError } from '../errors.js'
import { readRegular } from '../read_files.js'
import { ByteReader, NUMBER_BYTES, fieldsOf, sizeOf, toFloat32, unsupported } from './bytes.js'
import type { FileTensor, NumberType, WeightsFile } from './types.js'

const FORMAT = 'ONNX model'

/** TensorProto.DataType. */
const TYPES: Readonly<Record<number, NumberType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
}

/** Fields of TensorProto with values where there is no raw_data, of the types that this reads. */
const VALUE_FIELDS: Readonly<Partial<Record<NumberType, number>>> = {
  float32: 4,
  int32: 5,
  int16: 5,
  int8: 5,
  uint16: 5,
  uint8: 5,
  bool: 5,
  int64: 7,
  float64: 10,
}
const MAX_RANK = 254

export async function readOnnxWeights(path: string): Promise<WeightsFile> {
  const model = new ByteReader(await readRegular(path, { action: 'read weights' }), {
    path,
    format: FORMAT,
    offset: 0,
  })
  const tensors = new Map<string, FileTensor>()
  let graphs = 0
  // ModelProto.graph (7), GraphProto.initializer (5).
  for (const field of fieldsOf(model)) {
    if (field.number !== 7 || field.wire !== 'bytes') continue
    graphs++
    for (const part of fieldsOf(field.value)) {
      if (part.number !== 5 || part.wire !== 'bytes') continue
      const tensor = readTensor(part.value, path)
      tensors.set(tensor.name, tensor)
    }
  }
  if (graphs === 0) throw model.error('a graph', 'none', 0)
  return { path, format: FORMAT, tensors, layout: 'OIHW', close: () => Promise.resolve() }
}

function readTensor(message: ByteReader, path: string): FileTensor {
  const shape: number[] = []
  let name = ''
  let type: NumberType = 'other'
  let raw: ByteReader | undefined
  let external = false
  const values = new Map<number, ByteReader>()
  const addSize = (size: number): void => {
    if (size < 0) throw message.error('size of a dimension', String(size))
    if (shape.push(size) > MAX_RANK) throw message.error(`at most ${MAX_RANK} dimensions`, 'more')
  }
  for (const field of fieldsOf(message)) {
    if (field.wire === 'number') {
      if (field.number === 1) addSize(field.value)
      if (field.number === 2) type = TYPES[field.value] ?? 'other'
      if (field.number === 14) external = field.value === 1
    } else if (field.number === 1) while (field.value.left > 0) addSize(field.value.varint())
    else if (field.number === 8) name = field.value.bytes.toString('utf8')
    else if (field.number === 9) raw = field.value
    else values.set(field.number, field.value)
  }
  const read = (): Promise<Float32Array> => {
    const count = sizeOf(shape)
    if (type === 'other') throw unsupported(path, name, 'others')
    if (external)
      throw new NoduleError('UNSUPPORTED', 'weights in a file beside the model', {
        path,
        place: name,
        expected: 'weights inside (onnx.save without external data)',
      })
    const result =
      raw === undefined ? typedValues(values.get(VALUE_FIELDS[type] ?? -1), type) : rawValues(raw, type)
    if (result.length !== count) throw message.error(`${count} values of ${name}`, String(result.length), 0)
    return Promise.resolve(result)
  }
  // A refusal is a rejection, never an exception at the call.
  return { name, shape, type, read: async () => read() }
}

function rawValues(reader: ByteReader, type: Exclude<NumberType, 'other'>): Float32Array {
  if (reader.bytes.length % NUMBER_BYTES[type] !== 0)
    throw reader.error(`a multiple of ${NUMBER_BYTES[type]} bytes`, String(reader.bytes.length), 0)
  return toFloat32(reader.bytes, type)
}

/** Values packed into a field of their own. */
function typedValues(reader: ByteReader | undefined, type: Exclude<NumberType, 'other'>): Float32Array {
  if (reader === undefined) return new Float32Array(0)
  if (type === 'float32' || type === 'float64') return rawValues(reader, type)
  const values: number[] = []
  reader.at = 0
  while (reader.left > 0) values.push(reader.varint())
  return Float32Array.from(values)
}
