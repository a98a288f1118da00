import type { DataSet, Element } from 'dicom-parser'
import { decodeText } from './charset.js'

/** Whether an element is there with more than padding, readable or not: no default may stand in its place. */
export function isGiven(dataSet: DataSet, tag: string): boolean {
  const element = dataSet.elements[tag]
  return (
    element !== undefined &&
    element.length > 0 &&
    (element.length > 0xfffff || texts(dataSet, tag).length > 0)
  )
}

/** The first value of a text element without padding; undefined where the element is absent or empty. */
export function text(dataSet: DataSet, tag: string): string | undefined {
  return texts(dataSet, tag)[0]
}

/** The values of an element of VR CS, DS, IS, UI and the like, without padding; empty ones at the end are dropped. */
export function texts(dataSet: DataSet, tag: string): string[] {
  const bytes = bytesOf(dataSet, tag)
  return bytes === undefined ? [] : split(Buffer.from(bytes).toString('latin1'))
}

/**
 * The same of an element that Specific Character Set governs (LO, SH, PN).
 *
 * @param charsets values of (0008,0005) of the data set
 */
export function decodedTexts(dataSet: DataSet, tag: string, charsets: readonly string[]): string[] {
  const bytes = bytesOf(dataSet, tag)
  return bytes === undefined ? [] : split(decodeText(bytes, charsets, dataSet.elements[tag]?.vr))
}

function bytesOf(dataSet: DataSet, tag: string): Uint8Array | undefined {
  const element = dataSet.elements[tag]
  if (element === undefined || element.length === 0 || element.length > 0xfffff) return undefined
  const bytes = dataSet.byteArray as Uint8Array
  const end = element.dataOffset + element.length
  return end > bytes.length ? undefined : bytes.subarray(element.dataOffset, end)
}

/** A zero ends the value, as padding does. */
function split(value: string): string[] {
  const end = value.indexOf('\0')
  const values = (end < 0 ? value : value.slice(0, end)).split('\\').map((part) => part.trim())
  while (values.length > 0 && values.at(-1) === '') values.pop()
  return values
}

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/

/** The number that a decimal or integer string is, also with a decimal comma, as some writers' locale has it. */
export function decimal(value: string): number | undefined {
  const dotted = value.includes('.') ? value : value.replace(',', '.')
  if (!DECIMAL.test(dotted)) return undefined
  const number = Number(dotted)
  return Number.isFinite(number) ? number : undefined
}

/**
 * The values of a decimal or integer string element, or of one that a writer gave a binary VR; undefined where one is
 * not a number or there are none.
 */
export function numbersOf(dataSet: DataSet, tag: string): number[] | undefined {
  const element = dataSet.elements[tag]
  const binary = element === undefined ? undefined : binaryNumbers(dataSet, element)
  const numbers = binary ?? texts(dataSet, tag).map(decimal)
  if (numbers.length === 0) return undefined
  return numbers.every((value): value is number => value !== undefined && Number.isFinite(value))
    ? numbers
    : undefined
}

function binaryNumbers(dataSet: DataSet, { tag, vr, length, dataOffset }: Element): number[] | undefined {
  const read = vr === undefined ? undefined : BINARY[vr]
  if (read === undefined || dataOffset + length > dataSet.byteArray.length) return undefined
  const count = Math.min(16, Math.floor(length / read.size))
  return Array.from({ length: count }, (_, n) => read.value(dataSet, tag, n) ?? Number.NaN)
}

type ReadBinary = { size: number; value: (dataSet: DataSet, tag: string, n: number) => number | undefined }

const BINARY: Readonly<Record<string, ReadBinary>> = {
  FD: { size: 8, value: (dataSet, tag, n) => dataSet.double(tag, n) },
  FL: { size: 4, value: (dataSet, tag, n) => dataSet.float(tag, n) },
  SL: { size: 4, value: (dataSet, tag, n) => dataSet.int32(tag, n) },
  UL: { size: 4, value: (dataSet, tag, n) => dataSet.uint32(tag, n) },
  SS: { size: 2, value: (dataSet, tag, n) => dataSet.int16(tag, n) },
  US: { size: 2, value: (dataSet, tag, n) => dataSet.uint16(tag, n) },
}

/** A 16-bit element, unsigned, or undefined where it is absent or cut off. */
export function uint16(dataSet: DataSet, tag: string): number | undefined {
  const element = dataSet.elements[tag]
  if (element === undefined || element.length < 2) return undefined
  return element.dataOffset + 2 <= dataSet.byteArray.length ? dataSet.uint16(tag) : undefined
}
