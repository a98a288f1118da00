import dicomParser from 'dicom-parser'
import type { ByteArrayParser, DataSet, Element } from 'dicom-parser'
import { HeadReader, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, VRS } from './element_head.js'
import type { Head } from './element_head.js'
import type { ElementBudget } from './limits.js'

// Its typings lack the constructor that it exports, and call every option required.
const { DataSet: ElementSet } = dicomParser as unknown as {
  DataSet: new (parser: ByteArrayParser, bytes: Uint8Array, elements: DataSet['elements']) => DataSet
}

/** The name of Pixel Data (7FE0,0010) in a data set. */
export const PIXEL_DATA = 'x7fe00010'

/** Deeper sequences are an attack; IHE's structured reports nest about 10 deep. */
const MAX_DEPTH = 64
const PIXEL_DATA_TAG = 0x7fe00010
const SOP_CLASS = 'x00080016'

/** Sequences that decide where a frame lies and how it is rescaled: read as such also where their VR is UN. */
const KNOWN_SEQUENCES = new Set([
  0x52009229, 0x52009230, 0x00209113, 0x00209116, 0x00289110, 0x00289145, 0x00283000,
])

export interface ElementReaderOptions {
  bytes: Uint8Array
  bigEndian: boolean
  budget: ElementBudget
  warnings: string[]
  /** Pixel Data of the data set itself ends the reading, with its offset and length only. */
  untilPixelData?: boolean
  /** Pixel Data of defined length may hold fragments all the same. */
  compressed?: boolean
}

/** The structure breaks off, at byte `at`. */
class Damage extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message)
  }
}

/**
 * Reads elements with or without VR, in sequences of any nesting. What breaks inside of a sequence costs the rest of
 * that sequence: reading goes on behind it, where its length or its delimiter tells where that is. What breaks outside
 * of sequences ends the reading. Each element is read as it is written where it is not written as the file says: without
 * VR in an explicit file, with VR in an implicit one (pydicom and GDCM read such files too).
 */
export class ElementReader {
  /** Where and why the structure broke first; undefined where it did not. */
  stopped: string | undefined
  private readonly heads: HeadReader
  private readonly parser: ByteArrayParser
  private finished = false
  /** Bytes that are known to be 0. */
  private zeros = { from: 0, end: 0 }

  constructor(private readonly o: ElementReaderOptions) {
    this.heads = new HeadReader(o.bytes, o.bigEndian)
    this.parser = parserOf(o.bigEndian)
  }

  /** The data set that begins at `position` and ends with the bytes. */
  readDataSet(position: number, explicit: boolean): DataSet {
    const dataSet = this.newDataSet()
    try {
      this.readElements(dataSet, position, { end: this.o.bytes.length, explicit, depth: 0, open: false })
    } catch (error) {
      if (!(error instanceof Damage)) throw error
      this.stopped ??= error.message
    }
    return dataSet
  }

  /** The items of a sequence that lies in [position, end) or, with an undefined length, ends by its delimiter. */
  readItems(position: number, length: number, explicit: boolean): Element[] {
    const items: Element[] = []
    const end = length === UNDEFINED ? this.o.bytes.length : Math.min(this.o.bytes.length, position + length)
    try {
      this.readItemsInto(items, position, { end, explicit, depth: 0, open: length === UNDEFINED })
    } catch (error) {
      // What came before the damage is still worth showing.
      if (!(error instanceof Damage)) throw error
      this.stopped ??= error.message
    }
    return items
  }

  /** True where the elements from `position` on are written with their VR: by most of the first ones. */
  looksExplicit(position: number): boolean {
    const end = this.o.bytes.length
    let votes = 0
    let at = position
    for (let n = 0; n < 5 && at + 8 <= end; n++) {
      const explicit = this.heads.isExplicitAt(at, end)
      const head = explicit ? this.heads.explicitHead(at) : this.heads.implicitHead(at)
      votes += explicit ? 1 : -1
      if (head === undefined || head.length > end - head.dataOffset) break
      at = head.dataOffset + head.length
    }
    return votes > 0
  }

