import { createHmac } from 'node:crypto'
import type { DataSet, Element } from 'dicom-parser'
import { invalidParameter } from '../../check.js'
import { NoduleError } from '../../errors.js'
import { lookUp } from '../read/dictionary.js'
import { cleanPixels } from './pixel_text.js'
import { fileContext, itemContext, itemsOf, vrOf } from '../read/elements.js'
import type { ElementContext } from '../read/elements.js'
import { encodeElement, encodeFile, encodeSequence, toLittleEndian } from '../write/encode.js'
import { PIXEL_DATA } from '../read/parse.js'
import type { DicomFile } from '../read/parse.js'
import { profileAction } from './profile.js'
import type { ProfileAction } from './profile.js'
import { text, texts } from '../read/values.js'

export interface AnonymizeOptions {
  /** Secret from which pseudonyms, UIDs and the shift of dates are made: the same key, the same replacements. */
  key: string
  /** Keep the UIDs (113110). */
  keepUids?: boolean
  /** Remove dates (basic profile), keep them (113106), or shift each patient's by a number of days (113107). */
  dates?: 'remove' | 'keep' | 'shift'
  /** Keep sex, age, size, weight, ethnic group, pregnancy and smoking (113108). */
  keepPatient?: boolean
  /** Keep what tells the device: its names, places, serial numbers and dates of calibration (113109). */
  keepDevice?: boolean
  /** New Patient ID, printable ASCII; default: a pseudonym made of the old one and the key. */
  patientId?: string | undefined
}

/** Throws NoduleError INVALID_PARAMETER where a Patient ID is none that every reader reads as it was given. */
export function checkPatientId(patientId: string | undefined): void {
  // A backslash parts values; other characters depend on the file's character set; spaces at the ends count for nothing.
  if (patientId === undefined || /^(?! )[ -[\]-~]{1,64}(?<! )$/.test(patientId)) return
  const expected = '1 to 64 printable ASCII characters without a backslash or outer spaces'
  throw invalidParameter('patientId', expected, patientId)
}

const DATES = ['remove', 'keep', 'shift'] as const

/** Throws NoduleError INVALID_PARAMETER for what would make replacements that anybody can make again, or unknown ones. */
export function checkAnonymizeOptions({ key, dates, patientId }: AnonymizeOptions): void {
  // Of the key itself nothing is shown.
  if (typeof key !== 'string' || key === '')
    throw invalidParameter('key', 'a secret of at least 1 character', key === '' ? 'none' : typeof key)
  if (dates !== undefined && !DATES.includes(dates))
    throw invalidParameter('dates', `one of ${DATES.join(', ')}`, dates)
  checkPatientId(patientId)
}

export interface AnonymizedFile {
  bytes: Buffer
  /** What a person should look at, such as pixels that may show a name. */
  warnings: string[]
  patientId: string
  studyInstanceUid: string
  seriesInstanceUid: string
  sopInstanceUid: string
}

/** What Table E.1-1 keeps (K) of the patient and of the device; what it would clean (C) goes. */
const PATIENT_TAGS = tagSet(
  '00100040 00101010 00101020 00101030 00102160 001021a0 001021c0 00102203 0072005f',
)
const DEVICE_TAGS = tagSet(`
  00081010 0014407c 0014407e 0016004e 0016004f 00160050 00160051 00181000 00181002 00181004 00181005
  00181007 00181008 00181009 0018100a 0018100b 00181200 00181201 00181202 00181203 00181204 00181205
  00185011 0018700a 0018700c 0018700e 00189367 00189371 00189373 00203401 00321020 00400010 00400011
  00400242 00404025 00404027 00404028 00404030 00500020 04000563 300a00b2 300a0216 300c0127 30080105
  3010002d 30100043`)
const BIRTH = new Set(['00100030', '00100032', '00100033', '00100034'])
const MAX_SHIFT_DAYS = 3650

