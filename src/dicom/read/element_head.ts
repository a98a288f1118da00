/** Sequence markers, which have no VR. */
export const ITEM = 0xfffee000
export const ITEM_END = 0xfffee00d
export const SEQUENCE_END = 0xfffee0dd
export const UNDEFINED = 0xffffffff

/** The value representations of PS3.5 6.2. */
export const VRS: ReadonlySet<string> = new Set(
  'AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV'.split(
    ' ',
  ),
)
/** VRs with a 4-byte length (PS3.5 7.1.2). */
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])
/** The head of an element as it stands in the file. */
export interface Head {
  tag: number
  /** undefined in implicit VR. */
  vr: string | undefined
  length: number
  dataOffset: number
}

/** Reads the heads of elements: tag, VR and length. */
export class HeadReader {
  readonly view: DataView
  readonly little: boolean

  constructor(
    private readonly bytes: Uint8Array,
    bigEndian: boolean,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.little = !bigEndian
  }

  /** The element at `at`, with VR or without; undefined where neither makes sense. */
  headAt(at: number, { end, explicit: wanted }: { end: number; explicit: boolean }): Head | undefined {
    const explicit = this.explicitHead(at)
    if (wanted && explicit !== undefined && VRS.has(explicit.vr!)) return explicit
    const implicit = this.implicitHead(at)
    const fits = (head: Head | undefined): head is Head => head !== undefined && this.fits(head, end)
    if (wanted) {
      // Bytes that are no VR: an element without one, or with one that nobody knows.
      if (fits(implicit) && this.leadsOn(implicit, end)) return implicit
      if (fits(explicit) && this.leadsOn(explicit, end)) return explicit
      return fits(implicit) ? implicit : undefined
    }
    if (!fits(implicit) || !this.leadsOn(implicit, end)) {
      if (fits(explicit) && VRS.has(explicit.vr!) && this.leadsOn(explicit, end)) return explicit
    }
    return implicit
  }

  /** True where the element at `at` is written with its VR. */
  isExplicitAt(at: number, end: number): boolean {
    const head = this.explicitHead(at)
    if (head === undefined || !VRS.has(head.vr!)) return false
    const implicit = this.implicitHead(at)
    const isImplicit = this.fits(implicit, end) && this.leadsOn(implicit, end)
    return !isImplicit || (this.fits(head, end) && this.leadsOn(head, end))
  }

  private fits({ length, dataOffset }: Head, end: number): boolean {
    return length === UNDEFINED || length <= end - dataOffset
  }

  /** True where the value is followed by the end, or by what looks like the next element. */
  private leadsOn({ tag, length, dataOffset }: Head, end: number): boolean {
    if (length === UNDEFINED) return this.isItem(dataOffset, end)
    const next = dataOffset + length
    if (next === end) return true
    if (next + 8 > end) return false
    const follower = this.tagAt(next)
    return follower > tag && ((follower >>> 16) - (tag >>> 16) < 0x1000 || follower >>> 16 >= 0x7fe0)
  }

  explicitHead(at: number): Head | undefined {
    const { bytes } = this
    const vr = String.fromCharCode(bytes[at + 4]!, bytes[at + 5]!)
    if (!LONG_VRS.has(vr))
      return { tag: this.tagAt(at), vr, length: this.view.getUint16(at + 6, this.little), dataOffset: at + 8 }
    if (at + 12 > bytes.length) return undefined
    return { tag: this.tagAt(at), vr, length: this.view.getUint32(at + 8, this.little), dataOffset: at + 12 }
  }

  implicitHead(at: number): Head {
    const length = this.view.getUint32(at + 4, this.little)
    return { tag: this.tagAt(at), vr: undefined, length, dataOffset: at + 8 }
  }

  /** True where an item or the end of a sequence stands at `at`. */
  isItem(at: number, end: number): boolean {
    if (at + 8 > end) return false
    const tag = this.tagAt(at)
    return tag === ITEM || tag === SEQUENCE_END
  }

  tagAt(at: number): number {
    return this.view.getUint16(at, this.little) * 0x10000 + this.view.getUint16(at + 2, this.little)
  }
}
