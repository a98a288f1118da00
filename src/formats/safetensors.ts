import { NoduleError, describeError } from '../errors.js'
import { show } from '../check.js'
import { writeFileAtomic } from '../files.js'
import { parseJson } from '../json.js'
import { readRegular } from '../read_files.js'

/** A float32 tensor on the host. */
export interface HostTensor {
  shape: number[]
  data: Float32Array
}

/** What a safetensors file holds. Source: the format's description, https://github.com/huggingface/safetensors. */
export interface SafeTensors {
  metadata: Record<string, string>
  tensors: Map<string, HostTensor>
}

/** The format's own limit for the header. */
const MAX_HEADER = 100_000_000
/** One file is read into one buffer. */
export const MAX_FILE = 0x7fff0000

/** Writes tensors as float32, in the order of the map; the header is padded so that the data lie at a multiple of 8. */
export async function writeSafeTensors(path: string, content: SafeTensors): Promise<void> {
  await writeFileAtomic(path, encodeSafeTensors(content), { durable: true })
}

export function encodeSafeTensors({ metadata, tensors }: SafeTensors): Uint8Array {
  const entries: [string, unknown][] = [['__metadata__', metadata]]
  let offset = 0
  for (const [name, { shape, data }] of tensors) {
    entries.push([name, { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] }])
    offset += data.byteLength
  }
  // fromEntries would reorder names that look like integers; no name of ours does, and order is not part of the format.
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const header = Math.ceil(text.length / 8) * 8
  const bytes = new Uint8Array(8 + header + offset).fill(0x20, 8 + text.length, 8 + header)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header), true)
  bytes.set(text, 8)
  let place = 8 + header
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), place)
    place += data.byteLength
  }
  return bytes
}

/** Reads a safetensors file with float32 tensors. Throws NoduleError (FILE, FORMAT, UNSUPPORTED). */
export async function readSafeTensors(path: string): Promise<SafeTensors> {
  return decodeSafeTensors(await readRegular(path, { action: 'read tensors', limit: MAX_FILE }), path)
}

/** `path` is for the error messages. */
export function decodeSafeTensors(bytes: Uint8Array, path: string): SafeTensors {
  const { metadata, entries, start } = decodeHeader(bytes, bytes.length, path)
  const tensors = new Map<string, HostTensor>()
  for (const { name, dtype } of entries) {
    if (dtype === 'F32') continue
    throw new NoduleError('UNSUPPORTED', 'type of numbers', {
      path,
      place: name,
      expected: '"F32"',
      actual: show(dtype),
    })
  }
  for (const { name, shape, first, end } of entries) {
    const data = new Float32Array((end - first) / 4)
    new Uint8Array(data.buffer).set(bytes.subarray(start + first, start + end))
    tensors.set(name, { shape, data })
  }
  return { metadata, tensors }
}

/** What the header says of one tensor. */
export interface SafeTensorEntry {
  name: string
  /** "F32", "F16", "BF16", "I64", ... */
  dtype: string
  shape: number[]
  /** Its bytes, from the end of the header on. */
  first: number
  end: number
}

const DTYPE_BYTES: Readonly<Record<string, number>> = {
  ...{ F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4 },
  ...{ F16: 2, BF16: 2, I16: 2, U16: 2, I8: 1, U8: 1, BOOL: 1 },
}

/**
 * Bytes of the header of a file of `size` bytes, its length (8 bytes) included. `bytes` are the file's first 8.
 * Throws NoduleError (FORMAT).
 */
export function headerLength(bytes: Uint8Array, size: number, path: string): number {
  if (bytes.length < 8) throw invalid(path, 'byte 0', 'at least 8 bytes', `${bytes.length}`)
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
  const most = Math.min(size - 8, MAX_HEADER)
  if (length > BigInt(most)) throw invalid(path, 'byte 0', `header of at most ${most} bytes`, `${length}`)
  return 8 + Number(length)
}

/** The header of a file of `size` bytes, of which `bytes` holds at least the header. Throws NoduleError (FORMAT). */
export function decodeHeader(
  bytes: Uint8Array,
  size: number,
  path: string,
): { metadata: Record<string, string>; entries: SafeTensorEntry[]; start: number } {
  const fail = (place: string, expected: string, actual: unknown): NoduleError =>
    invalid(path, place, expected, typeof actual === 'string' ? actual : show(actual))
  const start = headerLength(bytes, size, path)
  let header: unknown
  try {
    header = parseJson(
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start)),
      path,
      'byte 8',
    )
  } catch (error) {
    if (error instanceof NoduleError) throw error
    throw fail('byte 8', 'UTF-8', describeError(error))
  }
  if (!isRecord(header)) throw fail('byte 8', 'JSON object', header)
  const metadata: Record<string, string> = {}
  const entries: SafeTensorEntry[] = []
  for (const [name, entry] of Object.entries(header)) {
    if (!isRecord(entry)) throw fail(name, 'object', entry)
    if (name === '__metadata__') {
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== 'string') throw fail(`${name}.${key}`, 'string', value)
        metadata[key] = value
      }
    } else entries.push(decodeEntry(name, entry, size - start, fail))
  }
  // The format forbids holes and overlaps; overlaps would let a small file claim much memory.
  let at = 0
  for (const { name, first, end } of [...entries].sort((a, b) => a.first - b.first || a.end - b.end)) {
    if (first !== at) throw fail(`${name}.data_offsets`, `start at ${at}`, `${first}`)
    at = end
  }
  if (at !== size - start) throw fail('end', `${start + at} bytes`, `${size}`)
  return { metadata, entries, start }
}

function decodeEntry(
  name: string,
  { dtype, shape, data_offsets: offsets }: Record<string, unknown>,
  dataLength: number,
  fail: (place: string, expected: string, actual: unknown) => NoduleError,
): SafeTensorEntry {
  if (typeof dtype !== 'string') throw fail(`${name}.dtype`, 'text', dtype)
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw fail(`${name}.shape`, 'array of sizes', shape)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every((at) => Number.isSafeInteger(at)))
    throw fail(`${name}.data_offsets`, 'two integers', offsets)
  const [first, end] = offsets as [number, number]
  if (first < 0 || end < first || end > dataLength)
    throw fail(`${name}.data_offsets`, `within 0..${dataLength}`, offsets)
  const width = DTYPE_BYTES[dtype]
  const count = (shape as number[]).reduce((a, b) => a * b, 1)
  // Types that are not known here cannot be checked, nor read.
  if (width !== undefined && count * width !== end - first)
    throw fail(`${name}.shape`, `${(end - first) / width} numbers`, `${count}`)
  return { name, dtype, shape: shape as number[], first, end }
}

function invalid(path: string, place: string, expected: string, actual: string): NoduleError {
  return new NoduleError('FORMAT', 'not a valid safetensors file', { path, place, expected, actual })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
