import { readElements } from '../read/elements.js'
import type { DicomElement } from '../read/elements.js'
import type { DicomFile } from '../read/parse.js'
import { toLittleEndian } from '../write/encode.js'

/** One attribute of the DICOM JSON model. */
export interface JsonAttribute {
  vr: string
  Value?: unknown[]
  InlineBinary?: string
  BulkDataURI?: string
}

/** Byte values up to this are written into the JSON. */
const MAX_INLINE = 1024

/**
 * A file in the DICOM JSON model (PS3.18 Annex F): tag -> {vr, Value}. InlineBinary is little endian. Long byte values are named, not written: their
 * BulkDataURI is the file with offset and length in bytes (of the inflated data set in deflated files). Group lengths
 * and the file meta information are left out, as the standard has it.
 */
export function dicomJson(file: DicomFile): Record<string, JsonAttribute> {
  return toJson(readElements(file), file)
}

function toJson(elements: Iterable<DicomElement>, file: DicomFile): Record<string, JsonAttribute> {
  const json: Record<string, JsonAttribute> = {}
  for (const element of elements) {
    if (element.tag.endsWith('0000')) continue
    json[element.tag.toUpperCase()] = { vr: element.vr, ...valueOf(element, file) }
  }
  return json
}

function valueOf({ value, vr }: DicomElement, file: DicomFile): Omit<JsonAttribute, 'vr'> {
  switch (value.kind) {
    case 'sequence':
      return value.items.length === 0 ? {} : { Value: value.items.map((item) => toJson(item, file)) }
    case 'bytes': {
      const { bytes } = value
      if (bytes.length === 0) return {}
      if (bytes.length > MAX_INLINE) {
        return {
          BulkDataURI: `${file.path}?offset=${bytes.byteOffset - file.bytes.byteOffset}&length=${bytes.length}`,
        }
      }
      const inOrder = file.bigEndian ? toLittleEndian(bytes, vr) : bytes
      return {
        InlineBinary: Buffer.from(inOrder.buffer, inOrder.byteOffset, inOrder.length).toString('base64'),
      }
    }
    case 'tags':
      return listOf(value.values.map((tag) => tag.toUpperCase()))
    case 'numbers':
      return listOf(value.values.map((number) => jsonNumber(number)))
    default:
      return listOf(value.values.map((text) => jsonText(text, vr)))
  }
}

/** No Value at all where all are empty; null for an empty one among others. */
function listOf(values: readonly unknown[]): { Value?: unknown[] } {
  return values.every((value) => value === null) ? {} : { Value: [...values] }
}

/** 64-bit integers beyond 2^53 are strings; NaN and infinities have no JSON and become strings too. */
function jsonNumber(value: number | bigint): number | string {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  return Number.isFinite(value) ? value : String(value)
}

function jsonText(text: string, vr: string): unknown {
  if (text === '') return null
  if (vr === 'DS' || vr === 'IS') return Number.isFinite(Number(text)) ? Number(text) : text
  if (vr !== 'PN') return text
  const [alphabetic, ideographic, phonetic] = text.split('=')
  return {
    ...(alphabetic === undefined || alphabetic === '' ? {} : { Alphabetic: alphabetic }),
    ...(ideographic === undefined || ideographic === '' ? {} : { Ideographic: ideographic }),
    ...(phonetic === undefined || phonetic === '' ? {} : { Phonetic: phonetic }),
  }
}
