import type { DataSet, Element } from 'dicom-parser'
import { decodeText } from './charset.js'
import { displayName, lookUp } from './dictionary.js'
import { ElementReader } from './element_reader.js'
import { ElementBudget } from './limits.js'
import type { DicomFile } from './parse.js'
import { texts, uint16 } from './values.js'

/** The value of an element, by kind of value representation. */
export type ElementValue =
  | { kind: 'text'; values: string[] }
  | { kind: 'numbers'; values: (number | bigint)[] }
  /** AT: 8 hexadecimal digits each. */
  | { kind: 'tags'; values: string[] }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'sequence'; items: DicomElement[][] }

export interface DicomElement {
  /** 8 hexadecimal digits, lower case */
  tag: string
  /** As old pydicom names it; '' for unknown standard tags. */
  name: string
  vr: string
  value: ElementValue
}

/** What reading the elements of one data set depends on. */
export interface ElementContext {
  bytes: Uint8Array
  explicit: boolean
  bigEndian: boolean
  /** Values of Specific Character Set. */
  charsets: readonly string[]
  /** Pixel Representation, which decides "US or SS". */
  signed: boolean
  depth: number
  /** Counts the items that are read late. */
  budget: ElementBudget
}

const MAX_DEPTH = 64

/**
 * The elements of a parsed file in the order of their tags, with values, one at a time. Group 0002 is not among them;
 * see `metaElements`.
 */
export function readElements(file: DicomFile): Generator<DicomElement> {
  return readDataSet(file.dataSet, fileContext(file))
}

/** The context of a file's data set. */
export function fileContext(file: DicomFile): ElementContext {
  const { bytes, explicit, bigEndian } = file
  return {
    bytes,
    explicit,
    bigEndian,
    charsets: [],
    signed: uint16(file.dataSet, 'x00280103') === 1,
    depth: 0,
    budget: new ElementBudget(file.size, file.path),
  }
}

/** The elements of the file meta information (group 0002), which is always explicit little endian. */
export function* metaElements(file: DicomFile): Generator<DicomElement> {
  if (file.meta === undefined) return
  const bytes = file.meta.byteArray as Uint8Array
  yield* readDataSet(file.meta, {
    bytes,
    explicit: true,
    bigEndian: false,
    charsets: [],
    signed: false,
    depth: 0,
    budget: new ElementBudget(file.size, file.path),
  })
}

function* readDataSet(dataSet: DataSet, outer: ElementContext): Generator<DicomElement> {
  const charsets = dataSet.elements['x00080005'] === undefined ? outer.charsets : texts(dataSet, 'x00080005')
  const representation = uint16(dataSet, 'x00280103')
  const context = {
    ...outer,
    charsets,
    signed: representation === undefined ? outer.signed : representation === 1,
  }
  const elements = Object.values(dataSet.elements)
    .filter((element) => !element.tag.startsWith('xfffe'))
    .sort((a, b) => (a.tag < b.tag ? -1 : 1))
  for (const element of elements) {
    const tag = element.tag.slice(1)
    const vr = vrOf(element, context, dataSet)
    yield { tag, name: displayName(tag), vr, value: readValue(element, vr, context) }
  }
}

/** The VR that the file gives, or the dictionary's where it gives none or "unknown". */
export function vrOf(element: Element, context: ElementContext, dataSet: DataSet): string {
  const tag = element.tag.slice(1)
  const own = element.vr
  if (own !== undefined && own !== 'UN' && /^[A-Z]{2}$/.test(own)) return own
  if (element.items !== undefined) return 'SQ'
  const known = lookUp(tag)?.vr
  if (element.encapsulatedPixelData === true) return 'OB'
  if (known !== undefined) return settle(known, tag, context, dataSet)
  const group = Number.parseInt(tag.slice(0, 4), 16)
  if (group % 2 === 1 && /^00[1-9a-f]/.test(tag.slice(4)) && group > 8) return 'LO'
  return group % 2 === 1 && element.hadUndefinedLength === true ? 'SQ' : 'UN'
}

/** One of the dictionary's choices (PS3.5 A.1: implicit VR). */
function settle(vr: string, tag: string, context: ElementContext, dataSet: DataSet): string {
  if (!vr.includes(' or ')) return vr
  if (vr.includes('SS')) return context.signed ? 'SS' : 'US'
  if (vr === 'US or OW') return (dataSet.elements[`x${tag}`]?.length ?? 0) > 2 ? 'OW' : 'US'
  if (tag === '7fe00010' && context.explicit) return (uint16(dataSet, 'x00280100') ?? 16) > 8 ? 'OW' : 'OB'
  return 'OW'
}

