import type { DataSet } from 'dicom-parser'
import { NoduleError, fileError } from '../../errors.js'
import { cross, dot, unit } from '../../geometry/vector.js'
import type { Vector3 } from '../../geometry/vector.js'
import { frameLimit } from '../../limits.js'
import { fillFrom, openRegular } from '../../read_files.js'
import { PIXEL_DATA, parseDicom } from './parse.js'
import type { DicomFile } from './parse.js'
import { AXIAL, positionByLocation } from './slice_location.js'
import { shareArray, shareText } from './shared_values.js'
import { readBits, readFrames, readModalityLut, readPadding, readRescale } from './pixel_tags.js'
import { holderOf, readFrameKind } from './functional_groups.js'
import type { FrameKind } from './functional_groups.js'
import { locatePixels, presentFrames } from './locate_pixels.js'
import type { PixelPlace } from './locate_pixels.js'
import type { VolumeSlice } from '../../formats/volume_file.js'
import { withoutPixels } from './without_pixels.js'
import { decodedTexts, isGiven, numbersOf, text, texts, uint16 } from './values.js'
import { plainText } from '../../clean.js'

/** What the tags of one image say, pixel data aside. Tags are DICOM PS3.6; lengths are mm, positions patient space (LPS). */
export interface SliceHeader {
  path: string
  /** Frame of a multi-frame file that this slice is, from 0. */
  frame: number
  /** Frames in the file: Number of Frames (0028,0008), or 1. */
  frames: number
  /** (0008,0016) */
  sopClassUid: string
  /** (0008,0018) */
  sopInstanceUid: string
  /** (0020,000E); empty where the file has none. */
  seriesInstanceUid: string
  /** (0020,000D) */
  studyInstanceUid: string
  /** (0010,0020) */
  patientId: string
  /** (0008,0060), e.g. CT */
  modality: string
  /** (0008,0008), e.g. ORIGINAL, PRIMARY, AXIAL */
  imageType: readonly string[]
  /** (0020,0013) */
  instanceNumber?: number | undefined
  /** (0020,0011) */
  seriesNumber?: number | undefined
  /** (0020,0012) */
  acquisitionNumber?: number | undefined
  /** (0020,0100), of time series */
  temporalPosition?: number | undefined
  /** (0008,0032) */
  acquisitionTime?: string | undefined
  /** (0008,103E) */
  seriesDescription?: string | undefined
  rows: number
  columns: number
  /** Patient position of the center of the first pixel (0020,0032). */
  imagePosition: Vector3
  /** The file has no position: it was made from Slice Location (0020,1041) and is right along the normal only. */
  placedByLocation?: boolean | undefined
  /** Unit vector along a row, increasing column (0020,0037). */
  rowDirection: Vector3
  /** Unit vector along a column, increasing row (0020,0037). */
  columnDirection: Vector3
  /** Distance between rows and between columns, mm (0028,0030). */
  pixelSpacing: readonly [number, number]
  /** (0018,0050); what the scanner says, not the distance of the slices. */
  sliceThickness?: number | undefined
  samplesPerPixel: number
  photometric: string
  bitsAllocated: number
  bitsStored: number
  /** Pixel Representation (0028,0103) is 1: two's complement. */
  signed: boolean
  /** (0028,1053); 1 where absent. */
  rescaleSlope: number
  /** (0028,1052); 0 where absent. */
  rescaleIntercept: number
  /** Rescale Type (0028,1054): the unit, HU as a rule. */
  rescaleType?: string | undefined
  /** Stored values in [low, high] are padding outside the scanned circle (0028,0120 and 0121), in the sign of the pixels. */
  padding?: { low: number; high: number } | undefined
  transferSyntax: string
  bigEndian: boolean
  /** Where the stored values lie in the file, bytes; only for native (uncompressed, not deflated) pixel data. */
  pixelData?: PixelPlace | undefined
  /** The slice is one of a MetaImage or NIfTI file. */
  volume?: VolumeSlice | undefined
  /** Modality LUT (0028,3000), which `readPixels` applies: then slope is 1 and intercept 0. */
  modalityLut?: { first: number; values: Uint16Array } | undefined
  /** A Modality LUT is there that cannot be read: the values have no meaning in HU. */
  hasModalityLut: boolean
  /** (0008,0070) */
  manufacturer?: string | undefined
  /** (0008,1090) */
  model?: string | undefined
  /** Convolution Kernel (0018,1210), all its values */
  kernel?: string | undefined
  /** Tube voltage (0018,0060), kV */
  kvp?: number | undefined
  /** Gantry/Detector Tilt (0018,1120), degrees */
  gantryTilt?: number | undefined
}

