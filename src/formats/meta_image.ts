import { basename } from 'node:path'
import { deflateSync } from 'node:zlib'
import { invalidParameter } from '../check.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic, writeTogether } from '../files.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { readStart } from '../read_files.js'
import { unit } from '../geometry/vector.js'
import type { Vector3 } from '../geometry/vector.js'
import { besideOf, checkVolume, checkVolumeFile } from './volume_file.js'
import type { ElementType, VolumeFile } from './volume_file.js'

const MAX_HEADER = 64 * 1024
/** Of MetaIO. */
const MAX_DIMENSIONS = 10

const TYPES: Record<string, ElementType> = {
  MET_CHAR: 'int8',
  MET_UCHAR: 'uint8',
  MET_SHORT: 'int16',
  MET_USHORT: 'uint16',
  MET_INT: 'int32',
  MET_UINT: 'uint32',
  MET_LONG: 'int32',
  MET_ULONG: 'uint32',
  MET_LONG_LONG: 'int64',
  MET_ULONG_LONG: 'uint64',
  MET_FLOAT: 'float32',
  MET_DOUBLE: 'float64',
}

/**
 * Reads the header of a MetaImage (.mhd with a .raw or .zraw, or .mha), the format of LUNA16's scans. Its axes are
 * DICOM's (LPS). Further dimensions of one step (time, channels) are passed over, as ITK does.
 *
 * @throws NoduleError FILE, FORMAT, UNSUPPORTED
 */
export async function readMetaImage(path: string): Promise<VolumeFile> {
  const head = await readHeader(path)
  const { keys, end } = parseKeys(head)
  const wrong = (place: string, expected: string): NoduleError =>
    new NoduleError('FORMAT', 'wrong MetaImage header', {
      path,
      place,
      expected,
      actual: keys.get(place) ?? 'none',
    })
  const numbers = (name: string, count: number, fallback?: readonly number[]): number[] => {
    const text = keys.get(name)
    if (text === undefined && fallback !== undefined) return [...fallback]
    const values = text?.split(/\s+/).map(Number) ?? []
    if (values.length !== count || !values.every((value) => Number.isFinite(value)))
      throw wrong(name, `${count} numbers`)
    return values
  }
  const flag = (name: string): boolean => /^[t1]/i.test(keys.get(name) ?? '')
  const either = (...names: string[]): string => names.find((name) => keys.has(name)) ?? names[0]!
  const [dimensions] = numbers('NDims', 1) as [number]
  if (!Number.isInteger(dimensions) || dimensions < 3 || dimensions > MAX_DIMENSIONS)
    throw wrong('NDims', '3')
  if (numbers('ElementNumberOfChannels', 1, [1])[0] !== 1) throw wrong('ElementNumberOfChannels', '1')
  const type = TYPES[keys.get('ElementType') ?? '']
  if (type === undefined) throw wrong('ElementType', `one of ${Object.keys(TYPES).join(', ')}`)
  const data = fileNameOf(keys.get('ElementDataFile'))
  if (data === undefined || /^LIST|%/.test(data))
    throw wrong('ElementDataFile', 'LOCAL or the name of one file')
  const local = data.toUpperCase() === 'LOCAL'
  const [nx, ny, nz, ...more] = numbers('DimSize', dimensions) as [number, number, number]
  if (more.some((n) => n !== 1))
    throw wrong('DimSize', '3 sizes, and 1 for each further one (a single volume)')
  const identity = Array.from({ length: dimensions ** 2 }, (_, n) => (n % (dimensions + 1) === 0 ? 1 : 0))
  const matrix = numbers(either('TransformMatrix', 'Rotation', 'Orientation'), dimensions ** 2, identity)
  const axis = (n: number): Vector3 => unit(inSpace(matrix.slice(n * dimensions)))
  const [size] = numbers('HeaderSize', 1, [0]) as [number]
  if (!Number.isInteger(size) || size < -1) throw wrong('HeaderSize', 'bytes, or -1: the voxels end the file')
  const distances = keys.get('DistanceUnits') ?? 'mm'
  if (!['mm', '?', ''].includes(distances)) throw wrong('DistanceUnits', 'mm')
  const text = keys.has('BinaryData') && !flag('BinaryData')
  if (text && flag('CompressedData')) throw wrong('CompressedData', 'False with BinaryData = False')
  return checkVolumeFile({
    path,
    dataPath: local ? path : besideOf(path, data),
    format: 'MetaImage',
    text,
    // As MetaIO: what is stated there holds for voxels in the header's own file, too.
    offset: local && size === 0 ? end : size,
    compression: flag('CompressedData') ? 'zlib' : 'none',
    type,
    bigEndian: flag(either('BinaryDataByteOrderMSB', 'ElementByteOrderMSB')),
    shape: [nz, ny, nx],
    axes: [axis(0), axis(1), axis(2)],
    spacing: inSpace(numbers(either('ElementSpacing', 'ElementSize'), dimensions, [1, 1, 1])),
    origin: inSpace(numbers(either('Offset', 'Position', 'Origin'), dimensions, [0, 0, 0])),
    slope: 1,
    intercept: 0,
    modality: modalityOf(keys.get('Modality')),
  })
}

