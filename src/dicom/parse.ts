import { readFile } from 'node:fs/promises'
import { inflateRawSync } from 'node:zlib'
import dicomParser from 'dicom-parser'
import type { ByteArrayParser, ByteStream, DataSet, Element } from 'dicom-parser'
import { NoduleError, describeError, fileError } from '../errors.js'
import { ElementBudget, inflateLimit } from './limits.js'
import { recoverSequence } from './recover.js'
import {
  DEFLATED_LITTLE_ENDIAN,
  EXPLICIT_BIG_ENDIAN,
  EXPLICIT_LITTLE_ENDIAN,
  IMPLICIT_LITTLE_ENDIAN,
} from './transfer_syntax.js'

// Its typings lack the constructor that it exports, and call every option required.
const { DataSet: ElementSet } = dicomParser as unknown as {
  DataSet: new (parser: ByteArrayParser, bytes: Uint8Array, elements: DataSet['elements']) => DataSet
}

/** dicom-parser's name of Pixel Data (7FE0,0010). */
export const PIXEL_DATA = 'x7fe00010'

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
  /** Why the parser stopped before the end of the file; undefined where it did not. */
  stopped: string | undefined
  warnings: string[]
}

export interface ParseOptions {
  /** Stop at Pixel Data: its element then has only an offset and a length. */
  untilPixelData?: boolean
  /** Bytes of the whole file, where `bytes` are its beginning only. */
  size?: number
  /** VR of a tag ('x00100010') where the file does not say it (implicit VR); needed only to see known-length sequences. */
  vrOf?: (tag: string) => string | undefined
}

/** Summary of the error for files that are something else. */
export const NOT_DICOM = 'not a DICOM file'

/**
 * Reads the elements of a DICOM file: with or without preamble and meta information, explicit or implicit VR, little
 * or big endian, deflated. A data set that breaks off gives what was read, with `stopped`.
 *
 * @throws NoduleError FORMAT where the bytes are not DICOM, or cost more memory than `limits.ts` allows
 */
