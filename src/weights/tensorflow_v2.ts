/**
 * TensorFlow's present checkpoints: a table `PREFIX.index` says where in `PREFIX.data-00000-of-00001`, ... each variable lies.
 * Source: tensorflow/core/protobuf/tensor_bundle.proto.
 */
import { NoduleError } from '../errors.js'
import { ByteReader, NUMBER_BYTES, fieldsOf, openFile, sizeOf, toFloat32, unsupported } from './bytes.js'
import type { OpenFile } from './bytes.js'
import { crc32c, unmask } from '../crc32c.js'
import { readTable } from './sstable.js'
import { readShape, typeOf } from './tensorflow.js'
import type { FileTensor, NumberType, WeightsFile } from './types.js'

const FORMAT = 'TensorFlow checkpoint (V2)'
/** TensorFlow writes one file a worker; more have not been seen. */
const MAX_SHARDS = 10_000

interface Entry {
  shape: number[]
  type: NumberType
  shard: number
  offset: number
  size: number
  checksum: number | undefined
  slices: number
}

/** @param prefix the checkpoint's path without .index */
export async function readTensorFlowV2(prefix: string): Promise<WeightsFile> {
  const path = `${prefix}.index`
  const index = await openFile(path, FORMAT)
  const entries = new Map<string, Entry>()
  let shards = 0
  try {
    for await (const { key, value } of readTable(index)) {
      const message = new ByteReader(value, { path, format: FORMAT })
      if (key.length === 0) shards = readHeader(message, path)
      else entries.set(key.toString('utf8'), readEntry(message))
    }
  } finally {
    await index.close()
  }
  const open = new Map<number, Promise<OpenFile>>()
  const shardFile = (shard: number): Promise<OpenFile> => {
    let file = open.get(shard)
    if (file === undefined) open.set(shard, (file = openFile(shardPath(prefix, shard, shards), FORMAT)))
    return file
  }
  const tensors = new Map<string, FileTensor>()
  for (const [name, entry] of entries) {
    const read = async (): Promise<Float32Array> => {
      if (entry.shard >= shards) throw wrong(path, name, `a shard below ${shards}`, String(entry.shard))
      return readValues(await shardFile(entry.shard), name, entry)
    }
    tensors.set(name, { name, shape: entry.shape, type: entry.type, read })
  }
  const close = async (): Promise<void> => {
    for (const result of await Promise.allSettled(open.values()))
      if (result.status === 'fulfilled') await result.value.close()
  }
  return { path: prefix, format: FORMAT, tensors, layout: 'HWIO', close }
}

function shardPath(prefix: string, shard: number, shards: number): string {
  const digits = (number: number): string => String(number).padStart(5, '0')
  return `${prefix}.data-${digits(shard)}-of-${digits(shards)}`
}

function wrong(path: string, place: string, expected: string, actual: string): NoduleError {
  return new NoduleError('FORMAT', `not a valid ${FORMAT}`, { path, place, expected, actual })
}

/** BundleHeaderProto: the number of shards. */
function readHeader(message: ByteReader, path: string): number {
  let shards = 0
  for (const field of fieldsOf(message)) {
    if (field.wire !== 'number') continue
    if (field.number === 1) shards = field.value
    if (field.number === 2 && field.value !== 0)
      throw new NoduleError('UNSUPPORTED', 'byte order of a checkpoint', {
        path,
        expected: 'little endian',
        actual: 'big endian',
      })
  }
  if (shards < 1 || shards > MAX_SHARDS) throw message.error(`1 to ${MAX_SHARDS} shards`, String(shards), 0)
  return shards
}

/** BundleEntryProto. */
function readEntry(message: ByteReader): Entry {
  const entry: Entry = {
    shape: [],
    type: 'other',
    shard: 0,
    offset: 0,
    size: 0,
    checksum: undefined,
    slices: 0,
  }
  for (const field of fieldsOf(message)) {
    if (field.wire === 'bytes') {
      if (field.number === 2) entry.shape = readShape(field.value)
      if (field.number === 7) entry.slices++
    } else if (field.number === 1) entry.type = typeOf(field.value)
    else if (field.number === 3) entry.shard = field.value
    else if (field.number === 4) entry.offset = field.value
    else if (field.number === 5) entry.size = field.value
    else if (field.number === 6) entry.checksum = field.value
  }
  return entry
}

async function readValues(file: OpenFile, name: string, entry: Entry): Promise<Float32Array> {
  const { type, shape, offset, size, checksum } = entry
  if (type === 'other') throw unsupported(file.path, name, 'others')
  if (entry.slices > 0)
    throw new NoduleError('UNSUPPORTED', 'a variable saved in parts', { path: file.path, place: name })
  const wanted = sizeOf(shape) * NUMBER_BYTES[type]
  if (size !== wanted)
    throw wrong(file.path, name, `${wanted} bytes for shape [${shape.join(', ')}]`, String(size))
  const bytes = await file.read(offset, size)
  if (checksum !== undefined && crc32c(bytes) !== unmask(checksum))
    throw wrong(file.path, name, 'contents of its checksum', 'others: the file is damaged')
  return toFloat32(bytes, type)
}