function tagSet(tags: string): ReadonlySet<string> {
  return new Set(tags.trim().split(/\s+/))
}

/**
 * De-identifies an object by the Basic Application Level Confidentiality Profile (PS3.15 Annex E): attributes are
 * removed, emptied or replaced as its table says; private and unknown attributes, curves and overlays are removed; names
 * that the table does not have are emptied. What stands above Bits Stored in the pixels is cleared, and what stands beside
 * them in Pixel Data is blanked or cut; text that is burned into them is refused. What an earlier de-identification says of itself stays.
 *
 * @throws NoduleError FORMAT (damaged, no identity), UNSUPPORTED (burned-in annotations, hidden bits in compressed
 *   pixels, native ones of an unknown transfer syntax, a DICOMDIR), INVALID_PARAMETER
 */
export async function anonymize(file: DicomFile, o: AnonymizeOptions): Promise<AnonymizedFile> {
  checkAnonymizeOptions(o)
  const { dataSet, path } = file
  if (file.stopped !== undefined) {
    throw new NoduleError('FORMAT', 'cannot anonymize a damaged file', { path, actual: file.stopped })
  }
  if (text(dataSet, 'x00280301')?.toUpperCase() === 'YES') {
    throw new NoduleError('UNSUPPORTED', 'text is burned into the pixels', {
      path,
      place: '(0028,0301)',
      expected: 'Burned In Annotation NO',
      actual: 'YES',
    })
  }
  if (dataSet.elements['x00041220'] !== undefined) {
    throw new NoduleError('UNSUPPORTED', 'cannot anonymize a DICOMDIR', { path })
  }
  const pixels = await cleanPixels(file)
  const plan = new Plan(file, o, pixels.value)
  const written = plan.dataSet(dataSet, fileContext(file), true)
  const uid = (tag: string): string => plan.newUid(text(dataSet, tag) ?? '')
  const { sopClass, sopInstance } = identityOf(file)
  const sopInstanceUid = plan.newUid(sopInstance)
  return {
    bytes: encodeFile(file, { sopClass, sopInstance: sopInstanceUid }, written),
    warnings: [...(mayShowText(dataSet) ? [MAY_SHOW_TEXT] : []), ...pixels.warnings],
    patientId: plan.patientId,
    studyInstanceUid: uid('x0020000d'),
    seriesInstanceUid: uid('x0020000e'),
    sopInstanceUid,
  }
}

/** What the file is: by its data set, else by its meta information; '' where neither says it. */
function identityOf({ dataSet, meta }: DicomFile): { sopClass: string; sopInstance: string } {
  const either = (tag: string, metaTag: string): string =>
    text(dataSet, tag) || (meta && text(meta, metaTag)) || ''
  return { sopClass: either('x00080016', 'x00020002'), sopInstance: either('x00080018', 'x00020003') }
}

const MAY_SHOW_TEXT =
  'a secondary capture that does not say whether text is burned into the pixels (0028,0301): look at it'

/** Screen shots and scans of film, which show names as a rule, without a word on Burned In Annotation. */
function mayShowText(dataSet: DataSet): boolean {
  if (text(dataSet, 'x00280301')?.toUpperCase() === 'NO' || dataSet.elements[PIXEL_DATA] === undefined)
    return false
  const isCapture = (text(dataSet, 'x00080016') ?? '').startsWith('1.2.840.10008.5.1.4.1.1.7')
  // Conversion Type: synthetic or of the scanner itself (SYN) tells nothing.
  const conversion = text(dataSet, 'x00080064')
  const isConverted = conversion !== undefined && conversion !== 'SYN'
  const isScreen = texts(dataSet, 'x00080008').some((value) => /SCREEN|CAPTURE/i.test(value))
  return isCapture || isConverted || isScreen
}

/** What happens to an element: its bytes are kept, replaced, or it is dropped; of sequences all values may be. */
type Outcome = 'keep' | 'drop' | 'dummy' | Uint8Array

