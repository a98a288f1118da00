/**
 * Tables of sorted keys, as TensorFlow's checkpoints are: LevelDB's format.
 * Source: github.com/google/leveldb, doc/table_format.md.
 */
import { NoduleError } from '../errors.js'
import { ByteReader } from './bytes.js'
import type { OpenFile } from './bytes.js'
import { crc32c, unmask } from '../crc32c.js'
import { snappyDecode } from './snappy.js'

const FORMAT = 'TensorFlow checkpoint'
const FOOTER = 48
/** Type (1) and checksum (4) behind each block. */
const TRAILER = 5
export const TABLE_MAGIC = Buffer.from('57fb808b247547db', 'hex')

interface Handle {
  offset: number
  size: number
}

/** One entry of a table. `value` is a view of its block. */
export interface TableEntry {
  key: Buffer
  value: Buffer
  /** The block that holds it, and where in the block its value lies: for `readTableValue`. */
  place: ValuePlace
}

export interface ValuePlace {
  block: Handle
  start: number
  length: number
}

/** Every entry in the order of the keys, one block in memory at a time. Throws NoduleError (FILE, FORMAT). */
export async function* readTable(file: OpenFile): AsyncGenerator<TableEntry, void, undefined> {
  const start = Math.max(0, file.size - FOOTER)
  const footer = new ByteReader(await file.read(start, Math.min(FOOTER, file.size)), origin(file, start))
  if (footer.left < FOOTER || !footer.bytes.subarray(FOOTER - 8).equals(TABLE_MAGIC))
    throw footer.error('the end of a table (its last 8 bytes)', 'other bytes', Math.max(0, footer.left - 8))
  readHandle(footer) // The index of metadata: none in checkpoints.
  const index = readHandle(footer)
  for (const entry of blockEntries(file, index, await readBlock(file, index))) {
    const block = readHandle(new ByteReader(entry.value, { path: file.path, format: FORMAT }))
    yield* blockEntries(file, block, await readBlock(file, block))
  }
}

/** A value again, after `readTable` told its place. */
export async function readTableValue(file: OpenFile, place: ValuePlace): Promise<Buffer> {
  const block = await readBlock(file, place.block)
  return block.subarray(place.start, place.start + place.length)
}

function origin(
  file: OpenFile,
  offset?: number,
): { path: string; format: string; offset: number | undefined } {
  return { path: file.path, format: FORMAT, offset }
}

function readHandle(reader: ByteReader): Handle {
  return { offset: reader.size(), size: reader.size() }
}

async function readBlock(file: OpenFile, { offset, size }: Handle): Promise<Buffer> {
  const bytes = await file.read(offset, size + TRAILER)
  const type = bytes[size]!
  const expected = unmask(bytes.readUInt32LE(size + 1))
  if (crc32c(bytes.subarray(0, size + 1)) !== expected) {
    throw new NoduleError('FORMAT', `not a valid ${FORMAT}`, {
      path: file.path,
      place: `block at byte ${offset}`,
      expected: 'contents of its checksum',
      actual: 'others: the file is damaged',
    })
  }
  const content = bytes.subarray(0, size)
  if (type === 0) return content
  if (type === 1) return snappyDecode(new ByteReader(content, origin(file, offset)))
  throw new NoduleError('UNSUPPORTED', 'compression of a block', {
    path: file.path,
    place: `byte ${offset + size}`,
    expected: '0 (none) or 1 (snappy)',
    actual: String(type),
  })
}

/** Entries of a block: each key is told by what it shares with the one before. */
function* blockEntries(file: OpenFile, block: Handle, bytes: Buffer): Generator<TableEntry, void, undefined> {
  const reader = new ByteReader(bytes, origin(file))
  if (bytes.length < 4) throw reader.error('a block of at least 4 bytes', `${bytes.length}`)
  const end = bytes.length - 4 - 4 * bytes.readUInt32LE(bytes.length - 4)
  if (end < 0) throw reader.error('restarts that fit the block', 'more', bytes.length - 4)
  let key = Buffer.alloc(0)
  while (reader.at < end) {
    const start = reader.at
    const shared = reader.size()
    const added = reader.size()
    const length = reader.size()
    if (shared > key.length || added + length > end - reader.at)
      throw reader.error('an entry that fits its block', `lengths ${shared}, ${added}, ${length}`, start)
    key = Buffer.concat([key.subarray(0, shared), reader.take(added)])
    const place = { block, start: reader.at, length }
    yield { key, value: reader.take(length), place }
  }
}
