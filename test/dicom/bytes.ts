/** Writes tiny DICOM files for tests, right or deliberately wrong. */

export type TestElement =
  | { tag: string; vr: string; bytes: Uint8Array; length?: number }
  | { tag: string; vr: 'SQ'; items: TestElement[][]; undefinedLength?: boolean }

export interface FileOptions {
  transferSyntax?: string
  explicit?: boolean
  bigEndian?: boolean
  preamble?: boolean
  meta?: boolean
}

const LONG = new Set(['OB', 'OW', 'OF', 'OD', 'OL', 'OV', 'SQ', 'UC', 'UN', 'UR', 'UT', 'SV', 'UV'])

export function text(tag: string, vr: string, value: string): TestElement {
  const padded = value.length % 2 === 0 ? value : value + (vr === 'UI' ? '\0' : ' ')
  return { tag, vr, bytes: Buffer.from(padded, 'latin1') }
}

export function numbers(tag: string, vr: 'US' | 'SS' | 'UL', ...values: number[]): TestElement {
  return { tag, vr, bytes: vr === 'UL' ? uint32s(values) : uint16s(values) }
}

export function uint16s(values: readonly number[], bigEndian = false): Uint8Array {
  const bytes = Buffer.alloc(values.length * 2)
  values.forEach((value, i) =>
    bigEndian ? bytes.writeUInt16BE(value & 0xffff, 2 * i) : bytes.writeUInt16LE(value & 0xffff, 2 * i),
  )
  return bytes
}

function uint32s(values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, i) => bytes.writeUInt32LE(value, 4 * i))
  return bytes
}

export function dataSet(elements: readonly TestElement[], explicit = true, bigEndian = false): Buffer {
  return Buffer.concat(elements.map((element) => encode(element, explicit, bigEndian)))
}

function encode(element: TestElement, explicit: boolean, bigEndian: boolean): Buffer {
  let body: Uint8Array
  let length: number | undefined
  if ('items' in element) {
    const open = element.undefinedLength === true
    body = Buffer.concat([
      ...element.items.map((item) => {
        const content = dataSet(item, explicit, bigEndian)
        return Buffer.concat([
          head('fffee000', open ? 0xffffffff : content.length, bigEndian),
          content,
          open ? head('fffee00d', 0, bigEndian) : Buffer.alloc(0),
        ])
      }),
      open ? head('fffee0dd', 0, bigEndian) : Buffer.alloc(0),
    ])
    if (open) length = 0xffffffff
  } else {
    body = element.bytes
    length = element.length
  }
  length ??= body.length
  if (!explicit) return Buffer.concat([head(element.tag, length, bigEndian), body])
  const tag = head(element.tag, 0, bigEndian).subarray(0, 4)
  const size = Buffer.alloc(LONG.has(element.vr) ? 6 : 2)
  if (size.length === 6 && bigEndian) size.writeUInt32BE(length, 2)
  else if (size.length === 6) size.writeUInt32LE(length, 2)
  else if (bigEndian) size.writeUInt16BE(length & 0xffff)
  else size.writeUInt16LE(length & 0xffff)
  return Buffer.concat([tag, Buffer.from(element.vr, 'latin1'), size, body])
}

function head(tag: string, length: number, bigEndian: boolean): Buffer {
  const bytes = Buffer.alloc(8)
  const group = Number.parseInt(tag.slice(0, 4), 16)
  const element = Number.parseInt(tag.slice(4), 16)
  if (bigEndian) {
    bytes.writeUInt16BE(group)
    bytes.writeUInt16BE(element, 2)
    bytes.writeUInt32BE(length, 4)
  } else {
    bytes.writeUInt16LE(group)
    bytes.writeUInt16LE(element, 2)
    bytes.writeUInt32LE(length, 4)
  }
  return bytes
}

export const EXPLICIT = '1.2.840.10008.1.2.1'
export const IMPLICIT = '1.2.840.10008.1.2'
export const BIG_ENDIAN = '1.2.840.10008.1.2.2'
export const DEFLATED = '1.2.840.10008.1.2.1.99'

