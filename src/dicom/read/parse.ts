import { types } from 'node:util'
import { inflateRawSync } from 'node:zlib'
import type { DataSet } from 'dicom-parser'
import { invalidParameter } from '../../check.js'
import { NoduleError, describeError } from '../../errors.js'
import { readRegular } from '../../read_files.js'
import { VRS } from './element_head.js'
import { ElementReader, isDamage, newDataSet } from './element_reader.js'
import { ElementBudget, inflateLimit } from './limits.js'
import {
  DEFLATED_LITTLE_ENDIAN,
  EXPLICIT_BIG_ENDIAN,
  EXPLICIT_LITTLE_ENDIAN,
  IMPLICIT_LITTLE_ENDIAN,
  isUncompressed,
} from './transfer_syntax.js'
import { text } from './values.js'

export { PIXEL_DATA } from './element_reader.js'

/** A parsed file: the elements, and the bytes that their offsets count in. */
export interface DicomFile {
  path: string
  /** Bytes of the whole file. */
  size: number
  /** The bytes that `dataSet` lies in: the file's, or the inflated ones of a deflated file. */
  bytes: Uint8Array
  /** File meta information (group 0002), absent in files without it. */
  meta: DataSet | undefined
  /** Everything after the meta information. */
  dataSet: DataSet
  transferSyntax: string
  explicit: boolean
  bigEndian: boolean
  /** Where and why the structure broke first, as far as it could be read at all; undefined where it did not. */
  stopped: string | undefined
  warnings: string[]
}

export interface ParseOptions {
  /** Stop at Pixel Data: its element then has only an offset and a length. */
  untilPixelData?: boolean
  /** Bytes of the whole file, where `bytes` are its beginning only. */
  size?: number
}

/**
 * Reads the elements of a DICOM file: with or without preamble and meta information, explicit or implicit VR, little
 * or big endian, deflated. A data set that breaks off gives what was read, with `stopped`.
 *
 * @throws NoduleError FORMAT where the bytes are not DICOM, or cost more memory than `limits.ts` allows; INVALID_PARAMETER
 */
export function parseDicom(bytes: Uint8Array, path: string, o: ParseOptions = {}): DicomFile {
  if (!types.isUint8Array(bytes)) throw invalidParameter('bytes', 'bytes (Uint8Array)', bytes)
  const warnings: string[] = []
  const size = o.size ?? bytes.length
  const { meta, end } = readMeta(bytes, path)
  let transferSyntax = meta === undefined ? undefined : text(meta, 'x00020010')
  const start = end
  if (transferSyntax === undefined) {
    // A file with the magic number or group 2 is DICOM; without a transfer syntax the default one holds.
    const isPart10 = start > 0
    transferSyntax = guessSyntax(bytes, start) ?? (isPart10 ? IMPLICIT_LITTLE_ENDIAN : undefined)
    if (transferSyntax === undefined) {
      if (isPacked(bytes))
        throw new NoduleError('FORMAT', 'packed: unpack it first', { fault: 'packed', path })
      throw new NoduleError('FORMAT', 'not a DICOM file', {
        fault: 'not-dicom',
        path,
        expected: '"DICM" at byte 128 or a data set at byte 0',
        actual: bytes.length === 0 ? 'an empty file' : `bytes ${hex(bytes, start, 8)}`,
      })
    }
    warnings.push(`no Transfer Syntax UID; the data set looks like ${transferSyntax}`)
  }

  let body = bytes
  let position = start
  if (transferSyntax === DEFLATED_LITTLE_ENDIAN) {
    body = inflate(bytes, start, path)
    position = 0
  }
  let bigEndian = transferSyntax === EXPLICIT_BIG_ENDIAN
  if (position + 8 <= body.length && byteOrder(body, position) === (bigEndian ? 'little' : 'big')) {
    // Writers that name one and write the other exist; the bytes decide.
    warnings.push(
      `${bigEndian ? 'little' : 'big'} endian in a file that names transfer syntax ${transferSyntax}`,
    )
    bigEndian = !bigEndian
  }
  const reader = new ElementReader({
    bytes: body,
    bigEndian,
    budget: new ElementBudget(size, path),
    warnings,
    untilPixelData: o.untilPixelData === true,
    compressed: !isUncompressed(transferSyntax),
  })
  let explicit = transferSyntax !== IMPLICIT_LITTLE_ENDIAN
  if (position + 8 <= body.length && explicit !== reader.looksExplicit(position)) {
    warnings.push(
      `${explicit ? 'implicit' : 'explicit'} VR in a file that names transfer syntax ${transferSyntax}`,
    )
    explicit = !explicit
  }
  const dataSet = reader.readDataSet(position, explicit)
  dataSet.warnings = warnings
  const { stopped } = reader
  if (Object.keys(dataSet.elements).length === 0 && meta === undefined) {
    throw new NoduleError('FORMAT', 'not a DICOM file', {
      fault: 'not-dicom',
      path,
      expected: 'at least one element',
      actual: stopped,
    })
  }
  return { path, size, bytes: body, meta, dataSet, transferSyntax, explicit, bigEndian, stopped, warnings }
}

