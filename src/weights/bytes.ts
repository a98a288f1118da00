/** Reads of bytes that stay inside their bounds, and what is made of them: varints, messages of protocol buffers, numbers. */
import type { FileHandle } from 'node:fs/promises'
import { NoduleError } from '../errors.js'
import { fillFrom, openRegular } from '../read_files.js'
import type { NumberType } from './types.js'

/** What error messages say of bytes. */
export interface Origin {
  path: string
  /** "not a valid X": what the file was taken for. */
  format: string
  /** Where the bytes begin in the file; undefined where they were decompressed. */
  offset?: number | undefined
}

/** Bytes with a position. Every read past the end is a NoduleError (FORMAT). */
export class ByteReader {
  readonly bytes: Buffer
  readonly #origin: Origin
  at = 0

  constructor(bytes: Uint8Array, origin: Origin) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#origin = origin
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  /** The error of a wrong content at `at`. */
  error(expected: string, actual: string, at = this.at): NoduleError {
    const { path, format, offset } = this.#origin
    const place = offset === undefined ? `byte ${at} of a block` : `byte ${offset + at}`
    return new NoduleError('FORMAT', `not a valid ${format}`, { path, place, expected, actual })
  }

  take(length: number): Buffer {
    if (!(length >= 0 && length <= this.left)) throw this.error(`${length} bytes`, `${this.left}`)
    return this.bytes.subarray(this.at, (this.at += length))
  }

  u8(): number {
    return this.take(1)[0]!
  }

  u16(): number {
    return this.take(2).readUInt16LE()
  }

  u32(): number {
    return this.take(4).readUInt32LE()
  }

  i32(): number {
    return this.take(4).readInt32LE()
  }

  /** A uint64 that JavaScript holds exactly. */
  u64(): number {
    const start = this.at
    const value = this.take(8).readBigUInt64LE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.error('number below 2^53', `${value}`, start)
    return Number(value)
  }

  /** A varint of up to 64 bits, as a signed number. */
  varint(): number {
    const start = this.at
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8()
      value |= BigInt(byte & 127) << shift
      if (byte >= 128) continue
      const signed = Number(BigInt.asIntN(64, value))
      if (!Number.isSafeInteger(signed)) throw this.error('number below 2^53', `${value}`, start)
      return signed
    }
    throw this.error('varint of at most 10 bytes', 'more', start)
  }

  /** A varint that is a length or an offset. */
  size(): number {
    const start = this.at
    const value = this.varint()
    if (value < 0) throw this.error('size', `${value}`, start)
    return value
  }

  /** A reader of the next `length` bytes. */
  part(length: number): ByteReader {
    const { offset, ...origin } = this.#origin
    const start = this.at
    return new ByteReader(this.take(length), {
      ...origin,
      offset: offset === undefined ? undefined : offset + start,
    })
  }
}

/** A field of a message: varints and fixed numbers are numbers, the rest is a reader of its bytes. */
export type Field =
  { number: number; wire: 'number'; value: number } | { number: number; wire: 'bytes'; value: ByteReader }

/** The fields of a protocol buffers message, in their order. Source: protobuf.dev/programming-guides/encoding. */
export function* fieldsOf(reader: ByteReader): Generator<Field, void, undefined> {
  while (reader.left > 0) {
    const start = reader.at
    const key = reader.size()
    const number = Math.floor(key / 8)
    const wire = key % 8
    if (number === 0) throw reader.error('field number above 0', '0', start)
    if (wire === 0) yield { number, wire: 'number', value: reader.varint() }
    else if (wire === 1) yield { number, wire: 'bytes', value: reader.part(8) }
    else if (wire === 2) yield { number, wire: 'bytes', value: reader.part(reader.size()) }
    else if (wire === 5) yield { number, wire: 'number', value: reader.u32() }
    else throw reader.error('field of type 0, 1, 2 or 5', `type ${wire}`, start)
  }
}

/** Bytes of one number. */
export const NUMBER_BYTES: Readonly<Record<Exclude<NumberType, 'other'>, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
}

const READ_ONE: Readonly<Record<Exclude<NumberType, 'other'>, (view: DataView, at: number) => number>> = {
  float64: (view, at) => view.getFloat64(at, true),
  float32: (view, at) => view.getFloat32(at, true),
  float16: (view, at) => halfToNumber(view.getUint16(at, true)),
  bfloat16: (view, at) => bfloatToNumber(view.getUint16(at, true)),
  int64: (view, at) => Number(view.getBigInt64(at, true)),
  int32: (view, at) => view.getInt32(at, true),
  int16: (view, at) => view.getInt16(at, true),
  int8: (view, at) => view.getInt8(at),
  uint64: (view, at) => Number(view.getBigUint64(at, true)),
  uint32: (view, at) => view.getUint32(at, true),
  uint16: (view, at) => view.getUint16(at, true),
  uint8: (view, at) => view.getUint8(at),
  bool: (view, at) => view.getUint8(at),
}

/** Little-endian numbers of any type as float32. `bytes` holds whole numbers. */
export function toFloat32(bytes: Uint8Array, type: Exclude<NumberType, 'other'>): Float32Array {
  const width = NUMBER_BYTES[type]
  const values = new Float32Array(bytes.length / width)
  if (type === 'float32') {
    new Uint8Array(values.buffer).set(bytes)
    return values
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const read = READ_ONE[type]
  for (let i = 0; i < values.length; i++) values[i] = read(view, i * width)
  return values
}

const BITS = new DataView(new ArrayBuffer(4))

/** The upper half of a float32. */
function bfloatToNumber(bits: number): number {
  BITS.setUint32(0, bits << 16)
  return BITS.getFloat32(0)
}

/** IEEE 754 binary16. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
}

/** Elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1)
}

/** The error of a tensor whose numbers cannot be read. */
export function unsupported(path: string, place: string, actual: string): NoduleError {
  return new NoduleError('UNSUPPORTED', 'type of numbers', {
    path,
    place,
    expected: 'floats or integers',
    actual,
  })
}

/** An open file of which parts are read. */
export interface OpenFile {
  path: string
  size: number
  /** Bytes [position, position + length). Throws NoduleError (FORMAT) where the file ends before. */
  read: (position: number, length: number) => Promise<Buffer>
  close: () => Promise<void>
}

export async function openFile(path: string, format: string): Promise<OpenFile> {
  const { handle, size } = await openRegular(path, 'read weights')
  return {
    path,
    size,
    read: (position, length) => readPart(handle, { path, format }, size, position, length),
    close: () => handle.close(),
  }
}

async function readPart(
  handle: FileHandle,
  { path, format }: Origin,
  size: number,
  position: number,
  length: number,
): Promise<Buffer> {
  const fits = position >= 0 && length >= 0 && position + length <= size
  const bytes = fits ? await fillFrom(handle, position, length) : undefined
  if (bytes?.length === length) return bytes
  throw new NoduleError('FORMAT', `not a valid ${format}`, {
    path,
    place: `byte ${position}`,
    expected: `${length} bytes`,
    actual: `${Math.max(0, size - position)}: the file is cut short or damaged`,
  })
}