const FIRST_READ = 16 * 1024

/**
 * Reads the header of a file without its pixel data: the first 16 KiB, and more only where the header is longer.
 * Returns one header per frame of a multi-frame image.
 *
 * @throws NoduleError FILE, FORMAT (not DICOM, no image, no position), UNSUPPORTED
 */
export async function readSliceHeaders(path: string): Promise<SliceHeader[]> {
  const { file, size } = await readHead(path)
  return sliceHeaders(file, size)
}

/** The header of a file's first (as a rule: only) frame; see `readSliceHeaders`. */
export async function readSliceHeader(path: string): Promise<SliceHeader> {
  return (await readSliceHeaders(path))[0]!
}

/** Parses as much of a file's head as holds everything before the pixel data. */
export async function readHead(path: string): Promise<{ file: DicomFile; size: number }> {
  const { handle, size } = await openRegular(path)
  try {
    for (let wanted = FIRST_READ; ; wanted *= 8) {
      const length = Math.min(wanted, size)
      const bytes = await fillFrom(handle, 0, length)
      const whole = length === size || bytes.length < length
      const file = parseHead(bytes, path, whole ? bytes.length : size, whole)
      if (file !== undefined) return { file, size }
    }
  } catch (error) {
    throw fileError(path, 'read', error)
  } finally {
    await handle.close()
  }
}

/** Parses the head of a file, or returns undefined where more bytes are needed. */
function parseHead(bytes: Uint8Array, path: string, size: number, whole: boolean): DicomFile | undefined {
  if (whole) return parseDicom(bytes, path, { untilPixelData: true, size })
  try {
    const file = parseDicom(bytes, path, { untilPixelData: true, size })
    return file.dataSet.elements[PIXEL_DATA] === undefined ? undefined : file
  } catch (error) {
    // The bytes at the start of a file say whether it is DICOM; any other trouble may be the cut.
    if (error instanceof NoduleError && (error.fault === 'not-dicom' || error.fault === 'packed')) throw error
    return undefined
  }
}

/**
 * The headers of the frames of a parsed file.
 *
 * @param size bytes of the whole file, to see pixel data that is cut off
 * @throws NoduleError FORMAT, UNSUPPORTED
 */
