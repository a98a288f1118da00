import dcmjs from 'dcmjs'
import { checkInteger, invalidParameter } from '../../check.js'
import { writeFileAtomic } from '../../files.js'
import type { Vector3 } from '../../geometry/vector.js'

/** One CT image to be written: a Part 10 file, explicit VR little endian, 16 bits allocated. */
export interface SliceToWrite {
  patientId: string
  studyInstanceUid: string
  seriesInstanceUid: string
  sopInstanceUid: string
  frameOfReferenceUid: string
  /** Instance Number (0020,0013), from 1. */
  instanceNumber: number
  rows: number
  columns: number
  /** Stored values, [rows, columns]; their type decides Pixel Representation. */
  pixels: Int16Array | Uint16Array
  /** (0028,0101); default 16. */
  bitsStored?: number
  /** Patient position of the center of the first pixel, mm. */
  imagePosition: Vector3
  rowDirection: Vector3
  columnDirection: Vector3
  /** Distance between rows and between columns, mm. */
  pixelSpacing: readonly [number, number]
  sliceThickness: number
  rescaleIntercept: number
  rescaleSlope: number
  /** Stored value of pixels outside the scanned circle. */
  padding?: number
  manufacturer: string
  model: string
  kernel: string
  kvp: number
  /** Tube current, mA. */
  tubeCurrent: number
  /** Diameter of the reconstructed circle, mm. */
  reconstructionDiameter: number
  contrastAgent?: string
  /** De-identified date YYYYMMDD; default 20000101. */
  date?: string
  /** (0008,103E) */
  description?: string
}

const ctImageStorage = '1.2.840.10008.5.1.4.1.1.2'
const explicitLittleEndian = '1.2.840.10008.1.2.1'
/** Names this writer in the meta header (0002,0012). */
const implementation = '2.25.187532086440361829187530446287162345101'

type Elements = Record<string, { vr: string; Value: unknown[] }>

/** DS: at most 16 characters. */
function decimal(value: number): string {
  const plain = value.toFixed(6)
  return plain.length <= 16 ? plain : value.toPrecision(9)
}