class Plan {
  readonly patientId: string
  private readonly shiftDays: number

  constructor(
    private readonly file: DicomFile,
    private readonly o: AnonymizeOptions,
    /** Pixel Data as it is to be written. */
    private readonly pixels: Uint8Array | undefined,
  ) {
    const old = text(file.dataSet, 'x00100020') ?? ''
    this.patientId = o.patientId ?? `P${this.hash('patient', old).toString('hex').slice(0, 12).toUpperCase()}`
    this.shiftDays = 1 + (this.hash('dates', old).readUInt32LE() % MAX_SHIFT_DAYS)
  }

  private hash(what: string, value: string): Buffer {
    return createHmac('sha256', this.o.key).update(`${what}\n${value}`).digest()
  }

  /** The UID that stands for another one: 2.25 and 128 bits (PS3.5 B.2). */
  uid(old: string): string {
    return `2.25.${BigInt(`0x${this.hash('uid', old).toString('hex').slice(0, 32)}`)}`
  }

  /** What a UID becomes under the options; '' stays. */
  newUid(old: string): string {
    return this.o.keepUids === true || old === '' ? old : this.uid(old)
  }

  dataSet(dataSet: DataSet, context: ElementContext, top: boolean): Buffer {
    const parts = new Map<string, Buffer>()
    for (const element of Object.values(dataSet.elements)) {
      const bytes = this.element(element, context, dataSet)
      if (bytes !== undefined) parts.set(element.tag.slice(1), bytes)
    }
    if (top) for (const [tag, bytes] of this.added()) parts.set(tag, bytes)
    return Buffer.concat([...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes))
  }

  private element(element: Element, context: ElementContext, dataSet: DataSet): Buffer | undefined {
    const tag = element.tag.slice(1)
    const group = Number.parseInt(tag.slice(0, 4), 16)
    // Item markers and group lengths are made anew; private attributes, curves and overlays go.
    if (group === 0xfffe || tag.endsWith('0000') || group % 2 === 1 || group < 8) return undefined
    if ((group & 0xff00) === 0x5000 || (group & 0xff00) === 0x6000) return undefined
    const vr = vrOf(element, context, dataSet)
    const outcome = this.outcome(tag, vr, dataSet)
    if (outcome === 'drop') return undefined
    if (outcome === 'dummy') return this.dummySequence(element, context)
    if (outcome !== 'keep') return encodeElement(tag, this.isUid(tag, vr) ? 'UI' : vr, outcome)
    if (vr === 'SQ') {
      const inner = itemContext(element, context)
      return encodeSequence(
        tag,
        itemsOf(element, context).map((item) => this.dataSet(item, inner, false)),
      )
    }
    if (element.tag === PIXEL_DATA) {
      // In an item it is an icon.
      if (context.depth > 0 || this.pixels === undefined) return undefined
      return encodeElement(tag, vr, this.pixels, element.encapsulatedPixelData === true)
    }
    const value = context.bytes.subarray(element.dataOffset, element.dataOffset + element.length)
    return encodeElement(tag, vr, context.bigEndian ? toLittleEndian(value, vr) : value)
  }

  /** One item, with the attributes of the first one and none of its values (PS3.15 E.1.1: D is never of no length). */
  private dummySequence(element: Element, context: ElementContext): Buffer {
    const inner = itemContext(element, context)
    const [item] = itemsOf(element, context)
    const parts = Object.values(item?.elements ?? {}).flatMap((part): [string, Buffer][] => {
      const tag = part.tag.slice(1)
      // The character set is the file's: dummies are ASCII.
      if (lookUp(tag) === undefined || /^fffe|0000$|^00080005$/.test(tag)) return []
      const action = profileAction(tag)
      const vr = vrOf(part, inner, item!)
      if (action === 'X') return []
      if (vr === 'SQ') return [[tag, this.dummySequence(part, inner)]]
      return [[tag, encodeElement(tag, vr, action === 'Z' ? new Uint8Array() : this.dummy(vr))]]
    })
    parts.sort(([a], [b]) => (a < b ? -1 : 1))
    return encodeSequence(element.tag.slice(1), [Buffer.concat(parts.map(([, bytes]) => bytes))])
  }

