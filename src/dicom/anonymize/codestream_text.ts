import { codestreamStart } from '../pixels/codestream.js'

/**
 * Blanks what compressed images carry beside their pixels, in place: comments, the data of applications, what stands
 * between segments and behind the end. Lengths stay, and so does all that decoding depends on. `starts` are the places
 * where another image may begin: a frame count that lies must not hide one behind the first.
 *
 * @returns false where something is of no form that is known here, and was left as it is
 */
export function blankCodestreams(bytes: Uint8Array, starts: readonly number[]): boolean {
  const isStart = new Set(starts)
  for (let k = 0; k < starts.length;) {
    const at = starts[k]!
    const end = blankCodestream(bytes, starts, k, isStart)
    // Behind an image, bytes that begin no other one are no pixels: no decoder reads on.
    if (end === undefined && k === 0) return isZero(bytes)
    do k++
    while (k < starts.length && starts[k]! < (end ?? at + 1))
    const rest = bytes.subarray(end ?? at, starts[k])
    if (end === undefined || endsWell(bytes, end)) rest.fill(0)
    else if (!isZero(rest)) return false
  }
  return true
}

/** Where the image at the start `k` ends; undefined where none begins there. */
function blankCodestream(
  bytes: Uint8Array,
  starts: readonly number[],
  k: number,
  isStart: ReadonlySet<number>,
): number | undefined {
  const at = starts[k]!
  if (bytes[at] === 0xff && bytes[at + 1] === 0xd8) return blankJpeg(bytes, at, isStart)
  const whole = viewOf(bytes)
  if (!isCodestream2000(whole, at) && !isJp2(whole, at)) return undefined
  // Lengths must not reach into another image.
  let next = k + 1
  while (next < starts.length && !isCodestream2000(whole, starts[next]!) && !isJp2(whole, starts[next]!))
    next++
  const view = viewOf(bytes.subarray(0, starts[next]))
  if (isCodestream2000(view, at)) return blankJpeg2000(view, at)
  const start = codestreamStart(viewOf(bytes.subarray(at, view.byteLength)))
  return start !== undefined && isCodestream2000(view, at + start) ? blankJp2(view, at) : undefined
}

/** True behind an end marker, and at the end of the bytes. */
function endsWell(bytes: Uint8Array, end: number): boolean {
  return end >= bytes.length || (bytes[end - 2] === 0xff && bytes[end - 1] === 0xd9)
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function blank(view: DataView, from: number, to: number, fill: number): void {
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).fill(fill, from, to)
}

const SPACE = 0x20

/**
 * JPEG and JPEG-LS: segments up to the end marker, before, between and behind scans. In a scan no marker but restarts can
 * stand (the byte behind FF is 0, in JPEG-LS below 80).
 */
function blankJpeg(bytes: Uint8Array, from: number, isStart: ReadonlySet<number>): number {
  const view = viewOf(bytes)
  let inScan = false
  for (let at = from + 2; at + 2 <= bytes.length;) {
    const marker = bytes[at + 1]!
    if (bytes[at] !== 0xff) {
      // Decoders skip what is no marker between segments.
      if (!inScan) bytes[at] = 0
      at++
    } else if (marker === 0xff) at++
    else if (marker < (inScan ? 0xc0 : 0x80) || (marker >= 0xd0 && marker <= 0xd7)) at += 2
    else if (marker === 0xd9) return at + 2
    else if (marker === 0xd8) {
      if (isStart.has(at)) return at
      at += 2
    } else {
      if (at + 4 > bytes.length) return bytes.length
      const end = Math.min(at + 2 + view.getUint16(at + 2), bytes.length)
      if (marker === 0xfe) blank(view, at + 4, end, SPACE)
      if (marker >= 0xe0 && marker <= 0xef)
        blank(view, at + 4 + keptBytes(bytes.subarray(at + 4, end), marker), end, SPACE)
      inScan = marker === 0xda
      // Not below 2: the length counts itself.
      at = Math.max(end, at + 2)
    }
  }
  return bytes.length
}

/** Of an application segment, what decoders read: the color transforms (Adobe, HP's in JPEG-LS), the head of JFIF. */
function keptBytes(payload: Uint8Array, marker: number): number {
  const known = DECODED[marker]
  return known !== undefined && Buffer.from(payload).toString('latin1').startsWith(known.name)
    ? known.length
    : 0
}

const DECODED: Readonly<Record<number, { name: string; length: number }>> = {
  0xe0: { name: 'JFIF\0', length: 14 },
  0xe8: { name: 'mrfx', length: 5 },
  0xee: { name: 'Adobe', length: 12 },
}

const [SOC_SIZ, SOT, SOD, COM] = [0xff4fff51, 0xff90, 0xff93, 0xff64]

function isCodestream2000(view: DataView, at: number): boolean {
  return at + 4 <= view.byteLength && view.getUint32(at) === SOC_SIZ
}

function isJp2(view: DataView, at: number): boolean {
  return at + 8 <= view.byteLength && view.getUint32(at) === 12 && view.getUint32(at + 4) === 0x6a502020
}

/** JPEG 2000 and HTJ2K: the main header, then tile-parts, each a header and data of the length that it says. */
function blankJpeg2000(view: DataView, from: number): number {
  const size = view.byteLength
  let at = blankHeader(view, from + 2, SOT)
  while (at + 12 <= size && view.getUint16(at) === SOT) {
    const length = view.getUint32(at + 6)
    // 0: up to the end. 14: the shortest there is.
    const end = length === 0 ? size : Math.min(at + length, size)
    if (length > 0 && length < 14) return at
    blankHeader(viewOf(new Uint8Array(view.buffer, view.byteOffset, end)), at + 12, SOD)
    at = end
  }
  return at + 2 <= size && view.getUint16(at) === 0xffd9 ? at + 2 : at
}

/** Blanks the comments among the segments from `at` up to the marker `last`; gives where they end. */
function blankHeader(view: DataView, from: number, last: number): number {
  let at = from
  while (at + 4 <= view.byteLength && view.getUint16(at) >= 0xff00 && view.getUint16(at) !== last) {
    const end = Math.min(at + 2 + view.getUint16(at + 2), view.byteLength)
    // Behind the length: 2 bytes that say whether it is text.
    if (view.getUint16(at) === COM) blank(view, Math.min(at + 6, end), end, SPACE)
    at = Math.max(end, at + 2)
  }
  return at
}

/** A JP2 file: boxes, of which only the first codestream and what describes it are needed. */
function blankJp2(view: DataView, from: number): number {
  const size = view.byteLength
  let isDone = false
  for (let at = from; at + 8 <= size;) {
    const isLong = view.getUint32(at) === 1 && at + 16 <= size
    const length = isLong ? 2 ** 32 * view.getUint32(at + 8) + view.getUint32(at + 12) : view.getUint32(at)
    const content = at + (isLong ? 16 : 8)
    // 0: to the end of the file.
    const end = length === 0 ? size : Math.min(at + length, size)
    const type = view.getUint32(at + 4)
    if (end < content) return at
    if (type === 0x6a703263 && !isDone) {
      isDone = true
      blankJpeg2000(viewOf(new Uint8Array(view.buffer, view.byteOffset, end)), content)
    } else if (!KEPT_BOXES.has(type)) blank(view, content, end, 0)
    at = end
  }
  return size
}

/** The signature, ftyp, jp2h. */
const KEPT_BOXES = new Set([0x6a502020, 0x66747970, 0x6a703268])
