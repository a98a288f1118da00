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
const MAX_FILE = 0x7fff0000

/** Writes tensors as float32, in the order of the map; the header is padded so that the data lie at a multiple of 8. */
export async function writeSafeTensors(path: string, content: SafeTensors): Promise<void> {
  await writeFileAtomic(path, encodeSafeTensors(content))
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
  const fail = (place: string, expected: string, actual: unknown): never => {
    throw new NoduleError('FORMAT', 'not a valid safetensors file', {
      path,
      place,
      expected,
      actual: typeof actual === 'string' ? actual : show(actual),
    })
  }
  if (bytes.length < 8) fail('byte 0', 'at least 8 bytes', `${bytes.length}`)
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
  if (length > BigInt(Math.min(bytes.length - 8, MAX_HEADER)))
    fail('byte 0', `header of at most ${Math.min(bytes.length - 8, MAX_HEADER)} bytes`, `${length}`)
  const start = 8 + Number(length)
  let header: unknown
  try {
    header = parseJson(
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start)),
      path,
      'byte 8',
    )
  } catch (error) {
    if (error instanceof NoduleError) throw error
    fail('byte 8', 'UTF-8', describeError(error))
  }
  if (!isRecord(header)) return fail('byte 8', 'JSON object', header)
  const metadata: Record<string, string> = {}
  const tensors = new Map<string, HostTensor>()
  const found: { name: string; shape: number[]; first: number; end: number }[] = []
  for (const [name, entry] of Object.entries(header)) {
    if (!isRecord(entry)) return fail(name, 'object', entry)
    if (name === '__metadata__') {
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== 'string') return fail(`${name}.${key}`, 'string', value)
        metadata[key] = value
      }
      continue
    }
    const { dtype, shape, data_offsets: offsets } = entry
    if (dtype !== 'F32') {
      throw new NoduleError('UNSUPPORTED', 'type of numbers', {
        path,
        place: name,
        expected: '"F32"',
        actual: show(dtype),
      })
    }
    if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0))
      return fail(`${name}.shape`, 'array of sizes', shape)
    if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every((at) => Number.isSafeInteger(at)))
      return fail(`${name}.data_offsets`, 'two integers', offsets)
    const [first, end] = offsets as [number, number]
    if (first < 0 || end < first || end > bytes.length - start)
      return fail(`${name}.data_offsets`, `within 0..${bytes.length - start}`, offsets)
    const size = (shape as number[]).reduce((a, b) => a * b, 1)
    if (size * 4 !== end - first) return fail(`${name}.shape`, `${(end - first) / 4} numbers`, `${size}`)
    found.push({ name, shape: shape as number[], first, end })
  }
  // The format forbids holes and overlaps; overlaps would let a small file claim much memory.
  let at = 0
  for (const { name, first, end } of [...found].sort((a, b) => a.first - b.first || a.end - b.end)) {
    if (first !== at) return fail(`${name}.data_offsets`, `start at ${at}`, `${first}`)
    at = end
  }
  if (at !== bytes.length - start) return fail('end', `${start + at} bytes`, `${bytes.length}`)
  for (const { name, shape, first, end } of found) {
    const data = new Float32Array((end - first) / 4)
    new Uint8Array(data.buffer).set(bytes.subarray(start + first, start + end))
    tensors.set(name, { shape, data })
  }
  return { metadata, tensors }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