export function parseDicom(bytes: Uint8Array, path: string, o: ParseOptions = {}): DicomFile {
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
      throw new NoduleError('FORMAT', NOT_DICOM, {
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
  const bigEndian = transferSyntax === EXPLICIT_BIG_ENDIAN
  let explicit = transferSyntax !== IMPLICIT_LITTLE_ENDIAN
  if (explicit !== looksExplicit(body, position) && position + 8 <= body.length && !bigEndian) {
    // Writers that name one and write the other exist; the bytes decide.
    warnings.push(
      `${explicit ? 'implicit' : 'explicit'} VR in a file that names transfer syntax ${transferSyntax}`,
    )
    explicit = !explicit
  }

  const byteParser: ByteArrayParser = bigEndian
    ? dicomParser.bigEndianByteArrayParser
    : dicomParser.littleEndianByteArrayParser
  const dataSet = new ElementSet(byteParser, body, {})
  dataSet.warnings = warnings
  let stopped: string | undefined
  if (position < body.length) {
    const budget = new ElementBudget(size, path)
    const streamAt = (at: number): ByteStream =>
      budget.watch(new dicomParser.ByteStream(byteParser, body, at))
    const stream = streamAt(position)
    const until = o.untilPixelData === true ? PIXEL_DATA : 'none'
    const vrOf = (o.vrOf ?? (() => undefined)) as (tag: string) => string
    const read = (from: ByteStream): Element =>
      explicit ? readExplicit(from, warnings, until) : readImplicit(from, warnings, until, vrOf)
    let start = position
    try {
      while (stream.position < body.length) {
        start = stream.position
        const element = read(stream)
        dataSet.elements[element.tag] = element
        if (element.tag === until) break
        if (stream.position > body.length) stopped = 'the last element is longer than the file'
      }
    } catch (error) {
      budget.check()
      stopped = describeParserError(error)
      const rest = recoverSequence(start, body.length, {
        explicit,
        read,
        newDataSet: (elements) => new ElementSet(byteParser, body, elements),
        newStream: streamAt,
      })
      budget.check()
      if (rest !== undefined) dataSet.elements[rest.tag] = rest
    }
    warnings.push(...stream.warnings)
  }
  if (Object.keys(dataSet.elements).length === 0 && meta === undefined) {
    throw new NoduleError('FORMAT', NOT_DICOM, {
      path,
      expected: 'at least one element',
      actual: stopped,
    })
  }
  return { path, size, bytes: body, meta, dataSet, transferSyntax, explicit, bigEndian, stopped, warnings }
}

/** VRs with a 4-byte length that dicom-parser takes for 2-byte ones. */
const LONG_VRS = new Set(['OV', 'SV', 'UV'])

function readExplicit(stream: ByteStream, warnings: string[], until: string): Element {
  const { byteArray, position } = stream
  const vr = String.fromCharCode(byteArray[position + 4] ?? 0, byteArray[position + 5] ?? 0)
  if (!LONG_VRS.has(vr)) return dicomParser.readDicomElementExplicit(stream, warnings, until)
  const tag = dicomParser.readTag(stream)
  stream.seek(4)
  const length = stream.readUint32()
  const element = { tag, vr, length, dataOffset: stream.position }
  stream.seek(length)
  return element
}

/** Encapsulated pixel data in implicit VR is not allowed, and exists. */
function readImplicit(
  stream: ByteStream,
  warnings: string[],
  until: string,
  vrOf: (tag: string) => string,
): Element {
  const start = stream.position
  const tag = dicomParser.readTag(stream)
  const length = stream.readUint32()
  if (tag !== PIXEL_DATA || tag === until || length !== 0xffffffff) {
    stream.seek(start - stream.position)
    return dicomParser.readDicomElementImplicit(stream, until, vrOf)
  }
  const element: Element = { tag, length, dataOffset: stream.position, hadUndefinedLength: true }
  dicomParser.findEndOfEncapsulatedElement(stream, element, warnings)
  return element
}

/** Group 0002, if the file has it, and where the data set begins. */
function readMeta(bytes: Uint8Array, path: string): { meta: DataSet | undefined; end: number } {
  let position = 0
  if (hasMagic(bytes, 128)) position = 132
  else if (hasMagic(bytes, 0)) position = 4
  const isMeta = (at: number): boolean => at + 8 <= bytes.length && bytes[at] === 2 && bytes[at + 1] === 0
  if (!isMeta(position)) return { meta: undefined, end: position }
  const byteParser = dicomParser.littleEndianByteArrayParser
  const meta = new ElementSet(byteParser, bytes, {})
  const stream = new dicomParser.ByteStream(byteParser, bytes, position)
  try {
    // Group 2 is explicit little endian in every transfer syntax, and its own length cannot be trusted.
    while (isMeta(stream.position)) {
      const element = dicomParser.readDicomElementExplicit(stream)
      meta.elements[element.tag] = element
    }
  } catch (error) {
    throw new NoduleError('FORMAT', 'damaged file meta information', {
      path,
      place: `byte ${stream.position}`,
      actual: describeParserError(error),
      cause: error,
    })
  }
  if (stream.position > bytes.length) {
    throw new NoduleError('FORMAT', 'file ends inside the file meta information', {
      path,
      place: `byte ${bytes.length}`,
    })
  }
  return { meta, end: stream.position }
}

function hasMagic(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x44 && bytes[at + 1] === 0x49 && bytes[at + 2] === 0x43 && bytes[at + 3] === 0x4d
}

const VRS = new Set(
  'AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV'.split(
    ' ',
  ),
)

/** True where a known VR stands after the tag at `position`. */
function looksExplicit(bytes: Uint8Array, position: number): boolean {
  return VRS.has(String.fromCharCode(bytes[position + 4] ?? 0, bytes[position + 5] ?? 0))
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

/** dicom-parser throws strings, objects and RangeErrors. */
export function describeParserError(error: unknown): string {
  if (error instanceof RangeError) return 'nested too deeply'
  const message = typeof error === 'string' ? error : describeError(error)
  return message.replace(/^dicomParser[.:]\S*\s*/, '')
}

function hex(bytes: Uint8Array, start: number, count: number): string {
  return [...bytes.subarray(start, start + count)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

/** The first value of a text element without padding; undefined where the element is absent or empty. */
export function text(dataSet: DataSet, tag: string): string | undefined {
  return texts(dataSet, tag)[0]
}

/** The values of a text element without padding; empty ones at the end are dropped. */
export function texts(dataSet: DataSet, tag: string): string[] {
  const element = dataSet.elements[tag]
  if (element === undefined || element.length === 0 || element.length > 0xfffff) return []
  if (element.dataOffset + element.length > dataSet.byteArray.length) return []
  const { buffer, byteOffset } = dataSet.byteArray as Uint8Array
  const value = Buffer.from(buffer, byteOffset + element.dataOffset, element.length).toString('latin1')
  // A zero ends the value, as padding does.
  const end = value.indexOf('\0')
  const values = (end < 0 ? value : value.slice(0, end)).split('\\').map((value) => value.trim())
  while (values.length > 0 && values.at(-1) === '') values.pop()
  return values
}

/** The values of a decimal or integer string element; undefined where one is not a number or there are none. */
export function numbersOf(dataSet: DataSet, tag: string): number[] | undefined {
  const values = texts(dataSet, tag)
  if (values.length === 0) return undefined
  const numbers = values.map((value) => (value === '' ? Number.NaN : Number(value)))
  return numbers.every((value) => Number.isFinite(value)) ? numbers : undefined
}

/** A 16-bit element, unsigned, or undefined where it is absent or cut off. */
export function uint16(dataSet: DataSet, tag: string): number | undefined {
  const element = dataSet.elements[tag]
  if (element === undefined || element.length < 2) return undefined
  return element.dataOffset + 2 <= dataSet.byteArray.length ? dataSet.uint16(tag) : undefined
}

/** Reads and parses a whole file. Throws NoduleError FILE, FORMAT. */
export async function readDicom(path: string, o: ParseOptions = {}): Promise<DicomFile> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    throw fileError(path, 'read', error)
  }
  return parseDicom(bytes, path, o)
}
