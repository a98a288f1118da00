import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import type { Hypes } from '../config/hypes.js'
import { canvasFrame, fitFrame } from '../geometry/frame.js'
import type { FrameMapping } from '../geometry/frame.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { windowToGray } from '../volume/index.js'
import { frameTaps, resample } from './resample.js'
import type { Taps } from './resample.js'

/** The part of a HU volume that rendering needs; HuVolume of src/volume is one. */
export interface PlaneSource {
  /** [z, y, x] HU. */
  data: Int16Array | Float32Array
  shape: readonly [number, number, number]
}

/** What becomes black and what becomes white, HU. */
export interface Window {
  low: number
  high: number
}

/** The window of the hypes. */
export function hypesWindow(hypes: Hypes): Window {
  return { low: hypes.data.window_low_hu, high: hypes.data.window_high_hu }
}

/**
 * The frame of a series, the same for all its slices: the lungs' box in x and y, plus `data.lung_margin_mm`, fitted
 * into image_width x image_height; or, with `data.mm_per_pixel`, a canvas of that scale which just covers them.
 * @param lungs half-open voxel ranges of the lungs, as `segmentLungs` gives them
 */
export function lungFrame(
  volume: { geometry: Pick<VolumeGeometry, 'spacing'> },
  lungs: { box: { y: readonly [number, number]; x: readonly [number, number] } },
  hypes: Pick<Hypes, 'image_width' | 'image_height'> & {
    data: Pick<Hypes['data'], 'lung_margin_mm' | 'mm_per_pixel'>
  },
): FrameMapping {
  const { x, y } = lungs.box
  const { lung_margin_mm: margin, mm_per_pixel: mmPerPixel } = hypes.data
  const [, spacingY, spacingX] = volume.geometry.spacing
  const region = {
    x1: x[0] - margin / spacingX,
    y1: y[0] - margin / spacingY,
    x2: x[1] + margin / spacingX,
    y2: y[1] + margin / spacingY,
  }
  return mmPerPixel > 0
    ? canvasFrame(region, spacingX / mmPerPixel, spacingY / mmPerPixel)
    : fitFrame(region, hypes.image_width, hypes.image_height, 0, spacingY / spacingX)
}

/** Buffers for images of one size in one frame; to be reused for all slices. */
interface Buffers {
  taps: { x: Taps; y: Taps }
  rows: number
  columns: number
  values: Float32Array
  scratch: Float32Array
}

const buffersOfMapping = new WeakMap<FrameMapping, Buffers>()

function frameBuffers(mapping: FrameMapping, rows: number, columns: number): Buffers {
  const known = buffersOfMapping.get(mapping)
  if (known !== undefined && known.rows === rows && known.columns === columns) return known
  const { frameWidth, frameHeight } = mapping
  const taps = frameTaps(mapping, rows, columns)
  const [first, end] = taps.y.range
  const buffers = {
    taps,
    rows,
    columns,
    values: new Float32Array(frameWidth * frameHeight),
    scratch: new Float32Array((end - first) * frameWidth),
  }
  buffersOfMapping.set(mapping, buffers)
  return buffers
}

const AIR_HU = -1000

/** The gray level of air: of all that lies outside an image, where frames are rendered, tiled, cut out and moved. */
export function airGray({ low, high }: Window): number {
  return windowToGray(AIR_HU, low, high)
}

/**
 * One slice in its frame, HU: bilinear, antialiased when shrinking (see resample.ts). Frame pixels whose center lies
 * outside the image are air (-1000 HU).
 * @returns [frameHeight, frameWidth]; valid until the next call with the same mapping, unless `out` is given
 */
export function renderPlaneHu(
  volume: PlaneSource,
  k: number,
  mapping: FrameMapping,
  out?: Float32Array,
): Float32Array {
  const [slices, rows, columns] = volume.shape
  checkInteger('k', k, 0, slices - 1)
  const { taps, values, scratch } = frameBuffers(mapping, rows, columns)
  const target = out ?? values
  if (target.length !== mapping.frameWidth * mapping.frameHeight)
    throw invalidParameter('out', `${mapping.frameWidth * mapping.frameHeight} values`, target)
  resample(volume.data, k * rows * columns, columns, 1, taps.x, taps.y, target, AIR_HU, scratch)
  return target
}

/**
 * One slice in its frame as gray levels: `renderPlaneHu`, then gray = (HU - low) / (high - low) * 255, clamped to
 * 0..255 and rounded half up. Resampling comes first, so that the clamping cannot shift edges.
 * @returns [frameHeight, frameWidth]
 */
export function renderPlane(
  volume: PlaneSource,
  k: number,
  mapping: FrameMapping,
  window: Window,
  out?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return windowToGray(renderPlaneHu(volume, k, mapping), window.low, window.high, out)
}

/**
 * The slices of a frame's channels, chosen by distance: channel c is the one nearest to (c - (channels - 1) / 2) *
 * `neighborMm` above slice k (towards the head). At the ends, and beside a gap that is wider than both this distance
 * and the usual spacing allow, it is the last slice before that.
 * @param channels odd
 * @returns slice indices, ascending; the middle one is k
 */
export function channelSlices(
  geometry: Pick<VolumeGeometry, 'slicePositions' | 'spacing'>,
  k: number,
  neighborMm: number,
  channels: number,
): number[] {
  const positions = geometry.slicePositions
  checkInteger('k', k, 0, positions.length - 1)
  checkNumber('neighborMm', neighborMm, 0, 1000)
  if (checkInteger('channels', channels, 1, 255) % 2 === 0)
    throw invalidParameter('channels', 'odd integer', channels)
  const nearest = (step: 1 | -1, distance: number): number => {
    let best = k
    let bestMiss = Math.max(distance, geometry.spacing[0]) * 1.001
    for (let n = k + step; n >= 0 && n < positions.length; n += step) {
      const miss = Math.abs(Math.abs(positions[n]! - positions[k]!) - distance)
      // The nearer one wins a tie, whatever the rounding of the positions.
      if (miss > bestMiss - 1e-4) break
      best = n
      bestMiss = miss
    }
    return best
  }
  return Array.from({ length: channels }, (_, c) => {
    const offset = c - (channels - 1) / 2
    return offset === 0 || neighborMm === 0 ? k : nearest(offset < 0 ? -1 : 1, Math.abs(offset) * neighborMm)
  })
}