  /** Group 0002, element by element, as long as it lasts; returns the byte behind it. Always little endian. */
  readMeta(dataSet: DataSet, position: number): number {
    const { bytes } = this.o
    let at = position
    let stated: number | undefined
    while (at + 8 <= bytes.length && this.heads.view.getUint16(at, true) === 2 && at !== stated) {
      const explicit = this.heads.isExplicitAt(at, bytes.length)
      const head = explicit ? this.heads.explicitHead(at) : this.heads.implicitHead(at)
      if (head === undefined || head.length === UNDEFINED || head.length > bytes.length - head.dataOffset)
        throw new Damage(`element ${tagName(head?.tag ?? 0)} is longer than the file`, at)
      this.o.budget.count()
      this.add(dataSet, head)
      at = head.dataOffset + head.length
      // The group's own length ends it, where it is true; group 0002 may come again in the data set.
      if (head.tag === 0x00020000 && head.length === 4) stated = at + this.heads.view.getUint32(at - 4, true)
    }
    return at
  }

  private newDataSet(): DataSet {
    return new ElementSet(this.parser, this.o.bytes, {})
  }

  private readElements(dataSet: DataSet, from: number, place: Place): number {
    const { end, depth } = place
    let at = from
    while (at < end && !this.finished) {
      if (end - at < 8) {
        // Before the object says what it is they are what a cut left of an element. Later they are padding, or the cut shows
        // in what an image lacks.
        if (depth === 0 && dataSet.elements[SOP_CLASS] === undefined && !this.isZero(at, end))
          throw new Damage(`an element at byte ${at} is longer than the file`, at)
        this.o.warnings.push(`${end - at} bytes behind the last element`)
        return end
      }
      const tag = this.heads.tagAt(at)
      if (tag >= 0xfffe0000 && tag <= 0xfffeffff) {
        const after = this.delimiter(tag, at, place)
        if (after === undefined) return tag === ITEM_END ? at + 8 : at
        at = after
        continue
      }
      if (tag === 0 && depth === 0 && this.isZero(at, end)) return end
      at = this.readElement(dataSet, at, place)
    }
    if (!place.open || this.finished) return at
    if (end === this.o.bytes.length) throw new Damage('an item without an end', end)
    this.o.warnings.push(`an item without an end at byte ${from}`)
    return at
  }

  /** What a marker between elements means: where reading goes on, or undefined where it ends the data set. */
  private delimiter(tag: number, at: number, { depth, open }: Place): number | undefined {
    if (depth > 0) {
      // Without its delimiter an item ends with the next one, or with its sequence.
      if (tag === ITEM_END ? open : tag === ITEM || tag === SEQUENCE_END) return undefined
      return at + 8
    }
    if (tag === ITEM) throw new Damage(`an item outside of a sequence at byte ${at}`, at)
    this.o.warnings.push(`a delimiter outside of a sequence at byte ${at}`)
    return at + 8
  }

  private readElement(dataSet: DataSet, at: number, place: Place): number {
    const { end, depth } = place
    const head = this.heads.headAt(at, place)
    if (head === undefined) throw new Damage(`no element at byte ${at}`, at)
    this.o.budget.count()
    const element = this.add(dataSet, head)
    const { tag, vr, length, dataOffset } = head
    if (depth === 0 && tag === PIXEL_DATA_TAG && this.o.untilPixelData === true) {
      this.finished = true
      return dataOffset
    }
    const isOpen = length === UNDEFINED
    const room = end - dataOffset
    if (!isOpen && length > room) {
      // The pixels of a file that is cut off are still of use; in a sequence an element must not reach outside.
      if (depth > 0) delete dataSet.elements[element.tag]
      // Also where fragments stand in it.
      else if (tag === PIXEL_DATA_TAG && this.o.compressed === true && this.heads.isItem(dataOffset, end))
        this.readFragments(element, end)
      const outer = depth > 0 ? 'item' : 'file'
      throw new Damage(`element ${tagName(tag)} at byte ${at} is longer than the ${outer}`, dataOffset)
    }
    const valueEnd = isOpen ? end : dataOffset + length
    if (tag === PIXEL_DATA_TAG) {
      if (!isOpen && !(this.o.compressed === true && this.heads.isItem(dataOffset, valueEnd))) return valueEnd
      const after = this.readFragments(element, valueEnd)
      return isOpen ? after : valueEnd
    }
    const wellFormed = vr === 'SQ' || (this.heads.isItem(dataOffset, valueEnd) && this.mayBeSequence(head))
    if (wellFormed) return this.readSequence(element, valueEnd, isOpen, { ...place, explicit: vr === 'SQ' })
    if (!isOpen) return valueEnd
    // An open value that is no sequence: fragments, or bytes up to a delimiter.
    if (this.heads.isItem(dataOffset, end)) return this.readFragments(element, end)
    return this.skipOpenValue(element, end)
  }