export function sliceHeaders(file: DicomFile, size: number): SliceHeader[] {
  const { dataSet, path } = file
  const pixelElement = dataSet.elements[PIXEL_DATA]
  if (pixelElement === undefined) throw withoutPixels(file)
  const rows = uint16(dataSet, 'x00280010') ?? 0
  const columns = uint16(dataSet, 'x00280011') ?? 0
  if (rows < 1 || columns < 1) {
    throw new NoduleError('FORMAT', 'wrong image size', {
      path,
      place: '(0028,0010)',
      expected: 'at least 1 row and 1 column',
      actual: `${rows} x ${columns}`,
    })
  }
  const frames = readFrames(dataSet, path)
  const bits = readBits(file)
  const { slope, intercept } = readRescale(dataSet, path)
  const lut = readModalityLut(file, bits.signed, slope === undefined)
  const frameBytes = (rows * columns * bits.bitsAllocated) / 8
  const present = presentFrames(file, pixelElement, size, { frames, frameBytes })
  if (present > frameLimit(size)) {
    throw new NoduleError('FORMAT', 'too many frames for a file of this size', {
      path,
      place: '(0028,0008)',
      expected: `at most ${frameLimit(size)} frames in ${size} bytes`,
      actual: String(present),
    })
  }
  const shared = (tag: string): string | undefined => {
    const value = text(dataSet, tag)
    return value === undefined ? undefined : shareText(plainText(value))
  }
  const charsets = texts(dataSet, 'x00080005')
  const decoded = (tag: string): string | undefined => {
    const value = decodedTexts(dataSet, tag, charsets)[0]
    return value === undefined ? undefined : shareText(plainText(value))
  }
  const number = (tag: string): number | undefined => numbersOf(dataSet, tag)?.[0]
  const values = (tag: string, holder: DataSet): string | undefined => {
    const all = decodedTexts(holder, tag, charsets)
    return all.length === 0 ? undefined : shareText(plainText(all.join('\\')))
  }
  const imageType = shareArray(texts(dataSet, 'x00080008').map(plainText))
  const isEnhanced =
    dataSet.elements['x52009230'] !== undefined || dataSet.elements['x52009229'] !== undefined
  const kernel = values('x00181210', dataSet)
  const plane = (frame: number): Plane & FrameKind => {
    const where = readPlane(file, frame, slope ?? 1, intercept ?? 0)
    return isEnhanced ? { ...where, ...readFrameKind(dataSet, frame, values) } : where
  }
  const place = plane(0)
  // One literal with every key, absent or not: headers of one shape take half the memory.
  const first: SliceHeader = {
    path,
    frame: 0,
    frames,
    sopClassUid: shared('x00080016') ?? '',
    sopInstanceUid: plainText(text(dataSet, 'x00080018') ?? ''),
    seriesInstanceUid: shared('x0020000e') ?? '',
    studyInstanceUid: shared('x0020000d') ?? '',
    patientId: decoded('x00100020') ?? '',
    modality: shared('x00080060') ?? '',
    imageType: place.imageType ?? imageType,
    instanceNumber: number('x00200013'),
    seriesNumber: number('x00200011'),
    acquisitionNumber: place.acquisitionNumber ?? number('x00200012'),
    temporalPosition: place.temporalPosition ?? number('x00200100'),
    acquisitionTime: shared('x00080032'),
    seriesDescription: decoded('x0008103e'),
    rows,
    columns,
    imagePosition: place.imagePosition,
    placedByLocation: place.placedByLocation,
    rowDirection: place.rowDirection,
    columnDirection: place.columnDirection,
    pixelSpacing: place.pixelSpacing,
    sliceThickness: place.sliceThickness,
    samplesPerPixel: uint16(dataSet, 'x00280002') ?? 1,
    photometric: shared('x00280004') ?? '',
    bitsAllocated: bits.bitsAllocated,
    bitsStored: bits.bitsStored,
    signed: bits.signed,
    rescaleSlope: place.rescaleSlope,
    rescaleIntercept: place.rescaleIntercept,
    rescaleType: place.rescaleType ?? shared('x00281054'),
    // A padding value is one before the table.
    padding: lut.modalityLut === undefined ? readPadding(dataSet, bits.signed) : undefined,
    transferSyntax: shareText(file.transferSyntax),
    bigEndian: file.bigEndian,
    pixelData: locatePixels(file, pixelElement, size, { frames, frameBytes }),
    modalityLut: lut.modalityLut,
    hasModalityLut: lut.hasModalityLut,
    manufacturer: decoded('x00080070'),
    model: decoded('x00081090'),
    kernel: place.kernel ?? kernel,
    kvp: place.kvp ?? number('x00180060'),
    gantryTilt: number('x00181120'),
  }
  const headers = [first]
  for (let frame = 1; frame < present; frame++)
    headers.push(Object.assign({ ...first }, plane(frame), { frame }))
  return headers
}

type Plane = Pick<
  SliceHeader,
  | 'imagePosition'
  | 'placedByLocation'
  | 'rowDirection'
  | 'columnDirection'
  | 'pixelSpacing'
  | 'sliceThickness'
  | 'rescaleSlope'
  | 'rescaleIntercept'
>

/**
 * Where a frame lies and how it is rescaled: from the tags of the file, or from the functional groups of an enhanced
 * image.
 */