  /** A value that tells nothing, of more than no length. */
  private dummy(vr: string): Uint8Array {
    if (vr === 'UI') return Buffer.from(this.uid(''), 'latin1')
    const text = DUMMIES[vr]
    return text === undefined ? new Uint8Array(DUMMY_BYTES[vr] ?? 2) : Buffer.from(text, 'latin1')
  }

  private outcome(tag: string, vr: string, dataSet: DataSet): Outcome {
    if (tag === '00100020') return Buffer.from(this.patientId, 'latin1')
    // Nobody knows what an unknown attribute tells.
    if (lookUp(tag) === undefined && vr !== 'SQ') return 'drop'
    const action = this.action(tag, vr)
    if (action === undefined) return 'keep'
    if (action === 'X') return 'drop'
    if (action === 'Z') return new Uint8Array()
    if (action === 'shift') return this.shifted(tag, vr, dataSet)
    if (action === 'U') return this.uids(tag, vr, dataSet)
    return vr === 'SQ' ? 'dummy' : this.dummy(vr)
  }

  /** The profile's action, changed by what the options keep. */
  private action(tag: string, vr: string): ProfileAction | 'shift' | undefined {
    const action = profileAction(tag)
    const { o } = this
    if (action === undefined) return vr === 'PN' ? 'Z' : undefined
    if (o.keepPatient === true && PATIENT_TAGS.has(tag)) return undefined
    const isDate = (vr === 'DA' || vr === 'DT' || vr === 'TM') && !BIRTH.has(tag)
    // Dates of calibration are shifted with the others: they would tell by how much.
    if (o.keepDevice === true && DEVICE_TAGS.has(tag) && !(isDate && o.dates === 'shift')) return undefined
    if (isDate && o.dates !== undefined && o.dates !== 'remove')
      return o.dates === 'keep' ? undefined : 'shift'
    return action
  }

  /** UIDs that are replaced, also those that a writer gave another VR. */
  private isUid(tag: string, vr: string): boolean {
    return vr === 'UI' || (profileAction(tag) === 'U' && vr !== 'SQ')
  }

  private uids(tag: string, vr: string, dataSet: DataSet): Outcome {
    // A sequence stays: the UIDs inside of it are replaced on the way. What should be one and is none tells no UID.
    if (vr === 'SQ') return 'keep'
    if (lookUp(tag)?.vr === 'SQ') return 'drop'
    if (this.o.keepUids === true) return 'keep'
    const values = texts(dataSet, `x${tag}`)
    return Buffer.from(values.map((value) => (value === '' ? '' : this.uid(value))).join('\\'), 'latin1')
  }

