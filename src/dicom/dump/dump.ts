import { metaElements, readElements } from '../read/elements.js'
import type { DicomElement, ElementValue } from '../read/elements.js'
import { dicomJson } from './json.js'
import { readDicom } from '../read/parse.js'
import type { DicomFile } from '../read/parse.js'
import { uidName } from './uids.js'

/** Width of the name's column; longer names are cut. */
const NAME_WIDTH = 35
/** Longer byte values print their length only. */
const MAX_BYTES = 16
const INDENT = '   '

/**
 * The tags of a file, one line each, in the style of pydicom 0.9's `str(dataset)`:
 * `(0018, 0050) Slice Thickness                     DS: '2.500000'`. Items of sequences are indented.
 *
 * Values are those of pydicom 3.0. What differs on purpose: names and layout are the old ones; decimal and integer
 * strings are quoted in lists too; byte values give their length in bytes and start with b'; private elements have no
 * names and, in implicit VR, no VR, since pydicom takes both from its private dictionary; empty values are ''; an
 * element that the file breaks off in is left out.
 *
 * @param o.meta print the file meta information (group 0002) first
 */
export function dumpLines(file: DicomFile, o: { meta?: boolean } = {}): string[] {
  const out: string[] = []
  if (o.meta === true) addLines(metaElements(file), '', out)
  addLines(readElements(file), '', out)
  return out
}

function addLines(elements: Iterable<DicomElement>, indent: string, out: string[]): void {
  for (const element of elements) {
    const tag = `(${element.tag.slice(0, 4)}, ${element.tag.slice(4)})`
    if (element.value.kind === 'sequence') {
      const { items } = element.value
      out.push(`${indent}${tag}  ${element.name}   ${items.length} item(s) ---- `)
      for (const item of items) {
        addLines(item, indent + INDENT, out)
        out.push(`${indent}${INDENT}---------`)
      }
      continue
    }
    const name = element.name.slice(0, NAME_WIDTH).padEnd(NAME_WIDTH)
    out.push(`${indent}${tag} ${name} ${element.vr}: ${formatValue(element.value, element.vr)}`)
  }
}

function formatValue(value: Exclude<ElementValue, { kind: 'sequence' }>, vr: string): string {
  switch (value.kind) {
    case 'bytes':
      return value.bytes.length > MAX_BYTES ? `Array of ${value.bytes.length} bytes` : quoteBytes(value.bytes)
    case 'tags':
      return list(value.values.map((tag) => `(${tag.slice(0, 4)}, ${tag.slice(4)})`))
    case 'numbers':
      return list(value.values.map((number) => formatNumber(number, vr)))
    default:
      if (vr === 'UI' && value.values.length === 1 && value.values[0] !== '') return uidName(value.values[0]!)
      return list(value.values.map(quote))
  }
}

/** One value as it is, several in brackets; none is an empty string, as pydicom reads it. */
function list(values: readonly string[]): string {
  if (values.length === 0) return "''"
  return values.length === 1 ? values[0]! : `[${values.join(', ')}]`
}

/** Python's repr of an int or float. */
function formatNumber(value: number | bigint, vr: string): string {
  if (typeof value === 'bigint' || (vr !== 'FL' && vr !== 'FD')) return String(value)
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const [mantissa = '', exponent] = shortest(value).split('e')
  if (exponent === undefined) return mantissa.includes('.') ? mantissa : `${mantissa}.0`
  return `${mantissa}e${exponent.startsWith('-') ? '-' : '+'}${exponent.replace(/^[+-]/, '').padStart(2, '0')}`
}

/** JavaScript and Python write the same digits, but change to the exponent at different sizes. */
function shortest(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e16 && size < 1e21) return value.toExponential()
  if (size < 1e-4 && size >= 1e-6) return value.toExponential()
  return String(value)
}

/** Python's repr of a str. */
function quote(value: string): string {
  const mark = value.includes("'") && !value.includes('"') ? '"' : "'"
  const escape = (piece: string): string =>
    piece.replace(/[\\'"]|(?! )[\p{C}\p{Z}]/gu, (character) => {
      if (character === mark || character === '\\') return `\\${character}`
      if (character === "'" || character === '"') return character
      return SHORT_ESCAPES[character] ?? escapeCode(character.codePointAt(0)!)
    })
  // In pieces: a replacement keeps all its matches until it is done.
  const pieces: string[] = []
  for (let start = 0; start < value.length;) {
    let end = Math.min(value.length, start + 65_536)
    // Between the halves of a character there is no place to cut.
    if (end < value.length && /[\uD800-\uDBFF]/.test(value[end - 1]!)) end--
    pieces.push(escape(value.slice(start, end)))
    start = end
  }
  return mark + pieces.join('') + mark
}

const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escapeCode(code: number): string {
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  return code <= 0xffff
    ? `\\u${code.toString(16).padStart(4, '0')}`
    : `\\U${code.toString(16).padStart(8, '0')}`
}

/** Python's repr of bytes. */
function quoteBytes(bytes: Uint8Array): string {
  const characters = [...bytes].map((byte) => String.fromCharCode(byte))
  const mark = characters.includes("'") && !characters.includes('"') ? '"' : "'"
  const quoted = characters.map((character) => {
    const code = character.charCodeAt(0)
    if (character === mark || character === '\\') return `\\${character}`
    return SHORT_ESCAPES[character] ?? (code < 0x20 || code > 0x7e ? escapeCode(code) : character)
  })
  return `b${mark}${quoted.join('')}${mark}`
}

/**
 * The tags of a file as text.
 *
 * @param o.json the DICOM JSON model instead of lines
 * @returns the text, and why the file could not be read to its end (undefined where it could)
 * @throws NoduleError FILE, FORMAT
 */
export async function dumpFile(
  path: string,
  o: { meta?: boolean; json?: boolean } = {},
): Promise<{ text: string; stopped: string | undefined }> {
  const file = await readDicom(path)
  const lines = o.json === true ? [JSON.stringify(dicomJson(file), null, 2)] : dumpLines(file, o)
  return { text: lines.map((line) => `${line}\n`).join(''), stopped: file.stopped }
}
