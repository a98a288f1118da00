/**
 * TensorFlow's first checkpoints, one table in one file (`inception_v1.ckpt`): the entry of the empty key holds names,
 * shapes and types, each other entry one slice of a variable.
 * Source: tensorflow/core/util/saved_tensor_slice.proto and core/framework/tensor.proto.
 */
import { NoduleError } from '../errors.js'
import { ByteReader, NUMBER_BYTES, fieldsOf, sizeOf, toFloat32, unsupported } from './bytes.js'
import type { OpenFile } from './bytes.js'
import { readTable, readTableValue } from './sstable.js'
import type { ValuePlace } from './sstable.js'
import { readShape, typeOf } from './tensorflow.js'
import type { FileTensor, NumberType, WeightsFile } from './types.js'

const FORMAT = 'TensorFlow checkpoint (V1)'

interface Variable {
  shape: number[]
  type: NumberType
  slices: number
}

export async function readTensorFlowV1(file: OpenFile): Promise<WeightsFile> {
  const { path } = file
  let variables: Map<string, Variable> | undefined
  const places = new Map<string, ValuePlace>()
  for await (const { key, value, place } of readTable(file)) {
    const message = new ByteReader(value, { path, format: FORMAT })
    if (key.length === 0) variables = readVariables(message)
    else places.set(sliceName(message), place)
  }
  if (variables === undefined)
    throw new NoduleError('FORMAT', `not a valid ${FORMAT}`, {
      path,
      expected: 'a list of variables',
      actual: 'none',
    })
  const tensors = new Map<string, FileTensor>()
  for (const [name, { shape, type, slices }] of variables) {
    const read = async (): Promise<Float32Array> => {
      const place = places.get(name)
      if (type === 'other') throw unsupported(path, name, 'others')
      if (slices > 1)
        throw new NoduleError('UNSUPPORTED', 'a variable saved in parts', {
          path,
          place: name,
          actual: `${slices} parts`,
        })
      if (place === undefined)
        throw new NoduleError('FORMAT', `not a valid ${FORMAT}`, {
          path,
          place: name,
          expected: 'its values',
          actual: 'none',
        })
      const message = new ByteReader(await readTableValue(file, place), { path, format: FORMAT })
      return readValues(message, type, sizeOf(shape))
    }
    tensors.set(name, { name, shape, type, read })
  }
  return { path, format: FORMAT, tensors, layout: 'HWIO', close: () => file.close() }
}

/** SavedTensorSlices.meta (1), SavedTensorSliceMeta.tensor (1), SavedSliceMeta. */
function readVariables(message: ByteReader): Map<string, Variable> {
  const variables = new Map<string, Variable>()
  for (const meta of bytesOf(message, 1)) {
    for (const tensor of bytesOf(meta, 1)) {
      let name = ''
      const variable: Variable = { shape: [], type: 'other', slices: 0 }
      for (const field of fieldsOf(tensor)) {
        if (field.number === 1 && field.wire === 'bytes') name = field.value.bytes.toString('utf8')
        if (field.number === 2 && field.wire === 'bytes') variable.shape = readShape(field.value)
        if (field.number === 3 && field.wire === 'number') variable.type = typeOf(field.value)
        if (field.number === 4) variable.slices++
      }
      variables.set(name, variable)
    }
  }
  return variables
}

/** SavedTensorSlices.data (2), SavedSlice.name (1). */
function sliceName(message: ByteReader): string {
  for (const slice of bytesOf(message, 2))
    for (const name of bytesOf(slice, 1)) return name.bytes.toString('utf8')
  throw message.error('a slice with a name', 'none', 0)
}

/** Field of TensorProto that holds the values of a type; 16-bit types and bool lie in wider ones. */
const VALUE_FIELDS: Readonly<
  Partial<Record<NumberType, { field: number; as: 'fixed32' | 'fixed64' | 'varint' }>>
> = {
  float32: { field: 5, as: 'fixed32' },
  float64: { field: 6, as: 'fixed64' },
  int32: { field: 7, as: 'varint' },
  int16: { field: 7, as: 'varint' },
  int8: { field: 7, as: 'varint' },
  uint8: { field: 7, as: 'varint' },
  uint16: { field: 7, as: 'varint' },
  int64: { field: 10, as: 'varint' },
  bool: { field: 11, as: 'varint' },
}
const TENSOR_CONTENT = 4

/** SavedTensorSlices.data (2), SavedSlice.data (3), a TensorProto of `count` values. */
function readValues(message: ByteReader, type: Exclude<NumberType, 'other'>, count: number): Float32Array {
  const wanted = VALUE_FIELDS[type]
  for (const slice of bytesOf(message, 2)) {
    for (const tensor of bytesOf(slice, 3)) {
      const chunks: Float32Array[] = []
      const single: number[] = []
      for (const field of fieldsOf(tensor)) {
        if (field.number === TENSOR_CONTENT && field.wire === 'bytes') chunks.push(whole(field.value, type))
        else if (wanted === undefined || field.number !== wanted.field) continue
        else if (field.wire === 'number') single.push(field.value)
        else if (wanted.as === 'varint') {
          const values: number[] = []
          while (field.value.left > 0) values.push(field.value.varint())
          chunks.push(Float32Array.from(values))
        } else chunks.push(whole(field.value, type))
      }
      // Unpacked: fixed numbers came as the bits of one each.
      if (single.length > 0)
        chunks.push(
          wanted?.as === 'fixed32'
            ? new Float32Array(Uint32Array.from(single).buffer)
            : Float32Array.from(single),
        )
      const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      if (length !== count) throw tensor.error(`${count} values`, `${length}`, 0)
      if (chunks.length === 1) return chunks[0]!
      const values = new Float32Array(count)
      let at = 0
      for (const chunk of chunks) {
        values.set(chunk, at)
        at += chunk.length
      }
      return values
    }
  }
  throw message.error('the values of a slice', 'none', 0)
}

function whole(reader: ByteReader, type: Exclude<NumberType, 'other'>): Float32Array {
  if (reader.left % NUMBER_BYTES[type] !== 0)
    throw reader.error(`a multiple of ${NUMBER_BYTES[type]} bytes`, `${reader.left}`)
  return toFloat32(reader.take(reader.left), type)
}

/** The fields of a number that are messages or bytes. */
function* bytesOf(message: ByteReader, number: number): Generator<ByteReader, void, undefined> {
  for (const field of fieldsOf(message))
    if (field.number === number && field.wire === 'bytes') yield field.value
}
