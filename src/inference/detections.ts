import { checkObject, checkText, show } from '../check.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import type { EdgeBox, ScoredBox } from '../geometry/box.js'
import type { FrameMapping } from '../geometry/frame.js'
import type { Vector3 } from '../geometry/vector.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { checkShape, dropNulls, isObject, parseJson } from '../json.js'
import type { Shape } from '../json.js'
import type { LinkOptions } from '../nodules/index.js'
import type { Region } from './region.js'
import type { StitchParameters } from './stitch.js'
import { readText } from '../files.js'

export const DETECTIONS_FORMAT = 'nodule-detections/1'

/** A slice's box and the nodule that it belongs to. */
export interface DetectedBox extends ScoredBox {
  /** `id` of the nodule, if that is confident enough to be listed. */
  nodule?: number
}

export interface DetectedSlice {
  /** Slice index in the volume, 0 at the feet. */
  k: number
  sopInstanceUid: string
  /** Patient mm of the slice's first voxel along z (LPS). */
  z: number
  /** Image pixels at the edges, falling score. */
  boxes: DetectedBox[]
}

export interface DetectedNodule {
  id: number
  /** Patient mm, x, y, z (LPS), as DICOM, LIDC and LUNA16 have it. */
  center: Vector3
  /** Fractional voxel indices k, j, i. */
  centerVoxel: Vector3
  /** Longest side of its well-scored slice boxes, mm; see `Nodule3d`. */
  boxDiameterMm: number
  extentMm: number
  /** What the confidence is made of: see `Nodule3d`. */
  driftMm: number
  elongation: number
  maxScore: number
  top2Score: number
  sliceCount: number
  expectedSlices: number
  support: number
  /** In [0, 1]. */
  confidence: number
  /** With a second stage: what each of the stages says; `confidence` is what follows from both. */
  firstConfidence?: number
  secondConfidence?: number
  /** First and last slice, inclusive. */
  slices: [number, number]
  /** Around the boxes of all slices: image pixels at the edges. */
  box: EdgeBox
}

/** What decides the result, beside the model and the images. */
export interface DetectParameters extends StitchParameters {
  /** See `LinkOptions`. */
  link: Required<LinkOptions>
  /** What of the volume is examined. */
  region: Region
}

/**
 * Milliseconds of one scan. `read` runs while the scan before is worked on; the others are what this scan waited for: a
 * stage that runs beside another one counts only where it held it up.
 */
export interface DetectTiming {
  /** Reading the pixels and HU. */
  read: number
  lungs: number
  render: number
  network: number
  stitch: number
  link: number
  /** The second stage. */
  rescore: number
  total: number
}

/** Of the slices that a result was made of: another hash, another scan. */
export interface ScanFingerprint {
  slices: number
  sha256: string
}

/** The content of `<seriesInstanceUid>.json`. */
export interface SeriesDetections {
  format: typeof DETECTIONS_FORMAT
  patientId: string
  studyInstanceUid: string
  seriesInstanceUid: string
  /** The first files do not have it. */
  scan?: ScanFingerprint
  /** Older files do not name the precision. */
  model: { path: string; sha256: string; step: number; codeVersion: string; precision?: string }
  /** The second stage, where there was one. */
  second?: { path: string; sha256: string; step: number; codeVersion: string; precision?: string }
  versions: { nodule: string; onnxruntime: string; node: string }
  device: string
  parameters: DetectParameters
  /** [z, y, x] voxels, mm; origin is the center of the first voxel, patient mm. */
  volume: {
    shape: readonly [number, number, number]
    spacing: Vector3
    origin: Vector3
    geometry: VolumeGeometry
  }
  frame: FrameMapping
  /** The slices that were examined, ascending. */
  slices: DetectedSlice[]
  /** Falling confidence. */
  nodules: DetectedNodule[]
  timing: DetectTiming
  warnings: string[]
}

/** Rounds results to more digits than they have, so that files stay short; mapping and geometry stay exact. */
export function brief(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value
}

/** Writes the file whole or not at all, one slice or nodule a line. */
export async function writeDetections(path: string, detections: SeriesDetections): Promise<void> {
  checkText('path', path)
  const lines = Object.entries(checkObject('detections', detections)).map(([key, value]) => {
    const list = key === 'slices' || key === 'nodules' ? (value as unknown[]) : []
    const text =
      list.length > 0
        ? `[\n${list.map((item) => `    ${JSON.stringify(item, brief)}`).join(',\n')}\n  ]`
        : JSON.stringify(value, key === 'timing' ? brief : undefined)
    return `  ${JSON.stringify(key)}: ${text}`
  })
  await writeFileAtomic(path, `{\n${lines.join(',\n')}\n}\n`)
}

const BOX = { x1: 'number', y1: 'number', x2: 'number', y2: 'number' } as const
const VECTOR = ['number', 3] as const
const MODEL = {
  path: 'text',
  sha256: 'text',
  step: 'number',
  codeVersion: 'text',
  'precision?': 'text',
} as const

/** What programs that read such a file rely on. */
const SHAPE: Shape = {
  patientId: 'text',
  studyInstanceUid: 'text',
  seriesInstanceUid: 'text',
  'scan?': { slices: 'count', sha256: 'text' },
  model: MODEL,
  'second?': MODEL,
  versions: { nodule: 'text', onnxruntime: 'text', node: 'text' },
  'device?': 'text',
  parameters: {},
  'volume?': {
    'geometry?': {
      origin: VECTOR,
      rowDirection: VECTOR,
      columnDirection: VECTOR,
      sliceDirection: VECTOR,
      spacing: VECTOR,
      slicePositions: ['number'],
    },
  },
  slices: [
    {
      k: 'index',
      'sopInstanceUid?': 'text',
      'z?': 'number',
      boxes: [{ ...BOX, score: 'number', 'nodule?': 'count' }],
    },
  ],
  nodules: [
    {
      id: 'count',
      center: VECTOR,
      centerVoxel: VECTOR,
      boxDiameterMm: 'number',
      confidence: 'number',
      slices: ['index', 2],
      box: BOX,
    },
  ],
  'timing?': { 'total?': 'number' },
  warnings: ['text'],
}

/** Reads and checks such a file. Throws NoduleError (FILE, FORMAT) with the JSON pointer. */
export async function readDetections(path: string): Promise<SeriesDetections> {
  const value = parseJson(readText(path, 'read detections'), path)
  const what = 'not a file of detections'
  checkShape(value, { format: 'any' }, path, what)
  const file = value as Record<string, unknown>
  if (file['format'] !== DETECTIONS_FORMAT)
    throw new NoduleError('FORMAT', what, {
      path,
      place: '/format',
      expected: DETECTIONS_FORMAT,
      actual: show(file['format']),
    })
  // As the first versions called it.
  if (Array.isArray(file['nodules']))
    for (const nodule of file['nodules'])
      if (isObject(nodule) && nodule['boxDiameterMm'] === undefined)
        nodule['boxDiameterMm'] = nodule['diameterMm']
  checkShape(value, SHAPE, path, what)
  dropNulls(value)
  return value as SeriesDetections
}