/** Group 0002, if the file has it, and where the data set begins. */
function readMeta(bytes: Uint8Array, path: string): { meta: DataSet | undefined; end: number } {
  let position = 0
  if (hasMagic(bytes, 128)) position = 132
  else if (hasMagic(bytes, 0)) position = 4
  const isMeta = position + 8 <= bytes.length && bytes[position] === 2 && bytes[position + 1] === 0
  if (!isMeta) return { meta: undefined, end: position }
  const meta = newDataSet(bytes, false)
  const budget = new ElementBudget(bytes.length, path)
  const reader = new ElementReader({ bytes, bigEndian: false, budget, warnings: [] })
  try {
    return { meta, end: reader.readMeta(meta, position) }
  } catch (error) {
    if (!isDamage(error)) throw error
    throw new NoduleError('FORMAT', 'damaged file meta information', {
      path,
      place: `byte ${error.at}`,
      actual: error.message,
    })
  }
}

function hasMagic(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x44 && bytes[at + 1] === 0x49 && bytes[at + 2] === 0x43 && bytes[at + 3] === 0x4d
}

/** gzip, zip, bzip2, xz, 7z and zstd */
const PACKED_STARTS = ['1f 8b', '50 4b 03 04', '42 5a 68', 'fd 37 7a 58', '37 7a bc af', '28 b5 2f fd']

function isPacked(bytes: Uint8Array): boolean {
  const start = hex(bytes, 0, 4)
  return PACKED_STARTS.some((known) => start.startsWith(known))
}

/** True where a known VR stands after the tag at `position`. */
function looksExplicit(bytes: Uint8Array, position: number): boolean {
  return VRS.has(String.fromCharCode(bytes[position + 4] ?? 0, bytes[position + 5] ?? 0))
}

/** The byte order that the group of the first tag tells, a low one as a rule: 0008 or 0800; undefined where it does not. */
function byteOrder(bytes: Uint8Array, at: number): 'big' | 'little' | undefined {
  const [first, second] = [bytes[at]!, bytes[at + 1]!]
  if (first > 0 && first <= 0x28 && second === 0) return 'little'
  return first === 0 && second > 0 && second <= 0x28 && looksExplicit(bytes, at) ? 'big' : undefined
}

/** Transfer syntax of a data set without meta information, or undefined where the bytes look like none. */
function guessSyntax(bytes: Uint8Array, start: number): string | undefined {
  if (start + 8 > bytes.length) return undefined
  const little = bytes[start]! + 256 * bytes[start + 1]!
  const big = bytes[start + 1]! + 256 * bytes[start]!
  if (looksExplicit(bytes, start)) {
    // Data sets begin in a low even group (0008 as a rule); the other order gives 0800.
    return little <= big ? EXPLICIT_LITTLE_ENDIAN : EXPLICIT_BIG_ENDIAN
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(start + 4, true)
  const plausible = little > 0 && little <= 0x28 && little % 2 === 0 && start + 8 + length <= bytes.length
  return plausible ? IMPLICIT_LITTLE_ENDIAN : undefined
}

function inflate(bytes: Uint8Array, start: number, path: string): Uint8Array {
  const limit = inflateLimit(bytes.length)
  try {
    // One buffer (of which only what is written takes memory) instead of pieces that are joined at twice the cost;
    // a little longer than the limit, so that no second one is begun.
    return inflateRawSync(bytes.subarray(start), { maxOutputLength: limit, chunkSize: limit + 64 })
  } catch (error) {
    throw new NoduleError('FORMAT', 'cannot inflate the deflated data set', {
      path,
      place: `byte ${start}`,
      expected: `a deflate stream of at most ${limit} bytes`,
      actual: describeError(error),
      cause: error,
    })
  }
}

function hex(bytes: Uint8Array, start: number, count: number): string {
  return [...bytes.subarray(start, start + count)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

/** Reads and parses a whole file. Throws NoduleError FILE, FORMAT. */
export async function readDicom(path: string, o: ParseOptions = {}): Promise<DicomFile> {
  return parseDicom(await readRegular(path), path, o)
}
