/** What both versions of TensorFlow's checkpoints share. */
import type { NumberType } from './types.js'
import { fieldsOf } from './bytes.js'
import type { ByteReader } from './bytes.js'

/** tensorflow.DataType. Source: tensorflow/core/framework/types.proto. */
const TYPES: Readonly<Record<number, NumberType>> = {
  1: 'float32',
  2: 'float64',
  3: 'int32',
  4: 'uint8',
  5: 'int16',
  6: 'int8',
  9: 'int64',
  10: 'bool',
  14: 'bfloat16',
  17: 'uint16',
  19: 'float16',
  22: 'uint32',
  23: 'uint64',
}

export function typeOf(number: number): NumberType {
  return TYPES[number] ?? 'other'
}

/** More dimensions than TensorFlow itself allows. */
const MAX_RANK = 254

/** TensorShapeProto: field 2 of each dimension's size in field 1. */
export function readShape(message: ByteReader): number[] {
  const shape: number[] = []
  for (const field of fieldsOf(message)) {
    if (field.number !== 2 || field.wire !== 'bytes') continue
    let size = 0
    for (const part of fieldsOf(field.value))
      if (part.number === 1 && part.wire === 'number') size = part.value
    if (size < 0) throw field.value.error('size of a dimension', String(size))
    if (shape.push(size) > MAX_RANK) throw message.error(`at most ${MAX_RANK} dimensions`, 'more')
  }
  return shape
}