/** The bytes of a CT image file. Throws NoduleError INVALID_PARAMETER. */
export function encodeSlice(slice: SliceToWrite): Uint8Array {
  checkInteger('rows', slice.rows, 1, 65535)
  checkInteger('columns', slice.columns, 1, 65535)
  if (slice.pixels.length !== slice.rows * slice.columns)
    throw invalidParameter('pixels', `${slice.rows * slice.columns} values`, slice.pixels)
  const bits = checkInteger('bitsStored', slice.bitsStored ?? 16, 8, 16)
  const date = slice.date ?? '20000101'
  const elements: Elements = {
    '00080005': { vr: 'CS', Value: ['ISO_IR 100'] },
    '00080008': { vr: 'CS', Value: ['ORIGINAL', 'PRIMARY', 'AXIAL'] },
    '00080016': { vr: 'UI', Value: [ctImageStorage] },
    '00080018': { vr: 'UI', Value: [slice.sopInstanceUid] },
    '00080020': { vr: 'DA', Value: [date] },
    '00080021': { vr: 'DA', Value: [date] },
    '00080022': { vr: 'DA', Value: [date] },
    '00080023': { vr: 'DA', Value: [date] },
    '00080030': { vr: 'TM', Value: [] },
    '00080050': { vr: 'SH', Value: [] },
    '00080060': { vr: 'CS', Value: ['CT'] },
    '00080070': { vr: 'LO', Value: [slice.manufacturer] },
    '00080090': { vr: 'PN', Value: [] },
    '00081090': { vr: 'LO', Value: [slice.model] },
    '00100010': { vr: 'PN', Value: [] },
    '00100020': { vr: 'LO', Value: [slice.patientId] },
    '00100030': { vr: 'DA', Value: [] },
    '00100040': { vr: 'CS', Value: [] },
    '00120062': { vr: 'CS', Value: ['YES'] },
    '00120063': { vr: 'LO', Value: ['Synthetic'] },
    '00180015': { vr: 'CS', Value: ['CHEST'] },
    '00180022': { vr: 'CS', Value: ['HELICAL MODE'] },
    '00180050': { vr: 'DS', Value: [decimal(slice.sliceThickness)] },
    '00180060': { vr: 'DS', Value: [String(slice.kvp)] },
    '00181100': { vr: 'DS', Value: [decimal(slice.reconstructionDiameter)] },
    '00181120': { vr: 'DS', Value: ['0.000000'] },
    '00181151': { vr: 'IS', Value: [String(slice.tubeCurrent)] },
    '00181210': { vr: 'SH', Value: [slice.kernel] },
    '00185100': { vr: 'CS', Value: ['FFS'] },
    '0020000D': { vr: 'UI', Value: [slice.studyInstanceUid] },
    '0020000E': { vr: 'UI', Value: [slice.seriesInstanceUid] },
    '00200010': { vr: 'SH', Value: [] },
    '00200011': { vr: 'IS', Value: ['1'] },
    '00200012': { vr: 'IS', Value: ['1'] },
    '00200013': { vr: 'IS', Value: [String(slice.instanceNumber)] },
    '00200032': { vr: 'DS', Value: slice.imagePosition.map(decimal) },
    '00200037': { vr: 'DS', Value: [...slice.rowDirection, ...slice.columnDirection].map(decimal) },
    '00200052': { vr: 'UI', Value: [slice.frameOfReferenceUid] },
    '00201040': { vr: 'LO', Value: ['SN'] },
    '00201041': { vr: 'DS', Value: [decimal(slice.imagePosition[2])] },
    '00280002': { vr: 'US', Value: [1] },
    '00280004': { vr: 'CS', Value: ['MONOCHROME2'] },
    '00280010': { vr: 'US', Value: [slice.rows] },
    '00280011': { vr: 'US', Value: [slice.columns] },
    '00280030': { vr: 'DS', Value: slice.pixelSpacing.map(decimal) },
    '00280100': { vr: 'US', Value: [16] },
    '00280101': { vr: 'US', Value: [bits] },
    '00280102': { vr: 'US', Value: [bits - 1] },
    '00280103': { vr: 'US', Value: [slice.pixels instanceof Int16Array ? 1 : 0] },
    '00281050': { vr: 'DS', Value: ['-600'] },
    '00281051': { vr: 'DS', Value: ['1600'] },
    '00281052': { vr: 'DS', Value: [String(slice.rescaleIntercept)] },
    '00281053': { vr: 'DS', Value: [String(slice.rescaleSlope)] },
    '7FE00010': {
      vr: 'OW',
      Value: [slice.pixels.slice().buffer],
    },
  }
  // Signed pixels, yet an unsigned tag: as the LIDC files have it (63536 is -2000).
  if (slice.padding !== undefined) elements['00280120'] = { vr: 'US', Value: [slice.padding & 0xffff] }
  if (slice.contrastAgent !== undefined) elements['00180010'] = { vr: 'LO', Value: [slice.contrastAgent] }
  if (slice.description !== undefined) elements['0008103E'] = { vr: 'LO', Value: [slice.description] }
  const file = new dcmjs.data.DicomDict({
    '00020002': { vr: 'UI', Value: [ctImageStorage] },
    '00020003': { vr: 'UI', Value: [slice.sopInstanceUid] },
    '00020010': { vr: 'UI', Value: [explicitLittleEndian] },
    '00020012': { vr: 'UI', Value: [implementation] },
    '00020013': { vr: 'SH', Value: ['NODULE'] },
  })
  file.dict = elements
  return new Uint8Array(file.write())
}

/** Writes one CT image as a DICOM file. Throws NoduleError FILE, INVALID_PARAMETER. */
export async function writeSlice(path: string, slice: SliceToWrite): Promise<void> {
  await writeFileAtomic(path, encodeSlice(slice))
}