function readPlane(file: DicomFile, frame: number, slope: number, intercept: number): Plane {
  const { dataSet, path } = file
  const find = (sequence: string, tag: string): number[] | undefined =>
    numbersOf(holderOf(dataSet, frame, sequence, tag), tag)
  const wrong = (place: string, name: string, count: number): NoduleError =>
    new NoduleError('FORMAT', 'no place in the patient', {
      fault: 'no-place',
      path,
      place,
      expected: `${count} numbers of ${name}`,
      actual:
        texts(dataSet, place.replace(/^\((....),(....)\)$/, 'x$1$2').toLowerCase()).join('\\') || 'none',
    })
  const position = find('x00209113', 'x00200032')
  const isUnreadable = (sequence: string, tag: string): boolean =>
    isGiven(holderOf(dataSet, frame, sequence, tag), tag)
  // A position that is there and cannot be read is no absent one.
  const location =
    position === undefined && !isUnreadable('x00209113', 'x00200032')
      ? numbersOf(dataSet, 'x00201041')?.[0]
      : undefined
  if (position?.length !== 3 && location === undefined)
    throw wrong('(0020,0032)', 'Image Position (Patient)', 3)
  const orientation =
    find('x00209116', 'x00200037') ??
    (location === undefined || isUnreadable('x00209116', 'x00200037') ? undefined : AXIAL)
  if (orientation?.length !== 6) throw wrong('(0020,0037)', 'Image Orientation (Patient)', 6)
  const given = find('x00289110', 'x00280030')
  // One value stands for both, as ITK and GDCM take it.
  const spacing = given?.length === 1 ? [given[0]!, given[0]!] : given
  if (spacing?.length !== 2 || !(spacing[0]! > 0) || !(spacing[1]! > 0)) {
    throw wrong('(0028,0030)', 'Pixel Spacing > 0', 2)
  }
  const rowDirection = unitDirection(orientation.slice(0, 3))
  const columnDirection = unitDirection(orientation.slice(3, 6))
  if (
    rowDirection === undefined ||
    columnDirection === undefined ||
    Math.abs(dot(rowDirection, columnDirection)) > 0.01
  ) {
    throw new NoduleError('FORMAT', 'wrong orientation', {
      path,
      place: '(0020,0037)',
      expected: 'two unit vectors at a right angle',
      actual: orientation.join('\\'),
    })
  }
  const thickness = find('x00289110', 'x00180050')?.[0]
  const own = (tag: string): { slope?: number | undefined; intercept?: number | undefined } => {
    const holder = holderOf(dataSet, frame, 'x00289145', tag)
    return holder === dataSet ? {} : readRescale(holder, path)
  }
  const pixelSpacing = spacing as unknown as [number, number]
  const plane = {
    rows: uint16(dataSet, 'x00280010') ?? 0,
    columns: uint16(dataSet, 'x00280011') ?? 0,
    rowDirection,
    columnDirection,
    pixelSpacing,
  }
  return {
    imagePosition:
      location === undefined ? (position as unknown as Vector3) : positionByLocation(location, plane),
    placedByLocation: location !== undefined,
    rowDirection: shareArray(rowDirection),
    columnDirection: shareArray(columnDirection),
    pixelSpacing: shareArray(pixelSpacing),
    // 0, which some writers put for what they do not know, is none: everything of that thickness would be nothing.
    sliceThickness: thickness !== undefined && thickness > 0 ? thickness : undefined,
    rescaleSlope: own('x00281053').slope ?? slope,
    rescaleIntercept: own('x00281052').intercept ?? intercept,
  }
}

/** A direction of a header with length 1; undefined where it is far from that: rubbish, no rounding. */
export function unitDirection([x = 0, y = 0, z = 0]: readonly number[]): Vector3 | undefined {
  return Math.abs(Math.hypot(x, y, z) - 1) < 0.1 ? unit([x, y, z]) : undefined
}

/** Normal of a slice: unit vector, row direction x column direction. */
export function sliceNormal(header: Pick<SliceHeader, 'rowDirection' | 'columnDirection'>): Vector3 {
  return cross(header.rowDirection, header.columnDirection)
}