/** The first three of numbers, one a dimension. */
function inSpace([x, y, z]: readonly number[]): Vector3 {
  return [x!, y!, z!]
}

/** The name of a file, of which the header holds the bytes: UTF-8 where they are that, else Latin-1. */
function fileNameOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}

/** MET_MOD_CT and its kin; most writers leave it out or do not know. */
function modalityOf(term: string | undefined): string | undefined {
  const name = /^MET_MOD_([A-Z]+)$/.exec(term ?? '')?.[1]
  return name === undefined || name === 'UNKNOWN' || name === 'OTHER' ? undefined : name
}

/** "Key = value" lines, up to ElementDataFile, which is the last one; and the byte behind it. */
function parseKeys(head: string): { keys: Map<string, string>; end: number } {
  const keys = new Map<string, string>()
  let at = 0
  while (at < head.length) {
    const next = head.indexOf('\n', at)
    const line = head.slice(at, next < 0 ? head.length : next)
    at = next < 0 ? head.length : next + 1
    const split = line.indexOf('=')
    if (split < 0) continue
    const key = line.slice(0, split).trim()
    keys.set(key, line.slice(split + 1).trim())
    if (key === 'ElementDataFile') break
  }
  return { keys, end: at }
}

async function readHeader(path: string): Promise<string> {
  return (await readStart(path, MAX_HEADER)).toString('latin1')
}

/**
 * The header of a MetaImage file.
 *
 * @param dataName the file of voxels beside it, or LOCAL
 * @param bytes of the voxels as they are written: ITK takes a compressed LOCAL file's from the start without them
 */
function metaImageHeader(file: VolumeFile, dataName: string, bytes: number): string {
  const type = Object.entries(TYPES).find(([, value]) => value === file.type)![0]
  const [nz, ny, nx] = file.shape
  const compressed = file.compression !== 'none'
  const lines: [string, string][] = [
    ['ObjectType', 'Image'],
    ['NDims', '3'],
    ['BinaryData', 'True'],
    ['BinaryDataByteOrderMSB', file.bigEndian ? 'True' : 'False'],
    ['CompressedData', compressed ? 'True' : 'False'],
    ...(compressed ? [['CompressedDataSize', String(bytes)] satisfies [string, string]] : []),
    ['TransformMatrix', file.axes.flat().join(' ')],
    ['Offset', file.origin.join(' ')],
    ['CenterOfRotation', '0 0 0'],
    ['ElementSpacing', file.spacing.join(' ')],
    ['DimSize', `${nx} ${ny} ${nz}`],
    ['ElementType', type],
    ['ElementDataFile', dataName],
  ]
  return lines.map(([key, value]) => `${key} = ${value}\n`).join('')
}

/** The file of voxels beside an .mhd. */
export function dataName(path: string, compress: boolean): string {
  return path.replace(/\.mhd$/i, compress ? '.zraw' : '.raw')
}

/** A volume of HU. */
interface HuImage {
  /** [z, y, x] */
  data: Int16Array
  shape: readonly [number, number, number]
  geometry: VolumeGeometry
}

/**
 * Writes a MetaImage as LUNA16 has it: .mhd and .raw or .zraw; or all in one .mha. Returns the paths.
 *
 * @throws NoduleError FILE, INVALID_PARAMETER
 */
export async function writeMetaImage(path: string, volume: HuImage, compress = false): Promise<string[]> {
  // Under any other name the header would replace the voxels.
  if (!/\.mh[ad]$/i.test(path)) throw invalidParameter('path', 'a name that ends with .mhd or .mha', path)
  checkVolume(volume, [Int16Array], 65535)
  const { data, geometry, shape } = volume
  const voxels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const bytes = compress ? deflateSync(voxels, { level: 3 }) : voxels
  const local = /\.mha$/i.test(path)
  const dataPath = local ? path : dataName(path, compress)
  const header = metaImageHeader(
    {
      path,
      dataPath,
      format: 'MetaImage',
      offset: 0,
      compression: compress ? 'zlib' : 'none',
      text: false,
      type: 'int16',
      bigEndian: false,
      shape,
      axes: [geometry.rowDirection, geometry.columnDirection, geometry.sliceDirection],
      spacing: [geometry.spacing[2], geometry.spacing[1], geometry.spacing[0]],
      origin: geometry.origin,
      slope: 1,
      intercept: 0,
    },
    local ? 'LOCAL' : basename(dataPath),
    bytes.length,
  )
  if (local) {
    await writeFileAtomic(path, Buffer.concat([Buffer.from(header), bytes]))
    return [path]
  }
  await writeTogether([
    { path: dataPath, content: bytes },
    { path, content: header },
  ])
  return [path, dataPath]
}