  /** Values without VR (or of unknown VR) that begin like a sequence. Private ones may be anything: only open ones. */
  private mayBeSequence({ tag, vr, length }: Head): boolean {
    if (vr === undefined) return length === UNDEFINED || (tag >>> 16) % 2 === 0
    return vr === 'UN' && (length === UNDEFINED || KNOWN_SEQUENCES.has(tag))
  }

  private readSequence(element: Element, end: number, open: boolean, place: Place): number {
    const items: Element[] = []
    element.items = items
    const { dataOffset } = element
    try {
      if (place.depth >= MAX_DEPTH) throw new Damage('nested too deeply', dataOffset)
      const after = this.readItemsInto(items, dataOffset, { ...place, end, open, depth: place.depth + 1 })
      if (open) element.length = after - dataOffset
      // The delimiter that ends an open sequence is no part of it.
      return open && after + 8 <= end && this.heads.tagAt(after) === SEQUENCE_END
        ? after + 8
        : open
          ? after
          : end
    } catch (error) {
      if (!(error instanceof Damage)) throw error
      this.stopped ??= error.message
      if (!open) return end
      const found = this.findSequenceEnd(error.at, end)
      element.length = (found ?? end) - dataOffset
      if (found === undefined) throw error
      return found + 8
    }
  }

  /** The items from `from` on; returns where they end: at the sequence's delimiter, or where no item follows. */
  private readItemsInto(items: Element[], from: number, place: Place): number {
    const { end, open } = place
    let at = from
    while (at + 8 <= end && !this.finished) {
      const tag = this.heads.tagAt(at)
      // A delimiter behind an item of defined length says nothing new.
      if (tag === ITEM_END) {
        at += 8
        continue
      }
      if (tag === SEQUENCE_END) return at
      // An open sequence without a delimiter ends where something else begins.
      if (tag !== ITEM) {
        if (open && tag > 0 && tag < 0xfffe0000 && (items.length > 0 || tag >= 0x00080000)) return at
        throw new Damage(`${tagName(tag)} at byte ${at} where an item should begin`, at)
      }
      at = this.readItem(items, at, place)
    }
    if (open && !this.finished) throw new Damage('a sequence without an end', end)
    return end
  }

  private readItem(items: Element[], at: number, { end, explicit, depth }: Place): number {
    this.o.budget.count()
    const length = this.heads.view.getUint32(at + 4, this.heads.little)
    const dataOffset = at + 8
    const open = length === UNDEFINED
    const dataSet = this.newDataSet()
    const item: Element = { tag: 'xfffee000', length, dataOffset, dataSet }
    if (open) item.hadUndefinedLength = true
    items.push(item)
    const isCut = !open && length > end - dataOffset
    const itemEnd = open || isCut ? end : dataOffset + length
    // Sequences of unknown VR are in implicit VR (PS3.5 6.2.2), or should be.
    const written = explicit || (dataOffset + 8 <= itemEnd && this.heads.isExplicitAt(dataOffset, itemEnd))
    const after = this.readElements(dataSet, dataOffset, { end: itemEnd, explicit: written, depth, open })
    item.length = after - dataOffset
    if (isCut) throw new Damage(`an item at byte ${at} is longer than its sequence`, end)
    return open ? after : itemEnd
  }

