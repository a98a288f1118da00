import { checkInteger } from '../check.js'
import type { FrameMapping } from '../geometry/frame.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { renderFrames } from '../kernels/index.js'
import { channelSlices } from './frames.js'
import type { Window } from './frames.js'
import { frameTaps } from './resample.js'

/** What a scan's frames depend on. */
export interface FrameStyle {
  mapping: FrameMapping
  window: Window
  /** Distance between the slices of two channels, mm. */
  neighborMm: number
  /** Odd; the middle one is the slice itself. */
  channels: number
  /** NHWC: [n, height, width, channels]; NCHW: [n, channels, height, width], as the ONNX model takes it. */
  layout: 'NHWC' | 'NCHW'
}

/**
 * The 2.5-D frames of some slices at once, by the native kernel where it is built: the planes (`renderPlane`) of
 * `channelSlices` as channels, but for single pixels that fall on the edge between two gray levels.
 * @param slices the slices that the frames are of; frames share the planes of common neighbors
 * @param out written and returned when given: frames * height * width * channels bytes
 */
export async function renderSliceFrames(
  volume: {
    data: Int16Array
    shape: readonly [number, number, number]
    geometry: Pick<VolumeGeometry, 'slicePositions' | 'spacing'>
  },
  slices: readonly number[],
  style: FrameStyle,
  out?: Uint8Array,
): Promise<Uint8Array> {
  const [count, rows, columns] = volume.shape
  const sources = slices.flatMap((k) => {
    checkInteger('slice', k, 0, count - 1)
    return channelSlices(volume.geometry, k, style.neighborMm, style.channels)
  })
  const used = [...new Set(sources)].sort((a, b) => a - b)
  const place = new Map(used.map((k, index) => [k, index]))
  const pixels = rows * columns
  const frames = await renderFrames(
    {
      slices: used.map((k) => volume.data.subarray(k * pixels, (k + 1) * pixels)),
      rows,
      columns,
      ...frameTaps(style.mapping, rows, columns),
      window: style.window,
      sources: sources.map((k) => place.get(k)!),
      channels: style.channels,
      layout: style.layout,
      out,
    },
    { output: 'uint8' },
  )
  return frames as Uint8Array
}