const STRING_VRS = new Set(['AE', 'AS', 'CS', 'DA', 'DS', 'DT', 'IS', 'LO', 'PN', 'SH', 'TM', 'UC', 'UI'])
const SINGLE_VRS = new Set(['LT', 'ST', 'UR', 'UT'])
const CODED_VRS = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT'])

function readValue(element: Element, vr: string, context: ElementContext): ElementValue {
  if (vr === 'SQ') return { kind: 'sequence', items: readItems(element, context) }
  const start = Math.min(element.dataOffset, context.bytes.length)
  const end = Math.min(start + element.length, context.bytes.length)
  const bytes = context.bytes.subarray(start, end)
  if (STRING_VRS.has(vr)) {
    const string = trimEnd(CODED_VRS.has(vr) ? decodeText(bytes, context.charsets) : latin1(bytes))
    return { kind: 'text', values: string.split('\\').map((value) => tidy(value, vr)) }
  }
  if (SINGLE_VRS.has(vr)) {
    return {
      kind: 'text',
      values: [trimEnd(CODED_VRS.has(vr) ? decodeText(bytes, context.charsets) : latin1(bytes))],
    }
  }
  if (vr === 'AT') return { kind: 'tags', values: readTags(bytes, context.bigEndian) }
  const reader = NUMBER_READERS[vr]
  if (reader !== undefined) return { kind: 'numbers', values: readNumbers(bytes, reader, context.bigEndian) }
  return { kind: 'bytes', bytes }
}

/** As pydicom: blanks stay before a backslash in the VRs that no character set governs. */
function tidy(value: string, vr: string): string {
  if (vr === 'DS' || vr === 'IS' || vr === 'AE') return value.trim()
  return CODED_VRS.has(vr) ? trimEnd(value) : value
}

function trimEnd(value: string): string {
  // Not by a pattern: one would begin anew at each blank inside of the value.
  let end = value.length
  while (end > 0 && (value[end - 1] === ' ' || value[end - 1] === '\0')) end--
  return value.slice(0, end)
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function readTags(bytes: Uint8Array, bigEndian: boolean): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tags: string[] = []
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const parts = [view.getUint16(at, !bigEndian), view.getUint16(at + 2, !bigEndian)]
    tags.push(parts.map((part) => part.toString(16).padStart(4, '0')).join(''))
  }
  return tags
}

interface NumberReader {
  size: number
  read: (view: DataView, at: number, littleEndian: boolean) => number | bigint
}

const NUMBER_READERS: Record<string, NumberReader> = {
  US: { size: 2, read: (view, at, little) => view.getUint16(at, little) },
  SS: { size: 2, read: (view, at, little) => view.getInt16(at, little) },
  UL: { size: 4, read: (view, at, little) => view.getUint32(at, little) },
  SL: { size: 4, read: (view, at, little) => view.getInt32(at, little) },
  FL: { size: 4, read: (view, at, little) => view.getFloat32(at, little) },
  FD: { size: 8, read: (view, at, little) => view.getFloat64(at, little) },
  SV: { size: 8, read: (view, at, little) => view.getBigInt64(at, little) },
  UV: { size: 8, read: (view, at, little) => view.getBigUint64(at, little) },
}

function readNumbers(bytes: Uint8Array, reader: NumberReader, bigEndian: boolean): (number | bigint)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values: (number | bigint)[] = []
  for (let at = 0; at + reader.size <= bytes.length; at += reader.size) {
    values.push(reader.read(view, at, !bigEndian))
  }
  return values
}

function readItems(element: Element, context: ElementContext): DicomElement[][] {
  if (context.depth >= MAX_DEPTH) return []
  const inner = itemContext(element, context)
  return itemsOf(element, context).map((dataSet) => [...readDataSet(dataSet, inner)])
}

/** The data sets of a sequence's items. */
export function itemsOf(element: Element, context: ElementContext): DataSet[] {
  const items = element.items ?? parseItems(element, context)
  return items.map((item) => item.dataSet).filter((dataSet) => dataSet !== undefined)
}

/** Explicit files keep sequences of unknown VR in implicit VR (PS3.5 6.2.2). */
export function itemContext(element: Element, context: ElementContext): ElementContext {
  return { ...context, explicit: context.explicit && element.vr === 'SQ', depth: context.depth + 1 }
}

/** Items that were not read with the file: private sequences, and known ones behind VR UN. */
function parseItems(element: Element, context: ElementContext): Element[] {
  const { bytes, bigEndian, budget } = context
  if (element.length === 0 || element.dataOffset >= bytes.length) return []
  const reader = new ElementReader({ bytes, bigEndian, budget, warnings: [] })
  return reader.readItems(element.dataOffset, element.length, false)
}