  /** Fragments of a compressed image with their offset table; returns the byte behind them. */
  private readFragments(element: Element, end: number): number {
    element.encapsulatedPixelData = true
    element.basicOffsetTable = []
    element.fragments = []
    const base = element.dataOffset
    let at = base
    let first: number | undefined
    while (at + 8 <= end) {
      const tag = this.heads.tagAt(at)
      const length = this.heads.view.getUint32(at + 4, this.heads.little)
      if (tag !== ITEM) {
        element.length = at - base
        if (tag === SEQUENCE_END) return at + 8
        this.o.warnings.push(`fragments without an end at byte ${at}`)
        return at
      }
      this.o.budget.count()
      if (first === undefined) {
        first = at + 8 + length
        for (let p = at + 8; p + 4 <= Math.min(first, end); p += 4) {
          this.o.budget.count()
          element.basicOffsetTable.push(this.heads.view.getUint32(p, this.heads.little))
        }
      } else element.fragments.push({ offset: at - first, position: at + 8, length })
      at += 8 + length
    }
    element.length = Math.min(at, end) - base
    // A defined length ends them as well.
    if (end === this.o.bytes.length && element.hadUndefinedLength === true)
      this.o.warnings.push('fragments without an end')
    return Math.min(at, end)
  }

  private skipOpenValue(element: Element, end: number): number {
    for (let at = element.dataOffset; at + 8 <= end; at += 2) {
      const tag = this.heads.tagAt(at)
      if (tag !== ITEM_END && tag !== SEQUENCE_END) continue
      element.length = at - element.dataOffset
      return at + 8
    }
    element.length = end - element.dataOffset
    throw new Damage(`element ${element.tag.slice(1)} without an end`, end)
  }

  /** The next delimiter of a sequence behind which an element may stand. */
  private findSequenceEnd(from: number, end: number): number | undefined {
    const { bytes } = this.o
    const pattern = Buffer.from(this.heads.little ? 'feffdde000000000' : 'fffee0dd00000000', 'hex')
    const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, end)
    const found = haystack.indexOf(pattern, from)
    return found < 0 ? undefined : found
  }

  private add(dataSet: DataSet, { tag, vr, length, dataOffset }: Head): Element {
    const element: Element = { tag: `x${tagName(tag)}`, length, dataOffset }
    // Two bytes that are no VR are none.
    if (vr !== undefined) element.vr = VRS.has(vr) ? vr : 'UN'
    if (length === UNDEFINED) element.hadUndefinedLength = true
    dataSet.elements[element.tag] = element
    return element
  }

  private isZero(from: number, end: number): boolean {
    const { bytes } = this.o
    // Elements of zeros come one by one to the same end of them: it is looked for once.
    if (from < this.zeros.from || from >= this.zeros.end) {
      let at = from
      while (at < bytes.length && bytes[at] === 0) at++
      this.zeros = { from, end: at }
    }
    return this.zeros.end >= end
  }
}

/** A data set without elements. */
export function newDataSet(bytes: Uint8Array, bigEndian: boolean): DataSet {
  return new ElementSet(parserOf(bigEndian), bytes, {})
}

function parserOf(bigEndian: boolean): ByteArrayParser {
  return bigEndian ? dicomParser.bigEndianByteArrayParser : dicomParser.littleEndianByteArrayParser
}

/** Where elements or items are read. */
interface Place {
  /** The byte behind them; the end of what holds them where `open`. */
  end: number
  explicit: boolean
  /** Sequences around them. */
  depth: number
  /** A delimiter ends them. */
  open: boolean
}

/** A tag as 8 hexadecimal digits. */
function tagName(tag: number): string {
  return tag.toString(16).padStart(8, '0')
}

/** True for the errors that `readMeta` throws. */
export function isDamage(error: unknown): error is Damage {
  return error instanceof Damage
}
