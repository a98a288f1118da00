/** The one way to open inputs: regular files only, of a bounded size. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { open, opendir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { checkText } from './check.js'
import { NoduleError, fileError } from './errors.js'

/** What a file may have that is read whole: Node's largest read, and nearly its longest string. */
export const MAX_FILE_BYTES = 2 ** 31 - 1
export const MAX_TEXT_BYTES = 2 ** 29 - 64

export interface ReadOptions {
  /** What it is read for, in errors: "read list". Default "read". */
  action?: string
  /** More bytes are refused before they are read. Default: `MAX_FILE_BYTES`. */
  limit?: number
}

/** Text as UTF-8, or as UTF-16 where its first bytes say so, as they do in what Windows' PowerShell writes by `>`. */
export function decodeText(bytes: Buffer): string {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  return bytes.toString('utf8')
}

/** Bytes of names that are no UTF-8 stand in strings as these code units, one a byte, as in Python's surrogateescape. */
const ESCAPED_BYTE = /[\uDC80-\uDCFF]/

/** A name from the file system as a string: all its bytes come back through `osPath`. */
export function nameOf(bytes: Buffer): string {
  const name = bytes.toString('utf8')
  if (Buffer.from(name, 'utf8').equals(bytes)) return name
  return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('')
}

/** What to give to Node's functions for a path: itself, or its bytes where they are no UTF-8. */
export function osPath(path: string): string | Buffer {
  if (!ESCAPED_BYTE.test(path)) return path
  const parts = Array.from(path, (character) => {
    const code = character.codePointAt(0)!
    return code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(character)
  })
  return Buffer.concat(parts)
}

// A pipe would hang, a device may have no end: what is no file is refused before it is opened, and once more after,
// without waiting for a writer.
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

function checkRegular(
  path: string,
  action: string,
  stats: { isFile(): boolean; isDirectory(): boolean },
): void {
  if (stats.isFile()) return
  const what = stats.isDirectory() ? 'a folder' : 'a pipe or a device, not a file'
  throw new NoduleError('FILE', `cannot ${action}: is ${what}`, { path })
}

function checkSize(path: string, size: number, limit = MAX_FILE_BYTES): void {
  if (size <= limit) return
  throw new NoduleError('FORMAT', 'file too large', {
    path,
    expected: `at most ${limit} bytes`,
    actual: String(size),
  })
}

/** Opens a regular file for reading. The caller closes it. Throws NoduleError FILE. */
export async function openRegular(
  path: string,
  action = 'read',
): Promise<{ handle: FileHandle; size: number }> {
  checkText('path', path)
  let handle: FileHandle | undefined
  try {
    const place = osPath(path)
    const before = await stat(place)
    // A folder that nobody may list is met as a file: why it was not listed is what is wrong with it.
    if (before.isDirectory()) await (await opendir(place)).close()
    checkRegular(path, action, before)
    handle = await open(place, FLAGS)
    const stats = await handle.stat()
    checkRegular(path, action, stats)
    return { handle, size: stats.size }
  } catch (error) {
    await handle?.close()
    throw fileError(path, action, error)
  }
}

/** Reads a regular file whole. Throws NoduleError FILE, FORMAT (too large). */
export async function readRegular(path: string, o: ReadOptions = {}): Promise<Buffer> {
  const { handle, size } = await openRegular(path, o.action)
  try {
    checkSize(path, size, o.limit)
    return await fillFrom(handle, 0, size)
  } catch (error) {
    throw fileError(path, o.action ?? 'read', error)
  } finally {
    await handle.close()
  }
}

/** The first `length` bytes of a regular file, fewer where it has fewer. Throws NoduleError FILE. */
export async function readStart(path: string, length: number, action = 'read'): Promise<Buffer> {
  const { handle, size } = await openRegular(path, action)
  try {
    return await fillFrom(handle, 0, Math.min(size, length))
  } catch (error) {
    throw fileError(path, action, error)
  } finally {
    await handle.close()
  }
}

/** Bytes [position, position + length) of an open file, fewer where it ends before. */
export async function fillFrom(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

/** `readRegular` at once, for small files. */
export function readRegularSync(path: string, o: ReadOptions = {}): Buffer {
  checkText('path', path)
  const action = o.action ?? 'read'
  let descriptor: number | undefined
  try {
    const place = osPath(path)
    checkRegular(path, action, statSync(place))
    descriptor = openSync(place, FLAGS)
    const stats = fstatSync(descriptor)
    checkRegular(path, action, stats)
    checkSize(path, stats.size, o.limit)
    const bytes = Buffer.allocUnsafeSlow(stats.size)
    let filled = 0
    while (filled < bytes.length) {
      const count = readSync(descriptor, bytes, filled, bytes.length - filled, filled)
      if (count === 0) break
      filled += count
    }
    return bytes.subarray(0, filled)
  } catch (error) {
    throw fileError(path, action, error)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