/** A Part 10 file; `body` replaces the encoded data set. */
export function dicomFile(elements: readonly TestElement[], o: FileOptions = {}, body?: Uint8Array): Buffer {
  const transferSyntax = o.transferSyntax ?? EXPLICIT
  const explicit = o.explicit ?? transferSyntax !== IMPLICIT
  const bigEndian = o.bigEndian ?? transferSyntax === BIG_ENDIAN
  const meta = dataSet([text('00020010', 'UI', transferSyntax)])
  const group = dataSet([numbers('00020000', 'UL', meta.length)])
  const preamble = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')])
  return Buffer.concat([
    o.preamble === false ? Buffer.alloc(0) : preamble,
    o.meta === false ? Buffer.alloc(0) : Buffer.concat([group, meta]),
    body ?? dataSet(elements, explicit, bigEndian),
  ])
}

export interface SliceOptions {
  z?: number
  x?: number
  instance?: number
  series?: string
  uid?: string
  rows?: number
  columns?: number
  spacing?: string
  orientation?: string
  signed?: boolean
  bitsStored?: number
  bitsAllocated?: number
  padding?: number
  pixels?: Uint8Array
  bigEndian?: boolean
  extra?: TestElement[]
  without?: string[]
}

/** The elements of a small CT slice, in tag order. */
export function sliceElements(o: SliceOptions = {}): TestElement[] {
  const rows = o.rows ?? 4
  const columns = o.columns ?? 4
  const bits = o.bitsAllocated ?? 16
  const us = (tag: string, value: number): TestElement => ({
    tag,
    vr: 'US',
    bytes: uint16s([value], o.bigEndian),
  })
  const elements: TestElement[] = [
    text('00080008', 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'),
    text('00080016', 'UI', '1.2.840.10008.5.1.4.1.1.2'),
    text('00080018', 'UI', o.uid ?? `1.2.3.${o.instance ?? 1}.${Math.round((o.z ?? 0) * 10)}`),
    text('00080060', 'CS', 'CT'),
    text('00100020', 'LO', 'P1'),
    text('00180050', 'DS', '2.5'),
    text('0020000d', 'UI', '1.2.3'),
    text('0020000e', 'UI', o.series ?? '1.2.3.4'),
    text('00200013', 'IS', String(o.instance ?? 1)),
    text('00200032', 'DS', `${o.x ?? -10}\\-20\\${o.z ?? 0}`),
    text('00200037', 'DS', o.orientation ?? '1\\0\\0\\0\\1\\0'),
    us('00280002', 1),
    text('00280004', 'CS', 'MONOCHROME2'),
    us('00280010', rows),
    us('00280011', columns),
    text('00280030', 'DS', o.spacing ?? '0.7\\0.7'),
    us('00280100', bits),
    us('00280101', o.bitsStored ?? bits),
    us('00280102', (o.bitsStored ?? bits) - 1),
    us('00280103', o.signed === true ? 1 : 0),
    ...(o.padding === undefined ? [] : [us('00280120', o.padding)]),
    text('00281052', 'DS', '-1024'),
    text('00281053', 'DS', '1'),
    {
      tag: '7fe00010',
      vr: bits === 8 ? 'OB' : 'OW',
      bytes: o.pixels ?? Buffer.alloc((rows * columns * bits) / 8),
    },
  ]
  return [
    ...elements.filter((element) => o.without?.includes(element.tag) !== true),
    ...(o.extra ?? []),
  ].sort((a, b) => (a.tag < b.tag ? -1 : 1))
}

/** A small CT slice as a file. */
export function sliceFile(o: SliceOptions = {}, file: FileOptions = {}): Buffer {
  const bigEndian = file.bigEndian ?? file.transferSyntax === BIG_ENDIAN
  return dicomFile(sliceElements({ ...o, bigEndian }), file)
}