  /** Dates earlier by the patient's days; times stay. What is no date is emptied. */
  private shifted(tag: string, vr: string, dataSet: DataSet): Outcome {
    if (vr === 'TM') return 'keep'
    const values = texts(dataSet, `x${tag}`).map((value) => {
      const match = /^(\d{4})(\d{2})(\d{2})(.*)$/.exec(value)
      if (match === null) return ''
      const [, year, month, day, rest] = match
      const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day) - this.shiftDays))
      return date.toISOString().slice(0, 10).replaceAll('-', '') + rest!
    })
    return Buffer.from(values.join('\\'), 'latin1')
  }

  /** What an earlier de-identification says of itself (PS3.15 E.1.1): it is added to. */
  private earlierMethods(): {
    codes: Set<string>
    items: Buffer[]
    methodWith: (added: string) => Uint8Array
  } {
    const { dataSet } = this.file
    const context = fileContext(this.file)
    const sequence = dataSet.elements['x00120064']
    const codes = new Set<string>()
    const items: Buffer[] = []
    for (const item of sequence === undefined ? [] : itemsOf(sequence, context)) {
      if (text(item, 'x00080102') === 'DCM') codes.add(text(item, 'x00080100') ?? '')
      items.push(this.dataSet(item, itemContext(sequence!, context), false))
    }
    const methods = texts(dataSet, 'x00120063').filter((value) => value !== '')
    const methodWith = (added: string): Uint8Array =>
      Buffer.from((methods.includes(added) ? methods : [...methods, added]).join('\\'), 'latin1')
    return { codes, items, methodWith }
  }

  /** Attributes that say who it is now and what was done (PS3.15 E.3, codes of CID 7050). */
  private added(): [string, Buffer][] {
    const { o } = this
    const codes = ['113100']
    if (o.dates === 'keep') codes.push('113106')
    if (o.dates === 'shift') codes.push('113107')
    if (o.keepPatient === true) codes.push('113108')
    if (o.keepDevice === true) codes.push('113109')
    if (o.keepUids === true) codes.push('113110')
    const times = { remove: 'REMOVED', keep: 'UNMODIFIED', shift: 'MODIFIED' }[o.dates ?? 'remove']
    const attribute = (tag: string, vr: string, value: string): [string, Buffer] => [
      tag,
      encodeElement(tag, vr, Buffer.from(value, 'latin1')),
    ]
    const earlier = this.earlierMethods()
    const items = codes
      .filter((code) => !earlier.codes.has(code))
      .map((code) =>
        Buffer.concat([
          attribute('00080100', 'SH', code)[1],
          attribute('00080102', 'SH', 'DCM')[1],
          attribute('00080104', 'LO', METHODS[code]!)[1],
        ]),
      )
    const { sopClass, sopInstance } = identityOf(this.file)
    return [
      attribute('00080016', 'UI', sopClass),
      attribute('00080018', 'UI', this.newUid(sopInstance)),
      attribute('00100010', 'PN', ''),
      attribute('00100020', 'LO', this.patientId),
      attribute('00120062', 'CS', 'YES'),
      ['00120063', encodeElement('00120063', 'LO', earlier.methodWith(`DCM:${codes.join('/')}`))],
      ['00120064', encodeSequence('00120064', [...earlier.items, ...items])],
      attribute('00280303', 'CS', times),
    ]
  }
}

const METHODS: Readonly<Record<string, string>> = {
  '113100': 'Basic Application Confidentiality Profile',
  '113106': 'Retain Longitudinal Temporal Information Full Dates Option',
  '113107': 'Retain Longitudinal Temporal Information Modified Dates Option',
  '113108': 'Retain Patient Characteristics Option',
  '113109': 'Retain Device Identity Option',
  '113110': 'Retain UIDs Option',
}

const DUMMIES: Readonly<Record<string, string>> = {
  ...{
    AE: 'ANONYMIZED',
    CS: 'ANONYMIZED',
    LO: 'ANONYMIZED',
    LT: 'ANONYMIZED',
    PN: 'ANONYMIZED',
    SH: 'ANONYMIZED',
  },
  ...{
    ST: 'ANONYMIZED',
    UC: 'ANONYMIZED',
    UT: 'ANONYMIZED',
    DA: '19000101',
    DT: '19000101000000',
    TM: '000000',
  },
  ...{ AS: '000Y', DS: '0', IS: '0', UR: 'urn:anonymized' },
}

/** Bytes of one value of the binary VRs; 2 of the others. */
const DUMMY_BYTES: Readonly<Record<string, number>> = {
  ...{ AT: 4, FL: 4, OF: 4, OL: 4, SL: 4, UL: 4 },
  ...{ FD: 8, OD: 8, OV: 8, SV: 8, UV: 8 },
}
