/** The entries of a zip archive that are stored as they are, as PyTorch writes them. Source: PKWARE's APPNOTE.TXT 6.3. */
import { NoduleError } from '../errors.js'
import { ByteReader } from './bytes.js'
import type { OpenFile } from './bytes.js'

const END_64 = 0x06064b50
const LOCATOR_64 = 0x07064b50
const CENTRAL = 0x02014b50
const LOCAL = 0x04034b50
const END_SIZE = 22
const LOCATOR_SIZE = 20
const MAX_COMMENT = 65535
/** Names and places of entries: PyTorch's largest models have some ten thousand. */
const MAX_DIRECTORY = 64 * 1024 * 1024

export interface ZipEntry {
  name: string
  size: number
  /** Where its local header begins. */
  header: number
}

/** The entries by name. Throws NoduleError (FILE, FORMAT; UNSUPPORTED: compressed entries). */
export async function readZipDirectory(file: OpenFile, format: string): Promise<Map<string, ZipEntry>> {
  const start = Math.max(0, file.size - END_SIZE - MAX_COMMENT)
  const tail = await file.read(start, file.size - start)
  const found = tail.lastIndexOf(Buffer.from('504b0506', 'hex'))
  const end = new ByteReader(tail, { path: file.path, format, offset: start })
  if (found < 0 || tail.length - found < END_SIZE)
    throw end.error('the end of an archive', 'none: the file is cut short or damaged', 0)
  end.at = found + 10
  let count = end.u16()
  let size = end.u32()
  let offset = end.u32()
  if (count === 0xffff || size === 0xffffffff || offset === 0xffffffff)
    ({ count, size, offset } = await readEnd64(file, format, start + found))
  if (size > MAX_DIRECTORY)
    throw end.error(`a directory of at most ${MAX_DIRECTORY} bytes`, String(size), found)
  const directory = new ByteReader(await file.read(offset, size), { path: file.path, format, offset })
  const entries = new Map<string, ZipEntry>()
  for (let n = 0; n < count; n++) {
    const entry = readEntry(directory, file.path)
    entries.set(entry.name, entry)
  }
  return entries
}

async function readEnd64(
  file: OpenFile,
  format: string,
  end: number,
): Promise<{ count: number; size: number; offset: number }> {
  const place = end - LOCATOR_SIZE
  const locator = new ByteReader(await file.read(place, LOCATOR_SIZE), {
    path: file.path,
    format,
    offset: place,
  })
  expectSignature(locator, LOCATOR_64)
  locator.take(4)
  const at = locator.u64()
  const record = new ByteReader(await file.read(at, 56), { path: file.path, format, offset: at })
  expectSignature(record, END_64)
  record.at = 32
  return { count: record.u64(), size: record.u64(), offset: record.u64() }
}

function expectSignature(reader: ByteReader, signature: number): void {
  const actual = reader.u32()
  if (actual !== signature)
    throw reader.error(`signature ${signature.toString(16)}`, actual.toString(16), reader.at - 4)
}

function readEntry(directory: ByteReader, path: string): ZipEntry {
  expectSignature(directory, CENTRAL)
  directory.take(6)
  const method = directory.u16()
  directory.take(8)
  let packed = directory.u32()
  let size = directory.u32()
  const nameLength = directory.u16()
  const extraLength = directory.u16()
  const commentLength = directory.u16()
  directory.take(8)
  let header = directory.u32()
  const name = directory.take(nameLength).toString('utf8')
  const extra = directory.part(extraLength)
  directory.take(commentLength)
  while (extra.left >= 4) {
    const id = extra.u16()
    const field = extra.part(extra.u16())
    if (id !== 1) continue
    // Zip64: what did not fit above, in this order.
    if (size === 0xffffffff) size = field.u64()
    if (packed === 0xffffffff) packed = field.u64()
    if (header === 0xffffffff) header = field.u64()
  }
  if (method !== 0 || packed !== size) {
    throw new NoduleError('UNSUPPORTED', 'a compressed entry', {
      path,
      place: name,
      expected: 'stored entries, as torch.save writes them',
      actual: `method ${method}`,
    })
  }
  return { name, size, header }
}

/** Where the bytes of an entry begin. */
export async function entryStart(file: OpenFile, entry: ZipEntry, format: string): Promise<number> {
  const reader = new ByteReader(await file.read(entry.header, 30), {
    path: file.path,
    format,
    offset: entry.header,
  })
  expectSignature(reader, LOCAL)
  reader.at = 26
  return entry.header + 30 + reader.u16() + reader.u16()
}
